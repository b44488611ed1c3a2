//! What copies of shards on two leaves say to each other on one stream, and batches as they travel.

use bytes::Bytes;
use futures::stream::BoxStream;
use gleaner_model::{CopyId, ShardKey};
use gleaner_replication::{FromFollower, FromPrimary};
use prost::Message;

use crate::node::NodeFault;
use crate::wire::v1;

/// What a follower says to the primary of its shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowerMessage {
    /// The shard.
    pub shard: ShardKey,
    /// The follower's copy.
    pub from: CopyId,
    /// The primary's copy.
    pub to: CopyId,
    /// What it says.
    pub message: FromFollower,
}

/// What a primary says to a follower of its shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrimaryMessage {
    /// The shard.
    pub shard: ShardKey,
    /// The primary's copy.
    pub from: CopyId,
    /// The follower's copy.
    pub to: CopyId,
    /// What it says.
    pub message: FromPrimary,
}

/// Messages of the followers on a leaf, some at a time; none at a time is a sign of life. It ends with the follower's
/// side.
pub type FollowerMessages = BoxStream<'static, Vec<FollowerMessage>>;

/// Messages of the primaries on a leaf, some at a time; none at a time is a sign of life. Nothing comes after a fault.
pub type PrimaryMessages = BoxStream<'static, Result<Vec<PrimaryMessage>, NodeFault>>;

/// What a log holds of a batch beside its term and position. To those who pass it on it is bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchRecords {
    /// The producer, with its number for the batch; `None` where it gave none.
    pub producer: Option<(u128, u64)>,
    /// One payload for each position.
    pub payloads: Vec<Bytes>,
}

impl BatchRecords {
    /// Returns its bytes.
    pub fn encode(&self) -> Bytes {
        let (producer, sequence) = match self.producer {
            Some((id, sequence)) => (Bytes::copy_from_slice(&id.to_be_bytes()), sequence),
            None => (Bytes::new(), 0),
        };
        let records = v1::BatchRecords {
            producer,
            sequence,
            payloads: self.payloads.clone(),
        };
        records.encode_to_vec().into()
    }

    /// Reads them back.
    ///
    /// # Errors
    /// What is wrong with them, for people.
    pub fn decode(bytes: Bytes) -> Result<Self, String> {
        let records = v1::BatchRecords::decode(bytes).map_err(|error| error.to_string())?;
        let v1::BatchRecords {
            producer,
            sequence,
            payloads,
        } = records;
        let id = match producer.len() {
            0 => None,
            _ => Some(<[u8; 16]>::try_from(&producer[..]).map_err(|error| error.to_string())?),
        };
        Ok(Self {
            producer: id.map(|id| (u128::from_be_bytes(id), sequence)),
            payloads,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_survive_their_bytes_and_damage_is_told() {
        for producer in [None, Some((7, 3))] {
            let records = BatchRecords {
                producer,
                payloads: vec![Bytes::from_static(b"a"), Bytes::new()],
            };
            assert_eq!(BatchRecords::decode(records.encode()), Ok(records));
        }
        let short = v1::BatchRecords {
            producer: Bytes::from_static(b"x"),
            sequence: 0,
            payloads: Vec::new(),
        };
        assert!(BatchRecords::decode(short.encode_to_vec().into()).is_err());
        assert!(BatchRecords::decode(Bytes::from_static(b"\xff")).is_err());
    }
}

//! What copies were known to hold, as it lies in etcd.
//!
//! ```text
//! /gleaner-marks/<cluster name>/<node uuid>/starts        {"kind": "starts", "format": 1, "number": …}
//! /gleaner-marks/<cluster name>/<node uuid>/marks/<part>  {"kind": "marks", "format": 1, "copies": {"<index uuid>/<n>": …}}
//! ```
//!
//! The keys are not below those of the state: all processes watch that, and nobody has to hear of marks. The marks of a node
//! are in [`PARTS`] keys by their shard, so that one shard that is written to has little written again.
//! Read first: [`EtcdMarks`].

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use gleaner_coordinator::CoordinatorError;
use gleaner_coordinator::marks::{CopyMark, CopyMarks, NodeMarks};
use gleaner_model::{IndexUuid, NodeUuid, ShardKey, ShardNumber};
use gleaner_proto::etcd::{Client, Operation, Outcome, Range, Transaction};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error_of;
use crate::keys::Keys;
use crate::value::{Kind, MARKS, STARTS};

/// Keys that the marks of a node are spread over. A transaction may have 128 operations.
const PARTS: u32 = 16;

/// The value of `…/starts`.
#[derive(Serialize, Deserialize)]
struct StartsValue {
    number: u64,
}

/// The value of `…/<part>`.
#[derive(Default, Serialize, Deserialize)]
struct MarksValue {
    copies: BTreeMap<String, CopyMark>,
}

/// Marks in etcd.
#[derive(Clone)]
pub struct EtcdMarks {
    client: Client,
    keys: Keys,
}

impl EtcdMarks {
    /// Returns those of the cluster whose keys these are.
    pub fn new(client: Client, keys: Keys) -> Self {
        Self { client, keys }
    }

    async fn value_at(&self, key: &str) -> Result<Option<Vec<u8>>, CoordinatorError> {
        let listing = self.client.range(Range::key(key)).await;
        let pair = listing.map_err(error_of)?.pairs.into_iter().next();
        Ok(pair.map(|pair| pair.value.into()))
    }

    async fn put(&self, operations: Vec<Operation>) -> Result<(), CoordinatorError> {
        let transaction = Transaction {
            compares: Vec::new(),
            operations,
        };
        match self.client.transaction(transaction).await {
            Ok(Outcome::Committed(_) | Outcome::Conflict) => Ok(()),
            Err(fault) => Err(error_of(fault)),
        }
    }
}

#[async_trait]
impl CopyMarks for EtcdMarks {
    async fn of_node(&self, node: NodeUuid) -> Result<NodeMarks, CoordinatorError> {
        let range = Range::prefix(&self.keys.marks_of(node));
        let listing = self.client.range(range).await.map_err(error_of)?;
        let mut marks = NodeMarks::new();
        for pair in listing.pairs {
            let key = String::from_utf8_lossy(&pair.key);
            marks.append(&mut read(&key, &pair.value)?);
        }
        Ok(marks)
    }

    async fn of_copy(
        &self,
        node: NodeUuid,
        shard: ShardKey,
    ) -> Result<Option<CopyMark>, CoordinatorError> {
        let key = self.keys.marks(node, part_of(shard));
        let Some(value) = self.value_at(&key).await? else {
            return Ok(None);
        };
        Ok(read(&key, &value)?.get(&shard).copied())
    }

    async fn write(
        &self,
        node: NodeUuid,
        all: &NodeMarks,
        changed: &BTreeSet<ShardKey>,
    ) -> Result<(), CoordinatorError> {
        let parts: BTreeSet<u32> = changed.iter().map(|shard| part_of(*shard)).collect();
        let operations = parts.into_iter().map(|part| {
            let of_part = all.iter().filter(|(shard, _)| part_of(**shard) == part);
            let copies = of_part.map(|(shard, mark)| (name_of(*shard), *mark));
            let value = MarksValue {
                copies: copies.collect(),
            };
            put(self.keys.marks(node, part), MARKS, &value)
        });
        self.put(operations.collect::<Result<_, _>>()?).await
    }

    async fn num_starts(&self, node: NodeUuid) -> Result<u64, CoordinatorError> {
        let key = self.keys.starts(node);
        let Some(value) = self.value_at(&key).await? else {
            return Ok(0);
        };
        let read: Result<StartsValue, _> = STARTS.decode(&value);
        let starts = read.map_err(|reason| unreadable(&key, reason))?;
        Ok(starts.number)
    }

    async fn note_starts(&self, node: NodeUuid, num_starts: u64) -> Result<(), CoordinatorError> {
        let value = StartsValue { number: num_starts };
        self.put(vec![put(self.keys.starts(node), STARTS, &value)?])
            .await
    }
}

fn put<T: Serialize + DeserializeOwned>(
    key: String,
    kind: Kind,
    value: &T,
) -> Result<Operation, CoordinatorError> {
    let encoded = kind.encode(value, None);
    let value = encoded.map_err(|error| unreadable(&key, error.to_string()))?;
    Ok(Operation::Put {
        key,
        value: value.into(),
        lease: None,
    })
}

fn read(key: &str, bytes: &[u8]) -> Result<NodeMarks, CoordinatorError> {
    let value: Result<MarksValue, String> = MARKS.decode(bytes);
    let value = value.map_err(|reason| unreadable(key, reason))?;
    let marks = value.copies.into_iter().map(|(name, mark)| {
        let no_shard = || unreadable(key, format!("`{name}` names no shard"));
        Ok((shard_of(&name).ok_or_else(no_shard)?, mark))
    });
    marks.collect()
}

fn unreadable(key: &str, reason: String) -> CoordinatorError {
    CoordinatorError::Unreadable {
        path: key.to_owned(),
        reason,
    }
}

/// Returns the key that the mark of a shard's copy is in: neighbours of one index are in different ones.
fn part_of(shard: ShardKey) -> u32 {
    let index = shard.index.0.iter().map(|byte| u32::from(*byte));
    index.sum::<u32>().wrapping_add(shard.shard.0) % PARTS
}

fn name_of(shard: ShardKey) -> String {
    format!("{}/{}", shard.index, shard.shard)
}

fn shard_of(name: &str) -> Option<ShardKey> {
    let (index, shard) = name.split_once('/')?;
    Some(ShardKey {
        index: IndexUuid::parse(index).ok()?,
        shard: ShardNumber(shard.parse().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use gleaner_model::{CopyId, HistoryId, PrimaryTerm, SeqNo};

    use super::*;

    #[test]
    fn marks_survive_their_values_and_neighbours_are_apart() {
        let shard = |n: u32| ShardKey {
            index: IndexUuid([7; 16]),
            shard: ShardNumber(n),
        };
        let parts: BTreeSet<u32> = (0..PARTS).map(|n| part_of(shard(n))).collect();
        assert_eq!(parts.len(), PARTS as usize);
        assert_eq!(shard_of(&name_of(shard(3))), Some(shard(3)));
        for history in [HistoryId::FIRST, HistoryId([9; 16])] {
            let mark = CopyMark {
                copy: CopyId([1; 16]),
                history,
                position: SeqNo(1_000),
                term: PrimaryTerm(4),
                noted_ms: 1_764_460_984_000,
            };
            let value = MarksValue {
                copies: [(name_of(shard(0)), mark)].into(),
            };
            let bytes = MARKS.encode(&value, None).expect("JSON");
            let mut read: MarksValue = MARKS.decode(&bytes).expect("read");
            assert_eq!(read.copies.remove(&name_of(shard(0))), Some(mark));
        }
    }
}

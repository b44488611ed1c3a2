//! Asks for leases on what shards show, and their answers.

use std::time::Duration;

use bytes::Bytes;
use gleaner_leases::{FollowAnswer, FollowCall, Mark};
use gleaner_model::{Generation, IndexUuid, ShardKey};

use super::field::known;
use super::ids::sixteen;
use super::{DecodeError, Wire, all, messages, millis, v1};

impl Wire for Mark {
    type Message = v1::Mark;

    fn to_message(&self) -> v1::Mark {
        let Self { process, change } = *self;
        v1::Mark { process, change }
    }

    fn from_message(message: v1::Mark) -> Result<Self, DecodeError> {
        let v1::Mark { process, change } = message;
        Ok(Self { process, change })
    }
}

impl Wire for FollowCall {
    type Message = v1::FollowCall;

    fn to_message(&self) -> v1::FollowCall {
        let Self {
            holder,
            number,
            heard,
            interest,
            read,
            is_last,
        } = self;
        v1::FollowCall {
            holder: *holder,
            number: *number,
            heard: heard.as_ref().map(Wire::to_message),
            interest: messages(interest),
            read: messages(read),
            is_last: *is_last,
        }
    }

    fn from_message(message: v1::FollowCall) -> Result<Self, DecodeError> {
        let v1::FollowCall {
            holder,
            number,
            heard,
            interest,
            read,
            is_last,
        } = message;
        Ok(Self {
            holder,
            number,
            heard: heard.map(Mark::from_message).transpose()?,
            interest: all(interest)?,
            read: all(read)?,
            is_last,
        })
    }
}

impl Wire for IndexUuid {
    type Message = Bytes;

    fn to_message(&self) -> Bytes {
        Bytes::copy_from_slice(&self.0)
    }

    fn from_message(message: Bytes) -> Result<Self, DecodeError> {
        Ok(Self(sixteen(&message, "IndexUuid")?))
    }
}

impl Wire for (ShardKey, Generation) {
    type Message = v1::LeasedShard;

    fn to_message(&self) -> v1::LeasedShard {
        let (shard, generation) = self;
        v1::LeasedShard {
            shard: Some(shard.to_message()),
            generation: Some(generation.to_message()),
        }
    }

    fn from_message(message: v1::LeasedShard) -> Result<Self, DecodeError> {
        let v1::LeasedShard { shard, generation } = message;
        let shard = known(shard, "LeasedShard.shard")?;
        let generation = known(generation, "LeasedShard.generation")?;
        Ok((
            ShardKey::from_message(shard)?,
            Generation::from_message(generation)?,
        ))
    }
}

impl Wire for FollowAnswer {
    type Message = v1::FollowAnswer;

    fn to_message(&self) -> v1::FollowAnswer {
        let Self {
            mark,
            shown,
            lease,
            state_version,
        } = self;
        v1::FollowAnswer {
            mark: Some(mark.to_message()),
            shown: messages(shown),
            lease_ms: millis(*lease),
            state_version: *state_version,
        }
    }

    fn from_message(message: v1::FollowAnswer) -> Result<Self, DecodeError> {
        let v1::FollowAnswer {
            mark,
            shown,
            lease_ms,
            state_version,
        } = message;
        Ok(Self {
            mark: Mark::from_message(known(mark, "FollowAnswer.mark")?)?,
            shown: all(shown)?,
            lease: Duration::from_millis(lease_ms),
            state_version,
        })
    }
}

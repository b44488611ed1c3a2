//! Files of a shard's copy.

use std::time::Duration;

use gleaner_model::{NodeId, PrimaryTerm, SeqNo};

use super::field::{all, maybe, maybe_message, messages, millis, one, size};
use super::ids::{history, history_bytes, sixteen, wide};
use super::{DecodeError, Wire, v1};
use crate::replicate::{FileCall, Production, Snapshot, SnapshotBase, SnapshotCall, SnapshotFile};

impl Wire for SnapshotCall {
    type Message = v1::OpenSnapshotCall;

    fn to_message(&self) -> v1::OpenSnapshotCall {
        let Self {
            shard,
            follower,
            keep_alive,
            any_copy,
            history,
        } = self;
        v1::OpenSnapshotCall {
            shard: Some(shard.to_message()),
            follower: follower.to_string(),
            keep_alive_ms: millis(*keep_alive),
            any_copy: *any_copy,
            history: history_bytes(*history),
        }
    }

    fn from_message(message: v1::OpenSnapshotCall) -> Result<Self, DecodeError> {
        let v1::OpenSnapshotCall {
            shard,
            follower,
            keep_alive_ms,
            any_copy,
            history: named,
        } = message;
        Ok(Self {
            shard: one(shard, "OpenSnapshotCall.shard")?,
            follower: NodeId(follower.into()),
            keep_alive: Duration::from_millis(keep_alive_ms),
            any_copy,
            history: history(&named, "OpenSnapshotCall.history")?,
        })
    }
}

impl Wire for SnapshotFile {
    type Message = v1::SnapshotFile;

    fn to_message(&self) -> v1::SnapshotFile {
        let Self {
            name,
            num_bytes,
            crc32c,
        } = self.clone();
        v1::SnapshotFile {
            name,
            num_bytes,
            crc32c,
        }
    }

    fn from_message(message: v1::SnapshotFile) -> Result<Self, DecodeError> {
        let v1::SnapshotFile {
            name,
            num_bytes,
            crc32c,
        } = message;
        Ok(Self {
            name,
            num_bytes,
            crc32c,
        })
    }
}

impl Wire for Snapshot {
    type Message = v1::Snapshot;

    fn to_message(&self) -> v1::Snapshot {
        let Self {
            id,
            next_seq_no,
            files,
            base,
        } = self;
        v1::Snapshot {
            id: *id,
            next_seq_no: next_seq_no.0,
            files: messages(files),
            base: maybe_message(base.as_ref()),
        }
    }

    fn from_message(message: v1::Snapshot) -> Result<Self, DecodeError> {
        let v1::Snapshot {
            id,
            next_seq_no,
            files,
            base,
        } = message;
        Ok(Self {
            id,
            next_seq_no: SeqNo(next_seq_no),
            files: all(files)?,
            base: maybe(base)?,
        })
    }
}

impl Wire for SnapshotBase {
    type Message = v1::LogBase;

    fn to_message(&self) -> v1::LogBase {
        let Self { term, producers } = self;
        v1::LogBase {
            term: term.0,
            producers: messages(producers),
        }
    }

    fn from_message(message: v1::LogBase) -> Result<Self, DecodeError> {
        let v1::LogBase { term, producers } = message;
        Ok(Self {
            term: PrimaryTerm(term),
            producers: all(producers)?,
        })
    }
}

impl Wire for Production {
    type Message = v1::ProducerSpan;

    fn to_message(&self) -> v1::ProducerSpan {
        let Self {
            id,
            sequence,
            first,
            last,
        } = self;
        v1::ProducerSpan {
            id: wide(*id),
            sequence: *sequence,
            first: first.0,
            last: last.0,
        }
    }

    fn from_message(message: v1::ProducerSpan) -> Result<Self, DecodeError> {
        let v1::ProducerSpan {
            id,
            sequence,
            first,
            last,
        } = message;
        Ok(Self {
            id: u128::from_be_bytes(sixteen(&id, "ProducerSpan.id")?),
            sequence,
            first: SeqNo(first),
            last: SeqNo(last),
        })
    }
}

impl Wire for FileCall {
    type Message = v1::ReadFileCall;

    fn to_message(&self) -> v1::ReadFileCall {
        let Self {
            shard,
            snapshot,
            name,
            offset,
            max_bytes,
        } = self;
        v1::ReadFileCall {
            shard: Some(shard.to_message()),
            snapshot: *snapshot,
            name: name.clone(),
            offset: *offset,
            max_bytes: *max_bytes as u64,
        }
    }

    fn from_message(message: v1::ReadFileCall) -> Result<Self, DecodeError> {
        let v1::ReadFileCall {
            shard,
            snapshot,
            name,
            offset,
            max_bytes,
        } = message;
        Ok(Self {
            shard: one(shard, "ReadFileCall.shard")?,
            snapshot,
            name,
            offset,
            max_bytes: size(max_bytes, "ReadFileCall.max_bytes")?,
        })
    }
}

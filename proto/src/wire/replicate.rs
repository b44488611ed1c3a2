//! Records and files of a shard's copy.

use std::time::Duration;

use gleaner_model::{Chain, History, NodeId, PrimaryTerm, SeqNo, Terms};

use super::field::{all, maybe, maybe_message, messages, millis, one, size};
use super::ids::{sixteen, wide};
use super::{DecodeError, Wire, v1};
use crate::replicate::{
    FileCall, LogPage, LogRecord, LogTailCall, Production, Snapshot, SnapshotBase, SnapshotCall,
    SnapshotFile,
};

impl Wire for History {
    type Message = v1::History;

    fn to_message(&self) -> v1::History {
        let Self { next, terms, chain } = self;
        let Terms { known_from, starts } = terms;
        let starts = starts.iter().map(|(term, start)| v1::TermStart {
            term: term.0,
            seq_no: start.0,
        });
        v1::History {
            next: next.0,
            known_from: known_from.0,
            terms: starts.collect(),
            chain: chain.map(|chain| chain.hash),
            chain_origin: chain.map_or(0, |chain| chain.origin),
        }
    }

    fn from_message(message: v1::History) -> Result<Self, DecodeError> {
        let v1::History {
            next,
            known_from,
            terms,
            chain,
            chain_origin: origin,
        } = message;
        let starts = terms.into_iter().map(|start| {
            let v1::TermStart { term, seq_no } = start;
            (PrimaryTerm(term), SeqNo(seq_no))
        });
        let terms = Terms {
            known_from: SeqNo(known_from),
            starts: starts.collect(),
        };
        Ok(Self {
            next: SeqNo(next),
            terms,
            chain: chain.map(|hash| Chain { origin, hash }),
        })
    }
}

impl Wire for LogTailCall {
    type Message = v1::LogTailCall;

    fn to_message(&self) -> v1::LogTailCall {
        let Self {
            shard,
            follower,
            from,
            max_bytes,
            wait,
            held,
        } = self;
        v1::LogTailCall {
            shard: Some(shard.to_message()),
            follower: follower.to_string(),
            from: from.0,
            max_bytes: *max_bytes as u64,
            wait_ms: millis(*wait),
            held: maybe_message(held.as_ref()),
        }
    }

    fn from_message(message: v1::LogTailCall) -> Result<Self, DecodeError> {
        let v1::LogTailCall {
            shard,
            follower,
            from,
            max_bytes,
            wait_ms,
            held,
        } = message;
        Ok(Self {
            shard: one(shard, "LogTailCall.shard")?,
            follower: NodeId(follower.into()),
            from: SeqNo(from),
            max_bytes: size(max_bytes, "LogTailCall.max_bytes")?,
            wait: Duration::from_millis(wait_ms),
            held: maybe(held)?,
        })
    }
}

impl Wire for LogRecord {
    type Message = v1::LogRecord;

    fn to_message(&self) -> v1::LogRecord {
        let Self {
            seq_no,
            term,
            payload,
        } = self;
        v1::LogRecord {
            seq_no: seq_no.0,
            term: term.0,
            payload: payload.clone(),
        }
    }

    fn from_message(message: v1::LogRecord) -> Result<Self, DecodeError> {
        let v1::LogRecord {
            seq_no,
            term,
            payload,
        } = message;
        Ok(Self {
            seq_no: SeqNo(seq_no),
            term: PrimaryTerm(term),
            payload,
        })
    }
}

impl Wire for LogPage {
    type Message = v1::LogPage;

    fn to_message(&self) -> v1::LogPage {
        let Self {
            records,
            first_available,
            end,
            visible,
        } = self;
        v1::LogPage {
            records: messages(records),
            first_available: first_available.0,
            end: end.0,
            visible: visible.0,
        }
    }

    fn from_message(message: v1::LogPage) -> Result<Self, DecodeError> {
        let v1::LogPage {
            records,
            first_available,
            end,
            visible,
        } = message;
        Ok(Self {
            records: all(records)?,
            first_available: SeqNo(first_available),
            end: SeqNo(end),
            visible: SeqNo(visible),
        })
    }
}

impl Wire for SnapshotCall {
    type Message = v1::OpenSnapshotCall;

    fn to_message(&self) -> v1::OpenSnapshotCall {
        let Self {
            shard,
            follower,
            keep_alive,
            any_copy,
            held,
        } = self;
        v1::OpenSnapshotCall {
            shard: Some(shard.to_message()),
            follower: follower.to_string(),
            keep_alive_ms: millis(*keep_alive),
            any_copy: *any_copy,
            held: maybe_message(held.as_ref()),
        }
    }

    fn from_message(message: v1::OpenSnapshotCall) -> Result<Self, DecodeError> {
        let v1::OpenSnapshotCall {
            shard,
            follower,
            keep_alive_ms,
            any_copy,
            held,
        } = message;
        Ok(Self {
            shard: one(shard, "OpenSnapshotCall.shard")?,
            follower: NodeId(follower.into()),
            keep_alive: Duration::from_millis(keep_alive_ms),
            any_copy,
            held: maybe(held)?,
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
            last,
            history,
            base,
        } = self;
        v1::Snapshot {
            id: *id,
            next_seq_no: next_seq_no.0,
            files: messages(files),
            last: last.as_ref().map(Wire::to_message),
            history: maybe_message(history.as_ref()),
            base: maybe_message(base.as_ref()),
        }
    }

    fn from_message(message: v1::Snapshot) -> Result<Self, DecodeError> {
        let v1::Snapshot {
            id,
            next_seq_no,
            files,
            last,
            history,
            base,
        } = message;
        Ok(Self {
            id,
            next_seq_no: SeqNo(next_seq_no),
            files: all(files)?,
            last: last.map(LogRecord::from_message).transpose()?,
            history: maybe(history)?,
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

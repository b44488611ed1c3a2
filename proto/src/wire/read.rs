//! Single documents, pinned views and the state of shards.

use std::time::Duration;

use bytes::Bytes;
use gleaner_model::{CopyId, DocumentId, PrimaryTerm, SeqNo, Version};
use gleaner_query::answer::ViewId;

use super::field::{all, maybe, maybe_message, member, messages, millis, one};
use super::ids::{history, history_bytes, id_texts, ids, sixteen};
use super::{DecodeError, Wire, v1};
use crate::read::{
    CopyOnDisk, CopyRecovery, Document, Documents, GenerationsCall, GetCall, RecoverySource,
    SegmentState, ShardCounters, ShardGauges, ShardPhase, ShardState, ShownGeneration,
};
use crate::search::{OpenViewsCall, PinnedView};

impl Wire for Document {
    type Message = v1::Document;

    fn to_message(&self) -> v1::Document {
        let Self {
            id,
            routing,
            seq_no,
            term,
            version,
            source,
        } = self;
        v1::Document {
            id: id.as_str().to_owned(),
            routing: routing.clone(),
            seq_no: seq_no.0,
            term: term.0,
            version: version.0,
            source: source.clone(),
        }
    }

    fn from_message(message: v1::Document) -> Result<Self, DecodeError> {
        let v1::Document {
            id,
            routing,
            seq_no,
            term,
            version,
            source,
        } = message;
        Ok(Self {
            id: DocumentId::parse(&id)?,
            routing,
            seq_no: SeqNo(seq_no),
            term: PrimaryTerm(term),
            version: Version(version),
            source,
        })
    }
}

impl Wire for Documents {
    type Message = v1::Documents;

    fn to_message(&self) -> v1::Documents {
        let Self {
            found,
            may_be_stale,
        } = self;
        let document = |document: &Option<Document>| v1::MaybeDocument {
            document: maybe_message(document.as_ref()),
        };
        v1::Documents {
            documents: found.iter().map(document).collect(),
            may_be_stale: *may_be_stale,
        }
    }

    fn from_message(message: v1::Documents) -> Result<Self, DecodeError> {
        let v1::Documents {
            documents,
            may_be_stale,
        } = message;
        let found = documents.into_iter().map(|one| maybe(one.document));
        Ok(Self {
            found: found.collect::<Result<_, _>>()?,
            may_be_stale,
        })
    }
}

impl Wire for GetCall {
    type Message = v1::GetCall;

    fn to_message(&self) -> v1::GetCall {
        let Self {
            shard,
            ids,
            realtime,
            remaining,
        } = self;
        v1::GetCall {
            shard: Some(shard.to_message()),
            ids: id_texts(ids),
            realtime: *realtime,
            remaining_ms: millis(*remaining),
        }
    }

    fn from_message(message: v1::GetCall) -> Result<Self, DecodeError> {
        let v1::GetCall {
            shard,
            ids: texts,
            realtime,
            remaining_ms,
        } = message;
        Ok(Self {
            shard: one(shard, "GetCall.shard")?,
            ids: ids(&texts)?,
            realtime,
            remaining: Duration::from_millis(remaining_ms),
        })
    }
}

impl Wire for OpenViewsCall {
    type Message = v1::OpenViewsCall;

    fn to_message(&self) -> v1::OpenViewsCall {
        let Self {
            shards,
            keep_alive,
            holder,
        } = self;
        v1::OpenViewsCall {
            shards: messages(shards),
            keep_alive_ms: millis(*keep_alive),
            holder: *holder,
        }
    }

    fn from_message(message: v1::OpenViewsCall) -> Result<Self, DecodeError> {
        let v1::OpenViewsCall {
            shards,
            keep_alive_ms,
            holder,
        } = message;
        Ok(Self {
            shards: all(shards)?,
            keep_alive: Duration::from_millis(keep_alive_ms),
            holder,
        })
    }
}

impl Wire for PinnedView {
    type Message = v1::PinnedView;

    fn to_message(&self) -> v1::PinnedView {
        let Self {
            shard,
            view,
            holder,
            may_be_stale,
        } = self;
        v1::PinnedView {
            shard: Some(shard.to_message()),
            view: view.0,
            holder: *holder,
            may_be_stale: *may_be_stale,
        }
    }

    fn from_message(message: v1::PinnedView) -> Result<Self, DecodeError> {
        let v1::PinnedView {
            shard,
            view,
            holder,
            may_be_stale,
        } = message;
        Ok(Self {
            shard: one(shard, "PinnedView.shard")?,
            view: ViewId(view),
            holder,
            may_be_stale,
        })
    }
}

impl Wire for GenerationsCall {
    type Message = v1::GenerationsCall;

    fn to_message(&self) -> v1::GenerationsCall {
        let Self { shards, remaining } = self;
        v1::GenerationsCall {
            shards: messages(shards),
            remaining_ms: millis(*remaining),
        }
    }

    fn from_message(message: v1::GenerationsCall) -> Result<Self, DecodeError> {
        let v1::GenerationsCall {
            shards,
            remaining_ms,
        } = message;
        Ok(Self {
            shards: all(shards)?,
            remaining: Duration::from_millis(remaining_ms),
        })
    }
}

impl Wire for ShownGeneration {
    type Message = v1::ShownGeneration;

    fn to_message(&self) -> v1::ShownGeneration {
        let Self {
            generation,
            is_resting,
        } = self;
        v1::ShownGeneration {
            generation: Some(generation.to_message()),
            is_resting: *is_resting,
        }
    }

    fn from_message(message: v1::ShownGeneration) -> Result<Self, DecodeError> {
        let v1::ShownGeneration {
            generation,
            is_resting,
        } = message;
        Ok(Self {
            generation: one(generation, "ShownGeneration.generation")?,
            is_resting,
        })
    }
}

impl Wire for ShardState {
    type Message = v1::ShardState;

    fn to_message(&self) -> v1::ShardState {
        let Self {
            shard,
            phase,
            reason,
            generation,
            max_seq_no,
            committed,
            num_documents,
            num_deleted,
            num_segments,
            store_bytes,
            log_bytes,
            counters,
            gauges,
            is_primary,
            segments,
            recovery,
            put_aside,
        } = self;
        v1::ShardState {
            shard: Some(shard.to_message()),
            phase: phase_message(*phase) as i32,
            reason: reason.clone(),
            generation: Some(generation.to_message()),
            max_seq_no: max_seq_no.map(|seq_no| seq_no.0),
            committed: committed.0,
            num_documents: *num_documents,
            num_deleted: *num_deleted,
            num_segments: *num_segments,
            store_bytes: *store_bytes,
            log_bytes: *log_bytes,
            counters: Some(counters.to_message()),
            gauges: Some(gauges.to_message()),
            is_primary: *is_primary,
            segments: messages(segments),
            recovery: maybe_message(recovery.as_ref()),
            put_aside: put_aside.clone(),
        }
    }

    fn from_message(message: v1::ShardState) -> Result<Self, DecodeError> {
        let v1::ShardState {
            shard,
            phase,
            reason,
            generation,
            max_seq_no,
            committed,
            num_documents,
            num_deleted,
            num_segments,
            store_bytes,
            log_bytes,
            counters,
            gauges,
            is_primary,
            segments,
            recovery,
            put_aside,
        } = message;
        Ok(Self {
            shard: one(shard, "ShardState.shard")?,
            phase: shard_phase(phase)?,
            reason,
            generation: one(generation, "ShardState.generation")?,
            max_seq_no: max_seq_no.map(SeqNo),
            committed: SeqNo(committed),
            num_documents,
            num_deleted,
            num_segments,
            store_bytes,
            log_bytes,
            counters: one(counters, "ShardState.counters")?,
            gauges: maybe(gauges)?.unwrap_or_default(),
            is_primary,
            segments: all(segments)?,
            recovery: maybe(recovery)?,
            put_aside,
        })
    }
}

impl Wire for CopyRecovery {
    type Message = v1::CopyRecovery;

    fn to_message(&self) -> v1::CopyRecovery {
        let Self {
            source,
            since,
            took,
            num_replayed,
        } = self;
        let source = match source {
            RecoverySource::Empty => v1::RecoverySource::Empty,
            RecoverySource::Existing => v1::RecoverySource::Existing,
            RecoverySource::Peer => v1::RecoverySource::Peer,
        };
        v1::CopyRecovery {
            source: source as i32,
            since_ms: millis(*since),
            took_ms: millis(*took),
            num_replayed: *num_replayed,
        }
    }

    fn from_message(message: v1::CopyRecovery) -> Result<Self, DecodeError> {
        let v1::CopyRecovery {
            source,
            since_ms,
            took_ms,
            num_replayed,
        } = message;
        Ok(Self {
            source: match member(source, "RecoverySource")? {
                v1::RecoverySource::Unspecified => {
                    return Err(DecodeError::Missing("RecoverySource"));
                }
                v1::RecoverySource::Empty => RecoverySource::Empty,
                v1::RecoverySource::Existing => RecoverySource::Existing,
                v1::RecoverySource::Peer => RecoverySource::Peer,
            },
            since: Duration::from_millis(since_ms),
            took: Duration::from_millis(took_ms),
            num_replayed,
        })
    }
}

fn phase_message(phase: ShardPhase) -> v1::ShardPhase {
    match phase {
        ShardPhase::Recovering => v1::ShardPhase::Recovering,
        ShardPhase::Started => v1::ShardPhase::Started,
        ShardPhase::Failed => v1::ShardPhase::Failed,
    }
}

fn shard_phase(phase: i32) -> Result<ShardPhase, DecodeError> {
    Ok(match member(phase, "ShardPhase")? {
        v1::ShardPhase::Unspecified => return Err(DecodeError::Missing("ShardPhase")),
        v1::ShardPhase::Recovering => ShardPhase::Recovering,
        v1::ShardPhase::Started => ShardPhase::Started,
        v1::ShardPhase::Failed => ShardPhase::Failed,
    })
}

/// Converts a struct of numbers to a message of the same fields and back.
macro_rules! numbers {
    ($domain:ident: $($field:ident),*) => {
        impl Wire for $domain {
            type Message = v1::$domain;

            fn to_message(&self) -> v1::$domain {
                let Self { $($field),* } = *self;
                v1::$domain { $($field),* }
            }

            fn from_message(message: v1::$domain) -> Result<Self, DecodeError> {
                let v1::$domain { $($field),* } = message;
                Ok(Self { $($field),* })
            }
        }
    };
}

numbers!(
    ShardCounters: index_total, index_time_ms, index_failed, delete_total, noop_total, query_total,
    query_time_ms, fetch_total, fetch_time_ms, get_total, refresh_total, flush_total, get_missing,
    get_us, get_missing_us, refresh_time_ms, flush_time_ms, flush_periodic, bulk_total, bulk_bytes,
    merge_total, merge_documents, merge_bytes, merge_time_ms, contexts_ended, contexts_time_ms
);

numbers!(
    ShardGauges: writes, queries, fetches, gets, merges, merging_documents, merging_bytes, contexts,
    writer_bytes, copying
);

numbers!(SegmentState: num_documents, num_deleted, store_bytes);

impl Wire for CopyOnDisk {
    type Message = v1::CopyOnDisk;

    fn to_message(&self) -> v1::CopyOnDisk {
        let Self {
            shard,
            copy,
            history,
            end,
            last_term,
            agreed,
            fence,
            version,
            committed,
            damage,
        } = self;
        v1::CopyOnDisk {
            shard: Some(shard.to_message()),
            copy: copy.map_or_else(Bytes::new, |copy| Bytes::copy_from_slice(&copy.0)),
            history: history_bytes(*history),
            end: end.map(|end| end.0),
            last_term: last_term.0,
            agreed: agreed.0,
            fence: fence.0,
            version: *version,
            committed: committed.map(|committed| committed.0),
            damage: damage.clone(),
        }
    }

    fn from_message(message: v1::CopyOnDisk) -> Result<Self, DecodeError> {
        let v1::CopyOnDisk {
            shard,
            copy,
            history: named,
            end,
            last_term,
            agreed,
            fence,
            version,
            committed,
            damage,
        } = message;
        let copy = (!copy.is_empty()).then(|| sixteen(&copy, "CopyOnDisk.copy"));
        Ok(Self {
            shard: one(shard, "CopyOnDisk.shard")?,
            copy: copy.transpose()?.map(CopyId),
            history: history(&named, "CopyOnDisk.history")?,
            end: end.map(SeqNo),
            last_term: PrimaryTerm(last_term),
            agreed: SeqNo(agreed),
            fence: PrimaryTerm(fence),
            version,
            committed: committed.map(SeqNo),
            damage,
        })
    }
}

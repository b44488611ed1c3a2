//! Strategies for answers and faults.

use std::time::Duration;

use gleaner_leases::FollowAnswer;
use gleaner_model::{Generation, MappingVersion, NodeId, PrimaryTerm, Role, SeqNo, Version};
use gleaner_query::answer::{
    Explanation, FetchedHit, FetchedHits, LeafTimes, MatchedQuery, ShardHit, ShardHits, ViewId,
};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::calls::{bytes, shard};
use super::clauses::{expansion_candidate, factor, id, statistics, text, texts, unmatched, value};
use super::queries::{sort_value, tie_break};
use crate::node::{NodeInfo, Readiness};
use crate::read::{
    CopyRecovery, Document, Documents, RecoverySource, SegmentState, ShardCounters, ShardGauges,
    ShardPhase, ShardState, ShownGeneration,
};
use crate::replicate::{Snapshot, SnapshotFile};
use crate::search::{ExpandAnswer, ExplainAnswer, ExplainedDocument, StatisticsAnswer};
use crate::tests::samples;
use crate::write::{WriteAnswer, WriteFault, WriteOutcome, WriteResult};
use crate::{LeafFault, Versions};

pub(super) fn fault() -> impl Strategy<Value = LeafFault> {
    let numbers = (any::<u64>(), any::<u64>(), any::<usize>());
    (shard(), text(), text(), numbers, 0..17).prop_map(|(shard, name, reason, numbers, kind)| {
        let (first, second, count) = numbers;
        match kind {
            0 => LeafFault::NotHere { shard },
            1 => LeafFault::Unreachable { shard, reason },
            2 => LeafFault::Behind {
                shard,
                wanted: SeqNo(first),
                visible: SeqNo(second),
            },
            3 => LeafFault::Recovering {
                shard,
                progress: reason,
            },
            4 => LeafFault::Stopped { shard, reason },
            5 => LeafFault::DeadlinePassed { shard },
            6 => LeafFault::Rejected {
                queue: name.into(),
                capacity: count,
            },
            7 => LeafFault::Memory {
                account: name.into(),
                wanted_bytes: first,
                limit_bytes: second,
            },
            8 => LeafFault::ViewMissing { shard, view: first },
            9 => LeafFault::Fenced {
                shard,
                current: PrimaryTerm(first),
                asked: PrimaryTerm(second),
            },
            10 => LeafFault::BadQuery {
                kind: name.into(),
                reason,
            },
            11 => LeafFault::DiskFull { shard },
            12 => LeafFault::Indeterminate { shard, reason },
            13 => LeafFault::Unsupported { what: reason },
            14 => LeafFault::TooLarge { reason },
            15 => LeafFault::NotAgreed { shard, reason },
            _ => LeafFault::Internal { shard, reason },
        }
    })
}

/// What is either good or a fault.
pub(super) fn outcome<T: std::fmt::Debug>(
    good: impl Strategy<Value = T>,
) -> impl Strategy<Value = Result<T, LeafFault>> {
    prop_oneof![3 => good.prop_map(Ok), 1 => fault().prop_map(Err)]
}

pub(super) fn follow_answer() -> impl Strategy<Value = FollowAnswer> {
    let shown = vec((super::calls::shard(), generation()), 0..3);
    let answer = (super::calls::mark(), shown, any::<u32>(), any::<u64>());
    answer.prop_map(|(mark, shown, lease_ms, state_version)| FollowAnswer {
        mark,
        shown,
        lease: Duration::from_millis(lease_ms.into()),
        state_version,
    })
}

pub(super) fn generation() -> impl Strategy<Value = Generation> {
    let parts = (any::<u64>(), any::<u64>(), any::<[u8; 16]>());
    parts.prop_map(|(mapping, visible, history)| Generation {
        mapping: MappingVersion(mapping),
        visible: SeqNo(visible),
        history: gleaner_model::HistoryId(history),
    })
}

fn view() -> impl Strategy<Value = ViewId> {
    any::<u64>().prop_map(ViewId)
}

pub(super) fn statistics_answer() -> impl Strategy<Value = StatisticsAnswer> {
    let told = (of(any::<u64>()), any::<bool>());
    let what = (view(), generation(), statistics(), told);
    what.prop_map(|(view, generation, statistics, told)| StatisticsAnswer {
        view,
        generation,
        statistics,
        num_documents: told.0,
        may_be_stale: told.1,
    })
}

pub(super) fn expand_answer() -> impl Strategy<Value = ExpandAnswer> {
    let candidates = vec(vec(expansion_candidate(), 0..3), 0..3);
    (view(), generation(), candidates, any::<bool>()).prop_map(
        |(view, generation, candidates, may_be_stale)| ExpandAnswer {
            view,
            generation,
            candidates,
            may_be_stale,
        },
    )
}

pub(super) fn shard_hits() -> impl Strategy<Value = ShardHits> {
    let keys = vec(sort_value(), 0..3);
    let (group, numbers) = (of(sort_value()), any::<[u64; 2]>());
    let hit = (of(factor()), keys, group, tie_break(), numbers).prop_map(
        |(score, keys, group, tie, [seq_no, place])| ShardHit {
            score,
            keys,
            group,
            tie,
            seq_no: SeqNo(seq_no),
            place,
        },
    );
    let micros = || any::<u64>().prop_map(Duration::from_micros);
    let times = (micros(), micros(), micros());
    let times = times.prop_map(|(queue, evaluate, cpu)| LeafTimes {
        queue,
        evaluate,
        cpu,
    });
    let counts = (any::<u64>(), any::<u64>(), of(factor()));
    let flags = (any::<[bool; 3]>(), of(times), of(unmatched()));
    let what = (generation(), view(), of(bytes()));
    (what, counts, vec(hit, 0..4), flags).prop_map(|(what, counts, hits, flags)| ShardHits {
        generation: what.0,
        view: what.1,
        num_documents: counts.0,
        total: counts.1,
        hits,
        max_score: counts.2,
        aggregations: what.2,
        timed_out: flags.0[0],
        terminated_early: flags.0[1],
        times: flags.1,
        unmatched: flags.2.map(Box::new),
        may_be_stale: flags.0[2],
    })
}

pub(super) fn documents() -> impl Strategy<Value = Documents> {
    let what = (vec(of(document()), 0..3), any::<bool>());
    what.prop_map(|(found, may_be_stale)| Documents {
        found,
        may_be_stale,
    })
}

fn document() -> impl Strategy<Value = Document> {
    let numbers = (any::<u64>(), any::<u64>(), any::<u64>());
    (id(), of(text()), numbers, bytes()).prop_map(|(id, routing, numbers, source)| Document {
        id,
        routing,
        seq_no: SeqNo(numbers.0),
        term: PrimaryTerm(numbers.1),
        version: Version(numbers.2),
        source,
    })
}

pub(super) fn explanation() -> impl Strategy<Value = Explanation> {
    let node = |details: BoxedStrategy<Vec<Explanation>>| {
        (factor(), text(), details).prop_map(|(value, description, details)| Explanation {
            value,
            description,
            details,
        })
    };
    node(Just(Vec::new()).boxed())
        .prop_recursive(4, 16, 3, move |inner| node(vec(inner, 0..3).boxed()))
}

pub(super) fn fetched_hits() -> impl Strategy<Value = FetchedHits> {
    let what = (vec(fetched_hit(), 0..3), any::<u64>());
    what.prop_map(|(hits, cpu_us)| {
        let cpu = Duration::from_micros(cpu_us);
        FetchedHits { hits, cpu }
    })
}

fn fetched_hit() -> impl Strategy<Value = FetchedHit> {
    let fields = vec((text(), vec(value(), 0..3)), 0..3);
    let highlight = vec((text(), texts()), 0..3);
    let matched = (texts(), of(factor())).prop_map(|(names, score)| {
        let matched = names.into_iter().map(|name| MatchedQuery { name, score });
        matched.collect::<Vec<_>>()
    });
    let ignored = (texts(), btree_map(text(), vec(value(), 1..3), 0..3));
    let shown = (fields, highlight, ignored);
    (document(), shown, of(explanation()), matched).prop_map(
        |(document, (fields, highlight, left_out), explanation, matched_queries)| {
            let (ignored, ignored_values) = left_out;
            let Document {
                id,
                routing,
                seq_no,
                term,
                version,
                source,
            } = document;
            FetchedHit {
                ignored,
                ignored_values: ignored_values.into_iter().collect(),
                matched_queries,
                id,
                routing,
                seq_no,
                term,
                version,
                source,
                fields: fields.into_iter().collect(),
                highlight: highlight.into_iter().collect(),
                explanation,
            }
        },
    )
}

pub(super) fn explain_answer() -> impl Strategy<Value = ExplainAnswer> {
    let explained = (any::<bool>(), explanation(), document());
    let explained = explained.prop_map(|(matched, explanation, document)| ExplainedDocument {
        matched,
        explanation,
        document,
    });
    (of(explained), any::<bool>()).prop_map(|(found, may_be_stale)| ExplainAnswer {
        found,
        may_be_stale,
    })
}

pub(super) fn write_fault() -> impl Strategy<Value = WriteFault> {
    let cause = (text(), text()).prop_map(|(kind, reason)| (kind.into(), reason));
    prop_oneof![
        (id(), text()).prop_map(|(id, reason)| WriteFault::VersionConflict { id, reason }),
        id().prop_map(|id| WriteFault::DocumentMissing { id }),
        (text(), text(), of(cause)).prop_map(|(kind, reason, cause)| WriteFault::Document {
            kind: kind.into(),
            reason,
            cause,
        }),
        (text(), text()).prop_map(|(code, reason)| WriteFault::Rejected {
            code: code.into(),
            reason,
        }),
        text().prop_map(|reason| WriteFault::Blocked { reason }),
        of(bytes()).prop_map(|document| WriteFault::Unagreed { document }),
        fault().prop_map(WriteFault::Shard),
    ]
}

pub(super) fn write_answer() -> impl Strategy<Value = WriteAnswer> {
    let results = [
        WriteResult::Created,
        WriteResult::Updated,
        WriteResult::Deleted,
        WriteResult::NotFound,
        WriteResult::Noop,
    ];
    let numbers = (any::<u64>(), any::<u64>(), any::<u64>());
    let good =
        (select(results.to_vec()), numbers, of(bytes())).prop_map(|(result, numbers, source)| {
            WriteOutcome {
                result,
                version: Version(numbers.0),
                seq_no: SeqNo(numbers.1),
                term: PrimaryTerm(numbers.2),
                source,
            }
        });
    let item = prop_oneof![good.prop_map(Ok), write_fault().prop_map(Err)];
    (vec(item, 0..4), any::<bool>()).prop_map(|(items, duplicate)| WriteAnswer { items, duplicate })
}

pub(super) fn shown() -> impl Strategy<Value = ShownGeneration> {
    (generation(), any::<bool>()).prop_map(|(generation, is_resting)| ShownGeneration {
        generation,
        is_resting,
    })
}

pub(super) fn shard_state() -> impl Strategy<Value = ShardState> {
    let phases = [
        ShardPhase::Recovering,
        ShardPhase::Started,
        ShardPhase::Failed,
    ];
    let place = (
        shard(),
        any::<bool>(),
        select(phases.to_vec()),
        of(text()),
        generation(),
    );
    let numbers = any::<[u64; 6]>();
    let made = (vec(segment_state(), 0..3), of(copy_recovery()), of(text()));
    let done = (shard_counters(), shard_gauges());
    (place, of(any::<u64>()), numbers, done, made).prop_map(
        |(place, max_seq_no, numbers, done, made)| ShardState {
            shard: place.0,
            is_primary: place.1,
            phase: place.2,
            reason: place.3,
            generation: place.4,
            max_seq_no: max_seq_no.map(SeqNo),
            committed: SeqNo(numbers[0]),
            num_documents: numbers[1],
            num_deleted: numbers[2],
            num_segments: numbers[3],
            store_bytes: numbers[4],
            log_bytes: numbers[5],
            counters: done.0,
            gauges: done.1,
            segments: made.0,
            recovery: made.1,
            put_aside: made.2,
        },
    )
}

fn shard_counters() -> impl Strategy<Value = ShardCounters> {
    any::<[u64; 26]>().prop_map(|counters| ShardCounters {
        index_total: counters[0],
        index_time_ms: counters[1],
        index_failed: counters[2],
        delete_total: counters[3],
        noop_total: counters[4],
        query_total: counters[5],
        query_time_ms: counters[6],
        fetch_total: counters[7],
        fetch_time_ms: counters[8],
        get_total: counters[9],
        refresh_total: counters[10],
        flush_total: counters[11],
        get_missing: counters[12],
        get_us: counters[13],
        get_missing_us: counters[14],
        refresh_time_ms: counters[15],
        flush_time_ms: counters[16],
        flush_periodic: counters[17],
        bulk_total: counters[18],
        bulk_bytes: counters[19],
        merge_total: counters[20],
        merge_documents: counters[21],
        contexts_ended: counters[22],
        contexts_time_ms: counters[23],
        merge_bytes: counters[24],
        merge_time_ms: counters[25],
    })
}

fn shard_gauges() -> impl Strategy<Value = ShardGauges> {
    any::<[u64; 10]>().prop_map(|gauges| ShardGauges {
        writes: gauges[0],
        queries: gauges[1],
        fetches: gauges[2],
        gets: gauges[3],
        merges: gauges[4],
        merging_documents: gauges[5],
        contexts: gauges[6],
        writer_bytes: gauges[7],
        copying: gauges[8],
        merging_bytes: gauges[9],
    })
}

fn segment_state() -> impl Strategy<Value = SegmentState> {
    any::<[u64; 3]>().prop_map(|numbers| SegmentState {
        num_documents: numbers[0],
        num_deleted: numbers[1],
        store_bytes: numbers[2],
    })
}

fn copy_recovery() -> impl Strategy<Value = CopyRecovery> {
    let sources = [
        RecoverySource::Empty,
        RecoverySource::Existing,
        RecoverySource::Peer,
    ];
    let numbers = any::<(u32, u32, u64)>();
    (select(sources.to_vec()), numbers).prop_map(|(source, (since, took, num_replayed))| {
        CopyRecovery {
            source,
            since: Duration::from_millis(since.into()),
            took: Duration::from_millis(took.into()),
            num_replayed,
        }
    })
}

pub(super) fn snapshot() -> impl Strategy<Value = Snapshot> {
    let file =
        (text(), any::<u64>(), any::<u32>()).prop_map(|(name, num_bytes, crc32c)| SnapshotFile {
            name,
            num_bytes,
            crc32c,
        });
    let parts = (any::<u64>(), any::<u64>(), vec(file, 0..4));
    parts.prop_map(|(id, next_seq_no, files)| Snapshot {
        base: samples::snapshot().base.filter(|_| id % 2 == 0),
        id,
        next_seq_no: SeqNo(next_seq_no),
        files,
    })
}

pub(super) fn node_info() -> impl Strategy<Value = NodeInfo> {
    let roles = [Role::Leaf, Role::Root];
    let versions = (any::<u32>(), any::<u32>());
    (text(), select(roles.to_vec()), text(), versions).prop_map(
        |(id, role, build_version, wire)| NodeInfo {
            id: NodeId(id.into()),
            role,
            build_version,
            wire: Versions {
                min: wire.0,
                max: wire.1,
            },
        },
    )
}

pub(super) fn readiness() -> impl Strategy<Value = Readiness> {
    prop_oneof![
        Just(Readiness::Ready),
        text().prop_map(|reason| Readiness::NotReady { reason }),
    ]
}

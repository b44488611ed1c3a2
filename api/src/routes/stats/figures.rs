//! What shards did and hold, in the sections that clients of the dialect read.
//!
//! A figure is 0 where there is no such thing here: there are no suggesters, no vectors, no field data; indexing and
//! recoveries are never throttled; what searches read of segments is mapped, not held. Clients that read answers into
//! types want such figures all the same. Filters that are kept are counted by node and not by shard (`/metrics` has
//! them): `query_cache` is 0 too. Merges are counted when they begin, and their time when they have ended.

use gleaner_proto::read::{ShardPhase, ShardState};
use serde_json::{Value, json};

use crate::cached::{Counted, Counts};

/// Adds a figure of copies up.
pub(in crate::routes) type Sum<'a> = &'a dyn Fn(fn(&ShardState) -> u64) -> u64;

/// Returns the counters of shards together; `counts` are those of the answers that this node keeps.
pub(in crate::routes) fn sections<'a>(
    states: &(impl Iterator<Item = &'a ShardState> + Clone),
    counts: &Counts,
) -> Value {
    let sum = |of: fn(&ShardState) -> u64| -> u64 { states.clone().map(of).sum() };
    let sum: Sum<'_> = &sum;
    let Counted { hits, misses } = kept_answers(states, counts);
    json!({
        "docs": docs(sum),
        "shard_stats": {"total_count": sum(|_| 1)},
        "store": store(sum),
        "indexing": indexing(sum),
        "get": get(sum),
        "search": search(sum),
        "merges": merges(sum),
        "refresh": refresh(sum),
        "flush": {
            "total": sum(|s| s.counters.flush_total),
            "periodic": sum(|s| s.counters.flush_periodic),
            "total_time_in_millis": sum(|s| s.counters.flush_time_ms),
        },
        "warmer": {"current": 0, "total": 0, "total_time_in_millis": 0},
        "query_cache": no_query_cache(),
        "fielddata": no_field_data(),
        "completion": {"size_in_bytes": 0},
        "segments": segments(sum),
        "translog": translog(sum),
        "request_cache": {
            "memory_size_in_bytes": 0,
            "evictions": 0,
            "hit_count": hits,
            "miss_count": misses,
        },
        "recovery": {
            "current_as_source": sum(|s| s.gauges.copying),
            "current_as_target": sum(|s| u64::from(s.phase == ShardPhase::Recovering)),
            "throttle_time_in_millis": 0,
        },
        "bulk": bulk(sum),
        "dense_vector": {"value_count": 0},
        "sparse_vector": {"value_count": 0},
    })
}

/// Returns what was counted of the answers of shards. An answer is of no copy: it stands with the primaries.
pub(in crate::routes) fn kept_answers<'a>(
    states: &(impl Iterator<Item = &'a ShardState> + Clone),
    counts: &Counts,
) -> Counted {
    let primaries = states.clone().filter(|state| state.is_primary);
    primaries.fold(Counted::default(), |sum, state| {
        let Counted { hits, misses } = counts.of(state.shard);
        Counted {
            hits: sum.hits + hits,
            misses: sum.misses + misses,
        }
    })
}

/// Returns how many documents there are.
pub(in crate::routes) fn docs(sum: Sum<'_>) -> Value {
    json!({
        "count": sum(|s| s.num_documents),
        "deleted": sum(|s| s.num_deleted),
        "total_size_in_bytes": sum(|s| s.segments.iter().map(|of| of.store_bytes).sum()),
    })
}

/// Returns how large copies are.
pub(in crate::routes) fn store(sum: Sum<'_>) -> Value {
    let bytes = sum(|s| s.store_bytes);
    json!({
        "size_in_bytes": bytes,
        "total_data_set_size_in_bytes": bytes,
        "reserved_in_bytes": 0,
    })
}

/// A call may index and delete: its time is that of indexing.
fn indexing(sum: Sum<'_>) -> Value {
    json!({
        "index_total": sum(|s| s.counters.index_total),
        "index_time_in_millis": sum(|s| s.counters.index_time_ms),
        "index_current": sum(|s| s.gauges.writes),
        "index_failed": sum(|s| s.counters.index_failed),
        "delete_total": sum(|s| s.counters.delete_total),
        "delete_time_in_millis": 0,
        "delete_current": 0,
        "noop_update_total": sum(|s| s.counters.noop_total),
        "is_throttled": false,
        "throttle_time_in_millis": 0,
    })
}

fn get(sum: Sum<'_>) -> Value {
    let (total, total_us) = (sum(|s| s.counters.get_total), sum(|s| s.counters.get_us));
    let missing = sum(|s| s.counters.get_missing);
    let missing_us = sum(|s| s.counters.get_missing_us);
    json!({
        "total": total,
        "time_in_millis": total_us / 1_000,
        "exists_total": total.saturating_sub(missing),
        "exists_time_in_millis": total_us.saturating_sub(missing_us) / 1_000,
        "missing_total": missing,
        "missing_time_in_millis": missing_us / 1_000,
        "current": sum(|s| s.gauges.gets),
    })
}

/// A point in time counts as a scroll: shards hold the same for both.
fn search(sum: Sum<'_>) -> Value {
    let contexts = sum(|s| s.gauges.contexts);
    json!({
        "open_contexts": contexts,
        "query_total": sum(|s| s.counters.query_total),
        "query_time_in_millis": sum(|s| s.counters.query_time_ms),
        "query_current": sum(|s| s.gauges.queries),
        "fetch_total": sum(|s| s.counters.fetch_total),
        "fetch_time_in_millis": sum(|s| s.counters.fetch_time_ms),
        "fetch_current": sum(|s| s.gauges.fetches),
        "scroll_total": sum(|s| s.counters.contexts_ended),
        "scroll_time_in_millis": sum(|s| s.counters.contexts_time_ms),
        "scroll_current": contexts,
        "suggest_total": 0,
        "suggest_time_in_millis": 0,
        "suggest_current": 0,
    })
}

fn merges(sum: Sum<'_>) -> Value {
    json!({
        "current": sum(|s| s.gauges.merges),
        "current_docs": sum(|s| s.gauges.merging_documents),
        "current_size_in_bytes": sum(|s| s.gauges.merging_bytes),
        "total": sum(|s| s.counters.merge_total),
        "total_time_in_millis": sum(|s| s.counters.merge_time_ms),
        "total_docs": sum(|s| s.counters.merge_documents),
        "total_size_in_bytes": sum(|s| s.counters.merge_bytes),
        "total_stopped_time_in_millis": 0,
        "total_throttled_time_in_millis": 0,
        "total_auto_throttle_in_bytes": 0,
    })
}

/// A refresh is shown at once: there is no inner one.
fn refresh(sum: Sum<'_>) -> Value {
    let total = sum(|s| s.counters.refresh_total);
    let time_ms = sum(|s| s.counters.refresh_time_ms);
    json!({
        "total": total,
        "total_time_in_millis": time_ms,
        "external_total": total,
        "external_total_time_in_millis": time_ms,
        "listeners": 0,
    })
}

/// Returns the section of a cache that there is none of by index: filters are kept by node.
pub(in crate::routes) fn no_query_cache() -> Value {
    json!({
        "memory_size_in_bytes": 0,
        "total_count": 0,
        "hit_count": 0,
        "miss_count": 0,
        "cache_size": 0,
        "cache_count": 0,
        "evictions": 0,
    })
}

/// Returns the section of field data, which there is none of.
pub(in crate::routes) fn no_field_data() -> Value {
    json!({
        "memory_size_in_bytes": 0,
        "evictions": 0,
        "global_ordinals": {"build_time_in_millis": 0},
    })
}

/// Returns the section of segments. `-1` of the timestamp is the dialect's way to say that no document was numbered by its
/// time.
pub(in crate::routes) fn segments(sum: Sum<'_>) -> Value {
    json!({
        "count": sum(|s| s.num_segments),
        "memory_in_bytes": 0,
        "terms_memory_in_bytes": 0,
        "stored_fields_memory_in_bytes": 0,
        "term_vectors_memory_in_bytes": 0,
        "norms_memory_in_bytes": 0,
        "points_memory_in_bytes": 0,
        "doc_values_memory_in_bytes": 0,
        "index_writer_memory_in_bytes": sum(|s| s.gauges.writer_bytes),
        "version_map_memory_in_bytes": 0,
        "fixed_bit_set_memory_in_bytes": 0,
        "max_unsafe_auto_id_timestamp": -1,
        "file_sizes": {},
    })
}

/// What durable commits lack: what the log holds beyond that is for copies that follow.
fn translog(sum: Sum<'_>) -> Value {
    let operations = sum(|s| {
        let next = s.max_seq_no.map_or(0, |last| last.0 + 1);
        next.saturating_sub(s.committed.0)
    });
    let bytes = sum(|s| s.log_bytes);
    json!({
        "operations": operations,
        "size_in_bytes": bytes,
        "uncommitted_operations": operations,
        "uncommitted_size_in_bytes": bytes,
        "earliest_last_modified_age": 0,
    })
}

/// A write of one document is a call too; its time is that of indexing.
fn bulk(sum: Sum<'_>) -> Value {
    let total = sum(|s| s.counters.bulk_total);
    let time_ms = sum(|s| s.counters.index_time_ms);
    let bytes = sum(|s| s.counters.bulk_bytes);
    json!({
        "total_operations": total,
        "total_time_in_millis": time_ms,
        "total_size_in_bytes": bytes,
        "avg_time_in_millis": time_ms / total.max(1),
        "avg_size_in_bytes": bytes / total.max(1),
    })
}

#[cfg(test)]
mod tests {
    use gleaner_model::{IndexUuid, SeqNo, ShardKey, ShardNumber};
    use gleaner_proto::read::{ShardCounters, ShardGauges};

    use super::*;

    #[test]
    fn figures_of_copies_are_added_up() {
        let shard = ShardKey {
            index: IndexUuid([1; 16]),
            shard: ShardNumber(0),
        };
        let copy = ShardState {
            max_seq_no: Some(SeqNo(9)),
            committed: SeqNo(4),
            log_bytes: 600,
            counters: ShardCounters {
                get_total: 5,
                get_us: 9_000,
                get_missing: 2,
                get_missing_us: 3_000,
                bulk_total: 2,
                bulk_bytes: 300,
                merge_total: 1,
                merge_bytes: 400,
                flush_periodic: 3,
                ..ShardCounters::default()
            },
            gauges: ShardGauges {
                contexts: 1,
                writer_bytes: 70,
                ..ShardGauges::default()
            },
            ..ShardState::empty(shard, true, ShardPhase::Started)
        };
        let copies = [copy.clone(), copy];
        let shown = sections(&copies.iter(), &Counts::default());
        assert_eq!(shown["shard_stats"]["total_count"], 2);
        let get = json!({
            "total": 10,
            "time_in_millis": 18,
            "exists_total": 6,
            "exists_time_in_millis": 12,
            "missing_total": 4,
            "missing_time_in_millis": 6,
            "current": 0,
        });
        assert_eq!(shown["get"], get);
        assert_eq!(shown["bulk"]["avg_size_in_bytes"], 150);
        assert_eq!(shown["merges"]["total"], 2);
        assert_eq!(shown["merges"]["total_size_in_bytes"], 800);
        assert_eq!(shown["flush"]["periodic"], 6);
        assert_eq!(shown["search"]["open_contexts"], 2);
        assert_eq!(shown["segments"]["index_writer_memory_in_bytes"], 140);
        let ordinals = &shown["fielddata"]["global_ordinals"];
        assert_eq!(*ordinals, json!({"build_time_in_millis": 0}));
        assert_eq!(shown["translog"]["operations"], 12);
        assert_eq!(shown["translog"]["uncommitted_size_in_bytes"], 1_200);
    }
}

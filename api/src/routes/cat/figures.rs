//! What copies have counted, by the names that tables have for it.

use gleaner_proto::read::ShardState;

use super::{size, time};
use crate::cached::Counted;
use crate::parameters::Parameters;
use crate::response::Cell;

/// Adds a figure of copies up.
pub(super) type Sum<'a> = &'a dyn Fn(fn(&ShardState) -> u64) -> u64;

/// A figure of a copy, by the name of its column.
type Figure = (&'static str, fn(&ShardState) -> u64);

/// There are no suggesters and no vectors, so those are 0; `_stats` says which others are.
const NUMBERS: &[Figure] = &[
    ("fielddata.evictions", |_| 0),
    ("query_cache.evictions", |_| 0),
    ("flush.total", |s| s.counters.flush_total),
    ("get.current", |s| s.gauges.gets),
    ("get.total", |s| s.counters.get_total),
    ("get.exists_total", |s| {
        s.counters.get_total.saturating_sub(s.counters.get_missing)
    }),
    ("get.missing_total", |s| s.counters.get_missing),
    ("indexing.delete_current", |_| 0),
    ("indexing.delete_total", |s| s.counters.delete_total),
    ("indexing.index_current", |s| s.gauges.writes),
    ("indexing.index_total", |s| s.counters.index_total),
    ("indexing.index_failed", |s| s.counters.index_failed),
    ("merges.current", |s| s.gauges.merges),
    ("merges.current_docs", |s| s.gauges.merging_documents),
    ("merges.total", |s| s.counters.merge_total),
    ("merges.total_docs", |s| s.counters.merge_documents),
    ("refresh.total", |s| s.counters.refresh_total),
    ("refresh.external_total", |s| s.counters.refresh_total),
    ("refresh.listeners", |_| 0),
    ("search.fetch_current", |s| s.gauges.fetches),
    ("search.fetch_total", |s| s.counters.fetch_total),
    ("search.open_contexts", |s| s.gauges.contexts),
    ("search.query_current", |s| s.gauges.queries),
    ("search.query_total", |s| s.counters.query_total),
    ("search.scroll_current", |s| s.gauges.contexts),
    ("search.scroll_total", |s| s.counters.contexts_ended),
    ("segments.count", |s| s.num_segments),
    ("suggest.current", |_| 0),
    ("suggest.total", |_| 0),
    ("warmer.current", |_| 0),
    ("warmer.total", |_| 0),
    ("bulk.total_operations", |s| s.counters.bulk_total),
    ("dense_vector.value_count", |_| 0),
    ("sparse_vector.value_count", |_| 0),
];

/// In milliseconds.
const TIMES: &[Figure] = &[
    ("flush.total_time", |s| s.counters.flush_time_ms),
    ("get.time", |s| s.counters.get_us / 1_000),
    ("get.exists_time", |s| {
        s.counters.get_us.saturating_sub(s.counters.get_missing_us) / 1_000
    }),
    ("get.missing_time", |s| s.counters.get_missing_us / 1_000),
    ("indexing.delete_time", |_| 0),
    ("indexing.index_time", |s| s.counters.index_time_ms),
    ("merges.total_time", |s| s.counters.merge_time_ms),
    ("refresh.time", |s| s.counters.refresh_time_ms),
    ("refresh.external_time", |s| s.counters.refresh_time_ms),
    ("search.fetch_time", |s| s.counters.fetch_time_ms),
    ("search.query_time", |s| s.counters.query_time_ms),
    ("search.scroll_time", |s| s.counters.contexts_time_ms),
    ("suggest.time", |_| 0),
    ("warmer.total_time", |_| 0),
    ("bulk.total_time", |s| s.counters.index_time_ms),
];

/// In bytes.
const SIZES: &[Figure] = &[
    ("completion.size", |_| 0),
    ("fielddata.memory_size", |_| 0),
    ("query_cache.memory_size", |_| 0),
    ("merges.current_size", |s| s.gauges.merging_bytes),
    ("merges.total_size", |s| s.counters.merge_bytes),
    ("segments.memory", |_| 0),
    ("segments.index_writer_memory", |s| s.gauges.writer_bytes),
    ("segments.version_map_memory", |_| 0),
    ("segments.fixed_bitset_memory", |_| 0),
    ("memory.total", |s| s.gauges.writer_bytes),
    ("bulk.total_size_in_bytes", |s| s.counters.bulk_bytes),
];

/// Returns what copies have counted, by the names of its columns.
pub(super) fn figures(sum: Sum<'_>, parameters: &Parameters) -> Vec<(&'static str, Cell)> {
    let numbers = NUMBERS.iter();
    let numbers = numbers.map(|(name, of)| (*name, Cell::from(sum(*of))));
    let times = TIMES.iter();
    let times = times.map(|(name, of)| (*name, time(sum(*of), parameters)));
    let sizes = SIZES.iter();
    let sizes = sizes.map(|(name, of)| (*name, size(sum(*of), parameters)));
    let calls = sum(|s| s.counters.bulk_total).max(1);
    let bulk_ms = sum(|s| s.counters.index_time_ms);
    let bulk_bytes = sum(|s| s.counters.bulk_bytes);
    let averages = [
        ("bulk.avg_time", time(bulk_ms / calls, parameters)),
        (
            "bulk.avg_size_in_bytes",
            size(bulk_bytes / calls, parameters),
        ),
    ];
    numbers.chain(times).chain(sizes).chain(averages).collect()
}

/// Returns what was counted of answers that are kept, by the names of its columns.
pub(super) fn of_answers(answers: Counted, parameters: &Parameters) -> [(&'static str, Cell); 4] {
    [
        ("request_cache.memory_size", size(0, parameters)),
        ("request_cache.evictions", 0_u64.into()),
        ("request_cache.hit_count", answers.hits.into()),
        ("request_cache.miss_count", answers.misses.into()),
    ]
}

//! What a copy has done since it was opened, and what it does now.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gleaner_proto::read::{ShardCounters, ShardGauges};

/// What the shard has done since it was opened, and how much is under way.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) index: AtomicU64,
    pub(crate) index_us: AtomicU64,
    pub(crate) index_failed: AtomicU64,
    pub(crate) delete: AtomicU64,
    pub(crate) noop: AtomicU64,
    pub(crate) bulk: AtomicU64,
    pub(crate) bulk_bytes: AtomicU64,
    pub(crate) query: AtomicU64,
    pub(crate) query_us: AtomicU64,
    pub(crate) fetch: AtomicU64,
    pub(crate) fetch_us: AtomicU64,
    get: AtomicU64,
    get_us: AtomicU64,
    get_missing: AtomicU64,
    get_missing_us: AtomicU64,
    pub(crate) refresh: AtomicU64,
    pub(crate) refresh_us: AtomicU64,
    pub(crate) flush: AtomicU64,
    pub(crate) flush_us: AtomicU64,
    pub(crate) flush_periodic: AtomicU64,
    pub(crate) writes_now: AtomicU64,
    pub(crate) queries_now: AtomicU64,
    pub(crate) fetches_now: AtomicU64,
    pub(crate) gets_now: AtomicU64,
}

impl Counters {
    /// Counts one more event that took `elapsed`.
    pub(crate) fn add(count: &AtomicU64, time_us: &AtomicU64, elapsed: Duration) {
        count.fetch_add(1, Ordering::Relaxed);
        time_us.fetch_add(elapsed.as_micros() as u64, Ordering::Relaxed);
    }

    /// Counts documents that were asked for together, `num_missing` of them in vain; each took as long as the others.
    pub(crate) fn add_gets(&self, num_asked: usize, num_missing: usize, elapsed: Duration) {
        let (num_asked, num_missing) = (num_asked as u64, num_missing as u64);
        let took_us = elapsed.as_micros() as u64;
        self.get.fetch_add(num_asked, Ordering::Relaxed);
        self.get_us.fetch_add(took_us, Ordering::Relaxed);
        if num_missing > 0 {
            self.get_missing.fetch_add(num_missing, Ordering::Relaxed);
            let missing_us = took_us / num_asked.max(1) * num_missing;
            self.get_missing_us.fetch_add(missing_us, Ordering::Relaxed);
        }
    }

    /// Returns the counters; what others count of the copy is 0.
    pub(crate) fn snapshot(&self) -> ShardCounters {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ShardCounters {
            index_total: get(&self.index),
            index_time_ms: get(&self.index_us) / 1_000,
            index_failed: get(&self.index_failed),
            delete_total: get(&self.delete),
            noop_total: get(&self.noop),
            query_total: get(&self.query),
            query_time_ms: get(&self.query_us) / 1_000,
            fetch_total: get(&self.fetch),
            fetch_time_ms: get(&self.fetch_us) / 1_000,
            get_total: get(&self.get),
            refresh_total: get(&self.refresh),
            flush_total: get(&self.flush),
            get_missing: get(&self.get_missing),
            get_us: get(&self.get_us),
            get_missing_us: get(&self.get_missing_us),
            refresh_time_ms: get(&self.refresh_us) / 1_000,
            flush_time_ms: get(&self.flush_us) / 1_000,
            flush_periodic: get(&self.flush_periodic),
            bulk_total: get(&self.bulk),
            bulk_bytes: get(&self.bulk_bytes),
            ..ShardCounters::default()
        }
    }

    /// Returns what is under way; what others know of the copy is 0.
    pub(crate) fn gauges(&self) -> ShardGauges {
        let get = |gauge: &AtomicU64| gauge.load(Ordering::Relaxed);
        ShardGauges {
            writes: get(&self.writes_now),
            queries: get(&self.queries_now),
            fetches: get(&self.fetches_now),
            gets: get(&self.gets_now),
            ..ShardGauges::default()
        }
    }
}

/// Has a gauge count something until this is dropped, as it is with a future that nobody waits for any more.
#[must_use = "it counts for as long as it is held"]
pub(crate) struct UnderWay<'a>(&'a AtomicU64);

impl<'a> UnderWay<'a> {
    /// Counts one more.
    pub(crate) fn begin(gauge: &'a AtomicU64) -> Self {
        gauge.fetch_add(1, Ordering::Relaxed);
        Self(gauge)
    }

    /// Counts one more for each of several.
    pub(crate) fn all(gauges: impl Iterator<Item = &'a AtomicU64>) -> Vec<Self> {
        gauges.map(Self::begin).collect()
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gets_in_vain_are_counted_apart_with_their_share_of_the_time() {
        let counters = Counters::default();
        counters.add_gets(3, 1, Duration::from_micros(300));
        counters.add_gets(1, 0, Duration::from_micros(50));
        let told = counters.snapshot();
        assert_eq!((told.get_total, told.get_missing), (4, 1));
        assert_eq!((told.get_us, told.get_missing_us), (350, 100));
    }

    #[test]
    fn what_is_dropped_is_not_under_way() {
        let counters = Counters::default();
        let running = [
            UnderWay::begin(&counters.queries_now),
            UnderWay::begin(&counters.queries_now),
        ];
        assert_eq!(counters.gauges().queries, 2);
        drop(running);
        assert_eq!(counters.gauges(), ShardGauges::default());
    }
}

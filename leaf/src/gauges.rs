//! What the leaf tells of itself once a second: see `gleaner_model::metric`.

use gleaner_model::metric;

use crate::Leaf;
use crate::shard::Slot;

impl Leaf {
    /// Sets the gauges.
    pub(crate) fn set_gauges(&self) {
        let held = self.memory.held_bytes() as f64;
        metrics::gauge!(metric::QUERY_MEMORY_BYTES.name).set(held);
        let indexing = self.indexing.buffered_bytes() as f64;
        metrics::gauge!(metric::INDEXING_MEMORY_BYTES.name).set(indexing);
        let filters = self.filters.stats();
        metrics::gauge!(metric::FILTER_CACHE_BYTES.name).set(filters.bytes as f64);
        for (outcome, count) in [("hit", filters.hits), ("miss", filters.misses)] {
            metrics::counter!(metric::FILTER_CACHE_LOOKUPS.name, "outcome" => outcome)
                .absolute(count);
        }
        // Told from the start on, not from the first search on.
        metrics::gauge!(metric::SEARCHES_RUNNING.name).increment(0.0);
        self.count_shards();
    }

    fn count_shards(&self) {
        let mut counts = [("open", 0), ("opening", 0), ("failed", 0), ("closing", 0)];
        for slot in self.shards.lock().values() {
            let at = match slot {
                Slot::Open(_) => 0,
                Slot::Opening(_) => 1,
                Slot::Failed(_) => 2,
                Slot::Closing => 3,
            };
            counts[at].1 += 1;
        }
        for (state, count) in counts {
            metrics::gauge!(metric::SHARDS.name, "state" => state).set(f64::from(count));
        }
    }
}

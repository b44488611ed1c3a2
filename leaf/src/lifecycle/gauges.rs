//! What the leaf tells of itself once a second: see `gleaner_model::metric`.

use gleaner_model::metric;

use crate::Leaf;
use crate::copy::registry::CopyState;

impl Leaf {
    /// Sets the gauges.
    pub(crate) fn set_gauges(&self) {
        let held = self.searcher.memory.held_bytes() as f64;
        metrics::gauge!(metric::QUERY_MEMORY_BYTES.name).set(held);
        let indexing = self.opener.indexing.buffered_bytes() as f64;
        metrics::gauge!(metric::INDEXING_MEMORY_BYTES.name).set(indexing);
        let filters = self.searcher.filters.stats();
        metrics::gauge!(metric::FILTER_CACHE_BYTES.name).set(filters.bytes as f64);
        for (outcome, count) in [("hit", filters.hits), ("miss", filters.misses)] {
            metrics::counter!(metric::FILTER_CACHE_LOOKUPS.name, "outcome" => outcome)
                .absolute(count);
        }
        let documents = self.opener.documents.stats();
        metrics::gauge!(metric::DOCUMENT_CACHE_BYTES.name).set(documents.bytes as f64);
        for (outcome, count) in [("hit", documents.hits), ("miss", documents.misses)] {
            metrics::counter!(metric::DOCUMENT_CACHE_LOOKUPS.name, "outcome" => outcome)
                .absolute(count);
        }
        let (mut documents, mut lag) = (0, 0);
        for copy in self.copies.open() {
            let shard = copy.shard();
            documents += shard.engine().view().num_documents();
            lag = lag.max(shard.replica_lag());
        }
        metrics::gauge!(metric::DOCUMENTS.name).set(documents as f64);
        metrics::gauge!(metric::REPLICA_LAG_OPERATIONS.name).set(lag as f64);
        metrics::counter!(metric::MERGES.name).absolute(gleaner_engine::writer::merges_begun());
        let oldest = self.oldest_check().as_secs_f64();
        metrics::gauge!(metric::OLDEST_CHECK_SECONDS.name).set(oldest);
        for (state, count) in self.copies_by_state() {
            metrics::gauge!(metric::SHARDS.name, "state" => state).set(f64::from(count));
        }
    }

    /// Returns how many copies are in each state. One that has stopped has failed, although it may go on
    /// to serve what it shows.
    fn copies_by_state(&self) -> [(&'static str, u32); 4] {
        let mut counts = [("open", 0), ("opening", 0), ("failed", 0), ("closing", 0)];
        for state in self.copies.lock().values() {
            let at = match state {
                CopyState::Open(copy) if copy.shard().applier.failure().is_some() => 2,
                CopyState::Open(_) => 0,
                CopyState::Opening(_) => 1,
                CopyState::Failed(_) => 2,
                CopyState::Closing => 3,
            };
            counts[at].1 += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use gleaner_log::LogError;

    use crate::testing::{Fixture, key};
    use crate::write::writable::WritableCopy as _;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_copy_that_has_stopped_counts_as_failed() {
        let fixture = Fixture::start();
        let shard = fixture.shard().await;
        let counted = |open: u32, failed: u32| {
            [
                ("open", open),
                ("opening", 0),
                ("failed", failed),
                ("closing", 0),
            ]
        };
        assert_eq!(fixture.leaf.copies_by_state(), counted(1, 0));
        shard.lose_log(&LogError::Poisoned { shard: key(1) });
        assert_eq!(fixture.leaf.copies_by_state(), counted(0, 1));
    }
}

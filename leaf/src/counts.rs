//! How much work of one kind is under way, came to an end, or was refused: what nodes say of their queues.

use std::sync::atomic::{AtomicU64, Ordering};

use gleaner_model::node_stats::PoolStats;

/// Counts since the process began, but for what is under way.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    active: AtomicU64,
    largest: AtomicU64,
    waiting: AtomicU64,
    rejected: AtomicU64,
    completed: AtomicU64,
}

/// A piece of work that counts as under way while this lives.
#[derive(Debug)]
pub(crate) struct Running<'a>(&'a Counts);

impl Counts {
    /// Counts a piece of work as under way until what is returned is dropped.
    pub(crate) fn begin(&self) -> Running<'_> {
        self.enter();
        Running(self)
    }

    /// Counts a piece of work as under way, until it leaves.
    pub(crate) fn enter(&self) {
        let active = self.active.fetch_add(1, Ordering::Relaxed) + 1;
        self.largest.fetch_max(active, Ordering::Relaxed);
    }

    /// Counts a piece of work that was under way as come to its end.
    pub(crate) fn leave(&self) {
        self.active.fetch_sub(1, Ordering::Relaxed);
        self.completed.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a piece of work that begins to wait.
    pub(crate) fn wait(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a piece of work that waits no longer.
    pub(crate) fn stop_waiting(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a piece of work that was refused.
    pub(crate) fn reject(&self) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the counts, without threads and without a bound of what waits.
    pub(crate) fn stats(&self) -> PoolStats {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        PoolStats {
            num_threads: 0,
            num_active: read(&self.active),
            num_largest: read(&self.largest),
            num_queued: read(&self.waiting),
            queue_capacity: None,
            num_rejected: read(&self.rejected),
            num_completed: read(&self.completed),
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_counted_while_it_is_under_way_and_after() {
        let counts = Counts::default();
        let (one, two) = (counts.begin(), counts.begin());
        drop(one);
        counts.wait();
        counts.reject();
        let stats = counts.stats();
        assert_eq!((stats.num_active, stats.num_largest), (1, 2));
        assert_eq!((stats.num_completed, stats.num_rejected), (1, 1));
        assert_eq!(stats.num_queued, 1);
        counts.stop_waiting();
        drop(two);
        assert_eq!(
            (counts.stats().num_active, counts.stats().num_queued),
            (0, 0)
        );
    }
}

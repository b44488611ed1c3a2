//! What requests of a shape cost: a mean that follows what backends report.

use std::sync::Arc;

use moka::policy::EvictionPolicy;
use parking_lot::Mutex;

/// Shapes that are remembered.
const MOST_SHAPES: u64 = 20_000;

/// Weight of what was reported last, once there is enough of it.
const NEWEST: f64 = 0.2;

/// The mean cost of requests by shape.
pub(super) struct Costs(moka::sync::Cache<u64, Arc<Mutex<Mean>>>);

#[derive(Debug, Default)]
struct Mean {
    num: u32,
    ms: f64,
}

impl Default for Costs {
    fn default() -> Self {
        let means = moka::sync::Cache::builder()
            .max_capacity(MOST_SHAPES)
            .eviction_policy(EvictionPolicy::lru());
        Self(means.build())
    }
}

impl Costs {
    /// Returns what a request of this shape will cost, in milliseconds; `None` where none has been seen.
    pub(super) fn expected_ms(&self, shape: u64) -> Option<f64> {
        Some(self.0.get(&shape)?.lock().ms)
    }

    /// Notes what one cost: a number that is not negative.
    pub(super) fn note(&self, shape: u64, ms: f64) {
        let mean = self.0.get_with(shape, Arc::default);
        let mut mean = mean.lock();
        mean.num = mean.num.saturating_add(1);
        // A plain mean of the first few, then one that forgets.
        let weight = (1.0 / f64::from(mean.num)).max(NEWEST);
        mean.ms += weight * (ms - mean.ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_costs_what_its_last_requests_did() {
        let costs = Costs::default();
        assert_eq!(costs.expected_ms(1), None);
        costs.note(1, 100.0);
        assert_eq!(costs.expected_ms(1), Some(100.0), "dear from the second on");
        costs.note(1, 50.0);
        assert_eq!(costs.expected_ms(1), Some(75.0));
        for _ in 0..100 {
            costs.note(1, 10.0);
        }
        let learned = costs.expected_ms(1).expect("seen");
        assert!((learned - 10.0).abs() < 0.1, "{learned}");
        for shape in 0..3 * MOST_SHAPES {
            costs.note(shape, 1.0);
        }
        costs.0.run_pending_tasks();
        assert!(costs.0.entry_count() <= MOST_SHAPES);
    }
}

//! Buckets by key, within a bound of memory.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use moka::policy::EvictionPolicy;

/// Buckets that are remembered, some 300 bytes each. The one that was used least lately is forgotten for a new one, and
/// is full again when it comes back: who has as many addresses is held back by the buckets of their networks.
pub(super) const MOST_BUCKETS: u64 = 100_000;

/// How long a bucket is remembered that nobody takes from. By then all are full.
const IDLE: Duration = Duration::from_secs(600);

/// Returns a cache of what each sender has left, by `K`: of `most` senders at most.
pub(super) fn remembered<K, V>(most: u64) -> moka::sync::Cache<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    moka::sync::Cache::builder()
        .max_capacity(most)
        .time_to_idle(IDLE)
        // One that prefers what is used often would not take in a newcomer, who then had no limit.
        .eviction_policy(EvictionPolicy::lru())
        .build()
}

/// How fast a bucket fills, and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    /// Time for one cell.
    pub(super) every: Duration,
    /// Cells of a full bucket.
    pub(super) burst: NonZeroU32,
}

/// Buckets by `K`, all of them full at first.
pub(super) struct Buckets<K> {
    limiters: moka::sync::Cache<K, Arc<DefaultDirectRateLimiter>>,
    clock: DefaultClock,
}

impl<K: Hash + Eq + Send + Sync + 'static> Default for Buckets<K> {
    fn default() -> Self {
        Self::holding(MOST_BUCKETS)
    }
}

impl<K: Hash + Eq + Send + Sync + 'static> Buckets<K> {
    fn holding(most: u64) -> Self {
        Self {
            limiters: remembered(most),
            clock: DefaultClock::default(),
        }
    }

    /// Takes `cells` out of a bucket, all or none.
    ///
    /// # Errors
    /// How long until there will be as many.
    pub(super) fn take(&self, key: K, rate: Rate, cells: NonZeroU32) -> Result<(), Duration> {
        let limiter = self.limiters.get_with(key, || {
            // Faster than the clock counts is no limit at all.
            let every = rate.every.max(Duration::from_nanos(1));
            let quota = Quota::with_period(every).expect("it is not 0");
            Arc::new(RateLimiter::direct(quota.allow_burst(rate.burst)))
        });
        match limiter.check_n(cells) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => Err(not_until.wait_time_from(self.clock.now())),
            // It never holds as many: callers ask for no more than a full one.
            Err(_) => Err(rate.every * cells.get()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_newcomers_have_a_limit_too() {
        let buckets = Buckets::holding(100);
        let rate = Rate {
            every: Duration::from_secs(3_600),
            burst: NonZeroU32::MIN,
        };
        for key in 0..5_000_u32 {
            assert!(buckets.take(key, rate, NonZeroU32::MIN).is_ok());
            let again = buckets.take(key, rate, NonZeroU32::MIN);
            assert!(again.is_err(), "{key} has a bucket");
        }
        buckets.limiters.run_pending_tasks();
        assert!(buckets.limiters.entry_count() <= 100);
    }
}

//! How many requests may be sent twice.
//!
//! A token bucket counted in shard requests, as the retry budgets of Finagle and Linkerd: each first
//! request earns the share, each second one costs 1. It holds a small burst, so that a leaf that
//! turns slow is bridged at once, and never more than that beyond the share. A leaf that is silent
//! (see `hedges`) is bridged on credit: a second burst, paid back before another request is repeated.
//!
//! Under overload second requests only add to it, so none are sent
//! - for a second after any leaf has refused work (`Rejected`), and
//! - to a leaf on which searches have lately waited longer than they ran (see `Node::is_queueing`),
//!   unless the first copy is silent.

use std::time::Duration;

use tokio::time::Instant;

/// Most tokens kept: a search of some tens of shards on a leaf that has just turned slow.
const BURST: f64 = 64.0;

/// Tokens kept for requests that are very late. A request is late by the 95th percentile, so one
/// in twenty is when nothing is wrong, and they alone can use the share up. What is very late comes in
/// bunches: one slow call holds up all the shards that it asks for.
const RESERVE: f64 = BURST * 0.75;

/// How long a refusal counts.
const OVERLOAD: Duration = Duration::from_secs(1);

/// Tokens for second requests.
#[derive(Debug)]
pub(super) struct Budget {
    /// Tokens earned by one first request: 0 to 1.
    share: f64,
    tokens: f64,
    overloaded_until: Option<Instant>,
}

impl Budget {
    pub(super) fn new(share: f64) -> Self {
        let tokens = if share > 0.0 { BURST } else { 0.0 };
        Self {
            share,
            tokens,
            overloaded_until: None,
        }
    }

    /// Notes first requests.
    pub(super) fn earn(&mut self, num_shards: usize) {
        self.tokens = (self.tokens + num_shards as f64 * self.share).min(BURST);
    }

    /// Takes the tokens of second requests; returns whether they may be sent. The reserve is for those
    /// that are very late.
    pub(super) fn spend(&mut self, num_shards: usize, is_very_late: bool, now: Instant) -> bool {
        let is_overloaded = self.overloaded_until.is_some_and(|until| until > now);
        let cost = num_shards as f64;
        let kept = if is_very_late { 0.0 } else { RESERVE };
        if is_overloaded || self.tokens - cost < kept {
            return false;
        }
        self.tokens -= cost;
        true
    }

    /// As [`Self::spend`], for a request whose first copy has been silent so long that it is rather
    /// gone than slow: tokens of the future are taken too, as many as are kept at most.
    pub(super) fn overdraw(&mut self, num_shards: usize, now: Instant) -> bool {
        let is_overloaded = self.overloaded_until.is_some_and(|until| until > now);
        let cost = num_shards as f64;
        if is_overloaded || self.share <= 0.0 || self.tokens - cost < -BURST {
            return false;
        }
        self.tokens -= cost;
        true
    }

    /// Notes that a leaf refused work.
    pub(super) fn rejected(&mut self, now: Instant) {
        self.overloaded_until = Some(now + OVERLOAD);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_requests_stay_within_the_share_and_a_burst() {
        let (mut budget, now) = (Budget::new(0.05), Instant::now());
        let mut num_sent = 0;
        for _ in 0..10_000 {
            budget.earn(8);
            num_sent += usize::from(budget.spend(1, true, now));
        }
        assert!((4_000..=4_064).contains(&num_sent), "{num_sent}");
        assert!(!Budget::new(0.0).spend(1, true, now));
    }

    #[test]
    fn calm_times_save_up_no_more_than_the_burst() {
        let (mut budget, now) = (Budget::new(0.05), Instant::now());
        budget.earn(1_000_000);
        assert!(budget.spend(64, true, now));
        assert!(!budget.spend(1, true, now));
    }

    #[test]
    fn silence_takes_tokens_of_the_future_and_no_more_than_a_burst() {
        let (mut budget, now) = (Budget::new(0.05), Instant::now());
        while budget.spend(1, true, now) {}
        let num_sent = (0..1_000).filter(|_| budget.overdraw(1, now)).count();
        assert_eq!(num_sent, 64);
        assert!(!budget.spend(1, true, now));
        assert!(!Budget::new(0.0).overdraw(1, now));
    }

    #[test]
    fn most_of_the_tokens_are_kept_for_those_very_late() {
        let (mut budget, now) = (Budget::new(0.05), Instant::now());
        let num_late = (0..100).filter(|_| budget.spend(1, false, now)).count();
        let num_very = (0..100).filter(|_| budget.spend(1, true, now)).count();
        assert_eq!((num_late, num_very), (16, 48));
    }

    #[test]
    fn a_refusal_stops_second_requests_for_a_second() {
        let (mut budget, now) = (Budget::new(0.05), Instant::now());
        budget.rejected(now);
        assert!(!budget.spend(1, true, now));
        assert!(budget.spend(1, true, now + OVERLOAD));
    }
}

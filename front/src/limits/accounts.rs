//! What each sender has left to spend.
//!
//! An account fills by its allowance. A request is charged before by what its like took, and settled by what it took
//! itself, which may overdraw the account. So over time a sender spends its allowance and no more, however dear one request is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Spender;
use super::buckets::{MOST_BUCKETS, remembered};

/// How long an overdrawn account takes at most until it can be used again.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// What a sender may spend, in milliseconds of search CPU.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Allowance {
    /// So much comes in each second.
    pub(super) ms_per_second: f64,
    /// So much is there at most.
    pub(super) at_once_ms: f64,
}

/// Accounts by sender and what it may spend, all of them full at first.
pub(super) struct Accounts(moka::sync::Cache<(Spender, u32), Arc<Mutex<Account>>>);

impl Default for Accounts {
    fn default() -> Self {
        Self(remembered(MOST_BUCKETS))
    }
}

impl Accounts {
    /// Charges `ms`, though no more than a full account holds.
    ///
    /// # Errors
    /// How long until as much is left.
    pub(super) fn charge(
        &self,
        key: (Spender, u32),
        allowance: Allowance,
        ms: f64,
    ) -> Result<Charge, Duration> {
        let now = Instant::now();
        let full = || Arc::new(Mutex::new(Account::full(allowance, now)));
        let account = self.0.get_with(key, full);
        // What is expected may be wrong by far, or no number; what it takes is settled.
        let ms = ms.max(0.0).min(allowance.at_once_ms);
        account.lock().take(ms, now)?;
        Ok(Charge { account, ms })
    }
}

/// What a request took, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Took {
    /// Search CPU, as its answer says.
    Busy(f64),
    /// The time until its answer came.
    Time(f64),
}

/// What a request was charged.
#[derive(Debug)]
pub(crate) struct Charge {
    account: Arc<Mutex<Account>>,
    ms: f64,
}

impl Charge {
    /// Charges the rest of what the request took, or gives back what it did not take.
    pub(crate) fn settle(self, took: Took) {
        let mut account = self.account.lock();
        let took_ms = match took {
            Took::Busy(ms) => ms,
            // Most of it may have been waiting: no debt is made of that.
            Took::Time(ms) => ms.min(account.allowance.at_once_ms),
        };
        account.add(self.ms - took_ms, Instant::now());
    }
}

#[derive(Debug)]
struct Account {
    allowance: Allowance,
    /// What was left at `at`; below 0 where it is overdrawn.
    left_ms: f64,
    at: Instant,
}

impl Account {
    fn full(allowance: Allowance, now: Instant) -> Self {
        Self {
            allowance,
            left_ms: allowance.at_once_ms,
            at: now,
        }
    }

    /// Takes `ms` if as much is left.
    fn take(&mut self, ms: f64, now: Instant) -> Result<(), Duration> {
        self.add(0.0, now);
        let lacking = ms - self.left_ms;
        if lacking > 0.0 {
            let wait = Duration::from_secs_f64(lacking / self.allowance.ms_per_second);
            // Rounding must not have it come a moment too early.
            return Err(wait + Duration::from_millis(1));
        }
        self.left_ms -= ms;
        Ok(())
    }

    /// Brings the account to `now`, and adds `ms`.
    fn add(&mut self, ms: f64, now: Instant) {
        let Allowance {
            ms_per_second,
            at_once_ms,
        } = self.allowance;
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        let lowest = -LONGEST_WAIT.as_secs_f64() * ms_per_second;
        let left = self.left_ms + ms_per_second * passed + ms;
        self.left_ms = left.clamp(lowest, at_once_ms);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWANCE: Allowance = Allowance {
        ms_per_second: 200.0,
        at_once_ms: 200.0,
    };

    #[test]
    fn a_sender_spends_its_allowance_however_dear_a_request_is() {
        for cost_ms in [0.5, 60.0, 199.0, 1_200.0, 7_000.0] {
            let begun = Instant::now();
            let mut account = Account::full(ALLOWANCE, begun);
            let mut spent_ms = 0.0;
            // A minute of a client that asks each millisecond.
            for ms in 0..60_000 {
                let now = begun + Duration::from_millis(ms);
                if account.take(f64::min(cost_ms, 200.0), now).is_ok() {
                    account.add(f64::min(cost_ms, 200.0) - cost_ms, now);
                    spent_ms += cost_ms;
                }
            }
            let allowed_ms = 60.0 * ALLOWANCE.ms_per_second;
            assert!(spent_ms >= 0.98 * allowed_ms, "{cost_ms}: {spent_ms}");
            let most = allowed_ms + ALLOWANCE.at_once_ms + cost_ms;
            assert!(spent_ms <= most, "{cost_ms}: {spent_ms}");
        }
    }

    #[test]
    fn a_refusal_says_when_enough_is_left() {
        let begun = Instant::now();
        let mut account = Account::full(ALLOWANCE, begun);
        account.take(100.0, begun).expect("it is full");
        account.add(-500.0, begun);
        let wait = account.take(50.0, begun).expect_err("it is overdrawn");
        assert_eq!(wait, Duration::from_millis(2_251));
        assert!(account.take(50.0, begun + wait).is_ok());
    }

    #[test]
    fn what_was_not_taken_is_given_back_and_debt_has_an_end() {
        let begun = Instant::now();
        let mut account = Account::full(ALLOWANCE, begun);
        account.take(150.0, begun).expect("it is full");
        account.add(140.0, begun);
        assert_eq!(account.left_ms, 190.0);
        account.add(1e12, begun);
        assert_eq!(account.left_ms, 200.0, "it holds no more than a full one");
        account.add(-1e12, begun);
        let wait = account.take(1.0, begun).expect_err("it is overdrawn");
        assert!(wait <= LONGEST_WAIT + Duration::from_millis(10), "{wait:?}");
    }
}

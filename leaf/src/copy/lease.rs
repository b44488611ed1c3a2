//! Promises to roots that a copy shows nothing newer for a moment.
//!
//! A shard that has nothing for a query says why, and for a lease of some 500 ms from then on it keeps
//! what searches see as it is. Until the lease runs out a root knows without asking what the copy
//! would answer, and a refresh waits: so whoever was told that a write is visible finds it, through
//! any root. Only copies that have shown the same for long, and have nothing else to show, give leases,
//! so a refresh hardly ever waits. Source: Gray and Cheriton, *Leases* (SOSP 1989).

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::time::sleep_until;

/// When leases are given, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LeaseTerms {
    /// How long each lasts; zero gives none.
    pub(crate) length: Duration,
    /// How long a copy must have shown the same.
    pub(crate) quiet: Duration,
}

/// The leases of one copy.
#[derive(Debug)]
pub(crate) struct Leases {
    terms: LeaseTerms,
    state: Mutex<State>,
    /// Nobody tells of it: it is waited for until it is time.
    over: Condvar,
}

#[derive(Debug)]
struct State {
    /// When the last lease given runs out.
    until: Option<Instant>,
    /// Since when searches see what they see.
    same_since: Instant,
    /// How many are about to show something else: no lease is given then.
    num_showing: usize,
}

/// While it lives no lease is given.
#[derive(Debug)]
pub(crate) struct LeasePause<'a> {
    leases: &'a Leases,
    until: Option<Instant>,
}

impl Leases {
    /// Returns leases of a copy that is being opened. Where it has held anything before, those that an
    /// earlier process gave run out as well: this one has run since `started`.
    pub(crate) fn new(terms: LeaseTerms, started: Option<Instant>) -> Self {
        Self {
            terms,
            state: Mutex::new(State {
                until: started.map(|started| started + terms.length),
                same_since: Instant::now(),
                num_showing: 0,
            }),
            over: Condvar::new(),
        }
    }

    /// Returns whether a lease would be given now.
    pub(crate) fn is_quiet(&self) -> bool {
        self.state.lock().is_quiet(self.terms)
    }

    /// Gives a lease on what searches see now, if that `is_newest`; returns its length. It is asked
    /// while nothing else can be shown.
    pub(crate) fn give(&self, is_newest: impl FnOnce() -> bool) -> Option<Duration> {
        let mut state = self.state.lock();
        if !state.is_quiet(self.terms) || !is_newest() {
            return None;
        }
        state.until = Some(Instant::now() + self.terms.length);
        Some(self.terms.length)
    }

    /// Has what is shown next wait as if a lease had just been given: another copy, for which nobody waits
    /// any more, may have given one.
    pub(crate) fn outlast_others(&self) {
        let mut state = self.state.lock();
        let until = Instant::now() + self.terms.length;
        state.until = state.until.max(Some(until));
    }

    /// Gives no lease from now on, until the guard is dropped.
    pub(crate) fn show(&self) -> LeasePause<'_> {
        let mut state = self.state.lock();
        state.num_showing += 1;
        LeasePause {
            leases: self,
            until: state.until,
        }
    }
}

impl State {
    fn is_quiet(&self, terms: LeaseTerms) -> bool {
        let is_wanted = !terms.length.is_zero() && self.num_showing == 0;
        is_wanted && self.same_since.elapsed() >= terms.quiet
    }
}

impl LeasePause<'_> {
    /// Waits until all leases have run out.
    pub(crate) async fn wait(&self) {
        if let Some(until) = self.until {
            sleep_until(until.into()).await;
        }
    }

    /// As [`Self::wait`]; blocks.
    pub(crate) fn block(&self) {
        let Some(until) = self.until else {
            return;
        };
        let mut state = self.leases.state.lock();
        while Instant::now() < until {
            self.leases.over.wait_until(&mut state, until);
        }
    }

    /// Notes that searches see something else from now on.
    pub(crate) fn shown(&self) {
        self.leases.state.lock().same_since = Instant::now();
    }
}

impl Drop for LeasePause<'_> {
    fn drop(&mut self) {
        self.leases.state.lock().num_showing -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_millis(30);

    fn leases(quiet: Duration) -> Leases {
        let length = LENGTH;
        Leases::new(LeaseTerms { length, quiet }, Some(Instant::now()))
    }

    #[test]
    fn a_quiet_copy_gives_leases_and_what_is_shown_next_waits_for_them() {
        let leases = leases(Duration::ZERO);
        assert_eq!(leases.give(|| false), None, "it shows something newer");
        let given = Instant::now();
        assert_eq!(leases.give(|| true), Some(LENGTH));
        let showing = leases.show();
        assert_eq!(leases.give(|| true), None, "something is about to be shown");
        showing.block();
        assert!(given.elapsed() >= LENGTH);
        drop(showing);
        assert_eq!(leases.give(|| true), Some(LENGTH));
    }

    #[tokio::test]
    async fn leases_of_an_earlier_process_run_out_too() {
        let started = Instant::now();
        let leases = leases(Duration::ZERO);
        leases.show().wait().await;
        assert!(started.elapsed() >= LENGTH);
    }

    #[test]
    fn a_copy_that_has_just_shown_something_or_is_told_not_to_gives_none() {
        let hour = Duration::from_secs(3_600);
        assert_eq!(leases(hour).give(|| true), None);
        let quiet = Duration::from_secs(5);
        let busy = leases(quiet);
        busy.state.lock().same_since -= quiet;
        assert_eq!(busy.give(|| true), Some(LENGTH));
        busy.show().shown();
        assert!(!busy.is_quiet());
        let never = LeaseTerms {
            length: Duration::ZERO,
            quiet: Duration::ZERO,
        };
        let off = Leases::new(never, None);
        assert_eq!(off.give(|| true), None);
    }
}

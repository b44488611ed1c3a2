//! By when an evaluation must end, whether it was called off, and how much memory it may hold.
//!
//! Evaluation runs on rayon, which cannot cancel: every loop of ours calls [`Control::check`]
//! between blocks, and work within one document that its size does not bound calls it by a `Pace`.
//! A [`MemoryAccount`] per query draws on one per node.

mod high_water;
mod ledger;
mod pace;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

pub use self::high_water::HighWater;
pub use self::ledger::{Ledger, Meter};
pub use self::pace::Pace;
use crate::EvaluationError;

/// Why an evaluation ends before it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The deadline has passed: what was found so far is answered with `timed_out`.
    Deadline,
    /// Nobody waits for the answer any more.
    Cancelled,
}

/// Why a document cannot be scored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The query cannot be evaluated as asked; fit for the dialect's `reason`.
    Query(String),
    /// A column cannot be read.
    Unread {
        /// What was tried.
        action: &'static str,
        /// What the system said.
        reason: String,
    },
    /// There is no memory for what its evaluation keeps.
    Memory(EvaluationError),
}

impl Refusal {
    /// Wraps what the system said with what was tried.
    pub fn unread(action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Unread {
            action,
            reason: source.to_string(),
        }
    }
}

/// Deadline and cancellation of one request; shared by all threads that work on it.
#[derive(Debug, Default)]
pub struct Control {
    deadline: Option<Instant>,
    is_cancelled: AtomicBool,
    /// Sticky, so that all threads stop together and the answer says `timed_out`.
    is_late: AtomicBool,
    /// Sticky: a scorer has ended before it was done.
    is_cut_short: AtomicBool,
    /// Why a document cannot be scored; the first one found.
    refusal: OnceLock<Refusal>,
    /// How often work within documents has looked.
    num_looks: AtomicU64,
    /// What the work within documents is charged to.
    memory: OnceLock<Arc<MemoryAccount>>,
    /// Counts the checks, for tests.
    checks: Option<Checks>,
}

/// Checks made, and how many are made in time.
#[derive(Debug)]
struct Checks {
    num: AtomicU64,
    most: u64,
}

impl Control {
    /// Returns a control that never stops by itself.
    pub fn unlimited() -> Self {
        Self::default()
    }

    /// Returns a control that stops at `deadline`.
    pub fn until(deadline: Instant) -> Self {
        Self {
            deadline: Some(deadline),
            ..Self::default()
        }
    }

    /// Returns a control that counts its checks and is late from number `most_checks` on, counted from 0: tests
    /// end work at each of its checks so.
    pub fn until_check(most_checks: u64) -> Self {
        Self {
            checks: Some(Checks {
                num: AtomicU64::new(0),
                most: most_checks,
            }),
            ..Self::until(Instant::now() + Duration::from_secs(3_600))
        }
    }

    /// Returns a control of the same deadline for work whose cutting short is its own matter. Calling this
    /// one off afterwards does not stop that work: its deadline does.
    pub fn apart(&self) -> Self {
        Self {
            deadline: self.deadline,
            is_cancelled: AtomicBool::new(self.is_cancelled()),
            is_late: AtomicBool::new(self.is_late()),
            checks: self.checks.as_ref().map(|checks| Checks {
                num: AtomicU64::new(checks.num.load(Ordering::Relaxed)),
                most: checks.most,
            }),
            memory: self.memory.clone(),
            ..Self::default()
        }
    }

    /// Calls the evaluation off; it ends at the next check.
    pub fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
    }

    /// Has the work within documents charged to `account`; the first one that is named counts.
    pub fn draw_on(&self, account: &Arc<MemoryAccount>) {
        self.memory.get_or_init(|| Arc::clone(account));
    }

    /// Returns what the work within documents is charged to; `None` counts nothing.
    pub fn memory(&self) -> Option<&Arc<MemoryAccount>> {
        self.memory.get()
    }

    /// Returns whether it was called off; a nanosecond.
    pub fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed)
    }

    /// Reads the flag and the clock; some 30 ns.
    ///
    /// # Errors
    /// [`Stop::Cancelled`] after [`Control::cancel`], [`Stop::Deadline`] from the deadline on.
    pub fn check(&self) -> Result<(), Stop> {
        if let Some(checks) = &self.checks {
            self.count(checks);
        }
        if self.is_cancelled() {
            return Err(Stop::Cancelled);
        }
        let Some(deadline) = self.deadline else {
            return Ok(());
        };
        if self.is_late.load(Ordering::Relaxed) || Instant::now() >= deadline {
            self.is_late.store(true, Ordering::Relaxed);
            return Err(Stop::Deadline);
        }
        Ok(())
    }

    /// Tells that a scorer ended before it was done: scorers have no errors.
    pub fn cut_short(&self) {
        self.is_cut_short.store(true, Ordering::Relaxed);
    }

    /// Notes that a document cannot be scored: scorers have no errors. They end as if cut short, and
    /// [`Control::check_refused`] returns why.
    pub fn refuse(&self, refusal: Refusal) {
        self.refusal.get_or_init(|| refusal);
        self.cut_short();
    }

    /// Checks that all documents could be scored.
    ///
    /// # Errors
    /// The first one of [`Control::refuse`].
    pub fn check_refused(&self) -> Result<(), Refusal> {
        match self.refusal.get() {
            None => Ok(()),
            Some(refusal) => Err(refusal.clone()),
        }
    }

    /// Returns whether what scorers say is whole; a nanosecond. To be asked after they have spoken: what
    /// was excluded by one that ended, say, seems to match.
    ///
    /// # Errors
    /// Why they have ended, one of them at least.
    #[inline]
    pub fn check_whole(&self) -> Result<(), Stop> {
        if self.is_cancelled() {
            return Err(Stop::Cancelled);
        }
        if self.is_cut_short.load(Ordering::Relaxed) {
            return Err(Stop::Deadline);
        }
        Ok(())
    }

    fn note_look(&self) {
        self.num_looks.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how often work within documents has looked: it grows where documents cost much.
    pub fn num_looks(&self) -> u64 {
        self.num_looks.load(Ordering::Relaxed)
    }

    fn count(&self, checks: &Checks) {
        let number = checks.num.fetch_add(1, Ordering::Relaxed);
        if number >= checks.most {
            self.is_late.store(true, Ordering::Relaxed);
        }
    }

    /// Returns how often it was checked; 0 unless it is one of [`Control::until_check`].
    pub fn num_checks(&self) -> u64 {
        let checks = self.checks.as_ref();
        checks.map_or(0, |checks| checks.num.load(Ordering::Relaxed))
    }

    /// Returns whether a check has found the deadline passed.
    pub fn is_late(&self) -> bool {
        self.is_late.load(Ordering::Relaxed)
    }
}

impl From<Stop> for EvaluationError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Deadline => Self::DeadlineExceeded,
            Stop::Cancelled => Self::Cancelled,
        }
    }
}

/// Bytes held, with a limit, under an account of a wider scope (query under node).
#[derive(Debug)]
pub struct MemoryAccount {
    name: &'static str,
    limit_bytes: u64,
    held_bytes: AtomicU64,
    parent: Option<Arc<MemoryAccount>>,
}

impl MemoryAccount {
    /// Opens the node's account; `name` appears in refusals.
    pub fn root(name: &'static str, limit_bytes: u64) -> Arc<Self> {
        Arc::new(Self {
            name,
            limit_bytes,
            held_bytes: AtomicU64::new(0),
            parent: None,
        })
    }

    /// Opens an account that also draws on this one.
    pub fn child(self: &Arc<Self>, name: &'static str, limit_bytes: u64) -> Arc<Self> {
        let parent = Some(Arc::clone(self));
        Arc::new(Self {
            name,
            limit_bytes,
            held_bytes: AtomicU64::new(0),
            parent,
        })
    }

    /// Returns whether this one draws on `account` directly.
    pub fn is_child_of(&self, account: &Arc<Self>) -> bool {
        let parent = self.parent.as_ref();
        parent.is_some_and(|parent| Arc::ptr_eq(parent, account))
    }

    /// Returns the bytes held now.
    pub fn held_bytes(&self) -> u64 {
        self.held_bytes.load(Ordering::Relaxed)
    }

    /// Reserves `bytes` until the reservation is dropped.
    ///
    /// # Errors
    /// [`EvaluationError::CircuitBreaking`] when this account or one above would exceed its limit;
    /// nothing is reserved then.
    pub fn reserve(self: &Arc<Self>, bytes: u64) -> Result<Reservation, EvaluationError> {
        self.take(bytes)?;
        Ok(Reservation {
            account: Arc::clone(self),
            bytes,
        })
    }

    fn take(&self, bytes: u64) -> Result<(), EvaluationError> {
        let wanted = self
            .held_bytes
            .fetch_add(bytes, Ordering::Relaxed)
            .saturating_add(bytes);
        if wanted > self.limit_bytes {
            self.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
            let limit = self.limit_bytes;
            return Err(EvaluationError::CircuitBreaking {
                what: self.name,
                wanted,
                limit,
            });
        }
        if let Some(parent) = &self.parent
            && let Err(error) = parent.take(bytes)
        {
            self.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(error);
        }
        Ok(())
    }

    fn give_back(&self, bytes: u64) {
        self.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(parent) = &self.parent {
            parent.give_back(bytes);
        }
    }
}

/// Bytes reserved in an account; given back on drop.
#[derive(Debug)]
pub struct Reservation {
    account: Arc<MemoryAccount>,
    bytes: u64,
}

impl Reservation {
    /// Reserves `bytes` more.
    ///
    /// # Errors
    /// As [`MemoryAccount::reserve`]; what was reserved before stays.
    pub fn grow(&mut self, bytes: u64) -> Result<(), EvaluationError> {
        self.account.take(bytes)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Returns the bytes reserved.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.account.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passed_deadline_stops_and_sticks() {
        let control = Control::until(Instant::now());
        assert_eq!(control.check(), Err(Stop::Deadline));
        assert!(control.is_late());
        assert_eq!(Control::unlimited().check(), Ok(()));
    }

    #[test]
    fn cancellation_wins_over_the_deadline() {
        let control = Control::until(Instant::now());
        control.cancel();
        assert_eq!(control.check(), Err(Stop::Cancelled));
    }

    #[test]
    fn what_scorers_say_is_whole_until_one_is_cut_short() {
        let control = Control::until(Instant::now());
        assert_eq!(control.check_whole(), Ok(()));
        control.cut_short();
        assert_eq!(control.check_whole(), Err(Stop::Deadline));
        let apart = control.apart();
        assert_eq!(apart.check_whole(), Ok(()));
        assert_eq!(apart.check(), Err(Stop::Deadline));
        control.cancel();
        assert_eq!(control.check_whole(), Err(Stop::Cancelled));
        assert_eq!(control.apart().check(), Err(Stop::Cancelled));
    }

    #[test]
    fn an_account_refuses_beyond_its_own_and_its_parents_limit() {
        let node = MemoryAccount::root("node", 100);
        let query = node.child("query", 80);
        let mut held = query.reserve(60).unwrap();
        assert!(query.reserve(30).is_err(), "the query's limit");
        let other = node.child("query", 80);
        assert!(other.reserve(50).is_err(), "the node's limit");
        assert_eq!((node.held_bytes(), other.held_bytes()), (60, 0));
        held.grow(20).unwrap();
        assert_eq!(held.bytes(), 80);
        drop(held);
        assert_eq!((node.held_bytes(), query.held_bytes()), (0, 0));
    }
}

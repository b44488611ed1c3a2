//! By when an answer is owed.

use std::time::Duration;

use tokio::time::Instant;

/// Longest deadline: a client may ask for centuries, and a day is as good as never.
const LONGEST: Duration = Duration::from_secs(86_400);

/// Longest part of a deadline kept back from leaves.
const HAND_OVER: Duration = Duration::from_millis(100);

/// Time after the deadline in which hits are still fetched.
const FETCH_GRACE: Duration = Duration::from_millis(15);

/// Times that a search is begun again, for its moments and for its names each.
pub(crate) const MAX_RESTARTS: usize = 3;

/// A point in time on this machine's monotonic clock; what travels is the time left.
///
/// What is left is shared out so that the answer is whole by the deadline: leaves stop evaluating at
/// nine tenths ([`Deadline::for_leaf`]), the root waits a little longer for what they hand over
/// ([`Deadline::gather_by`]), and what remains is for merging and fetching.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    started: Instant,
    owed: Instant,
}

impl Deadline {
    /// Returns the deadline `timeout` from now.
    pub fn after(timeout: Duration) -> Self {
        let started = Instant::now();
        Self {
            started,
            owed: started + timeout.min(LONGEST),
        }
    }

    /// Returns the deadline, or `patience` after it was set where that is earlier.
    #[must_use]
    pub(crate) fn within(self, patience: Duration) -> Self {
        let patience = self.started + patience.min(LONGEST);
        Self {
            owed: self.owed.min(patience),
            ..self
        }
    }

    /// Returns the time left, 0 when it has passed.
    pub fn remaining(&self) -> Duration {
        self.owed.saturating_duration_since(Instant::now())
    }

    /// Returns the time that a leaf is given: a little less, so that what it has found by then can
    /// still be handed over, merged and fetched.
    pub fn for_leaf(&self) -> Duration {
        let remaining = self.remaining();
        remaining - kept_back(remaining)
    }

    /// Returns until when the answers of leaves asked now are waited for.
    pub(crate) fn gather_by(&self) -> Instant {
        let remaining = self.remaining();
        self.owed - kept_back(remaining) / 4
    }

    /// Returns until when answers are waited for that only prepare a question: half of what is left,
    /// so that a leaf that says nothing leaves the others time to be asked.
    pub(crate) fn prepare_by(&self) -> Instant {
        self.owed - self.remaining() / 2
    }

    /// Returns until when the winners' content is waited for: a little beyond the deadline, since what
    /// was ranked in time is worth a short wait.
    pub(crate) fn fetch_by(&self) -> Instant {
        self.owed + FETCH_GRACE
    }

    /// Returns whether there is time to begin a search again: at least a tenth of all of it.
    pub(crate) fn allows_another(&self) -> bool {
        let (whole, remaining) = (self.owed - self.started, self.remaining());
        !remaining.is_zero() && remaining >= whole / 10
    }

    /// Returns whether it has passed.
    pub fn has_passed(&self) -> bool {
        self.remaining().is_zero()
    }

    /// Returns the time since it was set.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Returns the time from its start to `moment`.
    pub(crate) fn at(&self, moment: Instant) -> Duration {
        moment.saturating_duration_since(self.started)
    }
}

fn kept_back(remaining: Duration) -> Duration {
    (remaining / 10).min(HAND_OVER)
}

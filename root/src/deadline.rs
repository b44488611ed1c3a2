//! By when an answer is owed.

use std::time::{Duration, Instant};

/// Longest part of a deadline kept back from leaves.
const HAND_OVER: Duration = Duration::from_millis(100);

/// A point in time on this machine's monotonic clock; what travels is the time left.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    started: Instant,
    owed: Instant,
}

impl Deadline {
    /// Returns the deadline `timeout` from now.
    pub fn after(timeout: Duration) -> Self {
        let started = Instant::now();
        // A client may ask for centuries; a day is as good as never.
        let timeout = timeout.min(Duration::from_secs(86_400));
        Self {
            started,
            owed: started + timeout,
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
        remaining - (remaining / 10).min(HAND_OVER)
    }

    /// Returns whether it has passed.
    pub fn has_passed(&self) -> bool {
        self.remaining().is_zero()
    }

    /// Returns the time since it was set.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

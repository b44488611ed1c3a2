//! How long a place that failed is left alone.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio::time::error::Elapsed;

use super::{BeyondError, note};

/// Failures in a row after which it is left alone.
const MOST_FAILURES: u32 = 3;

/// First rest; each further one is twice as long.
const FIRST_REST: Duration = Duration::from_secs(1);

/// Longest rest.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// Whether a place is asked now.
#[derive(Debug, Default)]
pub(super) struct Rest(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    num_failures: u32,
    until: Option<Instant>,
}

impl Rest {
    /// Is the place left alone now?
    pub(super) fn is_resting(&self) -> bool {
        let until = self.0.lock().until;
        until.is_some_and(|until| Instant::now() < until)
    }

    /// Notes how a call ended; returns what it brought. Calls that were under way when the rest began say nothing new.
    pub(super) fn noted<T>(&self, ended: Result<Result<T, BeyondError>, Elapsed>) -> Option<T> {
        let why = match ended {
            Ok(Ok(brought)) => {
                *self.0.lock() = State::default();
                return Some(brought);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it did not answer in time".to_owned(),
        };
        note("failed");
        let mut state = self.0.lock();
        if state.until.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        state.num_failures += 1;
        if let Some(further) = state.num_failures.checked_sub(MOST_FAILURES) {
            let rest = FIRST_REST * 2_u32.pow(further.min(5));
            state.until = Some(Instant::now() + rest.min(LONGEST_REST));
            tracing::warn!(why, "the place behind the answer cache is left alone");
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_fails_while_it_rests_makes_the_rest_no_longer() {
        let rest = Rest::default();
        let fail = || rest.noted::<()>(Ok(Err(BeyondError("away".to_owned()))));
        // Twenty at once: the third begins the rest.
        for _ in 0..20 {
            fail();
        }
        for seconds in [1, 2, 4] {
            assert!(rest.is_resting());
            tokio::time::advance(Duration::from_secs(seconds)).await;
            assert!(!rest.is_resting(), "{seconds}");
            for _ in 0..20 {
                fail();
            }
        }
    }
}

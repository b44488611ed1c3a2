//! How long a backend takes to answer, as a mean in which the last answers weigh most.

use std::time::Duration;

use tokio::time::Instant;

/// Share that the last answer has in the mean.
const NEWEST: f64 = 0.1;

/// Time of an answer while none has been seen.
const FIRST_GUESS: Duration = Duration::from_millis(5);

/// In what time a mean falls to a third while nothing is heard of the backend. A backend that was slow once and is not
/// asked for it would else never be known to be fast again (Finagle's peak EWMA decays for the same reason).
const FORGOTTEN: Duration = Duration::from_secs(10);

/// Least mean, so that it can be multiplied.
const LEAST: f64 = 1e-6;

/// The mean time until the head of an answer.
#[derive(Debug, Default)]
pub(crate) struct MeanTime(Option<Known>);

#[derive(Debug, Clone, Copy)]
struct Known {
    seconds: f64,
    at: Instant,
}

impl MeanTime {
    /// Notes an answer.
    pub(crate) fn note(&mut self, took: Duration, now: Instant) {
        let took = took.as_secs_f64();
        let seconds = match self.0 {
            None => took,
            Some(known) => known.seconds + NEWEST * (took - known.seconds),
        };
        self.0 = Some(Known { seconds, at: now });
    }

    /// Was an answer seen yet?
    pub(crate) fn is_known(&self) -> bool {
        self.0.is_some()
    }

    /// Returns the mean as it counts now, above zero.
    pub(crate) fn seconds(&self, now: Instant) -> f64 {
        let Some(known) = self.0 else {
            return FIRST_GUESS.as_secs_f64();
        };
        let silent = now.saturating_duration_since(known.at).as_secs_f64();
        (known.seconds * (-silent / FORGOTTEN.as_secs_f64()).exp()).max(LEAST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_follows_what_is_seen_and_forgets() {
        let now = Instant::now();
        let mut mean = MeanTime::default();
        assert!((mean.seconds(now) - 0.005).abs() < 1e-9 && !mean.is_known());
        mean.note(Duration::from_secs(1), now);
        assert!(mean.is_known());
        assert!((mean.seconds(now) - 1.0).abs() < 1e-9);
        mean.note(Duration::ZERO, now);
        assert!((mean.seconds(now) - 0.9).abs() < 1e-9);
        assert!((mean.seconds(now + FORGOTTEN) - 0.331).abs() < 0.001);
        assert!(mean.seconds(now + FORGOTTEN * 100) > 0.0);
    }
}

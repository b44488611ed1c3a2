//! How long to wait before a request is sent again.

use std::time::Duration;

/// The first wait, before jitter.
const FIRST: Duration = Duration::from_millis(250);

/// The longest wait of our own choice; a server may ask for more.
const LONGEST: Duration = Duration::from_secs(30);

/// The longest wait a server may ask for; beyond, its `Retry-After` counts as this much.
const LONGEST_ASKED: Duration = Duration::from_secs(300);

/// Exponential waits with jitter: 250 ms, doubled each time, at most 30 s.
#[derive(Debug, Clone, Default)]
pub(crate) struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// Returns the next wait; `random` is from 0 to 1 and takes up to half of it off, so that
    /// clients that were refused together do not come back together.
    ///
    /// A server's `Retry-After` is the least wait, and jitter comes on top of it.
    pub(crate) fn next(&mut self, retry_after: Option<Duration>, random: f64) -> Duration {
        let doubled = FIRST.saturating_mul(1_u32.checked_shl(self.attempts).unwrap_or(u32::MAX));
        self.attempts = self.attempts.saturating_add(1);
        let own = doubled.min(LONGEST);
        let jittered = own - own.mul_f64(random.clamp(0.0, 1.0) / 2.0);
        match retry_after {
            Some(asked) => asked.min(LONGEST_ASKED) + jittered.min(FIRST),
            None => jittered,
        }
    }

    /// Starts over: the server took something.
    pub(crate) fn reset(&mut self) {
        self.attempts = 0;
    }
}

/// Reads a `Retry-After` of whole seconds; a date is left to our own backoff.
pub(crate) fn retry_after(value: Option<&str>) -> Option<Duration> {
    value?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..9)
            .map(|_| backoff.next(None, 0.0).as_millis())
            .collect();
        assert_eq!(
            waits,
            [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]
        );
        backoff.reset();
        assert_eq!(backoff.next(None, 0.0), FIRST);
    }

    #[test]
    fn jitter_takes_at_most_half() {
        let mut backoff = Backoff { attempts: 2 };
        assert_eq!(backoff.next(None, 1.0), Duration::from_millis(500));
        let mut backoff = Backoff { attempts: u32::MAX };
        assert_eq!(backoff.next(None, 0.5), Duration::from_millis(22_500));
    }

    #[test]
    fn a_server_is_never_asked_before_its_time() {
        let asked = retry_after(Some(" 7 "));
        assert_eq!(asked, Some(Duration::from_secs(7)));
        let wait = Backoff::default().next(asked, 0.9);
        assert!(
            wait > Duration::from_secs(7) && wait < Duration::from_secs(8),
            "{wait:?}"
        );
        assert_eq!(retry_after(Some("Wed, 21 Oct 2026 07:28:00 GMT")), None);
        let wait = Backoff::default().next(Some(Duration::from_secs(86_400)), 0.0);
        assert!(wait <= LONGEST_ASKED + FIRST, "{wait:?}");
    }
}

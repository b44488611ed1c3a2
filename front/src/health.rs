//! Whether a backend is asked: it must be ready, and not have failed again and again; and one that comes back is asked
//! less at first.

use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row after which a backend is left out.
const MAX_FAILURES: u32 = 3;

/// How long it is left out the first time; twice as long each further time, up to [`LONGEST_OUT`].
const FIRST_OUT: Duration = Duration::from_secs(1);

/// Longest time that a backend is left out.
const LONGEST_OUT: Duration = Duration::from_secs(30);

/// In what time a backend that came back is asked as much as others.
const SLOW_START: Duration = Duration::from_secs(10);

/// Least share of the others' requests.
const LEAST_WARMTH: f64 = 0.1;

/// What is known of a backend.
#[derive(Debug)]
pub(crate) struct Health {
    is_ready: bool,
    /// When a connection last broke that had a request, until a probe that began later has ended.
    broken_at: Option<Instant>,
    failures: u32,
    /// How often it was left out since it last answered well for a while.
    times_out: u32,
    out_until: Option<Instant>,
    /// When it came back, while it is still warming up.
    back_at: Option<Instant>,
}

impl Default for Health {
    /// Of a backend that nothing is known of: it is asked like others.
    fn default() -> Self {
        Self {
            is_ready: true,
            broken_at: None,
            failures: 0,
            times_out: 0,
            out_until: None,
            back_at: None,
        }
    }
}

impl Health {
    /// Notes what a probe found that began at `began`; returns whether that is a change.
    pub(crate) fn note_probe(&mut self, is_ready: bool, began: Instant, now: Instant) -> bool {
        let has_changed = self.is_ready != is_ready;
        self.broken_at = self.broken_at.filter(|broken_at| *broken_at > began);
        if is_ready && has_changed {
            self.back_at = Some(now);
        }
        self.is_ready = is_ready;
        has_changed
    }

    /// Notes that a connection broke that had a request.
    pub(crate) fn note_break(&mut self, now: Instant) {
        self.broken_at = Some(now);
    }

    /// Returns whether it may be about to end: a process that is killed takes connections until its sockets are closed.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.broken_at.is_some()
    }

    /// Notes an answer.
    pub(crate) fn note_success(&mut self, now: Instant) {
        self.failures = 0;
        if self
            .out_until
            .is_some_and(|until| now >= until + SLOW_START)
        {
            self.out_until = None;
            self.times_out = 0;
        }
    }

    /// Notes a failure; returns for how long the backend is left out, where this is the one too many.
    pub(crate) fn note_failure(&mut self, now: Instant) -> Option<Duration> {
        self.failures += 1;
        if self.failures < MAX_FAILURES {
            return None;
        }
        self.failures = 0;
        let out = FIRST_OUT
            .saturating_mul(1 << self.times_out.min(5))
            .min(LONGEST_OUT);
        self.times_out += 1;
        self.out_until = Some(now + out);
        self.back_at = Some(now + out);
        Some(out)
    }

    /// Is it asked?
    pub(crate) fn is_available(&self, now: Instant) -> bool {
        self.is_ready && self.out_until.is_none_or(|until| now >= until)
    }

    /// Returns the share of the others' requests that it is to have, 0.1 to 1.
    pub(crate) fn warmth(&self, now: Instant) -> f64 {
        let Some(back_at) = self.back_at else {
            return 1.0;
        };
        let since = now.saturating_duration_since(back_at);
        (since.as_secs_f64() / SLOW_START.as_secs_f64()).clamp(LEAST_WARMTH, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_that_fails_is_left_out_longer_each_time_and_comes_back_slowly() {
        let mut health = Health::default();
        let mut now = Instant::now();
        let mut times = Vec::new();
        for _ in 0..7 {
            assert!(health.is_available(now));
            assert_eq!(health.note_failure(now), None);
            assert_eq!(health.note_failure(now), None);
            let out = health.note_failure(now).expect("one too many");
            assert!(!health.is_available(now));
            times.push(out.as_secs());
            now += out;
        }
        assert_eq!(times, [1, 2, 4, 8, 16, 30, 30]);
        assert!(health.is_available(now) && health.warmth(now) < 0.11);
        assert!((health.warmth(now + SLOW_START / 2) - 0.5).abs() < 0.01);
        now += SLOW_START;
        health.note_success(now);
        assert!((health.warmth(now) - 1.0).abs() < f64::EPSILON);
        health.note_failure(now);
        health.note_failure(now);
        assert_eq!(health.note_failure(now), Some(FIRST_OUT));
    }

    #[test]
    fn answers_between_failures_keep_a_backend_in() {
        let mut health = Health::default();
        let now = Instant::now();
        for _ in 0..10 {
            assert_eq!(health.note_failure(now), None);
            assert_eq!(health.note_failure(now), None);
            health.note_success(now);
        }
        assert!(health.note_probe(false, now, now) && !health.is_available(now));
        assert!(!health.note_probe(false, now, now));
        assert!(health.note_probe(true, now, now) && health.is_available(now));
        assert!(health.warmth(now) < 0.11);
    }

    #[test]
    fn a_probe_that_began_after_a_break_ends_the_doubt() {
        let mut health = Health::default();
        let began = Instant::now();
        let broken = began + Duration::from_millis(1);
        health.note_break(broken);
        health.note_probe(true, began, broken);
        assert!(health.is_in_doubt() && health.is_available(broken));
        health.note_probe(true, broken, broken);
        assert!(!health.is_in_doubt());
    }
}

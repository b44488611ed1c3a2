//! When requests are due: a line of times that nothing that happens can shift.

use std::time::Duration;

/// A constant rate, for a while that does not count and one that does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// Requests per second, > 0.
    pub rate: f64,
    /// The time before it, which is not measured.
    pub warmup: Duration,
    /// The time that is measured.
    pub duration: Duration,
}

/// A request that is due.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Arrival {
    /// From 0.
    pub(super) number: u64,
    /// When it is due, counted from the start.
    pub(super) after: Duration,
    /// Is it past the warm-up?
    pub(super) is_measured: bool,
}

impl Schedule {
    /// Returns the requests in the order in which they are due.
    pub(super) fn arrivals(self) -> impl Iterator<Item = Arrival> + Send {
        let num_warmup = self.num_within(self.warmup);
        (0..num_warmup + self.num_measured()).map(move |number| Arrival {
            number,
            // Each time is computed from the start, so rounding does not add up.
            after: Duration::from_secs_f64(number as f64 / self.rate),
            is_measured: number >= num_warmup,
        })
    }

    /// Returns how many requests count.
    pub(super) fn num_measured(self) -> u64 {
        self.num_within(self.duration)
    }

    /// Returns when the first request that counts is due, counted from the start.
    pub(super) fn measured_from(self) -> Duration {
        Duration::from_secs_f64(self.num_within(self.warmup) as f64 / self.rate)
    }

    /// Returns how many requests are due in a while, one of them at its start.
    fn num_within(self, time: Duration) -> u64 {
        // Less a billionth, as 0.1 × 30 is a little more than 3.
        let number = time.as_secs_f64() * self.rate * (1.0 - 1e-9);
        // An endless run ends with the user's patience.
        number.ceil().min(1e15) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(rate: f64, warmup_ms: u64, duration_ms: u64) -> Schedule {
        Schedule {
            rate,
            warmup: Duration::from_millis(warmup_ms),
            duration: Duration::from_millis(duration_ms),
        }
    }

    #[test]
    fn requests_are_due_at_even_distances_from_the_start() {
        let schedule = schedule(4.0, 500, 1_000);
        let arrivals: Vec<Arrival> = schedule.arrivals().collect();
        let due: Vec<u128> = arrivals.iter().map(|a| a.after.as_millis()).collect();
        assert_eq!(due, [0, 250, 500, 750, 1_000, 1_250]);
        let measured: Vec<bool> = arrivals.iter().map(|a| a.is_measured).collect();
        assert_eq!(measured, [false, false, true, true, true, true]);
        assert_eq!(schedule.measured_from(), Duration::from_millis(500));
    }

    #[test]
    fn a_long_run_has_as_many_requests_as_rate_and_time_say() {
        for (rate, duration_ms, number) in [
            (0.1, 30_000, 3),
            (3_000.0, 3_600_000, 10_800_000),
            (0.3, 10_000, 3),
            (0.5, 1_000, 1),
            (7.0, 0, 0),
        ] {
            let schedule = schedule(rate, 0, duration_ms);
            assert_eq!(schedule.num_measured(), number, "{rate} {duration_ms}");
        }
        let last = schedule(3.0, 0, 600_000).arrivals().last().expect("many");
        assert_eq!(last.after, Duration::from_secs_f64(1_799.0 / 3.0));
    }
}

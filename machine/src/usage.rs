//! How busy the processors were of late, by two looks at counters that only grow.

use std::time::{Duration, Instant};

use crate::num_processors;
use crate::proc::{MachineTime, process_time};

/// The shortest time between two looks: over less, the ticks of 10 ms that the system counts in are too few.
const SHORTEST: Duration = Duration::from_secs(1);

/// Shares of the processors, percent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Percents {
    /// What all processes took.
    pub(crate) machine: u32,
    /// What this one took.
    pub(crate) process: u32,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy)]
struct Look {
    at: Instant,
    machine: MachineTime,
    process: Duration,
}

/// The last look, and what it showed.
#[derive(Debug)]
pub(crate) struct Usage {
    last: Look,
    shown: Option<Percents>,
}

impl Usage {
    pub(crate) fn begin() -> Self {
        Self {
            last: Look::now(),
            shown: None,
        }
    }

    /// Returns the shares since the last look that is a second or more ago; those it showed where none is.
    pub(crate) fn read(&mut self) -> Percents {
        self.read_at(Look::now())
    }

    fn read_at(&mut self, now: Look) -> Percents {
        let is_long = now.at.duration_since(self.last.at) >= SHORTEST;
        match self.shown {
            Some(shown) if !is_long => shown,
            _ => {
                let percents = now.since(&self.last, num_processors());
                if is_long {
                    (self.last, self.shown) = (now, Some(percents));
                }
                percents
            }
        }
    }
}

impl Look {
    fn now() -> Self {
        Self {
            at: Instant::now(),
            machine: MachineTime::read().unwrap_or_default(),
            process: process_time().unwrap_or_default(),
        }
    }

    fn since(&self, before: &Self, num_processors: u32) -> Percents {
        let all = self.machine.total.saturating_sub(before.machine.total);
        let busy = self.machine.busy.saturating_sub(before.machine.busy);
        let elapsed = self.at.duration_since(before.at) * num_processors;
        let process = self.process.saturating_sub(before.process);
        Percents {
            machine: percent(busy as f64, all as f64),
            process: percent(process.as_secs_f64(), elapsed.as_secs_f64()),
        }
    }
}

/// Returns a share in percent, rounded, at most 100: two counters are not read at the same moment.
fn percent(part: f64, whole: f64) -> u32 {
    if whole <= 0.0 {
        return 0;
    }
    (part * 100.0 / whole).round().min(100.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(begun: Instant, after: Duration, [busy, total]: [u64; 2], process_ms: u64) -> Look {
        Look {
            at: begun + after,
            machine: MachineTime { busy, total },
            process: Duration::from_millis(process_ms),
        }
    }

    #[test]
    fn shares_are_those_since_the_look_before() {
        let begun = Instant::now();
        let first = look(begun, Duration::ZERO, [100, 1_000], 500);
        let second = look(begun, 2 * SHORTEST, [200, 1_400], 1_500);
        let expected = Percents {
            machine: 25,
            process: 13,
        };
        assert_eq!(second.since(&first, 4), expected);
        assert_eq!(first.since(&first, 4), Percents::default());
    }

    #[test]
    fn a_look_that_comes_too_soon_shows_what_the_one_before_did() {
        let begun = Instant::now();
        let mut usage = Usage {
            last: look(begun, Duration::ZERO, [0, 0], 0),
            shown: None,
        };
        let soon = Duration::from_millis(10);
        let read = |usage: &mut Usage, after, ticks| {
            let now = look(begun, after, ticks, 0);
            usage.read_at(now).machine
        };
        assert_eq!(read(&mut usage, soon, [1, 2]), 50, "since the beginning");
        assert_eq!(read(&mut usage, SHORTEST, [20, 200]), 10);
        assert_eq!(read(&mut usage, SHORTEST + soon, [22, 202]), 10);
        assert_eq!(read(&mut usage, 2 * SHORTEST, [100, 300]), 80);
    }
}

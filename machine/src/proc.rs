//! The files of `/proc`, of which `man 5 proc` has the fields. They are made in memory as they are read.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// The unit of times in `/proc`, which Linux has fixed for programs (`USER_HZ`), whatever its own is.
const TICKS_PER_SECOND: u64 = 100;

/// What `/proc/self/status` says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) resident_bytes: u64,
    pub(crate) virtual_bytes: u64,
    pub(crate) num_threads: u64,
}

impl Status {
    pub(crate) fn read() -> Option<Self> {
        Self::of(&fs::read_to_string("/proc/self/status").ok()?)
    }

    fn of(text: &str) -> Option<Self> {
        Some(Self {
            resident_bytes: 1_024 * number_of(text, "VmRSS:")?,
            virtual_bytes: 1_024 * number_of(text, "VmSize:")?,
            num_threads: number_of(text, "Threads:")?,
        })
    }
}

/// What `/proc/meminfo` says, in bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) total: u64,
    pub(crate) available: u64,
}

impl Memory {
    pub(crate) fn read() -> Option<Self> {
        Self::of(&fs::read_to_string("/proc/meminfo").ok()?)
    }

    fn of(text: &str) -> Option<Self> {
        Some(Self {
            total: 1_024 * number_of(text, "MemTotal:")?,
            available: 1_024 * number_of(text, "MemAvailable:")?,
        })
    }
}

/// Load averages of 1, 5 and 15 minutes.
#[derive(Debug, PartialEq)]
pub(crate) struct Load(pub(crate) [f64; 3]);

impl Load {
    pub(crate) fn read() -> Option<Self> {
        Self::of(&fs::read_to_string("/proc/loadavg").ok()?)
    }

    fn of(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let mut next = || words.next()?.parse().ok();
        Some(Self([next()?, next()?, next()?]))
    }
}

/// Processor time of all processes since the machine started, in ticks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct MachineTime {
    /// Time that was worked in.
    pub(crate) busy: u64,
    /// All time.
    pub(crate) total: u64,
}

impl MachineTime {
    pub(crate) fn read() -> Option<Self> {
        Self::of(&fs::read_to_string("/proc/stat").ok()?)
    }

    fn of(text: &str) -> Option<Self> {
        let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
        // Time of guests, behind these eight, is in that of users already.
        let ticks = line.split_whitespace().take(8).map(str::parse);
        let ticks: Vec<u64> = ticks.collect::<Result<_, _>>().ok()?;
        let (idle, waiting) = (ticks.get(3)?, ticks.get(4)?);
        let total = ticks.iter().sum();
        Some(Self {
            busy: total - idle - waiting,
            total,
        })
    }
}

/// Returns the processor time of this process since its start.
pub(crate) fn process_time() -> Option<Duration> {
    let ticks = ticks_of(&fs::read_to_string("/proc/self/stat").ok()?)?;
    Some(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
}

/// Returns the processor time of the thread whose folder this is. Where the system does not say it exactly, it is of whole
/// ticks.
pub(crate) fn thread_time(folder: &Path) -> Option<Duration> {
    let exact = fs::read_to_string(folder.join("schedstat")).ok();
    if let Some(time) = exact.and_then(|text| exact_time_of(&text)) {
        return Some(time);
    }
    let ticks = ticks_of(&fs::read_to_string(folder.join("stat")).ok()?)?;
    Some(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
}

/// Returns the nanoseconds that a thread has run, the first number; a system that does not count them says 0 in all three.
fn exact_time_of(schedstat: &str) -> Option<Duration> {
    let ran = schedstat.split_whitespace().next()?.parse().ok()?;
    (ran > 0).then(|| Duration::from_nanos(ran))
}

fn ticks_of(stat: &str) -> Option<u64> {
    // The name of the program, in brackets, may hold spaces and brackets; field 3 follows it.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(14 - 3);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

/// Returns how many files this process has open.
pub(crate) fn num_open_files() -> Option<u64> {
    let open = fs::read_dir("/proc/self/fd").ok()?;
    // The folder that is read is one of them.
    Some((open.count() as u64).saturating_sub(1))
}

/// Returns the number behind `name` at the start of a line.
fn number_of(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_lines() {
        let text = "Name:\tgleaner\nVmSize:\t   12 kB\nVmRSS:\t    7 kB\nThreads:\t3\n";
        let expected = Status {
            resident_bytes: 7 << 10,
            virtual_bytes: 12 << 10,
            num_threads: 3,
        };
        assert_eq!(Status::of(text), Some(expected));
        assert_eq!(Status::of("VmRSS:\t7 kB\n"), None);
        let text = "MemTotal:       8 kB\nMemFree:        1 kB\nMemAvailable:   5 kB\n";
        let expected = Memory {
            total: 8 << 10,
            available: 5 << 10,
        };
        assert_eq!(Memory::of(text), Some(expected));
        assert_eq!(
            Load::of("0.50 1.25 2.00 3/456 789\n"),
            Some(Load([0.5, 1.25, 2.0]))
        );
        assert_eq!(Load::of("0.50\n"), None);
    }

    #[test]
    fn idle_and_waiting_processors_are_not_busy_and_guests_count_once() {
        let text = "cpu  10 1 4 70 5 2 3 5 10 1\ncpu0 10 1 4 70 5 2 3 5 10 1\n";
        let expected = MachineTime {
            busy: 25,
            total: 100,
        };
        assert_eq!(MachineTime::of(text), Some(expected));
        assert_eq!(MachineTime::of("cpu0 1 2\n"), None);
    }

    #[test]
    fn times_are_read_behind_a_name_of_any_kind() {
        let rest: Vec<String> = (4..=30).map(|number: u32| number.to_string()).collect();
        let stat = format!("17 (a) S b) R {}", rest.join(" "));
        assert_eq!(ticks_of(&stat), Some(14 + 15));
        assert_eq!(ticks_of("17 (a) R 1 2"), None);
        let exact = exact_time_of("2500000 17 3\n");
        assert_eq!(exact, Some(Duration::from_micros(2_500)));
        assert_eq!(exact_time_of("0 0 0\n"), None);
    }
}

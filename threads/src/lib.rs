//! How long a thread runs on a processor: before another one has its turn, its time slice, and all in all.
//!
//! Linux gives threads of one weight equal shares of the processors, in turns. Since 6.12 a thread can say how
//! long it likes its slices to be (`sched_setattr(2)`, `sched_runtime` of a thread that is not a real-time one):
//! its share stays the same, and when it wakes it need not wait for the end of a longer slice than its own. So a
//! thread that others wait for asks for short slices, and one that works for nobody in particular for long ones;
//! docs/decisions/0027-turns-of-threads.md has what that brings.
//!
//! Does: ask for the calling thread, and about it. Does not: start threads, or change shares, priorities or policies.

#[cfg(target_os = "linux")]
mod linux;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Returns the processor time that the calling thread has taken since it was started.
fn processor_time() -> Duration {
    let taken = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(taken).unwrap_or_default()
}

/// The processor time that threads took for a job together.
#[derive(Debug, Default)]
pub struct CpuTime {
    nanos: AtomicU64,
}

impl CpuTime {
    /// Does `work` and adds what it took of this thread. What others did for it is not in it.
    pub fn time<T>(&self, work: impl FnOnce() -> T) -> T {
        let before = processor_time();
        let done = work();
        let took = processor_time().saturating_sub(before);
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(took, Ordering::Relaxed);
        done
    }

    /// Returns what it is so far.
    pub fn get(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }
}

/// How long a thread runs at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeSlice {
    /// Others wait for each step of it, which takes some microseconds: a commit thread.
    Short,
    /// It has work for milliseconds, and whoever waits for another thread goes first: indexing, merging.
    Long,
}

impl TimeSlice {
    /// Returns its length: within 0.1 and 100 ms, which is what Linux takes; its own choice is about one to
    /// three.
    pub const fn length(self) -> Duration {
        match self {
            Self::Short => Duration::from_micros(100),
            Self::Long => Duration::from_millis(10),
        }
    }

    /// Asks the system for it, for the calling thread and the threads that it starts from now on. Returns whether
    /// the system took it: one older than Linux 6.12 takes it and does nothing, others do not know it, and a thread
    /// whose policy was chosen from outside the process (by `chrt`, for one) keeps that.
    pub fn request(self) -> bool {
        #[cfg(target_os = "linux")]
        return linux::request(self);
        #[cfg(not(target_os = "linux"))]
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_threads_add_up_and_what_others_take_is_not_in_them() {
        let span = Duration::from_millis(20);
        let spin = || {
            let before = processor_time();
            while processor_time() - before < span {}
        };
        let (all, waiting) = (CpuTime::default(), CpuTime::default());
        waiting.time(|| {
            std::thread::scope(|scope| {
                scope.spawn(|| all.time(spin));
                scope.spawn(|| all.time(spin));
            });
        });
        assert!(all.get() >= 2 * span, "{all:?}");
        assert!(waiting.get() < span, "{waiting:?}");
    }
}

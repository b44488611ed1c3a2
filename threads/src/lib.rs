//! How long a thread runs on a processor before another one has its turn: its time slice.
//!
//! Linux gives threads of one weight equal shares of the processors, in turns. Since 6.12 a thread can say how
//! long it likes its slices to be (`sched_setattr(2)`, `sched_runtime` of a thread that is not a real-time one):
//! its share stays the same, and when it wakes it need not wait for the end of a longer slice than its own. So a
//! thread that others wait for asks for short slices, and one that works for nobody in particular for long ones;
//! docs/decisions/0027-turns-of-threads.md has what that brings.
//!
//! Does: ask for the calling thread. Does not: start threads, or change shares, priorities or policies.

#[cfg(target_os = "linux")]
mod linux;

use std::time::Duration;

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

//! How long the turns of a thread on a processor are.
//!
//! Linux gives threads of one weight equal shares of the processors, in turns. Since 6.12 a thread can say how
//! long it likes its turns to be (`sched_setattr(2)`, `sched_runtime` of a thread that is not a real-time one):
//! its share stays the same, and when it wakes it need not wait for the end of a longer turn than its own. So a
//! thread that others wait for asks for short turns, and one that works for nobody in particular for long ones;
//! docs/decisions/0027-turns-of-threads.md has what that brings.
//!
//! Does: ask for the calling thread. Does not: start threads, or change shares, priorities or policies.

#[cfg(target_os = "linux")]
mod linux;

use std::time::Duration;

/// What a thread's turns are to be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turns {
    /// Others wait for each step of it, which takes some microseconds: a commit thread.
    Short,
    /// It has work for milliseconds, and whoever waits for another thread goes first: indexing, merging.
    Long,
}

impl Turns {
    /// Returns how long a turn is: within 0.1 and 100 ms, which is what Linux takes; its own choice is about one
    /// to three.
    pub const fn length(self) -> Duration {
        match self {
            Self::Short => Duration::from_micros(100),
            Self::Long => Duration::from_millis(10),
        }
    }
}

/// Asks for such turns for the calling thread, and the threads that it starts from now on. Returns whether the
/// system took it: one older than Linux 6.12 takes it and does nothing, others do not know it, and a thread
/// whose policy was chosen by whoever runs the process (`chrt`, for one) keeps that.
pub fn ask_for(turns: Turns) -> bool {
    #[cfg(target_os = "linux")]
    return linux::ask_for(turns);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = turns;
        false
    }
}

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

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
use linux::thread_time;

/// Longest time after a reading of the thread's processor time in which the ordinary clock goes on from it.
///
/// The one is a call of the system, 480 ns, and the other is not, 30 ns: a search that takes 5 µs in all is measured in
/// several places. A thread that lost the processor for longer than this is past it, and is read again.
const READING_HOLDS: Duration = Duration::from_micros(20);

/// What the clocks said when the system was asked last.
#[derive(Clone, Copy)]
struct Reading {
    at: Instant,
    taken: Duration,
    /// The most that was returned: a thread's time does not go back.
    returned: Duration,
}

/// Returns the processor time that the calling thread has taken since it was started, and at most 20 µs more: for so long
/// after each reading, a thread that waits counts as one that works. It does not go back.
pub fn processor_time() -> Duration {
    let now = Instant::now();
    let last = READING.get();
    let returned = last.map_or(Duration::ZERO, |last| last.returned);
    let since = last.map(|last| (last, now.saturating_duration_since(last.at)));
    let reading = match since {
        Some((last, since)) if since < READING_HOLDS => Reading {
            returned: returned.max(last.taken + since),
            ..last
        },
        _ => {
            let taken = thread_time();
            Reading {
                at: Instant::now(),
                taken,
                returned: returned.max(taken),
            }
        }
    };
    READING.set(Some(reading));
    reading.returned
}

/// Returns the processor time of the calling thread, as the system has it.
#[cfg(not(target_os = "linux"))]
fn thread_time() -> Duration {
    let taken = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(taken).unwrap_or_default()
}

thread_local! {
    static READING: Cell<Option<Reading>> = const { Cell::new(None) };
    /// What has been added to others since the innermost `CpuTime::time` of this thread began.
    static WITHIN: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// The processor time that threads took for a job together.
#[derive(Debug, Default)]
pub struct CpuTime {
    nanos: AtomicU64,
}

/// Adds what has passed when it is dropped, also by a panic.
struct Timing<'a> {
    cpu: &'a CpuTime,
    /// What had been added to others before.
    outside: Duration,
    before: Duration,
}

impl Drop for Timing<'_> {
    fn drop(&mut self) {
        let took = processor_time().saturating_sub(self.before);
        let within = WITHIN.replace(self.outside + took);
        let own = took.saturating_sub(within);
        let own = u64::try_from(own.as_nanos()).unwrap_or(u64::MAX);
        self.cpu.nanos.fetch_add(own, Ordering::Relaxed);
    }
}

impl CpuTime {
    /// Does `work` and adds what it took of this thread. What other threads did for it is not in it, nor what within it
    /// is added to another: no time counts twice.
    pub fn time<T>(&self, work: impl FnOnce() -> T) -> T {
        let _timing = Timing {
            cpu: self,
            outside: WITHIN.replace(Duration::ZERO),
            before: processor_time(),
        };
        work()
    }

    /// Awaits `work`, and adds what its steps take of the threads that do them, as [`Self::time`].
    ///
    /// # Cancel safety
    /// Dropping the future drops `work`; the steps that were done count.
    pub async fn around<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| self.time(|| work.as_mut().poll(context))).await
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

    #[test]
    fn waiting_counts_for_no_longer_than_a_reading_holds() {
        let before = processor_time();
        let mut last = before;
        for _ in 0..20 {
            std::thread::park_timeout(5 * READING_HOLDS);
            let now = processor_time();
            assert!(now >= last, "{now:?} {last:?}");
            last = now;
        }
        let read = thread_time();
        assert!(last <= read + READING_HOLDS, "{last:?} {read:?}");
    }

    #[test]
    fn what_is_added_to_another_within_does_not_count_twice() {
        let span = Duration::from_millis(20);
        let spin = || {
            let before = processor_time();
            while processor_time() - before < span {}
        };
        let (outer, inner) = (CpuTime::default(), CpuTime::default());
        outer.time(|| {
            inner.time(spin);
            spin();
            inner.time(spin);
        });
        assert!(inner.get() >= 2 * span && outer.get() >= span);
        assert!(outer.get() < 2 * span, "{outer:?}");
        let mut work = pin!(outer.around(async { spin() }));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(work.as_mut().poll(&mut context).is_ready());
        assert!(outer.get() >= 2 * span, "{outer:?}");
    }
}

//! The thread that holds the schedule: it does nothing but wait until a request is due.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use anyhow::{Context, Result};

use super::schedule::Arrival;

/// A running pacer; it stops when it is dropped.
pub(super) struct Pacer {
    is_stopped: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Pacer {
    /// Calls `begin` for each arrival when it is due, counted from `start`; late ones at once.
    ///
    /// `begin` must not wait. A thread of its own, because the timer of the runtime counts in whole
    /// milliseconds and its threads are busy with answers.
    pub(super) fn start(
        start: Instant,
        arrivals: impl Iterator<Item = Arrival> + Send + 'static,
        mut begin: impl FnMut(Arrival) + Send + 'static,
    ) -> Result<Self> {
        let is_stopped = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&is_stopped);
        let keep_time = move || {
            for arrival in arrivals {
                if !wait_until(start + arrival.after, &is_over) {
                    return;
                }
                begin(arrival);
            }
        };
        let thread = thread::Builder::new().name("pacer".to_owned());
        Ok(Self {
            is_stopped,
            thread: thread.spawn(keep_time).context("cannot start a thread")?,
        })
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
    }
}

/// Waits for a moment; false when the pacer was stopped before.
fn wait_until(due: Instant, is_stopped: &AtomicBool) -> bool {
    loop {
        if is_stopped.load(Ordering::Relaxed) {
            return false;
        }
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        // May return early, for the stop or for no reason.
        thread::park_timeout(left);
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;

    fn arrivals(due_ms: &'static [u64]) -> impl Iterator<Item = Arrival> + Send {
        (0..).zip(due_ms).map(|(number, ms)| Arrival {
            number,
            after: Duration::from_millis(*ms),
            is_measured: true,
        })
    }

    #[test]
    fn requests_begin_in_order_and_never_before_they_are_due() {
        let start = Instant::now();
        let (begun, seen) = mpsc::channel();
        let begin = move |arrival: Arrival| {
            begun
                .send((arrival.number, start.elapsed()))
                .expect("the test listens");
        };
        let _pacer = Pacer::start(start, arrivals(&[0, 5, 5, 20]), begin).expect("a thread");
        let seen: Vec<(u64, Duration)> = seen.iter().collect();
        let numbers: Vec<u64> = seen.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [0, 1, 2, 3]);
        assert!(seen[3].1 >= Duration::from_millis(20), "{seen:?}");
    }

    #[test]
    fn a_dropped_pacer_begins_nothing_more() {
        let (begun, seen) = mpsc::channel();
        let begin = move |arrival: Arrival| begun.send(arrival.number).expect("the test listens");
        let pacer = Pacer::start(Instant::now(), arrivals(&[0, 3_600_000]), begin);
        assert_eq!(seen.recv(), Ok(0));
        drop(pacer);
        // The thread ends, and its end of the channel with it.
        assert!(seen.recv().is_err());
    }
}

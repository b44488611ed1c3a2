//! Threads that go on with short work where the threads of its lane are taken by what was thought to be short.
//!
//! How long work takes is estimated before it begins, and may be wrong: a document of a million values, a pattern that
//! looks harmless. Work cannot be interrupted, but it can lose its place: once it has run for longer than a lane is for,
//! a thread that sleeps until then takes what waits. The two share the cores evenly.
//!
//! Does: note since when each thread works, and let others in. Does not: know what the work is. Called by: the pool.
//! Read first: [`Relief::relieve`].

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, bounded};

use super::{Job, do_job};

/// How long work keeps its place while other work waits.
const TURN: Duration = Duration::from_millis(5);

/// The threads of a lane, and those that stand by.
pub(super) struct Relief {
    /// Since when each of them works, in microseconds from `start`; 0 is not at all.
    since: Vec<AtomicU64>,
    start: Instant,
    num_threads: usize,
    /// How much work is queued or done.
    num_pending: AtomicUsize,
    /// The thread that looks on while work waits.
    watch: OnceLock<Thread>,
    /// Whether it does so now, and need not be woken.
    is_watching: AtomicBool,
    is_over: AtomicBool,
}

impl Relief {
    /// Starts the threads that stand by, and the one that watches, for a lane of `num_threads`.
    ///
    /// # Errors
    /// When they cannot be started.
    pub(super) fn start(
        num_threads: usize,
        num_standing_by: usize,
        jobs: &Receiver<Job>,
    ) -> std::io::Result<Arc<Self>> {
        let num_all = num_threads + num_standing_by;
        let (places, let_in) = bounded(1);
        let relief = Arc::new(Self {
            since: (0..num_all).map(|_| AtomicU64::new(0)).collect(),
            start: Instant::now(),
            num_threads,
            num_pending: AtomicUsize::new(0),
            watch: OnceLock::new(),
            is_watching: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        });
        for number in num_threads..num_all {
            let (relief, jobs, let_in) = (Arc::clone(&relief), jobs.clone(), let_in.clone());
            let thread = thread::Builder::new().name(format!("relief-{number}"));
            thread.spawn(move || relief.stand_by(&jobs, &let_in, number))?;
        }
        let (watching, jobs) = (Arc::clone(&relief), jobs.clone());
        let thread = thread::Builder::new().name("search-watch".to_owned());
        let thread = thread.spawn(move || watching.relieve(&jobs, &places))?;
        relief.watch.get_or_init(|| thread.thread().clone());
        Ok(relief)
    }

    /// Does what comes, as thread `number` of the lane, until nothing can come any more.
    pub(super) fn work(&self, jobs: &Receiver<Job>, number: usize) {
        while let Ok(job) = jobs.recv() {
            self.perform(job, number);
        }
    }

    /// Counts work that is about to be queued, and has somebody look on where it must wait.
    pub(super) fn enter(&self) {
        if self.num_pending.fetch_add(1, Ordering::SeqCst) >= self.num_threads
            && !self.is_watching.swap(true, Ordering::SeqCst)
        {
            self.wake();
        }
    }

    /// Counts work that is done, or was not queued.
    pub(super) fn leave(&self) {
        self.num_pending.fetch_sub(1, Ordering::SeqCst);
    }

    /// Ends the threads that stand by, once they have nothing to do.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.wake();
    }

    fn wake(&self) {
        if let Some(watch) = self.watch.get() {
            watch.unpark();
        }
    }

    fn perform(&self, job: Job, number: usize) {
        let now = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.since[number].store(now.max(1), Ordering::Relaxed);
        do_job(job);
        self.since[number].store(0, Ordering::Relaxed);
        self.leave();
    }

    /// Does what waits whenever there is a place for this thread.
    fn stand_by(&self, jobs: &Receiver<Job>, let_in: &Receiver<()>, number: usize) {
        while let_in.recv().is_ok() {
            while let Ok(job) = jobs.try_recv() {
                self.perform(job, number);
                if self.num_in_turn() >= self.num_threads {
                    break;
                }
            }
        }
    }

    /// Lets threads in that stand by while work waits and fewer than belong to the lane are in their turns.
    fn relieve(&self, jobs: &Receiver<Job>, places: &Sender<()>) {
        while !self.is_over.load(Ordering::Relaxed) {
            if self.has_waiting() {
                thread::park_timeout(TURN / 2);
            } else {
                self.is_watching.store(false, Ordering::SeqCst);
                // What came before that has woken nobody.
                if !self.has_waiting() {
                    thread::park();
                }
                self.is_watching.store(true, Ordering::SeqCst);
            }
            if !jobs.is_empty() && self.num_in_turn() < self.num_threads {
                let _on_the_way_already = places.try_send(());
            }
        }
    }

    fn has_waiting(&self) -> bool {
        self.num_pending.load(Ordering::SeqCst) > self.num_threads
    }

    /// Returns how many threads work that have not for longer than a turn.
    fn num_in_turn(&self) -> usize {
        let now = self.start.elapsed();
        let is_in_turn = |since: &&AtomicU64| {
            let since = since.load(Ordering::Relaxed);
            since > 0 && now.saturating_sub(Duration::from_micros(since)) < TURN
        };
        self.since.iter().filter(is_in_turn).count()
    }
}

//! The threads that evaluate queries, behind bounded queues.
//!
//! tokio hands work over through a bounded channel; as many workers as there are cores take it and
//! spread large queries over one rayon pool, so at most that many queries share the cores at once in each lane. Long
//! work has a lane of its own, in long turns: short work need not wait for its end. What was taken for short and is not
//! loses its place: another thread goes on with what waits ([`relief`]). Work whose
//! caller has gone, or whose deadline has passed while it waited, is dropped unevaluated. What is known to
//! be brief is evaluated where it is asked for: two hand-overs take longer.

mod relief;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use gleaner_engine::length::Length;
use gleaner_model::metric;
use gleaner_model::node_stats::PoolStats;
use gleaner_partial::control::Control;
use gleaner_proto::LeafFault;
use gleaner_threads::TimeSlice;
use tokio::sync::oneshot;

use self::relief::Relief;
use crate::counts::{Counts, Running};

type Job = Box<dyn FnOnce() + Send>;

/// Threads that stand by for each thread of the lane for short work. More work at once that takes longer than was thought
/// has to be waited for: each takes its share of the cores.
const STANDING_BY: usize = 8;

/// The lanes of short and of long work, and what both do together.
pub(crate) struct Pool {
    short: Lane,
    long: Lane,
    counts: Arc<Counts>,
}

/// A bounded queue in front of a rayon pool.
pub(crate) struct Lane {
    queue: Sender<Job>,
    capacity: usize,
    rayon: Arc<rayon::ThreadPool>,
    /// Goes on where work takes longer than the lane is for; `None` where it may take any time.
    relief: Option<Arc<Relief>>,
    counts: Arc<Counts>,
}

/// Cancels the evaluation when the caller goes away, and notes when that was.
struct CancelOnDrop {
    control: Arc<Control>,
    at: Arc<OnceLock<Instant>>,
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.at.get_or_init(Instant::now);
        self.control.cancel();
    }
}

/// Counts an evaluation as running while it lives, also one that panics.
struct RunningGuard<'a> {
    _counted: Running<'a>,
}

impl<'a> RunningGuard<'a> {
    fn begin(counts: &'a Counts) -> Self {
        metrics::gauge!(metric::SEARCHES_RUNNING.name).increment(1.0);
        Self {
            _counted: counts.begin(),
        }
    }
}

impl Drop for RunningGuard<'_> {
    fn drop(&mut self) {
        metrics::gauge!(metric::SEARCHES_RUNNING.name).decrement(1.0);
    }
}

/// Why a job gave no result.
pub(crate) enum PoolFault {
    /// The queue is full, or the pool is stopping.
    Rejected(LeafFault),
    /// The deadline passed while it waited.
    Late,
    /// It panicked.
    Panicked,
}

impl Pool {
    /// Starts `threads` workers for each lane, with room for `capacity` waiting jobs.
    pub(crate) fn start(threads: usize, capacity: usize) -> Result<Self, std::io::Error> {
        Self::start_with(threads, capacity, STANDING_BY * threads)
    }

    /// As [`Self::start`], with as many threads beside those of the lane for short work.
    fn start_with(
        threads: usize,
        capacity: usize,
        num_standing_by: usize,
    ) -> Result<Self, std::io::Error> {
        let counts = Arc::<Counts>::default();
        let lane = |name| {
            let size = LaneSize {
                threads,
                capacity,
                num_standing_by,
            };
            Lane::start(name, size, Arc::clone(&counts))
        };
        Ok(Self {
            short: lane(LaneName::Short)?,
            long: lane(LaneName::Long)?,
            counts,
        })
    }

    /// Returns the lane of that name.
    pub(crate) fn lane(&self, name: LaneName) -> &Lane {
        match name {
            LaneName::Short => &self.short,
            LaneName::Long => &self.long,
        }
    }

    /// Returns what runs, waits and was refused, of both lanes together. What is evaluated where it is asked for counts as
    /// well.
    pub(crate) fn stats(&self) -> PoolStats {
        let lanes = [&self.short, &self.long];
        let sum = |of: fn(&Lane) -> usize| lanes.map(of).iter().sum::<usize>() as u64;
        PoolStats {
            num_threads: sum(|lane| lane.rayon.current_num_threads()),
            num_queued: sum(|lane| lane.queue.len()),
            queue_capacity: Some(sum(|lane| lane.capacity)),
            ..self.counts.stats()
        }
    }

    /// Evaluates a job where those of its length are, by `deadline`.
    ///
    /// # Cancel safety
    /// As [`Lane::run`].
    pub(crate) async fn run<T, F>(
        &self,
        length: Length,
        deadline: Instant,
        job: F,
    ) -> Result<T, PoolFault>
    where
        T: Send + 'static,
        F: FnOnce(&Arc<Control>) -> T + Send + 'static,
    {
        match length {
            Length::Brief => self.run_brief(deadline, job).await,
            Length::Short | Length::Long => self.lane(length.into()).run(deadline, job).await,
        }
    }

    /// Evaluates a job of less than a millisecond: on the caller's thread when no short work waits, as
    /// handing it over would take longer; else as [`Lane::run`].
    async fn run_brief<T, F>(&self, deadline: Instant, job: F) -> Result<T, PoolFault>
    where
        T: Send + 'static,
        F: FnOnce(&Arc<Control>) -> T + Send + 'static,
    {
        if !self.short.queue.is_empty() {
            return self.short.run(deadline, job).await;
        }
        if Instant::now() >= deadline {
            return Err(PoolFault::Late);
        }
        let control = Arc::new(Control::until(deadline));
        let _running = self.counts.begin();
        caught(|| job(&control))
    }
}

/// Which work a lane is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LaneName {
    /// Work of some milliseconds at most, as far as is known before.
    Short,
    /// What takes longer: it shares the cores with short work, which goes first when it comes.
    Long,
}

impl From<Length> for LaneName {
    fn from(length: Length) -> Self {
        match length {
            Length::Brief | Length::Short => Self::Short,
            Length::Long => Self::Long,
        }
    }
}

impl LaneName {
    /// Returns what its workers, and the threads that share the work of one query, are called.
    const fn threads(self) -> [&'static str; 2] {
        match self {
            Self::Short => ["search", "segment"],
            Self::Long => ["long-search", "long-segment"],
        }
    }

    /// Asks for the turns of the lane, for the calling thread.
    fn request_turns(self) {
        if self == Self::Long {
            TimeSlice::Long.request();
        }
    }
}

/// How much a lane does at once, and how much may wait for it.
#[derive(Clone, Copy)]
struct LaneSize {
    threads: usize,
    capacity: usize,
    num_standing_by: usize,
}

impl Drop for Lane {
    fn drop(&mut self) {
        if let Some(relief) = &self.relief {
            relief.end();
        }
    }
}

impl Lane {
    fn start(name: LaneName, size: LaneSize, counts: Arc<Counts>) -> Result<Self, std::io::Error> {
        let LaneSize {
            threads,
            capacity,
            num_standing_by,
        } = size;
        let (queue, jobs) = bounded::<Job>(capacity);
        let [workers, segments] = name.threads();
        let rayon = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(move |n| format!("{segments}-{n}"))
            .start_handler(move |_| name.request_turns())
            .build()
            .map_err(std::io::Error::other)?;
        let relief = match name {
            LaneName::Short if num_standing_by > 0 => {
                Some(Relief::start(threads, num_standing_by, &jobs)?)
            }
            LaneName::Short | LaneName::Long => None,
        };
        for n in 0..threads {
            let (jobs, relief) = (jobs.clone(), relief.clone());
            let worker = std::thread::Builder::new().name(format!("{workers}-{n}"));
            worker.spawn(move || {
                name.request_turns();
                match relief {
                    None => work(&jobs),
                    Some(relief) => relief.work(&jobs, n),
                }
            })?;
        }
        Ok(Self {
            queue,
            capacity,
            rayon: Arc::new(rayon),
            relief,
            counts,
        })
    }

    /// Returns the threads that share the work of one query.
    pub(crate) fn rayon(&self) -> Arc<rayon::ThreadPool> {
        Arc::clone(&self.rayon)
    }

    /// Evaluates `job` on the threads of the lane, by `deadline`.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the evaluation at its next check.
    pub(crate) async fn run<T, F>(&self, deadline: Instant, job: F) -> Result<T, PoolFault>
    where
        T: Send + 'static,
        F: FnOnce(&Arc<Control>) -> T + Send + 'static,
    {
        let control = Arc::new(Control::until(deadline));
        let called_off = Arc::new(OnceLock::new());
        let cancel = CancelOnDrop {
            control: Arc::clone(&control),
            at: Arc::clone(&called_off),
        };
        let (reply, answer) = oneshot::channel();
        let counts = Arc::clone(&self.counts);
        let job: Job = Box::new(move || {
            if reply.is_closed() {
                return;
            }
            let outcome = if Instant::now() >= deadline {
                None
            } else {
                let _running = RunningGuard::begin(&counts);
                Some(job(&control))
            };
            if let Some(at) = called_off.get() {
                let stopping = metrics::histogram!(metric::SEARCH_CANCELLED_SECONDS.name);
                stopping.record(at.elapsed());
            }
            // The caller may have gone meanwhile; then nobody wants the result.
            drop(reply.send(outcome));
        });
        if let Some(relief) = &self.relief {
            relief.enter();
        }
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.queue.try_send(job)
        {
            if let Some(relief) = &self.relief {
                relief.leave();
            }
            metrics::counter!(metric::SEARCH_REJECTED.name).increment(1);
            self.counts.reject();
            let fault = LeafFault::Rejected {
                queue: "search".into(),
                capacity: self.capacity,
            };
            return Err(PoolFault::Rejected(fault));
        }
        let outcome = answer.await;
        drop(cancel);
        match outcome {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(PoolFault::Late),
            Err(_) => Err(PoolFault::Panicked),
        }
    }
}

/// Evaluates a job where it is called; one that panics gives no result.
pub(crate) fn caught<T>(job: impl FnOnce() -> T) -> Result<T, PoolFault> {
    std::panic::catch_unwind(AssertUnwindSafe(job)).map_err(|_| {
        tell_panic();
        PoolFault::Panicked
    })
}

fn work(jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        do_job(job);
    }
}

fn do_job(job: Job) {
    if std::panic::catch_unwind(AssertUnwindSafe(job)).is_err() {
        tell_panic();
    }
}

fn tell_panic() {
    tracing::error!("a query panicked; its request was answered with an error");
}

#[cfg(test)]
mod tests;

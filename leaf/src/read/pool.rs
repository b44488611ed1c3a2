//! The threads that evaluate queries, behind a bounded queue.
//!
//! tokio hands work over through a bounded channel; as many workers as there are cores take it and
//! spread large queries over one rayon pool, so at most that many queries share the cores at once. Work whose
//! caller has gone, or whose deadline has passed while it waited, is dropped unevaluated. What is known to
//! be brief is evaluated where it is asked for: two hand-overs take longer.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use gleaner_model::metric;
use gleaner_model::node_stats::PoolStats;
use gleaner_partial::control::Control;
use gleaner_proto::LeafFault;
use tokio::sync::oneshot;

use crate::counts::{Counts, Running};

type Job = Box<dyn FnOnce() + Send>;

/// A bounded queue in front of a rayon pool.
pub(crate) struct Pool {
    queue: Sender<Job>,
    capacity: usize,
    rayon: Arc<rayon::ThreadPool>,
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
    /// Starts `threads` workers with room for `capacity` waiting jobs.
    pub(crate) fn start(threads: usize, capacity: usize) -> Result<Self, std::io::Error> {
        let (queue, jobs) = bounded::<Job>(capacity);
        let rayon = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|n| format!("segment-{n}"))
            .build()
            .map_err(std::io::Error::other)?;
        let rayon = Arc::new(rayon);
        for n in 0..threads {
            let jobs = jobs.clone();
            let worker = std::thread::Builder::new().name(format!("search-{n}"));
            worker.spawn(move || work(&jobs))?;
        }
        Ok(Self {
            queue,
            capacity,
            rayon,
            counts: Arc::default(),
        })
    }

    /// Returns what runs, waits and was refused. What is evaluated where it is asked for counts as well.
    pub(crate) fn stats(&self) -> PoolStats {
        PoolStats {
            num_threads: self.rayon.current_num_threads() as u64,
            num_queued: self.queue.len() as u64,
            queue_capacity: Some(self.capacity as u64),
            ..self.counts.stats()
        }
    }

    /// Returns the threads that share the work of one query.
    pub(crate) fn rayon(&self) -> Arc<rayon::ThreadPool> {
        Arc::clone(&self.rayon)
    }

    /// Evaluates a job of less than a millisecond: on the caller's thread when nobody waits for the
    /// pool, as handing it over would take longer; else as [`Self::run`].
    pub(crate) async fn run_brief<T, F>(&self, deadline: Instant, job: F) -> Result<T, PoolFault>
    where
        T: Send + 'static,
        F: FnOnce(&Arc<Control>) -> T + Send + 'static,
    {
        if !self.queue.is_empty() {
            return self.run(deadline, job).await;
        }
        if Instant::now() >= deadline {
            return Err(PoolFault::Late);
        }
        let control = Arc::new(Control::until(deadline));
        let _running = self.counts.begin();
        caught(|| job(&control))
    }

    /// Evaluates `job` on the pool, by `deadline`.
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
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.queue.try_send(job)
        {
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
        if std::panic::catch_unwind(AssertUnwindSafe(job)).is_err() {
            tell_panic();
        }
    }
}

fn tell_panic() {
    tracing::error!("a query panicked; its request was answered with an error");
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    /// Occupies the only thread until the returned sender is dropped.
    fn occupy(pool: &Arc<Pool>) -> std::sync::mpsc::Sender<()> {
        let (release, released) = std::sync::mpsc::channel::<()>();
        let (started, has_started) = std::sync::mpsc::channel();
        let pool = Arc::clone(pool);
        tokio::spawn(async move {
            let job = move |_: &Arc<Control>| {
                started.send(()).expect("the test waits");
                assert!(released.recv().is_err(), "nothing is sent");
            };
            drop(pool.run(soon(), job).await);
        });
        has_started.recv().expect("the job starts");
        release
    }

    fn pool(capacity: usize) -> Arc<Pool> {
        Arc::new(Pool::start(1, capacity).expect("threads"))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_full_queue_rejects_and_says_so() {
        let pool = pool(1);
        let release = occupy(&pool);
        let mut waiting = Box::pin(pool.run(soon(), |_| 1));
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        let rejected = pool.run(soon(), |_| 2).await;
        let Err(PoolFault::Rejected(LeafFault::Rejected { queue, capacity })) = rejected else {
            panic!("there is no room");
        };
        assert_eq!((&*queue, capacity), ("search", 1));
        drop(release);
        assert!(matches!(waiting.await, Ok(1)));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn late_and_abandoned_work_is_not_evaluated() {
        let pool = pool(8);
        let release = occupy(&pool);
        let late = pool.run(Instant::now(), |_| panic!("too late"));
        let mut abandoned = Box::pin(pool.run(soon(), |_| panic!("nobody waits")));
        assert!(futures::poll!(abandoned.as_mut()).is_pending());
        drop(abandoned);
        let wanted = pool.run(soon(), |_| 3);
        drop(release);
        let (late, wanted): (Result<(), _>, _) = futures::join!(late, wanted);
        assert!(matches!(late, Err(PoolFault::Late)));
        assert!(matches!(wanted, Ok(3)));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_abandoned_evaluation_is_told_to_stop() {
        let pool = pool(1);
        let (started, has_started) = tokio::sync::oneshot::channel();
        let (stopped, has_stopped) = tokio::sync::oneshot::channel();
        let running = pool.run(soon(), move |control| {
            started.send(()).expect("the test waits");
            while control.check().is_ok() {
                std::thread::yield_now();
            }
            stopped.send(()).expect("the test waits");
        });
        tokio::select! {
            _ = running => panic!("it runs until it is cancelled"),
            _ = has_started => {}
        }
        has_stopped.await.expect("cancelled");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn brief_work_is_done_in_place_unless_others_wait() {
        let pool = pool(8);
        let here = std::thread::current().id();
        let thread = |_: &Arc<Control>| std::thread::current().id();
        let done = futures::poll!(Box::pin(pool.run_brief(soon(), thread)));
        assert!(matches!(done, std::task::Poll::Ready(Ok(id)) if id == here));
        let late = pool.run_brief(Instant::now(), |_| panic!("too late"));
        assert!(matches!(late.await, Err::<(), _>(PoolFault::Late)));
        let panicked: Result<(), _> = pool.run_brief(soon(), |_| panic!("as a test asks")).await;
        assert!(matches!(panicked, Err(PoolFault::Panicked)));
        let release = occupy(&pool);
        let mut waiting = Box::pin(pool.run(soon(), |_| 1));
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        let mut brief = Box::pin(pool.run_brief(soon(), |_| 2));
        assert!(futures::poll!(brief.as_mut()).is_pending());
        drop(release);
        assert!(matches!(waiting.await, Ok(1)));
        assert!(matches!(brief.await, Ok(2)));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_panic_is_one_failure_and_the_thread_goes_on() {
        let pool = pool(1);
        let panicked: Result<(), _> = pool.run(soon(), |_| panic!("as a test asks")).await;
        assert!(matches!(panicked, Err(PoolFault::Panicked)));
        assert!(matches!(pool.run(soon(), |_| 4).await, Ok(4)));
    }
}

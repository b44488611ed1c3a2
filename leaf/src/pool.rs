//! The threads that evaluate queries, behind a bounded queue.
//!
//! tokio hands work over through a bounded channel; as many workers as there are cores take it and
//! spread large queries over one rayon pool, so at most that many queries share the cores at once. Work whose
//! caller has gone, or whose deadline has passed while it waited, is dropped unevaluated.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use gleaner_engine::control::Control;
use gleaner_proto::LeafFault;
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// A bounded queue in front of a rayon pool.
pub(crate) struct Pool {
    queue: Sender<Job>,
    capacity: usize,
    rayon: Arc<rayon::ThreadPool>,
}

/// Cancels the evaluation when the caller goes away.
struct CancelOnDrop(Arc<Control>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
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
        })
    }

    /// Returns the threads that share the work of one query.
    pub(crate) fn rayon(&self) -> Arc<rayon::ThreadPool> {
        Arc::clone(&self.rayon)
    }

    /// Evaluates `job` on the pool, within `remaining`.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the evaluation at its next check.
    pub(crate) async fn run<T, F>(&self, remaining: Duration, job: F) -> Result<T, PoolFault>
    where
        T: Send + 'static,
        F: FnOnce(&Arc<Control>) -> T + Send + 'static,
    {
        let deadline = Instant::now() + remaining;
        let control = Arc::new(Control::until(deadline));
        let cancel = CancelOnDrop(Arc::clone(&control));
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move || {
            if reply.is_closed() {
                return;
            }
            let outcome = if Instant::now() >= deadline {
                None
            } else {
                Some(job(&control))
            };
            // The caller may have gone meanwhile; then nobody wants the result.
            drop(reply.send(outcome));
        });
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.queue.try_send(job)
        {
            metrics::counter!("gleaner_search_rejected_total").increment(1);
            let fault = LeafFault::Rejected {
                queue: "search",
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

fn work(jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
        if outcome.is_err() {
            tracing::error!("a query panicked; its request was answered with an error");
        }
    }
}

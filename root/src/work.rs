//! Work on answers that the runtime's threads must not wait for: filtering, rendering, reading large bodies.
//!
//! Does: run it on a thread of its own, as many at once as there are cores, by a deadline, until the
//! caller goes away (`Searcher::work`); measure the processor time that a request takes of this process. Does not:
//! decide what is work; what takes less than half a millisecond is done where it is.
//! Called by `fetch`, `by_term`, `aggregations`, `term_vectors`, `ingest` and `api`.

use std::sync::Arc;
use std::time::Duration;

use gleaner_partial::control::Control;
use gleaner_threads::CpuTime;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::RootError;

tokio::task_local! {
    /// What the request that is being answered takes.
    static SPENT: Arc<CpuTime>;
}

/// Awaits `work`; returns with it the processor time that it took of this process, as far as it is done in its own steps
/// and by [`on_own_thread`]. What leaves say they took is not in it, be they in this process or not.
///
/// # Cancel safety
/// Dropping the future drops `work`.
pub async fn measured<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let spent = Arc::new(CpuTime::default());
    let done = SPENT.scope(Arc::clone(&spent), spent.around(work)).await;
    (done, spent.get())
}

/// Does `job` on a thread that may block, for the request that is being answered: where that is [`measured`], what the job
/// takes counts.
///
/// # Errors
/// When it panicked.
pub async fn on_own_thread<T: Send + 'static>(
    job: impl FnOnce() -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    let spent = SPENT.try_with(Arc::clone).ok();
    let job = move || match spent {
        Some(spent) => spent.time(job),
        None => job(),
    };
    tokio::task::spawn_blocking(job).await
}

/// Places for work on threads of its own.
pub(crate) struct Workers(Arc<Semaphore>);

impl Default for Workers {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self(Arc::new(Semaphore::new(cores)))
    }
}

/// Calls the work off when the caller goes away.
struct CancelOnDrop(Arc<Control>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Workers {
    /// Does `job` by `deadline`; `None` when that passed before there was a place for it.
    ///
    /// # Errors
    /// [`RootError::Internal`] when it panicked.
    ///
    /// # Cancel safety
    /// Dropping the future ends the work at its next check.
    pub(crate) async fn run<T, F>(&self, deadline: Instant, job: F) -> Result<Option<T>, RootError>
    where
        T: Send + 'static,
        F: FnOnce(&Control) -> T + Send + 'static,
    {
        let permit = Arc::clone(&self.0).acquire_owned();
        let Ok(permit) = tokio::time::timeout_at(deadline, permit).await else {
            return Ok(None);
        };
        let control = Arc::new(Control::until(deadline.into_std()));
        let cancel = CancelOnDrop(Arc::clone(&control));
        let span = tracing::Span::current();
        let done = on_own_thread(move || {
            let done = span.in_scope(|| job(&control));
            drop(permit);
            done
        });
        let done = done.await;
        drop(cancel);
        let panicked = |_| RootError::Internal("work on an answer panicked".to_owned());
        done.map(Some).map_err(panicked)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gleaner_threads::processor_time;

    use super::*;

    fn workers(places: usize) -> Workers {
        Workers(Arc::new(Semaphore::new(places)))
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn work_waits_for_a_place_and_no_longer_than_it_may() {
        let workers = workers(1);
        let (release, released) = std::sync::mpsc::channel::<()>();
        let held = workers.run(soon(), move |_| assert!(released.recv().is_err()));
        let mut held = Box::pin(held);
        assert!(futures::poll!(held.as_mut()).is_pending());
        let late = workers.run(Instant::now(), |_| panic!("there is no place"));
        assert!(matches!(late.await, Ok(None::<()>)));
        drop(release);
        assert!(matches!(held.await, Ok(Some(()))));
        assert!(matches!(workers.run(soon(), |_| 1).await, Ok(Some(1))));
    }

    #[tokio::test(start_paused = true)]
    async fn work_has_its_time_from_when_it_is_asked_for() {
        let root = crate::testing::Fixture::new([]).root;
        tokio::time::advance(2 * root.cluster().default_timeout()).await;
        let mut places = Vec::new();
        while let Ok(place) = Arc::clone(&root.searcher.workers.0).try_acquire_owned() {
            places.push(place);
        }
        let mut work = Box::pin(root.searcher().work(|keep_on| keep_on()));
        assert!(futures::poll!(work.as_mut()).is_pending(), "it waits");
        drop(places);
        assert!(matches!(work.await, Ok(true)));
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_called_off() {
        let workers = workers(1);
        let (stopped, has_stopped) = tokio::sync::oneshot::channel();
        let (started, has_started) = tokio::sync::oneshot::channel();
        let work = workers.run(soon(), move |control| {
            started.send(()).expect("the test waits");
            while control.check().is_ok() {
                std::thread::yield_now();
            }
            stopped.send(()).expect("the test waits");
        });
        tokio::select! {
            _ = work => panic!("it goes on until it is called off"),
            started = has_started => started.expect("it starts"),
        }
        has_stopped.await.expect("it ends");
    }

    #[tokio::test]
    async fn what_is_done_on_other_threads_for_a_request_is_measured() {
        let span = Duration::from_millis(20);
        let spin = move || {
            let before = processor_time();
            while processor_time() - before < span {}
        };
        let apart = CpuTime::default();
        let work = async {
            // Counts for itself, as a leaf of this process does.
            apart.time(spin);
            workers(1).run(soon(), move |_| spin()).await
        };
        let (done, took) = measured(work).await;
        assert!(matches!(done, Ok(Some(()))));
        assert!(took >= span, "{took:?}");
        assert!(took < span + apart.get(), "{took:?} {apart:?}");
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_gives_its_place_back() {
        let workers = workers(1);
        let panicked = workers.run(soon(), |_| -> () { panic!("as a test asks") });
        assert!(matches!(panicked.await, Err(RootError::Internal(_))));
        assert!(matches!(workers.run(soon(), |_| 1).await, Ok(Some(1))));
    }
}

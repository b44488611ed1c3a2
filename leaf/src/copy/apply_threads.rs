//! Threads that apply operations: a few for the whole node, however many shards have some.
//!
//! Does: let so many apply at once, in the order they asked, and let one with much to do ask again after a
//! turn. Does not: apply. Called by whatever brings operations to a copy. Read first: [`ApplyThreads::run`].

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinError;

/// Threads at least: shards of one request work side by side although some of them wait for a disk.
const LEAST_THREADS: usize = 8;

/// The threads of a node; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ApplyThreads(Arc<Semaphore>);

impl ApplyThreads {
    /// Returns the threads of a node with so many processors.
    pub(crate) fn of(num_processors: usize) -> Self {
        let num_threads = LEAST_THREADS.max(2 * num_processors);
        Self(Arc::new(Semaphore::new(num_threads)))
    }

    /// Does work that may block, once there is a thread for it.
    ///
    /// # Errors
    /// [`JoinError`] when it panics.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T, JoinError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        // An error means that the semaphore is closed, which nobody does.
        let permit = Arc::clone(&self.0).acquire_owned().await;
        tokio::task::spawn_blocking(move || {
            // Kept by the thread: whoever asked may go away meanwhile.
            let _permit = permit;
            work()
        })
        .await
    }
}

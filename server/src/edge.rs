//! A thread with a runtime of its own, which nothing but connections and probes uses.

use std::future::Future;
use std::io;
use std::thread;

use gleaner_threads::TimeSlice;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The thread; it ends, and what runs on it with it, when this is dropped.
pub(crate) struct Edge {
    handle: Handle,
    _running: oneshot::Sender<()>,
}

impl Edge {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread or no descriptors left.
    pub(crate) fn start(name: &str) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (running, ended) = oneshot::channel();
        thread::Builder::new()
            .name(format!("edge-{name}"))
            .spawn(move || {
                // Its steps take microseconds, and probes wait for them.
                TimeSlice::Short.request();
                // The other end is dropped: that is the end.
                drop(runtime.block_on(ended));
                runtime.shutdown_background();
            })?;
        Ok(Self {
            handle,
            _running: running,
        })
    }

    /// Runs `task` on the thread.
    pub(crate) fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.spawn(task)
    }
}

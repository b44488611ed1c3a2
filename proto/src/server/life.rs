//! The stages of a server's life, and how calls follow them.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use tokio::sync::watch;
use tonic::Status;

/// Where a server stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// It answers.
    Serving,
    /// Calls in flight may end; those that only wait are ended.
    Draining,
    /// Calls in flight are dropped.
    Over,
}

/// Follows the stages.
#[derive(Debug, Clone)]
pub(super) struct Life(watch::Receiver<Stage>);

/// Returns the stages of a new server; when the sender is gone, the life is over.
pub(super) fn begin() -> (watch::Sender<Stage>, Life) {
    let (sender, receiver) = watch::channel(Stage::Serving);
    (sender, Life(receiver))
}

impl Life {
    /// Runs a call to its end, unless the server's life ends before.
    pub(super) async fn run<T>(&self, call: impl Future<Output = T> + Send) -> Result<T, Status> {
        self.run_until(Stage::Over, call).await
    }

    /// Runs a call that waits for something to happen, unless the server begins to stop.
    pub(super) async fn wait<T>(&self, call: impl Future<Output = T> + Send) -> Result<T, Status> {
        self.run_until(Stage::Draining, call).await
    }

    /// Waits until the server begins to stop.
    pub(super) async fn draining(&self) {
        self.reached(Stage::Draining).await;
    }

    async fn run_until<T>(
        &self,
        stage: Stage,
        call: impl Future<Output = T> + Send,
    ) -> Result<T, Status> {
        tokio::select! {
            biased;
            // A broken invariant fails one call, not the connection with all calls on it.
            answer = AssertUnwindSafe(call).catch_unwind() => {
                answer.map_err(|_| Status::internal("the call panicked"))
            }
            () = self.reached(stage) => Err(Status::unavailable("the node is stopping")),
        }
    }

    async fn reached(&self, stage: Stage) {
        let mut stages = self.0.clone();
        // An error says that the sender is gone: over.
        drop(stages.wait_for(|now| *now >= stage).await);
    }
}

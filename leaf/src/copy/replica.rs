//! A copy that follows: what only a replica has.
//!
//! Does not: follow ([`crate::agree`]).

use std::sync::Arc;

use crate::copy::pipeline::InFlight;
use crate::copy::shard::Shard;

/// A copy that follows its shard's primary.
pub(crate) struct Replica {
    pub(crate) shard: Arc<Shard>,
    /// Locked where the next step of following begins, and by what holds it up.
    steps: tokio::sync::Mutex<()>,
}

impl Replica {
    /// Returns the replica of an open copy.
    pub(crate) fn new(shard: Arc<Shard>) -> Self {
        Self {
            shard,
            steps: tokio::sync::Mutex::default(),
        }
    }

    /// Begins a step that closing the copy waits for; `None` once it is being closed.
    pub(crate) async fn begin_step(&self) -> Option<InFlight> {
        let _turn = self.steps.lock().await;
        InFlight::begin_unless_closed(&self.shard.pipeline)
    }

    /// Waits until no step is under way, and lets none begin while the guard lives: nothing is applied.
    pub(crate) async fn pause_steps(&self) -> tokio::sync::MutexGuard<'_, ()> {
        let pause = self.steps.lock().await;
        self.shard.pipeline.wait_idle().await;
        pause
    }

    /// Begins no further step and waits for the one under way. Nothing is made durable.
    pub(crate) async fn close(&self) {
        self.shard.end_driver();
        self.shard.pipeline.close();
        self.shard.pipeline.wait_idle().await;
        self.shard.applier.close("this copy was closed");
    }
}

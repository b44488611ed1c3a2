//! The end of a leaf.

use std::sync::Arc;

use futures::future::join_all;
use gleaner_engine::copy::ShardIndex;
use tokio::sync::watch;

use crate::Leaf;
use crate::role::Role;
use crate::shard::Shard;

impl Leaf {
    /// Stops without a last durable commit, as a crash would: the log has what was acknowledged.
    /// Returns when nothing of this leaf runs any more.
    pub async fn abandon(&self) {
        self.stopping.send_replace(true);
        join_all(self.open_shards().iter().map(|shard| shard.refuse_writes())).await;
        self.wait_for_tasks().await;
    }

    /// Stops: writes are refused, those under way are finished, everything applied is made durable
    /// and writers are closed. Returns when nothing of this leaf runs any more.
    pub async fn stop(&self) {
        self.stopping.send_replace(true);
        let shards = self.open_shards();
        join_all(shards.iter().map(|shard| self.close_shard(shard))).await;
        drop(shards);
        self.wait_for_tasks().await;
    }

    async fn close_shard(&self, shard: &Arc<Shard>) {
        let has_failed = shard.applier.failure().is_some();
        shard.refuse_writes().await;
        // A replica that shows less than it has applied leaves the rest to its log: see
        // `flush_shard`.
        if has_failed || (shard.role() == Role::Replica && !shard.shows_all()) {
            return;
        }
        if let Err(fault) = self.commit(shard, ShardIndex::close).await {
            tracing::warn!(shard = %shard.key, %fault, "last durable commit failed; the log has it");
        }
    }

    async fn wait_for_tasks(&self) {
        let mut tasks = self.tasks.subscribe();
        // An error means that the sender is gone, and it lives in `self`.
        drop(tasks.wait_for(|tasks| *tasks == 0).await);
    }
}

/// A background task that runs; it holds no leaf, so that who waits for it finds the leaf let go.
pub(crate) struct Task(pub(crate) Arc<watch::Sender<usize>>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.send_modify(|tasks| *tasks -= 1);
    }
}

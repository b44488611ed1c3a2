//! What a leaf says of its shards, and of its node.

use std::sync::Arc;

use gleaner_engine::copy::ShardStats;
use gleaner_model::node_stats::{BudgetStats, NodeStats};
use gleaner_model::{SeqNo, ShardKey};
use gleaner_proto::node::NodeFault;
use gleaner_proto::read::{ShardPhase, ShardState};

use crate::Leaf;
use crate::applier::with_causes;
use crate::role::Role;
use crate::shard::{Shard, Slot};

impl Leaf {
    /// Returns the state of each shard.
    pub(crate) async fn states(&self) -> Vec<ShardState> {
        let keys: Vec<ShardKey> = self.shards.lock().keys().copied().collect();
        let mut states = Vec::with_capacity(keys.len());
        for key in keys {
            states.extend(self.state(key).await);
        }
        states
    }

    /// Returns the state of one shard, unless it is not here or is being removed.
    async fn state(&self, key: ShardKey) -> Option<ShardState> {
        loop {
            let slot = self.slot(key)?;
            let (phase, reason) = match slot {
                Slot::Open(shard) => {
                    let state = state_of(&shard).await;
                    if self.is_open(&shard) {
                        return Some(state);
                    }
                    // It was closed meanwhile: by now the slot says what became of it.
                    continue;
                }
                Slot::Opening(opening) => (ShardPhase::Recovering, opening.progress()),
                Slot::Failed(reason) => (ShardPhase::Failed, reason.to_string()),
                Slot::Closing => return None,
            };
            let is_primary = self.role(&self.coordinator.state(), key) == Some(Role::Primary);
            return Some(closed_state(key, is_primary, phase, reason));
        }
    }

    fn slot(&self, key: ShardKey) -> Option<Slot> {
        self.shards.lock().get(&key).cloned()
    }

    /// Returns whether a shard is the copy that this leaf has open.
    fn is_open(&self, shard: &Arc<Shard>) -> bool {
        let slot = self.slot(shard.key);
        matches!(slot, Some(Slot::Open(open)) if Arc::ptr_eq(&open, shard))
    }

    /// Returns what the node says of itself. It is read on a thread that may block: a file system on a network
    /// may take long to answer.
    pub(crate) async fn stats_of_node(&self) -> Result<NodeStats, NodeFault> {
        let probe = Arc::clone(&self.probe);
        let read = tokio::task::spawn_blocking(move || probe.read()).await;
        let unread = |error: tokio::task::JoinError| NodeFault::Unreadable {
            reason: error.to_string(),
        };
        Ok(NodeStats {
            query_memory: Some(BudgetStats {
                held_bytes: self.memory.held_bytes(),
                limit_bytes: self.options.query_memory_bytes,
            }),
            ..read.map_err(unread)?
        })
    }
}

async fn state_of(shard: &Arc<Shard>) -> ShardState {
    let next = match shard.role() {
        Role::Primary => shard.primary.lock().await.next,
        Role::Replica => shard.applier.next(),
    };
    let reading = Arc::clone(shard);
    let stats = tokio::task::spawn_blocking(move || reading.engine().stats()).await;
    let stats = match stats.map_err(|error| error.to_string()) {
        Ok(Ok(stats)) => stats,
        Ok(Err(error)) => unsized_stats(shard, &with_causes(&error)),
        Err(reason) => unsized_stats(shard, &reason),
    };
    let (phase, reason) = match shard.applier.failure() {
        Some(failure) => (ShardPhase::Failed, Some(failure.to_string())),
        None => (ShardPhase::Started, shard.cut_off()),
    };
    ShardState {
        shard: shard.key,
        is_primary: shard.role() == Role::Primary,
        phase,
        reason,
        generation: shard.engine().view().generation(),
        max_seq_no: next.0.checked_sub(1).map(SeqNo),
        committed: shard.flushes.lock().committed,
        num_documents: stats.documents,
        num_deleted: stats.deleted,
        num_segments: stats.segments as u64,
        store_bytes: stats.store_bytes,
        log_bytes: 0,
        counters: shard.counters.snapshot(),
    }
}

/// Returns the figures of a copy whose folder cannot be read.
fn unsized_stats(shard: &Shard, reason: &str) -> ShardStats {
    tracing::warn!(shard = %shard.key, reason, "the size of a copy on disk is not known");
    shard.engine().counts()
}

fn closed_state(
    shard: ShardKey,
    is_primary: bool,
    phase: ShardPhase,
    reason: String,
) -> ShardState {
    ShardState {
        reason: Some(reason),
        ..ShardState::empty(shard, is_primary, phase)
    }
}

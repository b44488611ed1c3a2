//! What a leaf says of its shards.

use std::sync::Arc;

use gleaner_engine::copy::ShardStats;
use gleaner_model::{SeqNo, ShardKey};
use gleaner_proto::read::{ShardPhase, ShardState};

use crate::Leaf;
use crate::applier::told;
use crate::role::Role;
use crate::shard::{Shard, Slot};

impl Leaf {
    /// Returns the state of each shard.
    pub(crate) async fn states(&self) -> Vec<ShardState> {
        let slots: Vec<(ShardKey, Slot)> = self
            .shards
            .lock()
            .iter()
            .map(|(key, slot)| (*key, slot.clone()))
            .collect();
        let mut states = Vec::with_capacity(slots.len());
        let state = self.coordinator.state();
        for (key, slot) in slots {
            let (phase, reason) = match slot {
                Slot::Open(shard) => {
                    states.push(state_of(&shard).await);
                    continue;
                }
                Slot::Opening(opening) => (ShardPhase::Recovering, opening.told()),
                Slot::Failed(reason) => (ShardPhase::Failed, reason.to_string()),
                Slot::Closing => continue,
            };
            let is_primary = self.role(&state, key) == Some(Role::Primary);
            states.push(closed_state(key, is_primary, phase, reason));
        }
        states
    }
}

async fn state_of(shard: &Arc<Shard>) -> ShardState {
    let next = match shard.role {
        Role::Primary => shard.primary.lock().await.next,
        Role::Replica => shard.applier.next(),
    };
    let reading = Arc::clone(shard);
    let stats = tokio::task::spawn_blocking(move || reading.engine().stats()).await;
    let stats = match stats.map_err(|error| error.to_string()) {
        Ok(Ok(stats)) => stats,
        Ok(Err(error)) => unsized_stats(shard, &told(&error)),
        Err(reason) => unsized_stats(shard, &reason),
    };
    let (phase, reason) = match (shard.applier.failure(), shard.silent_for()) {
        (Some(failure), _) => (ShardPhase::Failed, Some(failure.to_string())),
        (None, Some(silent)) => {
            let silent_s = silent.as_secs();
            let reason = format!("its primary has not been heard of for {silent_s} s");
            (ShardPhase::Started, Some(reason))
        }
        (None, None) => (ShardPhase::Started, None),
    };
    ShardState {
        shard: shard.key,
        is_primary: shard.role == Role::Primary,
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

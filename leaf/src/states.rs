//! What a leaf says of its shards.

use std::sync::Arc;

use gleaner_model::{Generation, SeqNo, ShardKey};
use gleaner_proto::read::{ShardCounters, ShardPhase, ShardState};

use crate::Leaf;
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
        for (key, slot) in slots {
            states.push(match slot {
                Slot::Open(shard) => state_of(&shard).await,
                Slot::Opening => closed_state(key, ShardPhase::Recovering, None),
                Slot::Failed(reason) => {
                    closed_state(key, ShardPhase::Failed, Some(reason.to_string()))
                }
            });
        }
        states
    }
}

async fn state_of(shard: &Arc<Shard>) -> ShardState {
    let next = shard.primary.lock().await.next;
    let reading = Arc::clone(shard);
    let stats = tokio::task::spawn_blocking(move || reading.engine().stats()).await;
    let stats = stats.ok().and_then(Result::ok).unwrap_or_default();
    let failure = shard.applier.failure();
    ShardState {
        shard: shard.key,
        is_primary: true,
        phase: if failure.is_some() {
            ShardPhase::Failed
        } else {
            ShardPhase::Started
        },
        reason: failure.map(|reason| reason.to_string()),
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

fn closed_state(shard: ShardKey, phase: ShardPhase, reason: Option<String>) -> ShardState {
    ShardState {
        shard,
        is_primary: true,
        phase,
        reason,
        generation: Generation::default(),
        max_seq_no: None,
        committed: SeqNo(0),
        num_documents: 0,
        num_deleted: 0,
        num_segments: 0,
        store_bytes: 0,
        log_bytes: 0,
        counters: ShardCounters::default(),
    }
}

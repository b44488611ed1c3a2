//! What a leaf says of its shards, and of its node.

use std::collections::HashMap;
use std::sync::Arc;

use gleaner_engine::EngineError;
use gleaner_engine::copy::{SegmentStats, ShardStats};
use gleaner_model::node_stats::{BudgetStats, NodeStats};
use gleaner_model::{SeqNo, ShardKey};
use gleaner_proto::node::NodeFault;
use gleaner_proto::read::{SegmentState, ShardCounters, ShardGauges, ShardPhase, ShardState};

use crate::Leaf;
use crate::copy::applier::with_causes;
use crate::copy::opening::EndedOpening;
use crate::copy::registry::{CopyState, OpenCopy};
use crate::copy::shard::Shard;
use crate::node::Role;

impl Leaf {
    /// Returns the state of each copy that is asked about.
    pub(crate) async fn states(&self, is_asked: impl Fn(&ShardKey) -> bool) -> Vec<ShardState> {
        let keys: Vec<ShardKey> = {
            let copies = self.copies.lock();
            copies.keys().filter(|key| is_asked(key)).copied().collect()
        };
        let mut measured = self.measured(&keys).await;
        let mut states = Vec::with_capacity(keys.len());
        for key in keys {
            let figures = measured.remove(&key);
            let Some(state) = self.state_of_slot(key, figures).await else {
                continue;
            };
            states.push(ShardState {
                put_aside: self.put_aside(key).await,
                ..state
            });
        }
        states
    }

    /// Measures those of the copies that are open, in one piece of work for them all.
    async fn measured(&self, keys: &[ShardKey]) -> HashMap<ShardKey, Figures> {
        let open: Vec<Arc<Shard>> = {
            let copies = self.copies.lock();
            let open = keys.iter().filter_map(|key| match copies.get(key)? {
                CopyState::Open(copy) => Some(Arc::clone(copy.shard())),
                _ => None,
            });
            open.collect()
        };
        let measuring = tokio::task::spawn_blocking(move || {
            let figures = open.iter().map(|shard| (shard.key, shard.engine().stats()));
            figures.collect()
        });
        measuring.await.unwrap_or_default()
    }

    /// Returns the folder of a damaged log that is still there. Of a copy without one, as most are, no disk is asked.
    async fn put_aside(&self, key: ShardKey) -> Option<String> {
        let folder = self.node.log.put_aside(key)?;
        let shown = folder.display().to_string();
        let looked = tokio::task::spawn_blocking(move || folder.try_exists()).await;
        // One that cannot be looked at is named.
        let is_gone = matches!(looked, Ok(Ok(false)));
        (!is_gone).then_some(shown)
    }

    /// Returns the state of one copy, unless it is not here or is being removed. `figures` are its, where it was measured.
    async fn state_of_slot(
        &self,
        key: ShardKey,
        mut figures: Option<Figures>,
    ) -> Option<ShardState> {
        let is_primary = || {
            let state = self.node.coordinator.state();
            self.node.role(&state, key) == Some(Role::Primary)
        };
        loop {
            let (phase, reason) = match self.copies.get(key)? {
                CopyState::Open(copy) => {
                    let state = state_of(&copy, figures.take()).await;
                    if self.copies.is_open(&copy) {
                        // A copy whose log hangs gives its role up later than the entry does.
                        return Some(ShardState {
                            is_primary: state.is_primary && is_primary(),
                            ..state
                        });
                    }
                    // It was closed meanwhile: by now its state says what became of it.
                    continue;
                }
                CopyState::Opening(opening) => (ShardPhase::Recovering, opening.progress()),
                CopyState::Failed(reason) => (ShardPhase::Failed, reason.to_string()),
                CopyState::Closing => return None,
            };
            return Some(closed_state(key, is_primary(), phase, reason));
        }
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
                held_bytes: self.searcher.memory.held_bytes(),
                limit_bytes: self.node.options.query_memory_bytes,
            }),
            searches: Some(self.searcher.pool.stats()),
            writes: Some(self.writes.queue.stats()),
            ..read.map_err(unread)?
        })
    }
}

/// What a copy was measured to hold.
type Figures = Result<ShardStats, EngineError>;

async fn state_of(copy: &OpenCopy, figures: Option<Figures>) -> ShardState {
    let shard = copy.shard();
    let next = match copy {
        OpenCopy::Primary(primary) => primary.order.lock().await.next,
        OpenCopy::Replica(_) => shard.applier.next(),
    };
    let stats = match figures {
        Some(figures) => Ok(figures),
        None => {
            let reading = Arc::clone(shard);
            tokio::task::spawn_blocking(move || reading.engine().stats()).await
        }
    };
    let stats = match stats.map_err(|error| error.to_string()) {
        Ok(Ok(stats)) => stats,
        Ok(Err(error)) => unsized_stats(shard, &with_causes(&error)),
        Err(reason) => unsized_stats(shard, &reason),
    };
    let (phase, reason) = match shard.applier.failure() {
        Some(failure) => (ShardPhase::Failed, Some(failure.to_string())),
        None if !is_in_sync(shard) => {
            let reason = "it follows its primary, and is not in sync yet";
            (ShardPhase::Recovering, Some(reason.to_owned()))
        }
        None => (ShardPhase::Started, copy.cut_off()),
    };
    let committed = shard.flushes.committed();
    ShardState {
        shard: shard.key,
        is_primary: copy.role() == Role::Primary,
        phase,
        reason,
        generation: shard.engine().view().generation(),
        max_seq_no: next.0.checked_sub(1).map(SeqNo),
        committed,
        num_documents: stats.documents,
        num_deleted: stats.deleted,
        num_segments: stats.num_segments,
        segments: stats.segments.iter().map(segment_state).collect(),
        store_bytes: stats.store_bytes,
        log_bytes: match next > committed {
            true => shard.applier.bytes_since(committed),
            false => 0,
        },
        counters: counters_of(shard, &stats),
        gauges: gauges_of(shard, &stats),
        recovery: shard.opening.get().map(EndedOpening::told),
        put_aside: None,
    }
}

fn counters_of(shard: &Shard, stats: &ShardStats) -> ShardCounters {
    let contexts = shard.views.holder_stats();
    ShardCounters {
        merge_total: stats.merges.num_begun,
        merge_documents: stats.merges.documents,
        merge_bytes: stats.merges.bytes,
        merge_time_ms: stats.merges.took.as_millis() as u64,
        contexts_ended: contexts.num_ended,
        contexts_time_ms: contexts.held.as_millis() as u64,
        ..shard.counters.snapshot()
    }
}

fn gauges_of(shard: &Shard, stats: &ShardStats) -> ShardGauges {
    ShardGauges {
        merges: stats.merges.num_running,
        merging_documents: stats.merges.running_documents,
        merging_bytes: stats.merges.running_bytes,
        contexts: shard.views.holder_stats().num_open,
        writer_bytes: stats.writer_bytes,
        copying: shard.snapshots.num_kept() as u64,
        ..shard.counters.gauges()
    }
}

fn segment_state(segment: &SegmentStats) -> SegmentState {
    SegmentState {
        num_documents: segment.documents,
        num_deleted: segment.deleted,
        store_bytes: segment.bytes,
    }
}

/// Returns whether the copy holds everything acknowledged, by the shard's entry; always so where there is none.
fn is_in_sync(shard: &Shard) -> bool {
    let Some(driver) = shard.driver() else {
        return true;
    };
    let entry = driver.entry();
    entry.is_some_and(|(entry, _)| entry.in_sync.contains(&driver.copy))
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

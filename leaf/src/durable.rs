//! Durable commits of copies, and the trimming of their logs.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use gleaner_engine::EngineError;
use gleaner_engine::copy::{Checkpoint, ShardIndex};
use gleaner_model::SeqNo;
use gleaner_proto::LeafFault;

use crate::Leaf;
use crate::applier::with_causes;
use crate::fault::log_fault;
use crate::followers::Retention;
use crate::role::Role;
use crate::shard::Shard;
use crate::write::stopped;

impl Leaf {
    /// Returns whether the shard had no writes for long enough; `true` once per such time.
    pub(crate) fn is_writer_idle(&self, shard: &Shard) -> bool {
        let next = shard.applier.next();
        let mut flushes = shard.flushes.lock();
        let has_moved = flushes.idle_at != next;
        let is_idle = !has_moved && flushes.idle_since.elapsed() >= self.options.writer_idle;
        if has_moved || is_idle {
            flushes.idle_at = next;
            flushes.idle_since = Instant::now();
        }
        is_idle
    }

    pub(crate) fn is_flush_due(&self, shard: &Shard) -> bool {
        let next = shard.applier.next();
        let flushes = shard.flushes.lock();
        let waiting = next.0.saturating_sub(flushes.committed.0);
        shard.flush_wanted.load(Ordering::Acquire)
            || waiting >= self.options.flush_operations
            || (waiting > 0 && flushes.since.elapsed() >= self.options.flush_interval)
    }

    /// Makes a durable commit and trims the log below it. A replica that shows less than it has
    /// applied makes it when it comes to its next refresh.
    pub(crate) async fn flush_shard(&self, shard: &Arc<Shard>) -> Result<(), LeafFault> {
        match shard.role() {
            Role::Primary => self.commit(shard, ShardIndex::commit).await,
            Role::Replica => self.flush_replica(shard).await,
        }
    }

    /// A replica commits only what it shows: opened again it then shows what its primary had come
    /// to show, and not a state that no other copy passes through.
    async fn flush_replica(&self, shard: &Arc<Shard>) -> Result<(), LeafFault> {
        // Held to the end: nothing is applied meanwhile.
        let primary = shard.primary.lock().await;
        shard.wait_idle().await;
        let is_between_refreshes = !shard.shows_all();
        shard
            .flush_wanted
            .store(is_between_refreshes, Ordering::Release);
        if primary.is_closed || is_between_refreshes {
            return Ok(());
        }
        self.commit(shard, ShardIndex::commit).await
    }

    /// Makes a durable commit of everything a replica has applied, shown or not.
    pub(crate) async fn commit_applied(&self, shard: &Arc<Shard>) -> Result<(), LeafFault> {
        // Held to the end: nothing is applied meanwhile.
        let _primary = shard.primary.lock().await;
        shard.wait_idle().await;
        self.commit(shard, ShardIndex::commit).await
    }

    /// Makes a durable commit by `commit` and trims the log below it.
    pub(crate) async fn commit(
        &self,
        shard: &Arc<Shard>,
        commit: fn(&ShardIndex) -> Result<Checkpoint, EngineError>,
    ) -> Result<(), LeafFault> {
        let committing = Arc::clone(shard);
        let committed = tokio::task::spawn_blocking(move || commit(committing.engine())).await;
        let committed = committed.map_err(|error| error.to_string());
        let committed = committed.and_then(|done| done.map_err(|error| with_causes(&error)));
        // An engine that failed to commit takes no more operations.
        let checkpoint = committed.map_err(|reason| {
            shard.applier.stop(&reason);
            stopped(shard, &reason)
        })?;
        shard.counters.flush.fetch_add(1, Ordering::Relaxed);
        shard.flush_wanted.store(false, Ordering::Release);
        {
            let mut flushes = shard.flushes.lock();
            flushes.committed = flushes.committed.max(checkpoint.next_seq_no);
            flushes.since = Instant::now();
        }
        self.trim(shard).await
    }

    /// Gives up the part of the log that is durably in the index and that no follower needs.
    ///
    /// What is trimmed must be in the index; what is not yet visible is read back from memory.
    pub(crate) async fn trim(&self, shard: &Arc<Shard>) -> Result<(), LeafFault> {
        let committed = shard.flushes.lock().committed;
        let below = match shard.role() {
            Role::Primary => {
                let retention = Retention {
                    patience: self.options.follower_patience,
                    max_bytes: self.options.follower_log_bytes,
                };
                let bytes_since = |position| shard.applier.bytes_since(position);
                let now = Instant::now();
                shard
                    .followers
                    .floor(committed, retention, now, bytes_since)
            }
            // One record stays, to compare with the primary's.
            Role::Replica => SeqNo(committed.0.saturating_sub(1)),
        };
        if below <= shard.flushes.lock().trimmed {
            return Ok(());
        }
        let trimmed = shard.log.trim(shard.key, below).await;
        trimmed.map_err(|error| log_fault(shard.key, &error))?;
        shard.flushes.lock().trimmed = below;
        Ok(())
    }
}

//! Durable commits of copies, and the trimming of their logs.
//!
//! Does: says when a commit is due, makes it, gives up the log below it. Does not: refresh.
//! Called by: maintenance, roots, followers that copy files. Read first: [`OpenCopy::flush`].

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use gleaner_engine::EngineError;
use gleaner_engine::copy::{Checkpoint, ShardIndex};
use gleaner_model::SeqNo;
use gleaner_proto::LeafFault;
use gleaner_replication::Event;

use crate::copy::applier::with_causes;
use crate::copy::counters::Counters;
use crate::copy::registry::OpenCopy;
use crate::copy::replica::Replica;
use crate::copy::shard::Shard;
use crate::fault::log_fault;
use crate::replicate::followers::Retention;
use crate::write::{Primary, stopped};

impl Shard {
    /// Returns whether the shard had no writes for long enough, since this was first asked after the last one or since
    /// [`Self::note_idle_writer`].
    pub(crate) fn is_writer_idle(&self) -> bool {
        let next = self.applier.next();
        let mut progress = self.flushes.progress.lock();
        if progress.idle_at != next {
            progress.idle_at = next;
            progress.idle_since = Instant::now();
            return false;
        }
        progress.idle_since.elapsed() >= self.node.options.writer_idle
    }

    /// Notes that the writer is closed since it is idle.
    pub(crate) fn note_idle_writer(&self) {
        self.flushes.progress.lock().idle_since = Instant::now();
    }

    /// Returns whether a durable commit is due.
    pub(crate) fn is_flush_due(&self) -> bool {
        let (next, options) = (self.applier.next(), &self.node.options);
        let progress = self.flushes.progress.lock();
        let waiting = next.0.saturating_sub(progress.committed.0);
        self.flushes.is_wanted()
            || waiting >= options.flush_operations
            || (waiting > 0 && progress.since.elapsed() >= options.flush_interval)
    }

    /// Makes a durable commit by `commit`.
    async fn commit(
        self: &Arc<Self>,
        commit: fn(&ShardIndex) -> Result<Checkpoint, EngineError>,
    ) -> Result<(), LeafFault> {
        let began = Instant::now();
        let committing = Arc::clone(self);
        let committed = tokio::task::spawn_blocking(move || commit(committing.engine())).await;
        let committed = committed.map_err(|error| error.to_string());
        let committed = committed.and_then(|done| done.map_err(|error| with_causes(&error)));
        // An engine that failed to commit takes no more operations.
        let checkpoint = committed.map_err(|reason| {
            // What stopped it first says more than that it has.
            let first = self.applier.stop(&reason);
            stopped(self.key, &first)
        })?;
        let counters = &self.counters;
        Counters::add(&counters.flush, &counters.flush_us, began.elapsed());
        self.flushes.note_commit(checkpoint);
        Ok(())
    }

    /// Notes what came of a durable commit that was due and that nobody asked for: whether it was made.
    pub(crate) fn note_periodic(&self, flushed: &Result<bool, LeafFault>) {
        match flushed {
            Ok(is_made) => {
                let num_made = u64::from(*is_made);
                self.counters
                    .flush_periodic
                    .fetch_add(num_made, Ordering::Relaxed);
            }
            Err(fault) => tracing::warn!(shard = %self.key, %fault, "durable commit failed"),
        }
    }

    fn is_trimmed_below(&self, below: SeqNo) -> bool {
        below <= self.flushes.progress.lock().trimmed
    }

    /// Gives up the log below a position.
    async fn trim_below(&self, below: SeqNo) -> Result<(), LeafFault> {
        if self.is_trimmed_below(below) {
            return Ok(());
        }
        let trimmed = self.log().trim(self.key, below).await;
        let first = trimmed.map_err(|error| log_fault(self.key, &error))?;
        if let Some(driver) = self.driver() {
            driver.handle(Event::Trimmed { first });
        }
        self.flushes.progress.lock().trimmed = below;
        Ok(())
    }
}

impl OpenCopy {
    /// Makes a durable commit and trims the log below it; returns whether it did. A replica that shows less than it
    /// has applied makes it when it comes to its next refresh.
    pub(crate) async fn flush(&self) -> Result<bool, LeafFault> {
        match self {
            Self::Primary(primary) => primary.commit(ShardIndex::commit).await.map(|()| true),
            Self::Replica(replica) => replica.flush().await,
        }
    }

    /// Gives up the part of the log that is durably in the index and that no follower needs.
    pub(crate) async fn trim(&self) -> Result<(), LeafFault> {
        self.shard().trim_below(self.trim_floor()).await
    }

    /// Returns whether there is a part of the log to be given up.
    pub(crate) fn is_trim_due(&self) -> bool {
        !self.shard().is_trimmed_below(self.trim_floor())
    }

    fn trim_floor(&self) -> SeqNo {
        match self {
            Self::Primary(primary) => primary.trim_floor(),
            Self::Replica(replica) => replica.trim_floor(),
        }
    }

    /// Closes the copy for good: what it has applied is made durable and its writer is closed.
    pub(crate) async fn shut_down(&self) {
        let shard = self.shard();
        let has_failed = shard.applier.failure().is_some();
        self.close().await;
        if has_failed {
            return;
        }
        let committed = match self {
            Self::Primary(primary) => primary.commit(ShardIndex::close).await,
            // What it has applied and does not show is left to its log: see `Replica::flush`.
            Self::Replica(_) if !shard.shows_all() => Ok(()),
            Self::Replica(replica) => replica.commit(ShardIndex::close).await,
        };
        if let Err(fault) = committed {
            tracing::warn!(shard = %shard.key, %fault, "last durable commit failed; the log has it");
        }
    }
}

impl Primary {
    async fn commit(
        &self,
        commit: fn(&ShardIndex) -> Result<Checkpoint, EngineError>,
    ) -> Result<(), LeafFault> {
        self.shard.commit(commit).await?;
        self.shard.trim_below(self.trim_floor()).await
    }

    /// Returns where the log may begin: what is trimmed must be in the index; what is not yet visible is read back from
    /// memory.
    fn trim_floor(&self) -> SeqNo {
        let (shard, options) = (&self.shard, &self.node().options);
        let retention = Retention {
            patience: options.follower_patience,
            max_bytes: options.follower_log_bytes,
        };
        let bytes_since = |position| shard.applier.bytes_since(position);
        let (committed, now) = (shard.flushes.committed(), Instant::now());
        (shard.followers).floor(committed, retention, now, bytes_since)
    }
}

impl Replica {
    /// A replica commits only what it shows: opened again it then shows what its primary had come
    /// to show, and not a state that no other copy passes through. Returns whether it did.
    pub(crate) async fn flush(&self) -> Result<bool, LeafFault> {
        let shard = &self.shard;
        let _pause = self.pause_steps().await;
        let is_between_refreshes = !shard.shows_all();
        shard.flushes.set_wanted(is_between_refreshes);
        if shard.pipeline.state().is_closed || is_between_refreshes {
            return Ok(false);
        }
        self.commit(ShardIndex::commit).await.map(|()| true)
    }

    /// Makes a durable commit of everything it has applied, shown or not.
    pub(crate) async fn commit_applied(&self) -> Result<(), LeafFault> {
        let _pause = self.pause_steps().await;
        self.commit(ShardIndex::commit).await
    }

    async fn commit(
        &self,
        commit: fn(&ShardIndex) -> Result<Checkpoint, EngineError>,
    ) -> Result<(), LeafFault> {
        self.shard.commit(commit).await?;
        self.shard.trim_below(self.trim_floor()).await
    }

    /// Returns where the log may begin: one record stays, to compare with the primary's.
    fn trim_floor(&self) -> SeqNo {
        let committed = self.shard.flushes.committed();
        let kept = (self.shard.driver()).map(|driver| driver.status_now().keep_from);
        let below = SeqNo(committed.0.saturating_sub(1));
        kept.map_or(below, |kept| kept.min(below))
    }
}

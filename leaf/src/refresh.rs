//! Making writes visible: refresh records in the log, and those who wait for them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gleaner_model::{Generation, OperationKind, SeqNo};
use gleaner_proto::LeafFault;
use tokio::sync::OwnedMutexGuard;

use crate::Leaf;
use crate::role::Role;
use crate::shard::{Primary, Shard};

impl Leaf {
    /// Makes every operation ordered before the call visible; returns what searches see then.
    pub(crate) async fn refresh_shard(&self, shard: &Arc<Shard>) -> Result<Generation, LeafFault> {
        if !shard.has_news(&*shard.primary.lock().await) {
            return Ok(shard.engine().view().generation());
        }
        // Writes go on while leases run out.
        let showing = shard.applier.leases.show();
        showing.wait().await;
        let primary = Arc::clone(&shard.primary).lock_owned().await;
        if !shard.has_news(&primary) {
            return Ok(shard.engine().view().generation());
        }
        self.order_refresh(shard, primary).await
    }

    /// Puts a refresh record at or after `position` into the log unless one is there.
    pub(crate) async fn mark_shown(
        &self,
        shard: &Arc<Shard>,
        position: SeqNo,
    ) -> Result<(), LeafFault> {
        let showing = shard.applier.leases.show();
        showing.wait().await;
        let primary = Arc::clone(&shard.primary).lock_owned().await;
        if shard.applier.marked() >= position {
            return Ok(());
        }
        self.order_refresh(shard, primary).await.map(|_| ())
    }

    async fn order_refresh(
        &self,
        shard: &Arc<Shard>,
        primary: OwnedMutexGuard<Primary>,
    ) -> Result<Generation, LeafFault> {
        self.write_own(shard, primary, OperationKind::Refresh)
            .await?;
        shard.counters.refresh.fetch_add(1, Ordering::Relaxed);
        let generation = shard.engine().view().generation();
        let mut primary = shard.primary.lock().await;
        primary.versions.prune(
            generation.visible,
            self.options.tombstone_age,
            self.options.unseen_bytes / 2,
        );
        Ok(generation)
    }

    /// Waits until `seq_no` is visible; a primary forces a refresh when none comes by itself.
    pub(crate) async fn wait_visible(
        &self,
        shard: &Arc<Shard>,
        seq_no: SeqNo,
        deadline: Duration,
    ) -> Result<Generation, LeafFault> {
        if shard.role() == Role::Replica {
            return shard.shows(seq_no.next(), Instant::now() + deadline).await;
        }
        let interval = shard.index.load().settings.refresh_interval_ms;
        // What every copy shows already needs no refresh, which would show later writes too.
        let shown = shard.engine().view().generation();
        let is_marked = !shard.has_replicas() || shard.applier.marked() > seq_no;
        if shown.visible > seq_no && is_marked {
            return Ok(shown);
        }
        let mut visible = shard.applier.visible();
        if shard.resting.read() {
            shard.refresh_wanted.notify_one();
        }
        if let Some(interval) = interval {
            // Two intervals: the refresh that is under way may have begun before the write.
            // What is left of the deadline is for a refresh.
            let patience = Duration::from_millis(interval.saturating_mul(2).saturating_add(100));
            let shown = visible.wait_for(|generation| generation.visible > seq_no);
            tokio::select! {
                shown = shown => if let Ok(generation) = shown {
                    return Ok(*generation);
                },
                () = tokio::time::sleep(patience.min(deadline / 2)) => {}
                // Refreshing says why.
                () = shard.applier.stopped() => {}
            }
        }
        self.refresh_shard(shard).await
    }

    /// Refreshes the shard whenever its interval has passed, or its version map is full, and there
    /// is something to show; not while it rests. Ends with the shard.
    pub(crate) async fn refresh_periodically(self: Arc<Self>, shard: Arc<Shard>) {
        let mut stopping = self.stopping.subscribe();
        loop {
            let interval = shard.index.load().settings.refresh_interval_ms;
            let pause = Duration::from_millis(interval.unwrap_or(1_000).max(10));
            let is_full = tokio::select! {
                () = tokio::time::sleep(pause) => false,
                () = shard.refresh_wanted.notified() => true,
                () = shard.interval_changed.notified() => continue,
                () = shard.applier.stopped() => return,
                _ = stopping.wait_for(|stopping| *stopping) => return,
            };
            if interval.is_none() && !is_full {
                shard.resting.end();
                continue;
            }
            // Replicas are read without their primary hearing of it.
            let may_rest = !is_full && !shard.has_replicas();
            if may_rest && shard.resting.rests(&shard.index.load().settings) {
                continue;
            }
            if let Err(fault) = self.refresh_shard(&shard).await {
                tracing::warn!(shard = %shard.key, %fault, "refresh failed");
            }
            shard.resting.end();
        }
    }
}

impl Shard {
    /// Returns whether a refresh would show anything, here or on a replica.
    fn has_news(&self, primary: &Primary) -> bool {
        // Replicas come to show only what a record shows, so what was shown without one (after the
        // log was read again) is news to them.
        let shown = if self.has_replicas() {
            self.applier.marked()
        } else {
            self.engine().view().generation().visible
        };
        primary.next > shown || self.pipeline.state().is_uncertain
    }

    /// Notes that somebody reads what searches see. Where refreshes rest it has one made and waits for
    /// it, until `deadline` at most: what is shown then is as old as it is when a refresh fails.
    pub(crate) async fn wake(&self, deadline: Instant) {
        let ended = self.resting.ended();
        if !self.resting.read() {
            return;
        }
        let shown = async {
            let ordered = self.primary.lock().await.next;
            if self.engine().view().generation().visible < ordered {
                self.refresh_wanted.notify_one();
                self.shows(ordered, deadline).await?;
            }
            Ok::<_, LeafFault>(())
        };
        let shown = tokio::time::timeout_at(deadline.into(), shown);
        tokio::select! {
            biased;
            shown = shown => if !matches!(shown, Ok(Ok(()))) {
                tracing::warn!(shard = %self.key, "a refresh after a rest was not waited for any longer");
            },
            // It failed, which was told.
            () = ended => {}
        }
    }

    /// Waits until searches of this copy see all operations below `wanted`; refreshes nothing.
    ///
    /// # Errors
    /// [`LeafFault::Behind`] when they do not by the deadline, or when the copy has stopped.
    pub(crate) async fn shows(
        &self,
        wanted: SeqNo,
        deadline: Instant,
    ) -> Result<Generation, LeafFault> {
        let mut visible = self.applier.visible();
        let shown = visible.wait_for(|generation| generation.visible >= wanted);
        let shown = tokio::time::timeout_at(deadline.into(), shown);
        tokio::select! {
            biased;
            shown = shown => if let Ok(Ok(generation)) = shown {
                return Ok(*generation);
            },
            () = self.applier.stopped() => {}
        }
        Err(LeafFault::Behind {
            shard: self.key,
            wanted,
            visible: self.engine().view().generation().visible,
        })
    }
}

#[cfg(test)]
mod tests;

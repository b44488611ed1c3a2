//! Making writes visible: refresh records in the log, and callers that wait for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gleaner_model::{Generation, OperationKind, SeqNo, metric};
use gleaner_proto::LeafFault;
use tokio::sync::OwnedMutexGuard;

use super::{Primary, WriteOrder};
use crate::copy::counters::Counters;

impl Primary {
    /// Makes every operation ordered before the call visible; returns what searches see then.
    pub(crate) async fn refresh(&self) -> Result<Generation, LeafFault> {
        let shard = &self.shard;
        if !self.has_news(&*self.order.lock().await) {
            return Ok(shard.engine().view().generation());
        }
        // Writes go on while leases run out.
        let showing = shard.applier.leases.show();
        showing.wait().await;
        let order = self.lock_order().await;
        if !self.has_news(&order) {
            return Ok(shard.engine().view().generation());
        }
        self.order_refresh(order).await
    }

    /// Waits until every copy whose answers to searches are not flagged shows what is shown here, and until it is known
    /// that no other copy leads: that one may have acknowledged what is not shown here.
    ///
    /// # Errors
    /// [`LeafFault::NotHere`] when the copy leads no longer, [`LeafFault::Recovering`] when it does not know for long.
    pub(crate) async fn wait_refreshed(&self, shown: Generation) -> Result<(), LeafFault> {
        let Some(driver) = self.shard.driver() else {
            return Ok(());
        };
        let began = Instant::now();
        driver.wait_refreshed(self.term(), shown.visible).await?;
        self.wait_to_tell(shown.visible).await?;
        let waited = metrics::histogram!(metric::REFRESH_WAITED_SECONDS.name);
        waited.record(began.elapsed().as_secs_f64());
        Ok(())
    }

    async fn order_refresh(
        &self,
        order: OwnedMutexGuard<WriteOrder>,
    ) -> Result<Generation, LeafFault> {
        let began = Instant::now();
        self.write_own(order, OperationKind::Refresh).await?;
        let shard = &self.shard;
        let counters = &shard.counters;
        Counters::add(&counters.refresh, &counters.refresh_us, began.elapsed());
        let generation = shard.engine().view().generation();
        let options = &self.node().options;
        let mut order = self.order.lock().await;
        order.versions.prune(
            generation.visible,
            options.tombstone_age,
            options.unseen_bytes / 2,
        );
        Ok(generation)
    }

    /// Waits until `seq_no` is visible; forces a refresh when none comes by itself.
    pub(crate) async fn wait_visible(
        &self,
        seq_no: SeqNo,
        deadline: Duration,
    ) -> Result<Generation, LeafFault> {
        let shard = &self.shard;
        let interval = shard.schema.index.load().settings.refresh_interval_ms;
        // What every copy shows already needs no refresh, which would show later writes too.
        let shown = shard.engine().view().generation();
        let is_marked = !shard.has_replicas() || shard.applier.marked() > seq_no;
        if shown.visible > seq_no && is_marked {
            return Ok(shown);
        }
        let mut visible = shard.applier.visible();
        if shard.refreshes.read() {
            shard.refreshes.wanted.notify_one();
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
        self.refresh().await
    }

    /// Refreshes the shard whenever its interval has passed, or its version map is full, and there
    /// is something to show; not while it rests. Ends with the shard.
    pub(crate) async fn refresh_periodically(self: Arc<Self>) {
        let shard = &self.shard;
        loop {
            let interval = shard.schema.index.load().settings.refresh_interval_ms;
            let interval = interval.map(|interval| Duration::from_millis(interval.max(10)));
            let is_full = tokio::select! {
                () = shard.refreshes.due(interval) => false,
                () = shard.refreshes.wanted.notified() => true,
                () = shard.refreshes.settings_changed() => continue,
                () = shard.applier.stopped() => return,
                () = self.ended() => return,
                () = self.node().stopped() => return,
            };
            if interval.is_none() && !is_full {
                shard.refreshes.end_rest();
                continue;
            }
            // Replicas are read without their primary hearing of it.
            let may_rest = !is_full && !shard.has_replicas();
            if may_rest && shard.refreshes.rests(&shard.schema.index.load().settings) {
                continue;
            }
            if let Err(fault) = self.refresh().await
                && !self.has_ended()
            {
                tracing::warn!(shard = %shard.key, %fault, "refresh failed");
            }
            shard.refreshes.end_rest();
        }
    }

    /// Returns whether a refresh would show anything, here or on a replica.
    fn has_news(&self, order: &WriteOrder) -> bool {
        let shard = &self.shard;
        // Replicas come to show only what a record shows, so what was shown without one (after the
        // log was read again) is news to them.
        let shown = if shard.has_replicas() {
            shard.applier.marked()
        } else {
            shard.engine().view().generation().visible
        };
        order.next > shown || shard.pipeline.state().is_uncertain
    }

    /// Notes that somebody reads what searches see. Where refreshes rest it has one made and waits for
    /// it, until `deadline` at most: what is shown then is as old as it is when a refresh fails.
    pub(crate) async fn wake(&self, deadline: Instant) {
        let shard = &self.shard;
        let ended = shard.refreshes.rest_ended();
        if !shard.refreshes.read() {
            return;
        }
        let shown = async {
            let ordered = self.order.lock().await.next;
            if shard.engine().view().generation().visible < ordered {
                shard.refreshes.wanted.notify_one();
                shard.shows(ordered, deadline).await?;
            }
            Ok::<_, LeafFault>(())
        };
        let shown = tokio::time::timeout_at(deadline.into(), shown);
        tokio::select! {
            biased;
            shown = shown => if !matches!(shown, Ok(Ok(()))) {
                tracing::warn!(shard = %shard.key, "a refresh after a rest was not waited for any longer");
            },
            // It failed, which was logged.
            () = ended => {}
        }
    }
}

#[cfg(test)]
mod tests;

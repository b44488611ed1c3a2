//! After a failed append: what the log holds is read again.

use std::sync::Arc;

use gleaner_log::LogError;
use gleaner_model::{Operation, SeqNo};
use gleaner_proto::LeafFault;

use super::{Primary, WriteOrder, stopped};
use crate::copy::applier::with_causes;
use crate::copy::shard::Shard;
use crate::fault::log_fault;
use crate::lifecycle::recovery::PAGE_BYTES;

impl Primary {
    /// Reads again what the log holds after an append whose outcome is unknown.
    pub(crate) async fn resync(&self, order: &mut WriteOrder) -> Result<(), LeafFault> {
        let shard = &self.shard;
        // Every batch that was queued before is done then, and none is queued while the order is locked.
        shard.pipeline.wait_idle().await;
        let fault = |error: LogError| log_fault(shard.key, &error);
        let tail = shard.log().tail(shard.key).await.map_err(fault)?;
        let next = tail.map_or(SeqNo(0), SeqNo::next);
        self.catch_up(next).await?;
        // Every document is looked up in the index then, so it must be visible there.
        if shard.engine().view().generation().visible < next {
            let shown = shard.show_applied().await;
            shown.map_err(|reason| stopped(shard.key, &shard.applier.stop(&reason)))?;
            shard.want_mark(next);
        }
        order.versions.keep_tombstones(next);
        order.next = next;
        shard.pipeline.read_again();
        tracing::info!(shard = %shard.key, %next, "log read again after a failed append");
        Ok(())
    }

    async fn catch_up(&self, next: SeqNo) -> Result<(), LeafFault> {
        let shard = &self.shard;
        let mut from = shard.applier.next();
        while from < next {
            let page = shard.log().read(shard.key, from, PAGE_BYTES).await;
            let page = page.map_err(|error| log_fault(shard.key, &error))?;
            let operations = page.records.iter().map(|r| Operation::decode(&r.payload));
            let operations = operations.collect::<Result<Vec<_>, _>>();
            let operations = operations.map_err(|error| stopped(shard.key, &error.to_string()))?;
            if operations.is_empty() {
                return Err(stopped(
                    shard.key,
                    &format!("its log lacks operation {from}"),
                ));
            }
            let applier = Arc::clone(shard);
            let offering = move || applier.applier.offer(from, operations);
            let offered = shard.applying.run(offering).await;
            offered
                .map_err(|error| stopped(shard.key, &error.to_string()))?
                .map_err(|reason| stopped(shard.key, &reason))?;
            from = page.next;
        }
        Ok(())
    }
}

impl Shard {
    /// Asks for a refresh record when searches see what no record shows: replicas would never come
    /// to show it.
    pub(crate) fn want_mark(&self, shown: SeqNo) {
        if self.has_replicas() && self.applier.marked() < shown {
            self.refreshes.wanted.notify_one();
        }
    }

    /// Shows everything applied to searches, without a record in the log.
    pub(crate) async fn show_applied(self: &Arc<Self>) -> Result<(), String> {
        let shard = Arc::clone(self);
        let shown = tokio::task::spawn_blocking(move || shard.applier.show_applied()).await;
        match shown {
            Ok(shown) => shown.map(|_| ()).map_err(|error| with_causes(&error)),
            Err(error) => Err(error.to_string()),
        }
    }
}

//! A copy that becomes primary, or is one no longer, while its engine and its views stay open.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use gleaner_model::{Generation, PrimaryTerm, SeqNo};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::driver::Reign;
use super::holding::CopyHolder;
use super::host::CopyHost;
use crate::copy::applier::with_causes;
use crate::copy::registry::{CopyState, OpenCopy};
use crate::copy::replica::Replica;
use crate::copy::shard::Shard;
use crate::replicate::applying::Applying;
use crate::replicate::halt::Halt;
use crate::write::inherited::{InheritError, inherited_versions};
use crate::write::versions::VersionMap;
use crate::write::{Primary, WriteOrder, end_writes};

/// The term of a shard's first primary.
const FIRST_TERM: PrimaryTerm = PrimaryTerm(1);

/// The engine and the write path of a copy, as its loop has them.
pub(super) struct EngineHost<'a> {
    holder: &'a CopyHolder,
    replica: &'a Arc<Replica>,
    applying: Applying,
    /// What takes writes, while the copy leads.
    primary: Mutex<Option<Arc<Primary>>>,
}

impl<'a> EngineHost<'a> {
    pub(super) fn new(holder: &'a CopyHolder, replica: &'a Arc<Replica>) -> Self {
        Self {
            holder,
            replica,
            applying: Applying::new(&holder.leaf, replica, &holder.opening),
            primary: Mutex::default(),
        }
    }

    /// Takes no more writes, where it does.
    pub(super) fn end_reign(&self) -> Option<Arc<Primary>> {
        let primary = self.primary.lock().take();
        if let Some(primary) = &primary {
            primary.end_reign();
        }
        primary
    }
}

impl CopyHost for EngineHost<'_> {
    fn next(&self) -> SeqNo {
        self.replica.shard.applier.next()
    }

    fn visible(&self) -> watch::Receiver<Generation> {
        self.replica.shard.applier.visible()
    }

    async fn apply(&self, payloads: Vec<Bytes>) -> Result<(), Halt> {
        self.applying.apply(payloads.iter()).await?;
        let next = self.next();
        let progress = format!("what is agreed is applied up to {next}");
        self.holder.opening.tell(progress);
        Ok(())
    }

    async fn serve(&self) -> bool {
        let shard = &self.replica.shard;
        // It may hold more than the process before has shown.
        shard.applier.leases.show().wait().await;
        let open = CopyState::Open(OpenCopy::Replica(Arc::clone(self.replica)));
        let is_wanted = self.holder.leaf.end_opening(shard.key, open);
        if is_wanted {
            let visible = shard.engine().view().generation().visible;
            tracing::info!(shard = %shard.key, %visible, "copy serves");
        }
        is_wanted
    }

    async fn lead(&self, reign: Reign) -> Result<(), Halt> {
        let primary = self.holder.lead(self.replica, reign).await?;
        *self.primary.lock() = Some(primary);
        Ok(())
    }

    /// Waits until writes under way have ended.
    async fn step_down(&self) {
        drop(self.end_reign());
        let shard = &self.replica.shard;
        end_writes(&**shard).await;
        let open = OpenCopy::Replica(Arc::clone(self.replica));
        self.holder.leaf.copies.change_role(open);
        tracing::info!(shard = %shard.key, "copy follows");
    }

    async fn damaged(&self, damage: String) -> Halt {
        self.holder.damaged(damage).await
    }

    async fn closed(&self) {
        tokio::select! {
            () = self.holder.opening.closed() => {}
            () = self.replica.shard.applier.stopped() => {}
            () = self.holder.leaf.node.stopped() => {}
        }
    }
}

impl CopyHolder {
    /// Begins to take writes.
    async fn lead(&self, replica: &Arc<Replica>, reign: Reign) -> Result<Arc<Primary>, Halt> {
        let Reign { term, start } = reign;
        let begun = Instant::now();
        let shard = &replica.shard;
        let pause = replica.pause_steps().await;
        shard.pipeline.read_again();
        let versions = self.versions(shard, start).await?;
        let order = WriteOrder {
            term,
            next: start,
            versions,
        };
        drop(pause);
        let mut primary = Primary::new(Arc::clone(shard), order, Arc::clone(&self.leaf.writes));
        if term > FIRST_TERM {
            primary = primary.after_another(begun);
        }
        let primary = Arc::new(primary);
        let open = OpenCopy::Primary(Arc::clone(&primary));
        let is_open = self.leaf.copies.change_role(open.clone())
            || self.leaf.end_opening(self.key, CopyState::Open(open));
        if !is_open {
            return Err(Halt::Closed);
        }
        let took_ms = begun.elapsed().as_millis() as u64;
        tracing::info!(shard = %self.key, %term, took_ms, "copy takes writes");
        self.leaf.node.spawn(Arc::clone(&primary).mend());
        let refreshing = Arc::clone(&primary).refresh_periodically();
        self.leaf.node.spawn(refreshing);
        // All that was ordered comes to be shown everywhere.
        shard.refreshes.wanted.notify_one();
        Ok(primary)
    }

    /// Returns the latest writes that searches here do not see, from the log.
    async fn versions(&self, shard: &Arc<Shard>, end: SeqNo) -> Result<VersionMap, Halt> {
        let log = shard.log();
        let driver = shard.driver().ok_or(Halt::Closed)?;
        let broken = |error: gleaner_log::LogError| Halt::Broken(with_causes(&error));
        let mut from = shard.engine().view().generation().visible;
        let page = log.read(self.key, from, 1).await.map_err(broken)?;
        if page.first_available > from {
            // It was committed, and so applied: once shown it is found.
            shard.show_applied().await.map_err(Halt::Broken)?;
            from = shard.engine().view().generation().visible;
        }
        match inherited_versions(log, driver, from..end).await {
            Ok(versions) => Ok(versions),
            Err(InheritError::Gap(position)) => {
                let damage = format!("its log lacks operation {position}");
                Err(self.damaged(damage).await)
            }
            Err(InheritError::Broken(reason)) => Err(Halt::Broken(reason)),
        }
    }
}

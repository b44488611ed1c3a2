//! A copy that becomes primary, or is one no longer, while its engine and its views stay open.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gleaner_model::{Operation, OperationKind, SeqNo};

use super::driver::{Reign, Status};
use super::holding::CopyHolder;
use crate::copy::applier::with_causes;
use crate::copy::registry::{CopyState, OpenCopy};
use crate::copy::replica::Replica;
use crate::copy::shard::Shard;
use crate::lifecycle::recovery::PAGE_BYTES;
use crate::replicate::replica::Halt;
use crate::write::versions::{Latest, VersionMap, Written};
use crate::write::{Primary, WriteOrder};

/// How long until batches are looked for again that wait for one that nobody brings.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What a copy is now.
pub(super) enum CopyRole {
    /// It follows.
    Follower,
    /// It leads.
    Primary(Arc<Primary>),
}

impl CopyHolder {
    /// Changes the role as `now` says; returns whether it has changed. One that leads takes over what was agreed
    /// before, first.
    pub(super) async fn change_role(
        &self,
        role: &mut CopyRole,
        replica: &Arc<Replica>,
        now: &Status,
    ) -> Result<bool, Halt> {
        match (&*role, now.reign) {
            (CopyRole::Primary(primary), reign)
                if reign.map(|reign| reign.term) != Some(primary.term()) =>
            {
                self.step_down(primary, replica).await;
                *role = CopyRole::Follower;
                Ok(true)
            }
            (CopyRole::Follower, Some(reign)) => {
                let inherited = now.agreed.min(reign.start);
                if replica.shard.applier.next() < inherited {
                    return Ok(false);
                }
                *role = CopyRole::Primary(self.lead(replica, reign).await?);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

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
        let primary = Primary::new(Arc::clone(shard), order, Arc::clone(&self.leaf.writes));
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

    /// Takes no more writes, and waits until those under way have ended: what is not agreed has an unknown outcome.
    async fn step_down(&self, primary: &Arc<Primary>, replica: &Arc<Replica>) {
        primary.end_reign();
        let shard = &replica.shard;
        // What waits for a batch whose writer was told that nobody knows is applied from the log.
        loop {
            drop(shard.applier.take_waiting());
            tokio::select! {
                () = shard.wait_idle() => break,
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
        shard.pipeline.read_again();
        let open = OpenCopy::Replica(Arc::clone(replica));
        self.leaf.copies.change_role(open);
        tracing::info!(shard = %self.key, "copy follows");
    }

    /// Returns the latest writes that searches here do not see, from the log.
    async fn versions(&self, shard: &Arc<Shard>, end: SeqNo) -> Result<VersionMap, Halt> {
        let log = &self.leaf.node.log;
        let broken = |error: gleaner_log::LogError| Halt::Broken(with_causes(&error));
        let mut versions = VersionMap::default();
        let mut from = shard.engine().view().generation().visible;
        let page = log.read(self.key, from, 1).await.map_err(broken)?;
        if page.first_available > from {
            // It was committed, and so applied: once shown it is found.
            shard.show_applied().await.map_err(Halt::Broken)?;
            from = shard.engine().view().generation().visible;
        }
        while from < end {
            let page = log.read(self.key, from, PAGE_BYTES).await.map_err(broken)?;
            if page.records.is_empty() {
                let damage = format!("its log lacks operation {from}");
                return Err(self.damaged(damage).await);
            }
            for record in page.records.iter().filter(|record| record.seq_no < end) {
                let operation = Operation::decode(&record.payload);
                let operation = operation.map_err(|error| Halt::Broken(error.to_string()))?;
                remember(&mut versions, record.seq_no, operation);
            }
            from = page.next;
        }
        Ok(versions)
    }
}

fn remember(versions: &mut VersionMap, seq_no: SeqNo, operation: Operation) {
    let term = operation.term;
    let (id, version, document) = match operation.kind {
        OperationKind::Index { id, version, .. } => (id, version, Written::InLog),
        OperationKind::Delete { id, version, .. } => {
            (id, version, Written::Deleted(Instant::now()))
        }
        OperationKind::Refresh | OperationKind::NoOp => return,
    };
    let latest = Latest {
        seq_no,
        term,
        version,
        document,
    };
    versions.put(id, latest);
}

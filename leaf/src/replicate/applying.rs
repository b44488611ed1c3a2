//! Applying what a copy's log holds: mappings first, then the operations in their order.
//!
//! Does not: read the log, decide up to where it is applied ([`crate::agree`] does). Read first: [`Applying::apply`].

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use gleaner_model::operation::RecordError;
use gleaner_model::{MappingVersion, Operation, OperationKind};

use super::halt::Halt;
use crate::Leaf;
use crate::copy::applier::is_refresh;
use crate::copy::counters::Counters;
use crate::copy::opening::OpeningProgress;
use crate::copy::pipeline::InFlight;
use crate::copy::replica::Replica;
use crate::copy::shard::Shard;

/// Applies to one copy what its log holds.
pub(crate) struct Applying {
    leaf: Arc<Leaf>,
    replica: Arc<Replica>,
    shard: Arc<Shard>,
    opening: Arc<OpeningProgress>,
}

impl Applying {
    /// Returns what applies to an opened copy.
    pub(crate) fn new(
        leaf: &Arc<Leaf>,
        replica: &Arc<Replica>,
        opening: &Arc<OpeningProgress>,
    ) -> Self {
        Self {
            leaf: Arc::clone(leaf),
            replica: Arc::clone(replica),
            shard: Arc::clone(&replica.shard),
            opening: Arc::clone(opening),
        }
    }

    /// Applies payloads that the copy's log holds from where the index ends.
    pub(crate) async fn apply(&self, payloads: impl Iterator<Item = &Bytes>) -> Result<(), Halt> {
        let operations = decode(payloads);
        let operations = operations.map_err(|error| Halt::Files(error.to_string()))?;
        self.learn_mapping(&operations).await?;
        self.apply_all(operations).await
    }

    /// Waits until this node has heard of every mapping that the operations were ordered under.
    async fn learn_mapping(&self, operations: &[Operation]) -> Result<(), Halt> {
        let needed = operations.iter().map(|operation| operation.mapping).max();
        let needed = needed.unwrap_or(MappingVersion(0));
        let shard = &self.shard;
        if shard.schema.index.load().mapping.version >= needed {
            return Ok(());
        }
        let mut states = self.leaf.node.coordinator.watch();
        let news = states.wait_for(|state| {
            let index = state.indices.get(&shard.key.index);
            index.is_none_or(|index| index.mapping.version >= needed)
        });
        // An error means that the coordinator is gone.
        drop(self.until_ended(news).await?);
        shard.take_meta().await;
        if shard.schema.index.load().mapping.version < needed {
            return Err(Halt::Closed);
        }
        Ok(())
    }

    /// Begins a step that closing the copy waits for.
    async fn begin(&self) -> Result<InFlight, Halt> {
        self.replica.begin_step().await.ok_or(Halt::Closed)
    }

    /// Applies operations from where the index ends. Of several refreshes the last one is shown;
    /// right after it a durable commit is made if one is due.
    async fn apply_all(&self, mut operations: Vec<Operation>) -> Result<(), Halt> {
        let is_refresh = |operation: &Operation| operation.kind == OperationKind::Refresh;
        let Some(last) = operations.iter().rposition(is_refresh) else {
            return self.offer(operations).await;
        };
        let rest = operations.split_off(last + 1);
        for operation in &mut operations[..last] {
            if operation.kind == OperationKind::Refresh {
                operation.kind = OperationKind::NoOp;
            }
        }
        let began = Instant::now();
        self.offer(operations).await?;
        let counters = &self.shard.counters;
        Counters::add(&counters.refresh, &counters.refresh_us, began.elapsed());
        if self.shard.is_flush_due() {
            let flushed = self.replica.flush().await;
            self.shard.note_periodic(&flushed);
        }
        self.offer(rest).await
    }

    /// Waits for `work` unless the copy is closed, has failed, or the leaf stops.
    async fn until_ended<T>(&self, work: impl Future<Output = T>) -> Result<T, Halt> {
        tokio::select! {
            done = work => Ok(done),
            () = self.opening.closed() => Err(Halt::Closed),
            () = self.shard.applier.stopped() => Err(Halt::Closed),
            () = self.leaf.node.stopped() => Err(Halt::Closed),
        }
    }

    async fn offer(&self, operations: Vec<Operation>) -> Result<(), Halt> {
        if operations.is_empty() {
            return Ok(());
        }
        let batch = self.begin().await?;
        let shows = operations.iter().any(is_refresh);
        let showing = shows.then(|| self.shard.applier.leases.show());
        if let Some(showing) = &showing {
            showing.wait().await;
        }
        let shard = Arc::clone(&self.shard);
        let offering = move || {
            let first = shard.applier.next();
            shard.applier.offer(first, operations)
        };
        let applied = self.shard.applying.run(offering).await;
        batch.end(true);
        match applied {
            Ok(Ok(())) => Ok(()),
            Ok(Err(reason)) => Err(Halt::Broken(reason.to_string())),
            Err(error) => Err(Halt::broken(&error)),
        }
    }
}

fn decode<'a>(payloads: impl Iterator<Item = &'a Bytes>) -> Result<Vec<Operation>, RecordError> {
    payloads.map(Operation::decode).collect()
}

//! Taking records over: mapping, own log, index.

use std::sync::Arc;

use bytes::Bytes;
use gleaner_log::{Append, LogError};
use gleaner_model::operation::RecordError;
use gleaner_model::{MappingVersion, Operation, OperationKind, SeqNo};
use gleaner_proto::replicate::LogRecord;

use super::Follower;
use crate::copy::applier::is_refresh;
use crate::copy::pipeline::InFlight;
use crate::replicate::replica::Halt;

impl Follower {
    /// Makes records durable in the copy's log and applies them.
    pub(super) async fn take(&mut self, records: Vec<LogRecord>) -> Result<(), Halt> {
        if records.is_empty() {
            return Ok(());
        }
        // Before the log has them: what is in it must be fit to be applied.
        let operations = decode(records.iter().map(|record| &record.payload));
        let operations = operations.map_err(|error| Halt::later(&error))?;
        self.learn_mapping(&operations).await?;
        let end = SeqNo(self.next.0 + records.len() as u64);
        let batch = self.begin().await?;
        let appended = self.append(&records).await;
        // A batch that is not in the index yet is read from the log when the copy is opened again.
        batch.end(true);
        appended?;
        self.apply_all(operations).await?;
        self.next = end;
        Ok(())
    }

    /// Applies payloads that the copy's log holds from where the index ends.
    pub(crate) async fn apply(
        &mut self,
        payloads: impl Iterator<Item = &Bytes>,
    ) -> Result<(), Halt> {
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

    /// Appends records to the copy's log under their own positions and terms.
    async fn append(&mut self, records: &[LogRecord]) -> Result<(), Halt> {
        for run in records.chunk_by(|one, other| one.term == other.term) {
            let first = run[0].seq_no;
            if self.term < run[0].term {
                let history = self.leaf.node.history(self.shard.key);
                let noted = history.begin_term(run[0].term).await;
                noted.map_err(Halt::Later)?;
                self.term = run[0].term;
            }
            let append = Append {
                shard: self.shard.key,
                term: run[0].term,
                expected_last: first.0.checked_sub(1).map(SeqNo),
                producer: None,
                batch: run.iter().map(|record| record.payload.clone()).collect(),
            };
            let appended = self.leaf.node.log.append(append).await;
            let appended = appended.map_err(|error| append_halt(&error))?;
            if appended.first != first {
                let reason = format!("its log took {first} at {}", appended.first);
                return Err(Halt::Broken(reason));
            }
        }
        Ok(())
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
        self.offer(operations).await?;
        self.shard
            .counters
            .refresh
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if self.shard.is_flush_due()
            && let Err(fault) = self.replica.flush().await
        {
            tracing::warn!(shard = %self.shard.key, %fault, "durable commit failed");
        }
        self.offer(rest).await
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

/// A full disk or queue may pass; a log that stands elsewhere than it should must be read again.
fn append_halt(error: &LogError) -> Halt {
    match error {
        LogError::DiskFull { .. } | LogError::Busy => Halt::later(error),
        _ => Halt::broken(error),
    }
}

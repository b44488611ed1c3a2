//! A request that is sent again is answered, not applied twice.
//!
//! The log remembers which positions a producer's batch took. The records there tell which items
//! were applied and with which version; items without a record had been refused or changed nothing.

use std::collections::HashMap;
use std::sync::Arc;

use gleaner_log::ProducerSequence;
use gleaner_model::{DocumentId, Operation, OperationKind, SeqNo, Version};
use gleaner_proto::LeafFault;
use gleaner_proto::write::{
    Idempotency, WriteAnswer, WriteFault, WriteItem, WriteOutcome, WriteResult,
};

use crate::Leaf;
use crate::fault::log_fault;
use crate::shard::Shard;

/// Largest page read from the log at once, in bytes.
const PAGE_BYTES: usize = 8 << 20;

impl Leaf {
    /// Returns the answer to a request that the log holds already; `None` when it is new.
    pub(crate) async fn answered_before(
        &self,
        shard: &Arc<Shard>,
        known: Idempotency,
        items: &[WriteItem],
    ) -> Result<Option<WriteAnswer>, LeafFault> {
        let fault = |error| log_fault(shard.key, &error);
        let producer = ProducerSequence {
            id: known.producer,
            sequence: known.sequence,
        };
        let appended = shard
            .log
            .produced(shard.key, producer)
            .await
            .map_err(fault)?;
        let Some(appended) = appended else {
            return Ok(None);
        };
        // It may still be on its way into the index of this copy.
        let stopped = |reason| LeafFault::Stopped {
            shard: shard.key,
            reason,
        };
        shard
            .applier
            .wait_applied(appended.last.next())
            .await
            .map_err(stopped)?;
        let mut applied: HashMap<DocumentId, Vec<WriteOutcome>> = HashMap::new();
        let mut from = appended.first;
        while from <= appended.last {
            let page = shard
                .log
                .read(shard.key, from, PAGE_BYTES)
                .await
                .map_err(fault)?;
            if page.records.is_empty() {
                break;
            }
            for record in page
                .records
                .iter()
                .filter(|record| record.seq_no <= appended.last)
            {
                note(&mut applied, record.seq_no, &record.payload);
            }
            from = page.next;
        }
        applied.values_mut().for_each(|outcomes| outcomes.reverse());
        let items = items.iter().map(|item| again(item, &mut applied)).collect();
        Ok(Some(WriteAnswer {
            items,
            duplicate: true,
        }))
    }
}

fn note(
    applied: &mut HashMap<DocumentId, Vec<WriteOutcome>>,
    seq_no: SeqNo,
    payload: &bytes::Bytes,
) {
    let Ok(operation) = Operation::decode(payload) else {
        return;
    };
    let (id, version, result) = match operation.kind {
        OperationKind::Index { id, version, .. } => {
            let is_new = version == Version(1);
            (
                id,
                version,
                if is_new {
                    WriteResult::Created
                } else {
                    WriteResult::Updated
                },
            )
        }
        OperationKind::Delete { id, version, .. } => (id, version, WriteResult::Deleted),
        OperationKind::Refresh | OperationKind::NoOp => return,
    };
    let outcome = WriteOutcome {
        result,
        version,
        seq_no,
        term: operation.term,
        source: None,
    };
    applied.entry(id).or_default().push(outcome);
}

fn again(
    item: &WriteItem,
    applied: &mut HashMap<DocumentId, Vec<WriteOutcome>>,
) -> Result<WriteOutcome, WriteFault> {
    let outcome = applied.get_mut(&item.id).and_then(Vec::pop);
    outcome.ok_or_else(|| WriteFault::VersionConflict {
        id: item.id.clone(),
        reason: "the request was applied before and this item was refused or changed nothing then"
            .to_owned(),
    })
}

//! A request that is sent again is answered, not applied twice.
//!
//! The log remembers which positions a producer's batch took. The records there tell which items
//! were applied and with which version; items without a record had been refused or changed nothing.

use std::collections::HashMap;
use std::sync::Arc;

use gleaner_log::{Appended, LogError, ProducerSequence};
use gleaner_model::{DocumentId, Operation, OperationKind, SeqNo, Version};
use gleaner_proto::LeafFault;
use gleaner_proto::write::{
    Idempotency, WriteAction, WriteAnswer, WriteFault, WriteItem, WriteOutcome, WriteResult,
};

use crate::Leaf;
use crate::fault::{engine_fault, log_fault};
use crate::mapping::document_fault;
use crate::shard::Shard;
use crate::update;
use crate::write::stopped;

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
        let fault = |error: LogError| log_fault(shard.key, &error);
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
        let applied = shard.applier.wait_applied(appended.last.next()).await;
        applied.map_err(|reason| stopped(shard, &reason))?;
        let recorded = self.recorded(shard, appended).await.map_err(fault)?;
        let mut again = Again {
            shard,
            appended,
            recorded,
        };
        let items = items.iter().map(|item| again.answer(item));
        Ok(Some(WriteAnswer {
            items: items.collect::<Result<_, _>>()?,
            duplicate: true,
        }))
    }

    /// Returns what the log still holds of a batch: per document, the latest first.
    async fn recorded(
        &self,
        shard: &Arc<Shard>,
        appended: Appended,
    ) -> Result<Option<Recorded>, LogError> {
        let mut recorded = Recorded::new();
        let mut from = appended.first;
        while from <= appended.last {
            let page = shard.log.read(shard.key, from, PAGE_BYTES).await?;
            if page.first_available > from || page.records.is_empty() {
                return Ok(None);
            }
            for record in page.records.iter().filter(|r| r.seq_no <= appended.last) {
                note(&mut recorded, record.seq_no, &record.payload);
            }
            from = page.next;
        }
        recorded
            .values_mut()
            .for_each(|outcomes| outcomes.reverse());
        Ok(Some(recorded))
    }
}

type Recorded = HashMap<DocumentId, Vec<WriteOutcome>>;

fn note(recorded: &mut Recorded, seq_no: SeqNo, payload: &bytes::Bytes) {
    let Ok(operation) = Operation::decode(payload) else {
        return;
    };
    let (id, version, result, source) = match operation.kind {
        OperationKind::Index {
            id,
            version,
            source,
            ..
        } => (id, version, result_of(version), Some(source)),
        OperationKind::Delete { id, version, .. } => (id, version, WriteResult::Deleted, None),
        OperationKind::Refresh | OperationKind::NoOp => return,
    };
    let outcome = WriteOutcome {
        result,
        version,
        seq_no,
        term: operation.term,
        source,
    };
    let outcomes = recorded.entry(id).or_default();
    // A delete of version 1 before a document of version 1 made way for it; see `write::plan`.
    let made_way = outcomes.last().is_some_and(|last| {
        last.result == WriteResult::Deleted
            && (last.version, version) == (Version(1), Version(1))
            && last.seq_no.next() == seq_no
            && result == WriteResult::Created
    });
    if made_way {
        outcomes.pop();
    }
    outcomes.push(outcome);
}

/// The record does not say whether the document was there. A document that was deleted and made
/// again, and one made with an external version, are told as updated.
fn result_of(version: Version) -> WriteResult {
    if version == Version(1) {
        WriteResult::Created
    } else {
        WriteResult::Updated
    }
}

/// Answers items of a batch that the log took before.
struct Again<'a> {
    shard: &'a Shard,
    appended: Appended,
    /// `None` when the records are trimmed: then the index tells.
    recorded: Option<Recorded>,
}

impl Again<'_> {
    fn answer(&mut self, item: &WriteItem) -> Result<Result<WriteOutcome, WriteFault>, LeafFault> {
        let outcome = match &mut self.recorded {
            Some(recorded) => take(recorded, item),
            None => self.of_index(item)?,
        };
        let Some(mut outcome) = outcome else {
            return Ok(Err(self.refused(item)));
        };
        outcome.source = match &item.action {
            WriteAction::Update(update) => {
                let source = outcome.source.as_ref();
                source.and_then(|source| update::returned(update, source))
            }
            WriteAction::Index { .. } | WriteAction::Delete => None,
        };
        Ok(Ok(outcome))
    }

    /// Returns the write of a document that is still as the batch left it.
    fn of_index(&self, item: &WriteItem) -> Result<Option<WriteOutcome>, LeafFault> {
        let found = self.shard.engine().view().find_version(&item.id);
        let found = found.map_err(|error| engine_fault(self.shard.key, &error))?;
        let span = self.appended.first..=self.appended.last;
        let found = found.filter(|found| span.contains(&found.seq_no));
        Ok(found.map(|found| WriteOutcome {
            result: result_of(found.version),
            version: found.version,
            seq_no: found.seq_no,
            term: found.term,
            source: None,
        }))
    }

    /// Says why an item has no record: for a document that does not fit, what is wrong with it.
    fn refused(&self, item: &WriteItem) -> WriteFault {
        if let WriteAction::Index { source, .. } = &item.action
            && let Err(error) = self.shard.parser.load().parse(item.id.as_str(), source)
        {
            return document_fault(&error);
        }
        let reason = match self.recorded {
            Some(_) => "this item was refused or changed nothing then",
            None => "the document has changed since, or this item was refused",
        };
        WriteFault::VersionConflict {
            id: item.id.clone(),
            reason: format!("the request was applied before and {reason}"),
        }
    }
}

/// Takes the next outcome that an item of this kind can have had.
fn take(recorded: &mut Recorded, item: &WriteItem) -> Option<WriteOutcome> {
    let outcomes = recorded.get_mut(&item.id)?;
    let is_deletion = outcomes.last()?.result == WriteResult::Deleted;
    let fits = is_deletion == matches!(item.action, WriteAction::Delete);
    if fits { outcomes.pop() } else { None }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use gleaner_model::{MappingVersion, PrimaryTerm};
    use gleaner_proto::write::Condition;

    use super::*;

    fn id() -> DocumentId {
        DocumentId::parse("a").expect("a good id")
    }

    fn record(recorded: &mut Recorded, seq_no: u64, kind: OperationKind) {
        let operation = Operation {
            term: PrimaryTerm(1),
            mapping: MappingVersion(1),
            timestamp_ms: 0,
            kind,
        };
        note(recorded, SeqNo(seq_no), &operation.encode());
    }

    fn index(version: u64) -> OperationKind {
        OperationKind::Index {
            id: id(),
            routing: None,
            version: Version(version),
            source: Bytes::from_static(b"{}"),
        }
    }

    fn delete(version: u64) -> OperationKind {
        OperationKind::Delete {
            id: id(),
            routing: None,
            version: Version(version),
        }
    }

    fn item(action: WriteAction) -> WriteItem {
        WriteItem {
            id: id(),
            routing: None,
            action,
            condition: Condition::None,
            is_fresh_id: false,
        }
    }

    fn put() -> WriteItem {
        item(WriteAction::Index {
            source: Bytes::from_static(b"{}"),
            create: false,
        })
    }

    fn taken(recorded: &mut Recorded, item: &WriteItem) -> Option<(WriteResult, u64)> {
        take(recorded, item).map(|outcome| (outcome.result, outcome.seq_no.0))
    }

    #[test]
    fn items_of_one_document_meet_their_own_records_in_order() {
        let mut recorded = Recorded::new();
        for (seq_no, kind) in [(4, index(1)), (5, delete(2)), (6, index(3))] {
            record(&mut recorded, seq_no, kind);
        }
        recorded
            .values_mut()
            .for_each(|outcomes| outcomes.reverse());
        assert_eq!(
            taken(&mut recorded, &put()),
            Some((WriteResult::Created, 4))
        );
        let refused_then = put();
        assert_eq!(
            taken(&mut recorded, &refused_then),
            None,
            "a delete comes next"
        );
        let delete = item(WriteAction::Delete);
        assert_eq!(
            taken(&mut recorded, &delete),
            Some((WriteResult::Deleted, 5))
        );
        assert_eq!(
            taken(&mut recorded, &put()),
            Some((WriteResult::Updated, 6))
        );
        assert_eq!(taken(&mut recorded, &put()), None);
    }

    #[test]
    fn a_delete_that_made_way_is_no_answer_of_its_own() {
        let mut recorded = Recorded::new();
        record(&mut recorded, 4, delete(1));
        record(&mut recorded, 5, index(1));
        assert_eq!(
            taken(&mut recorded, &put()),
            Some((WriteResult::Created, 5))
        );
    }
}

//! The answer to a request that was applied before, from what its batch left behind.
//!
//! Records tell which items were applied, with which version and source. Of the others, and of whether
//! a document was there before, they tell nothing: that is made out of the records before them,
//! and of the document itself where nobody has written it since.

use std::collections::{HashMap, HashSet, VecDeque};

use bytes::Bytes;
use gleaner_log::Appended;
use gleaner_model::{DocumentId, Operation, OperationKind, SeqNo, Version};
use gleaner_proto::LeafFault;
use gleaner_proto::write::{
    Condition, Update, WriteAction, WriteFault, WriteItem, WriteOutcome, WriteResult,
};

use super::earlier::{Earlier, Was};
use crate::write::condition::{KnownDocument, exists, refusal};
use crate::write::fields::document_fault;
use crate::write::update::{self, MergeResult};
use crate::write::versions::{Content, Written};
use crate::write::writable::{VisibleDocuments, WritableCopy};
use crate::write::{Outcomes, WriteOrder};

/// The records of a batch by document, in order. Results say no more than whether something was put or
/// removed.
pub(super) type BatchRecords = HashMap<DocumentId, VecDeque<WriteOutcome>>;

/// Adds a record.
pub(super) fn note(recorded: &mut BatchRecords, seq_no: SeqNo, payload: &Bytes) {
    let Ok(operation) = Operation::decode(payload) else {
        return;
    };
    let (id, version, result, source) = match operation.kind {
        OperationKind::Index {
            id,
            version,
            source,
            ..
        } => (id, version, WriteResult::Updated, Some(source)),
        OperationKind::Delete { id, version, .. } => (id, version, WriteResult::Deleted, None),
        OperationKind::Refresh | OperationKind::NoOp => return,
    };
    recorded.entry(id).or_default().push_back(WriteOutcome {
        result,
        version,
        seq_no,
        term: operation.term,
        source,
    });
}

/// A batch that the log took before.
pub(crate) struct Batch {
    pub(super) appended: Appended,
    /// `None` when the records are trimmed: then documents tell.
    pub(super) recorded: Option<BatchRecords>,
    /// Of documents of which its records do not tell.
    pub(super) earlier: Earlier,
}

/// Answers the items of a batch. Blocks: documents are read.
pub(crate) fn answers(
    copy: &impl WritableCopy,
    order: &WriteOrder,
    batch: Batch,
    items: &[WriteItem],
) -> Result<Outcomes, LeafFault> {
    let mut again = Again {
        copy,
        order,
        batch,
        left: HashMap::new(),
        returned_bytes: 0,
    };
    items.iter().map(|item| again.answer(item)).collect()
}

type Outcome = Result<WriteOutcome, WriteFault>;

struct Again<'a, C> {
    copy: &'a C,
    order: &'a WriteOrder,
    batch: Batch,
    /// What the items so far left of their documents.
    left: HashMap<DocumentId, Before>,
    /// Bytes of documents in the answer so far: it is bounded as the first one was.
    returned_bytes: usize,
}

/// A document as it was before an item.
#[derive(Debug, Clone)]
enum Before {
    /// Nothing tells.
    Unknown,
    /// It was not there.
    Missing,
    /// Its latest write, and its source if that is at hand.
    Written(KnownDocument, Option<Bytes>),
}

impl Before {
    /// Returns why an item could not be written over it, as far as is known.
    fn refusal(&self, item: &WriteItem) -> Option<WriteFault> {
        match self {
            Self::Unknown => None,
            Self::Missing => refusal(item, None),
            Self::Written(known, _) => refusal(item, Some(known)),
        }
    }

    /// Returns whether it was there; `None` when nothing tells.
    fn was_live(&self) -> Option<bool> {
        match self {
            Self::Unknown => None,
            Self::Missing => Some(false),
            Self::Written(known, _) => Some(!known.is_deleted),
        }
    }
}

impl<C: WritableCopy> Again<'_, C> {
    fn answer(&mut self, item: &WriteItem) -> Result<Outcome, LeafFault> {
        let before = self.before(&item.id)?;
        let outcome = match self.written(item, &before)? {
            Some(outcome) => Ok(self.applied(item, outcome)),
            None => self.unwritten(item, &before),
        };
        if let Ok(outcome) = &outcome {
            self.returned_bytes += outcome.source.as_ref().map_or(0, Bytes::len);
        }
        Ok(outcome)
    }

    /// Remembers what an item that was applied left, and tells it as far as was asked for.
    fn applied(&mut self, item: &WriteItem, mut outcome: WriteOutcome) -> WriteOutcome {
        let known = KnownDocument {
            seq_no: outcome.seq_no,
            term: outcome.term,
            version: outcome.version,
            is_deleted: matches!(item.action, WriteAction::Delete),
        };
        let after = Before::Written(known, outcome.source.clone());
        self.left.insert(item.id.clone(), after);
        outcome.source = match (&item.action, &outcome.source) {
            // It was applied: that is told also where its document has no room.
            (WriteAction::Update(update), Some(source)) => {
                update::returned_beside(self.returned_bytes, update, source)
                    .ok()
                    .flatten()
            }
            _ => None,
        };
        outcome
    }

    /// Returns the document as the items before have left it.
    fn before(&self, id: &DocumentId) -> Result<Before, LeafFault> {
        if let Some(left) = self.left.get(id) {
            return Ok(left.clone());
        }
        let recorded = self.batch.recorded.as_ref();
        if let Some(records) = recorded.and_then(|recorded| recorded.get(id)) {
            return Ok(match (before_all(records), self.batch.earlier.of(id)) {
                (Before::Unknown, Was::Missing) => Before::Missing,
                (Before::Unknown, Was::Written(known, source)) => {
                    Before::Written(known, Some(source.clone()))
                }
                (before, _) => before,
            });
        }
        let is_old = |known: &KnownDocument| known.seq_no < self.batch.appended.first;
        Ok(match self.latest(id)? {
            Some((known, source)) if is_old(&known) => Before::Written(known, source),
            Some(_) => Before::Unknown,
            None => Before::Missing,
        })
    }

    /// Returns the latest write of a document, with its source if that is at hand.
    fn latest(&self, id: &DocumentId) -> Result<Option<(KnownDocument, Option<Bytes>)>, LeafFault> {
        if let Some(latest) = self.order.versions.get(id) {
            let source = match &latest.document {
                Written::Here(content) => Some(content.source.clone()),
                Written::Deleted(_) | Written::InLog => None,
            };
            return Ok(Some((KnownDocument::from(latest), source)));
        }
        let found = self.copy.visible_documents().find_document(id);
        let found = found.map_err(|error| self.copy.read_fault(&error))?;
        Ok(found.map(|(known, content)| (known, Some(content.source))))
    }

    /// Returns what became of an item that was applied.
    fn written(
        &mut self,
        item: &WriteItem,
        before: &Before,
    ) -> Result<Option<WriteOutcome>, LeafFault> {
        if let Some(recorded) = &mut self.batch.recorded {
            let records = recorded.get_mut(&item.id);
            return Ok(records.and_then(|records| take(records, item, before)));
        }
        // The document may still be as the batch left it.
        let Some((known, source)) = self.latest(&item.id)? else {
            return Ok(None);
        };
        let appended = self.batch.appended;
        let is_of_batch = (appended.first..=appended.last).contains(&known.seq_no)
            && known.is_deleted == matches!(item.action, WriteAction::Delete);
        Ok(is_of_batch.then(|| WriteOutcome {
            result: result(item, known.version, before.was_live()),
            version: known.version,
            seq_no: known.seq_no,
            term: known.term,
            source,
        }))
    }

    /// Says what became of an item without a record: it was refused, or changed nothing.
    fn unwritten(&self, item: &WriteItem, before: &Before) -> Outcome {
        if let Some(fault) = before.refusal(item) {
            return Err(fault);
        }
        match &item.action {
            WriteAction::Index { source, create } => {
                self.check(item, source)?;
                if *create && let Some(version) = self.version_before(&item.id) {
                    return Err(exists(item, version));
                }
            }
            WriteAction::Update(update) => {
                if let Some(outcome) = self.unchanged(item, update, before)? {
                    return Ok(outcome);
                }
            }
            WriteAction::Delete => {}
        }
        let reason = match self.batch.recorded {
            Some(_) => "this item was refused or changed nothing then",
            None => "the document has changed since, or this item was refused",
        };
        Err(WriteFault::VersionConflict {
            id: item.id.clone(),
            reason: format!("the request was applied before and {reason}"),
        })
    }

    /// Returns the outcome of an update that changed nothing, or why it or what it makes was refused.
    fn unchanged(
        &self,
        item: &WriteItem,
        update: &Update,
        before: &Before,
    ) -> Result<Option<WriteOutcome>, WriteFault> {
        let (known, content) = match before {
            Before::Written(known, Some(source)) => (Some(known), Some(content(source))),
            Before::Missing => (None, None),
            Before::Unknown | Before::Written(_, None) => return Ok(None),
        };
        match (update::merge(update, content.as_ref(), &item.id)?, known) {
            (MergeResult::Noop(source), Some(known)) => Ok(Some(WriteOutcome {
                result: WriteResult::Noop,
                version: known.version,
                seq_no: known.seq_no,
                term: known.term,
                source: update::returned_beside(self.returned_bytes, update, &source)?,
            })),
            (MergeResult::Noop(source) | MergeResult::Changed(source), _) => {
                self.check(item, &source)?;
                update::returned_beside(self.returned_bytes, update, &source).map(|_| None)
            }
        }
    }

    /// Refuses a document that does not fit the mapping.
    fn check(&self, item: &WriteItem, source: &Bytes) -> Result<(), WriteFault> {
        let schema = self.copy.schema();
        let most_nested = schema.index.load().settings.nested_objects_limit();
        let parser = schema.parser.load().within(most_nested);
        let fits = parser.has_new_fields(item.id.as_str(), source);
        fits.map(drop).map_err(|error| document_fault(&error))
    }

    /// Returns the version of a document of which the batch holds a later one.
    fn version_before(&self, id: &DocumentId) -> Option<Version> {
        let next = self.batch.recorded.as_ref()?.get(id)?.front()?;
        let version = next.version.0.checked_sub(1)?;
        (version > 0).then_some(Version(version))
    }
}

fn content(source: &Bytes) -> Content {
    Content {
        routing: None,
        source: source.clone(),
    }
}

/// Returns what a document was before the first of its records: a first version has nothing before it.
fn before_all(records: &VecDeque<WriteOutcome>) -> Before {
    match records.front() {
        Some(first) if first.version == Version(1) && !made_way(records) => Before::Missing,
        _ => Before::Unknown,
    }
}

/// Returns the documents of which the records do not tell what they were before.
pub(super) fn untold(recorded: &BatchRecords) -> HashSet<DocumentId> {
    let untold = recorded
        .iter()
        .filter(|(_, records)| matches!(before_all(records), Before::Unknown));
    untold.map(|(id, _)| id.clone()).collect()
}

/// Returns whether the next record is a delete of version 1 that makes way for a document of version 1;
/// see `write::plan`.
fn made_way(records: &VecDeque<WriteOutcome>) -> bool {
    let (Some(first), Some(second)) = (records.front(), records.get(1)) else {
        return false;
    };
    is_deletion(first)
        && !is_deletion(second)
        && (first.version, second.version) == (Version(1), Version(1))
        && first.seq_no.next() == second.seq_no
}

fn is_deletion(record: &WriteOutcome) -> bool {
    record.result == WriteResult::Deleted
}

/// Takes the next record if the item can have made it.
fn take(
    records: &mut VecDeque<WriteOutcome>,
    item: &WriteItem,
    before: &Before,
) -> Option<WriteOutcome> {
    let is_delete = matches!(item.action, WriteAction::Delete);
    let made_way = !is_delete && made_way(records);
    let record = records.get(usize::from(made_way))?;
    if is_deletion(record) != is_delete || !can_make(item, record, before) {
        return None;
    }
    if made_way {
        records.pop_front();
    }
    let mut outcome = records.pop_front()?;
    let was_live = if made_way {
        Some(true)
    } else {
        before.was_live()
    };
    outcome.result = result(item, outcome.version, was_live);
    Some(outcome)
}

/// Returns what became of an item that was applied.
fn result(item: &WriteItem, version: Version, was_live: Option<bool>) -> WriteResult {
    let was_live = was_live.unwrap_or(version != Version(1));
    match (&item.action, was_live) {
        (WriteAction::Delete, true) => WriteResult::Deleted,
        (WriteAction::Delete, false) => WriteResult::NotFound,
        (WriteAction::Index { create: true, .. }, _) | (_, false) => WriteResult::Created,
        (_, true) => WriteResult::Updated,
    }
}

/// Returns whether an item may have left `record` of a document that was `before`.
fn can_make(item: &WriteItem, record: &WriteOutcome, before: &Before) -> bool {
    let has_version = match item.condition {
        Condition::ExternalGreater(version) | Condition::ExternalGreaterOrEqual(version) => {
            version == record.version
        }
        Condition::None | Condition::Is { .. } | Condition::InternalVersion(_) => true,
    };
    if !has_version || before.refusal(item).is_some() {
        return false;
    }
    match (&item.action, &record.source) {
        (WriteAction::Delete, _) => true,
        (WriteAction::Index { source, .. }, Some(written)) => source == written,
        (WriteAction::Update(update), Some(written)) => {
            can_merge(update, written, before, &item.id)
        }
        (WriteAction::Index { .. } | WriteAction::Update(_), None) => false,
    }
}

/// Returns whether an update may have made `written`: where the document before is not known, one that
/// holds what was to be changed.
fn can_merge(update: &Update, written: &Bytes, before: &Before, id: &DocumentId) -> bool {
    let is_made_new = update::when_missing(update) == Some(written);
    match (before.was_live(), before) {
        (Some(false), _) => is_made_new,
        (Some(true), Before::Written(_, Some(source))) => {
            let merged = update::merge(update, Some(&content(source)), id);
            merged == Ok(MergeResult::Changed(written.clone()))
        }
        _ => {
            let detecting = Update {
                detect_noop: true,
                ..update.clone()
            };
            let merged = update::merge(&detecting, Some(&content(written)), id);
            is_made_new || matches!(merged, Ok(MergeResult::Noop(_)))
        }
    }
}

#[cfg(test)]
mod tests;

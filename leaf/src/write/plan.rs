//! What a batch of writes does: versions, conflicts, operations. Decides, changes nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use gleaner_document::DocumentParser;
use gleaner_engine::EngineError;
use gleaner_engine::schema::document::{DocumentBuilder, PreparedDocument, Read};
use gleaner_model::{DocumentId, IndexMeta, Operation, OperationKind, SeqNo, ShardKey, Version};
use gleaner_proto::LeafFault;
use gleaner_proto::write::{Update, WriteAction, WriteFault, WriteItem, WriteOutcome, WriteResult};

use crate::write::WriteOrder;
use crate::write::condition::{KnownDocument, next_version, refusal};
use crate::write::fields::document_fault;
use crate::write::learnt::{PlanContext, UnmappedDocument, UnmappedDocuments};
use crate::write::update::{self, MergeResult};
use crate::write::versions::{Content, Latest, Written};
use crate::write::writable::{VisibleDocuments, WritableCopy};

/// Largest document, in bytes: beside it a message holds the rest of its record and of a page of the log,
/// of which id and routing are the most, some 33,000 bytes.
const MAX_DOCUMENT_BYTES: usize = gleaner_proto::MAX_MESSAGE_BYTES - (64 << 10);

/// What planning came to: a plan, or what it needs first.
pub(crate) enum PlanStep {
    /// The mapping must learn the fields of these documents first; nothing was decided.
    NeedsFields(UnmappedDocuments),
    /// These documents must be read from the log first; nothing was decided.
    NeedsContents(Vec<SeqNo>),
    /// Ready to be appended.
    Ready(Plan),
}

/// A batch, decided.
#[derive(Default)]
pub(crate) struct Plan {
    /// Operations in order, the first at the `next` of the order.
    pub(crate) operations: Vec<Operation>,
    /// What was prepared of their documents, at their places; may be shorter.
    pub(crate) prepared: Vec<Option<PreparedDocument>>,
    /// One per item.
    pub(crate) outcomes: Vec<Result<WriteOutcome, WriteFault>>,
    /// Latest write per document, for the version map.
    pub(crate) latest: HashMap<DocumentId, Latest>,
}

impl Plan {
    fn with_capacity(num_items: usize) -> Self {
        Self {
            operations: Vec::with_capacity(num_items),
            prepared: Vec::new(),
            outcomes: Vec::with_capacity(num_items),
            latest: HashMap::with_capacity(num_items),
        }
    }
}

/// What is to be planned.
pub(crate) struct PlanBatch<'a> {
    pub(crate) items: &'a [WriteItem],
    /// Bytes of documents after which the batch ends.
    pub(crate) limit: usize,
    pub(crate) learnt: &'a PlanContext,
    /// With a builder, documents are prepared to be applied, which takes twice their bytes until they are.
    pub(crate) builder: Option<&'a DocumentBuilder>,
    pub(crate) now_ms: i64,
}

/// Plans the items of `batch` on top of `order`: at least one, and others until they make more than its
/// limit, or need a document that was not read yet.
pub(crate) fn plan(
    copy: &impl WritableCopy,
    order: &WriteOrder,
    batch: &PlanBatch<'_>,
) -> Result<PlanStep, LeafFault> {
    let PlanBatch {
        items,
        limit,
        learnt,
        ..
    } = *batch;
    let num_ready = match left_to_log(order, items, learnt) {
        // As many as make a batch are read before anything is decided.
        Some((first, missing)) if first == 0 || learnt.content_bytes() <= limit => {
            return Ok(PlanStep::NeedsContents(missing));
        }
        Some((first, _)) => first,
        None => items.len(),
    };
    // In this order: `take_meta` stores the index first, so the index is never older than the
    // parser, and a record never names an older mapping than the one its document was read under.
    let parser = copy.schema().parser.load_full();
    let index = copy.schema().index.load_full();
    let parser = parser.within(index.settings.nested_objects_limit());
    let mut planner = Planner {
        shard: copy.key(),
        order,
        visible: &copy.visible_documents(),
        index: &index,
        parser: &parser,
        batch,
        ready: None,
        plan: Plan::with_capacity(items.len()),
        bytes: 0,
        returned_bytes: learnt.returned_bytes,
        at: 0,
        unmapped: UnmappedDocuments::default(),
    };
    for (at, item) in items[..num_ready].iter().enumerate() {
        planner.at = at;
        let outcome = match learnt.refusal_of(at) {
            Some(fault) => Err(fault.clone()),
            None => planner.item(item)?,
        };
        planner.plan.outcomes.push(outcome);
        if planner.bytes > limit {
            break;
        }
    }
    if !planner.unmapped.at.is_empty() {
        return Ok(PlanStep::NeedsFields(planner.unmapped));
    }
    Ok(PlanStep::Ready(planner.plan))
}

/// Returns the positions of documents that updates change and that only the log has, with the first
/// item that needs one; `None` when none does.
fn left_to_log(
    order: &WriteOrder,
    items: &[WriteItem],
    learnt: &PlanContext,
) -> Option<(usize, Vec<SeqNo>)> {
    let missing = |(at, item): (usize, &WriteItem)| {
        let WriteAction::Update(_) = item.action else {
            return None;
        };
        let latest = order.versions.get(&item.id)?;
        let is_missing = matches!(latest.document, Written::InLog)
            && !learnt.contents.contains_key(&latest.seq_no);
        is_missing.then_some((at, latest.seq_no))
    };
    let mut missing = items.iter().enumerate().filter_map(missing).peekable();
    let (first, _) = *missing.peek()?;
    Some((first, missing.map(|(_, seq_no)| seq_no).collect()))
}

struct Planner<'a> {
    shard: ShardKey,
    order: &'a WriteOrder,
    /// What searches see; taken with the order locked, so what has left the version map is in it.
    visible: &'a dyn VisibleDocuments,
    index: &'a IndexMeta,
    parser: &'a DocumentParser,
    batch: &'a PlanBatch<'a>,
    /// The document that was checked last.
    ready: Option<PreparedDocument>,
    plan: Plan,
    /// Bytes of the documents planned.
    bytes: usize,
    /// Bytes of documents in the answer, with those of batches before.
    returned_bytes: usize,
    /// Place of the item that is being planned.
    at: usize,
    /// Documents with fields that the mapping lacks.
    unmapped: UnmappedDocuments,
}

type Outcome = Result<WriteOutcome, WriteFault>;

impl Planner<'_> {
    /// Plans one item. The outer error is the shard's, the inner one the item's.
    fn item(&mut self, item: &WriteItem) -> Result<Outcome, LeafFault> {
        let current = self.current(item)?;
        if let Some(fault) = refusal(item, current.as_ref()) {
            return Ok(Err(fault));
        }
        match &item.action {
            WriteAction::Index { source, create: _ } => {
                let put = Put {
                    routing: item.routing.clone(),
                    source: source.clone(),
                    is_live: current.as_ref().is_some_and(|latest| !latest.is_deleted),
                };
                Ok(self.put(item, current.as_ref(), put))
            }
            WriteAction::Delete => Ok(Ok(self.delete(item, current.as_ref()))),
            WriteAction::Update(update) => self.update(item, update, current.as_ref()),
        }
    }

    /// Returns the latest write of the item's document: of this batch, not yet visible, or visible.
    fn current(&self, item: &WriteItem) -> Result<Option<KnownDocument>, LeafFault> {
        if let Some(latest) = self.plan.latest.get(&item.id) {
            return Ok(Some(KnownDocument::from(latest)));
        }
        if let Some(latest) = self.order.versions.get(&item.id) {
            return Ok(Some(KnownDocument::from(latest)));
        }
        let found = self.visible.find_known(&item.id);
        found.map_err(|error| self.internal(&error))
    }

    /// Returns the live document's routing and source.
    fn content(&self, id: &DocumentId) -> Result<Option<Content>, LeafFault> {
        let latest = self
            .plan
            .latest
            .get(id)
            .or_else(|| self.order.versions.get(id));
        if let Some(latest) = latest {
            return Ok(match &latest.document {
                Written::Deleted(_) => None,
                Written::Here(content) => Some(Content::clone(content)),
                Written::InLog => self.batch.learnt.contents.get(&latest.seq_no).cloned(),
            });
        }
        let found = self.visible.find_document(id);
        let found = found.map_err(|error| self.internal(&error))?;
        Ok(found.map(|(_, content)| content))
    }

    fn internal(&self, error: &EngineError) -> LeafFault {
        LeafFault::Internal {
            shard: self.shard,
            reason: error.to_string(),
        }
    }

    fn put(&mut self, item: &WriteItem, current: Option<&KnownDocument>, put: Put) -> Outcome {
        self.check(item, &put.source)?;
        Ok(self.order(item, current, put))
    }

    /// Plans a document that was checked.
    fn order(
        &mut self,
        item: &WriteItem,
        current: Option<&KnownDocument>,
        put: Put,
    ) -> WriteOutcome {
        let version = next_version(item.condition, current);
        if put.is_live && version == Version(1) {
            // The engine takes version 1 for a new document: remove the one that is there.
            let kind = OperationKind::Delete {
                id: item.id.clone(),
                routing: None,
                version,
            };
            self.push(kind);
        }
        let Put {
            routing,
            source,
            is_live,
        } = put;
        self.bytes += source.len();
        let content = Content {
            routing: routing.clone(),
            source: source.clone(),
        };
        let id = item.id.clone();
        let seq_no = self.push(OperationKind::Index {
            id,
            routing,
            version,
            source,
        });
        if self.ready.is_some() {
            let before = self.plan.operations.len() - 1;
            self.plan.prepared.resize_with(before, || None);
            self.plan.prepared.push(self.ready.take());
        }
        self.remember(item, seq_no, version, Written::Here(Arc::new(content)));
        let result = if is_live {
            WriteResult::Updated
        } else {
            WriteResult::Created
        };
        self.outcome(result, version, seq_no)
    }

    /// Refuses a document that is too large, or that the mapping does not take, and notes one that brings
    /// fields.
    fn check(&mut self, item: &WriteItem, source: &Bytes) -> Result<(), WriteFault> {
        self.ready = None;
        check_size(source.len())?;
        let document = || UnmappedDocument {
            id: item.id.clone(),
            source: source.clone(),
            templates: item.templates.clone(),
        };
        // First of all: it was refused before the documents behind it brought their fields, with which
        // it might fit.
        let known = &self.batch.learnt.refused;
        if !known.is_empty()
            && let Some(fault) = known.get(&document())
        {
            return Err(fault.clone());
        }
        let refused = |error| document_fault(&error);
        let id = item.id.as_str();
        let has_new_fields = match self.batch.builder {
            None => self.parser.has_new_fields(id, source).map_err(refused)?,
            Some(builder) => match builder.read(self.parser, id, source).map_err(refused)? {
                Read::NewFields => true,
                Read::Known(prepared) => {
                    self.ready = prepared;
                    false
                }
            },
        };
        if has_new_fields {
            self.unmapped.note(self.at, document());
        }
        Ok(())
    }

    fn delete(&mut self, item: &WriteItem, current: Option<&KnownDocument>) -> WriteOutcome {
        let version = next_version(item.condition, current);
        let is_live = current.is_some_and(|latest| !latest.is_deleted);
        let (id, routing) = (item.id.clone(), item.routing.clone());
        let seq_no = self.push(OperationKind::Delete {
            id,
            routing,
            version,
        });
        self.remember(item, seq_no, version, Written::Deleted(Instant::now()));
        let result = if is_live {
            WriteResult::Deleted
        } else {
            WriteResult::NotFound
        };
        self.outcome(result, version, seq_no)
    }

    fn update(
        &mut self,
        item: &WriteItem,
        update: &Update,
        current: Option<&KnownDocument>,
    ) -> Result<Outcome, LeafFault> {
        let live = current.filter(|latest| !latest.is_deleted);
        let content = if live.is_some() {
            self.content(&item.id)?
        } else {
            None
        };
        let merged = match update::merge(update, content.as_ref(), &item.id) {
            Ok(merged) => merged,
            Err(fault) => return Ok(Err(fault)),
        };
        let unchanged = live.filter(|_| matches!(merged, MergeResult::Noop(_)));
        let (MergeResult::Noop(source) | MergeResult::Changed(source)) = merged;
        // First of all: what is not known to be a document is not looked into.
        if unchanged.is_none()
            && let Err(fault) = self.check(item, &source)
        {
            return Ok(Err(fault));
        }
        let returned = match update::returned_beside(self.returned_bytes, update, &source) {
            Ok(returned) => returned,
            Err(fault) => return Ok(Err(fault)),
        };
        self.returned_bytes += returned.as_ref().map_or(0, Bytes::len);
        let outcome = if let Some(live) = unchanged {
            WriteOutcome {
                result: WriteResult::Noop,
                version: live.version,
                seq_no: live.seq_no,
                term: live.term,
                source: None,
            }
        } else {
            let routing = content.and_then(|content| content.routing);
            let put = Put {
                routing: routing.or_else(|| item.routing.clone()),
                source,
                is_live: live.is_some(),
            };
            self.order(item, current, put)
        };
        Ok(Ok(WriteOutcome {
            source: returned,
            ..outcome
        }))
    }

    fn push(&mut self, kind: OperationKind) -> SeqNo {
        let seq_no = SeqNo(self.order.next.0 + self.plan.operations.len() as u64);
        self.plan.operations.push(Operation {
            term: self.order.term,
            mapping: self.index.mapping.version,
            timestamp_ms: self.batch.now_ms,
            kind,
        });
        seq_no
    }

    fn remember(&mut self, item: &WriteItem, seq_no: SeqNo, version: Version, document: Written) {
        let latest = Latest {
            seq_no,
            term: self.order.term,
            version,
            document,
        };
        self.plan.latest.insert(item.id.clone(), latest);
    }

    fn outcome(&self, result: WriteResult, version: Version, seq_no: SeqNo) -> WriteOutcome {
        WriteOutcome {
            result,
            version,
            seq_no,
            term: self.order.term,
            source: None,
        }
    }
}

struct Put {
    routing: Option<String>,
    source: Bytes,
    is_live: bool,
}

/// Refuses a document whose record would not fit into a message: no copy could follow the log.
fn check_size(num_bytes: usize) -> Result<(), WriteFault> {
    if num_bytes <= MAX_DOCUMENT_BYTES {
        return Ok(());
    }
    Err(WriteFault::Document {
        kind: "illegal_argument_exception".into(),
        reason: format!(
            "document of [{num_bytes}] bytes is too large, it must be no larger than \
             [{MAX_DOCUMENT_BYTES}] bytes"
        ),
        cause: None,
    })
}

//! Documents that wait for tantivy's indexing thread, counted in bytes.
//!
//! tantivy's queue counts batches (10,000 of them), so a run of large documents would take memory
//! that no budget knows of. Here each batch holds a permit for its bytes until it is indexed.
//!
//! The queue has room for four operations in each of its 10,000 places, taken or not, and there are two
//! of them while a segment is written out. So an operation only points to its document.

use std::sync::Arc;

use gleaner_model::SeqNo;
use tantivy::TantivyDocument;
use tantivy::Term;
use tantivy::indexer::UserOperation;
use tantivy::schema::Field as Column;
use tantivy::schema::document::Document;

use super::marks::WriterMark;
use super::memory::{Permit, Share};

/// Bytes of a document beside its content, roughly.
const DOCUMENT_BYTES: usize = 512;

/// Operations in a batch, and bytes of documents: enough that waking the indexing thread costs
/// little, not so much that it waits.
const BATCH_OPERATIONS: usize = 64;
const BATCH_BYTES: usize = 256 << 10;

/// A document on its way to the indexing thread.
pub(super) struct QueuedDocument {
    sent: Arc<DocumentBatch>,
    /// Its place there.
    at: u32,
}

const _: () = assert!(size_of::<QueuedDocument>() <= 16);

/// The documents of a batch.
struct DocumentBatch {
    documents: Vec<BuiltDocument>,
    /// Where the operation that is indexed is noted.
    mark: Option<Arc<WriterMark>>,
    _permit: Permit,
}

/// A document, with its operation and the bytes of its source.
struct BuiltDocument {
    seq_no: SeqNo,
    document: TantivyDocument,
    source_bytes: usize,
}

impl QueuedDocument {
    /// Returns what the document adds to a segment in the making, roughly.
    pub(super) fn indexed_bytes(&self) -> usize {
        self.pending().source_bytes + DOCUMENT_BYTES / 4
    }

    /// Notes that it is in the segment.
    pub(super) fn note_indexed(&self) {
        if let Some(mark) = &self.sent.mark {
            mark.has_indexed();
        }
    }

    fn pending(&self) -> &BuiltDocument {
        &self.sent.documents[self.at as usize]
    }

    /// Returns the document; the indexing thread begins with it.
    fn document(&self) -> &TantivyDocument {
        let pending = self.pending();
        if let Some(mark) = &self.sent.mark {
            mark.indexes(pending.seq_no);
        }
        &pending.document
    }
}

/// Operations that are sent together.
#[derive(Default)]
pub(super) struct Batch {
    operations: Vec<PendingDocuments>,
    documents: Vec<BuiltDocument>,
    bytes: usize,
}

enum PendingDocuments {
    /// The document at this place.
    Add(u32),
    Delete(Term),
}

impl Batch {
    /// Adds a document made from `source_bytes` of JSON.
    pub(super) fn add(&mut self, seq_no: SeqNo, document: TantivyDocument, source_bytes: usize) {
        self.bytes += waiting_bytes(source_bytes);
        self.operations
            .push(PendingDocuments::Add(self.documents.len() as u32));
        self.documents.push(BuiltDocument {
            seq_no,
            document,
            source_bytes,
        });
    }

    /// Deletes what matches `term` among the documents before.
    pub(super) fn delete(&mut self, term: Term) {
        self.operations.push(PendingDocuments::Delete(term));
    }

    pub(super) fn len(&self) -> usize {
        self.operations.len()
    }

    /// Returns whether there are documents among the operations.
    pub(super) fn has_documents(&self) -> bool {
        self.bytes > 0
    }

    pub(super) fn is_full(&self) -> bool {
        self.operations.len() >= BATCH_OPERATIONS || self.bytes >= BATCH_BYTES
    }

    /// Empties a batch of deletions.
    pub(super) fn take_deletions(&mut self) -> impl Iterator<Item = Term> {
        self.operations
            .drain(..)
            .filter_map(|pending| match pending {
                PendingDocuments::Delete(term) => Some(term),
                PendingDocuments::Add(_) => None,
            })
    }

    /// Empties the batch into tantivy's operations, once there is room for its bytes. The one that is indexed is noted in
    /// `mark`.
    pub(super) fn take(
        &mut self,
        share: &Arc<Share>,
        mark: Option<Arc<WriterMark>>,
    ) -> Vec<UserOperation<QueuedDocument>> {
        let sent = Arc::new(DocumentBatch {
            _permit: share.wait_for_room(std::mem::take(&mut self.bytes)),
            documents: std::mem::take(&mut self.documents),
            mark,
        });
        let queued = |pending| match pending {
            PendingDocuments::Delete(term) => UserOperation::Delete(term),
            PendingDocuments::Add(at) => UserOperation::Add(QueuedDocument {
                sent: Arc::clone(&sent),
                at,
            }),
        };
        self.operations.drain(..).map(queued).collect()
    }
}

/// Returns what a document takes while it waits: its source once and its values once more.
pub(super) fn waiting_bytes(source_bytes: usize) -> usize {
    2 * source_bytes + DOCUMENT_BYTES
}

impl Document for QueuedDocument {
    type Value<'a> = <TantivyDocument as Document>::Value<'a>;
    type FieldsValuesIter<'a> = <TantivyDocument as Document>::FieldsValuesIter<'a>;

    fn iter_fields_and_values(&self) -> Self::FieldsValuesIter<'_> {
        self.document().iter_fields_and_values()
    }

    fn get_sorted_field_values(&self) -> Vec<(Column, Vec<Self::Value<'_>>)> {
        self.document().get_sorted_field_values()
    }
}

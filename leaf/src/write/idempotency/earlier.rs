//! What documents were before a batch, as far as the log still tells.
//!
//! The records of a batch do not say whether its documents were there before, nor where: items that met
//! no condition or changed nothing left none. The records in front of the batch do.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use gleaner_log::LogError;
use gleaner_model::{DocumentId, Operation, OperationKind, SeqNo};

use super::PAGE_BYTES;
use crate::write::condition::KnownDocument;
use crate::write::writable::WritableCopy;

/// Records in front of a batch that are looked at, and their bytes: when they make more, nothing is told.
const MAX_RECORDS: u64 = 16 << 10;
const MAX_BYTES: usize = 16 << 20;

/// The last records of documents in front of a batch.
#[derive(Default)]
pub(super) struct Earlier {
    /// The latest write with its source; `None` for a deletion.
    by_id: HashMap<DocumentId, Option<(KnownDocument, Bytes)>>,
    /// All records in front of the batch were looked at: other documents were not there.
    is_whole: bool,
}

/// What is told of a document.
pub(super) enum Was<'a> {
    Unknown,
    Missing,
    Written(KnownDocument, &'a Bytes),
}

impl Earlier {
    /// Returns what a document was.
    pub(super) fn of(&self, id: &DocumentId) -> Was<'_> {
        match self.by_id.get(id) {
            Some(Some((known, source))) => Was::Written(*known, source),
            Some(None) => Was::Missing,
            None if self.is_whole => Was::Missing,
            None => Was::Unknown,
        }
    }

    fn note(&mut self, wanted: &HashSet<DocumentId>, seq_no: SeqNo, payload: &Bytes) {
        let Ok(operation) = Operation::decode(payload) else {
            return;
        };
        let (id, written) = match operation.kind {
            OperationKind::Index {
                id,
                version,
                source,
                ..
            } => {
                let known = KnownDocument::live(seq_no, operation.term, version);
                (id, Some((known, source)))
            }
            OperationKind::Delete { id, .. } => (id, None),
            OperationKind::Refresh | OperationKind::NoOp => return,
        };
        if wanted.contains(&id) {
            self.by_id.insert(id, written);
        }
    }
}

/// Looks at the records in front of `first` for the documents `wanted`.
pub(super) async fn earlier(
    copy: &impl WritableCopy,
    first: SeqNo,
    wanted: &HashSet<DocumentId>,
) -> Result<Earlier, LogError> {
    let mut earlier = Earlier::default();
    if wanted.is_empty() {
        return Ok(earlier);
    }
    let mut from = SeqNo(first.0.saturating_sub(MAX_RECORDS));
    earlier.is_whole = from == SeqNo(0);
    let mut bytes = 0;
    while from < first {
        let page = copy.log().read(copy.key(), from, PAGE_BYTES).await?;
        if page.first_available > from {
            earlier.is_whole = false;
            from = page.first_available;
            continue;
        }
        bytes += page.records.iter().map(|r| r.payload.len()).sum::<usize>();
        if page.records.is_empty() || bytes > MAX_BYTES {
            return Ok(Earlier::default());
        }
        for record in page.records.iter().filter(|r| r.seq_no < first) {
            earlier.note(wanted, record.seq_no, &record.payload);
        }
        from = page.next;
    }
    Ok(earlier)
}

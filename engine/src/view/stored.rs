//! Reading a document back.

use bytes::Bytes;
use gleaner_model::{DocumentId, PrimaryTerm, SeqNo, Version};
use tantivy::schema::Value;
use tantivy::{DocAddress, DocId, TantivyDocument};

use super::{SegmentView, View, place};
use crate::{EngineError, schema::names};

/// A document as the index holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDocument {
    /// The document's id.
    pub id: DocumentId,
    /// Routing value, when one was given.
    pub routing: Option<String>,
    /// Number of its latest write.
    pub seq_no: SeqNo,
    /// Term of the primary that ordered it.
    pub term: PrimaryTerm,
    /// Version.
    pub version: Version,
    /// The document as received.
    pub source: Bytes,
    /// Where it stands in the view that was asked.
    pub place: u64,
}

/// Reads `doc` of `segment`, live or not.
pub(super) fn read(
    view: &View,
    segment: &SegmentView,
    doc: DocId,
) -> Result<StoredDocument, EngineError> {
    let address = DocAddress::new(segment.ord(), doc);
    let stored: TantivyDocument = view.searcher().doc(address)?;
    let system = view.fields().system();
    let text = |field| {
        stored
            .get_first(field)
            .and_then(|value| value.as_str().map(str::to_owned))
    };
    let id = text(system.id).and_then(|id| DocumentId::parse(&id).ok());
    let id = id.ok_or_else(|| EngineError::Corrupt(format!("document {address:?} has no id")))?;
    let source = stored
        .get_first(system.source)
        .and_then(|value| value.as_bytes().map(Bytes::copy_from_slice));
    let fast = segment.reader().fast_fields();
    let number =
        |name: &str| Ok::<u64, EngineError>(fast.column_first_or_default(name)?.get_val(doc));
    Ok(StoredDocument {
        id,
        routing: text(system.routing),
        seq_no: SeqNo(segment.seq_nos().get_val(doc)),
        term: PrimaryTerm(number(names::TERM)?),
        version: Version(number(names::VERSION)?),
        source: source.unwrap_or_default(),
        place: place(segment.ord(), doc),
    })
}

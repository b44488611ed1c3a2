//! Reading a document back.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use gleaner_model::{DocumentId, PrimaryTerm, SeqNo, Version};
use tantivy::columnar::ColumnValues;
use tantivy::store::StoreReader;
use tantivy::{DocAddress, DocId, SegmentReader, TantivyError};

use super::{SegmentView, View, place};
use crate::EngineError;
use crate::document_cache::CachedDocument;
use crate::schema::fields::SystemFields;
use crate::schema::names;

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

/// Blocks of a segment's store that are kept unpacked, 6 KiB each, or one document where that is larger.
const KEPT_BLOCKS: usize = 100;

/// What the documents of a segment are read back from, opened once.
pub(super) struct StoredReader {
    store: StoreReader,
    terms: Arc<dyn ColumnValues<u64>>,
    versions: Arc<dyn ColumnValues<u64>>,
}

impl fmt::Debug for StoredReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored").finish_non_exhaustive()
    }
}

impl StoredReader {
    pub(super) fn open(reader: &SegmentReader) -> Result<Self, EngineError> {
        let fast = reader.fast_fields();
        Ok(Self {
            store: reader
                .get_store_reader(KEPT_BLOCKS)
                .map_err(TantivyError::from)?,
            terms: fast.column_first_or_default(names::TERM)?,
            versions: fast.column_first_or_default(names::VERSION)?,
        })
    }
}

/// What becomes of a document that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CachePolicy {
    /// It stays in the node's cache.
    Read,
    /// It is one of many, which would push out what is asked for again.
    Nothing,
}

/// Reads `doc` of `segment`, live or not.
pub(super) fn read(
    view: &View,
    segment: &SegmentView,
    doc: DocId,
    keeping: CachePolicy,
) -> Result<StoredDocument, EngineError> {
    let stored = segment.stored()?;
    let key = (segment.key().segment, doc);
    let kept = match view.documents().get(&key) {
        Some(kept) => kept,
        None => {
            let kept = Arc::new(unpack(view, segment, &stored.store, doc)?);
            if keeping == CachePolicy::Read {
                view.documents().insert(key, &kept);
            }
            kept
        }
    };
    let (term, version) = (stored.terms.get_val(doc), stored.versions.get_val(doc));
    let at = place(segment.ord(), doc);
    let seq_no = SeqNo(segment.seq_nos().get_val(doc));
    // Without a copy where it was not kept.
    let CachedDocument {
        id,
        routing,
        source,
    } = Arc::unwrap_or_clone(kept);
    Ok(StoredDocument {
        id,
        routing,
        seq_no,
        term: PrimaryTerm(term),
        version: Version(version),
        source,
        place: at,
    })
}

/// Reads from the segment's store.
fn unpack(
    view: &View,
    segment: &SegmentView,
    store: &StoreReader,
    doc: DocId,
) -> Result<CachedDocument, EngineError> {
    let bytes = store.get_document_bytes(doc)?;
    kept(&bytes, view.fields().system()).map_err(|what| {
        let address = DocAddress::new(segment.ord(), doc);
        EngineError::Corrupt(format!("document {address:?} {what}"))
    })
}

/// Reads what the store holds of a document; else says what is wrong with it.
pub(crate) fn kept(bytes: &[u8], system: &SystemFields) -> Result<CachedDocument, &'static str> {
    let (mut id, mut routing, mut source) = (None, None, None);
    for field in StoredFields::of(bytes).ok_or("cannot be read")? {
        let (field, value) = field.ok_or("cannot be read")?;
        let text = || std::str::from_utf8(value).ok().map(str::to_owned);
        match field {
            field if field == system.id.field_id() => id = text(),
            field if field == system.routing.field_id() => routing = text(),
            field if field == system.source.field_id() => source = Some(value),
            _ => {}
        }
    }
    let id = id.and_then(|id| DocumentId::parse(&id).ok());
    Ok(CachedDocument {
        id: id.ok_or("has no id")?,
        routing,
        source: source.map(Bytes::copy_from_slice).unwrap_or_default(),
    })
}

/// The fields of a document in tantivy's store: their number, then each field's number, the kind of
/// its value, and the value behind its length.
///
/// tantivy's own reader makes a value of every field, and copies bytes one by one. Only texts and bytes are
/// stored: `_source`, a field of bytes, holds a text, and bytes in segments of earlier versions.
struct StoredFields<'a> {
    rest: &'a [u8],
    num_left: u64,
}

/// Kinds of values, as tantivy's document format numbers them.
const TEXT: u8 = 0;
const BYTES: u8 = 4;

impl<'a> StoredFields<'a> {
    fn of(document: &'a [u8]) -> Option<Self> {
        let (num_left, rest) = number(document)?;
        Some(Self { rest, num_left })
    }

    fn field(&mut self) -> Option<(u32, &'a [u8])> {
        let (field, rest) = self.rest.split_first_chunk()?;
        let (kind, rest) = rest.split_first()?;
        if !matches!(*kind, TEXT | BYTES) {
            return None;
        }
        let (num_bytes, rest) = number(rest)?;
        let (value, rest) = rest.split_at_checked(usize::try_from(num_bytes).ok()?)?;
        self.rest = rest;
        Some((u32::from_le_bytes(*field), value))
    }
}

impl<'a> Iterator for StoredFields<'a> {
    /// `None` is a field that cannot be read; nothing comes after it.
    type Item = Option<(u32, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        self.num_left = self.num_left.checked_sub(1)?;
        let field = self.field();
        if field.is_none() {
            self.num_left = 0;
        }
        Some(field)
    }
}

/// Reads a number of seven bits a byte, the lowest first; the last byte has its highest bit set.
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0_u64;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7f).checked_shl(7 * at as u32)?;
        if byte & 0x80 != 0 {
            return Some((number, &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use tantivy::schema::{BytesOptions, STORED, STRING, Schema, Value};
    use tantivy::{Index, IndexWriter, TantivyDocument};

    use super::*;

    #[test]
    fn documents_are_read_as_tantivy_reads_them() -> tantivy::Result<()> {
        let mut schema = Schema::builder();
        let id = schema.add_text_field("id", STRING | STORED);
        let source = schema.add_bytes_field("source", BytesOptions::from(STORED));
        let index = Index::create_in_ram(schema.build());
        let mut writer: IndexWriter = index.writer_with_num_threads(1, 15_000_000)?;
        let lengths = [0, 1, 127, 128, 300, 20_000, 20_001, 70_000, 70_001];
        for num_bytes in lengths {
            let mut document = TantivyDocument::new();
            document.add_text(id, "ä".repeat(num_bytes % 300));
            if num_bytes % 2 == 0 {
                document.add_bytes(source, &vec![0xff; num_bytes]);
            } else {
                document.add_text(source, "s".repeat(num_bytes));
            }
            writer.add_document(document)?;
        }
        writer.commit()?;
        let searcher = index.reader()?.searcher();
        let store = searcher.segment_reader(0).get_store_reader(1)?;
        for doc in 0..lengths.len() as u32 {
            let wanted: TantivyDocument = store.get(doc)?;
            let bytes = store.get_document_bytes(doc)?;
            let fields = StoredFields::of(&bytes).expect("a number");
            let fields: Option<Vec<_>> = fields.collect();
            let id_text = wanted.get_first(id).and_then(|value| value.as_str());
            let value = wanted.get_first(source).expect("a source");
            let source_text = value.as_str().map(str::as_bytes);
            let wanted = [
                (id.field_id(), id_text.expect("a text").as_bytes()),
                (
                    source.field_id(),
                    value.as_bytes().or(source_text).expect("one of the two"),
                ),
            ];
            assert_eq!(fields.expect("whole"), wanted);
        }
        Ok(())
    }

    #[test]
    fn torn_documents_are_not_read() {
        assert_eq!(number(&[0x05, 0x81]), Some((133, &[][..])));
        assert_eq!(number(&[0x05]), None);
        assert_eq!(number(&[0x00; 20]), None);
        let whole = [0x81, 7, 0, 0, 0, BYTES, 0x83, 1, 2, 3];
        let fields: Vec<_> = StoredFields::of(&whole).expect("a number").collect();
        assert_eq!(fields, [Some((7, &[1, 2, 3][..]))]);
        for end in 1..whole.len() {
            let torn = StoredFields::of(&whole[..end]).expect("a number");
            assert_eq!(torn.collect::<Vec<_>>(), [None], "{end}");
        }
        let other_kind = [0x81, 7, 0, 0, 0, 1, 0x83, 1, 2, 3];
        let fields = StoredFields::of(&other_kind).expect("a number");
        assert_eq!(fields.collect::<Vec<_>>(), [None]);
    }
}

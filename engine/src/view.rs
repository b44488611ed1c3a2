//! A view: what searches of one shard copy see, pinned.
//!
//! A view never changes: its segments, live documents and mapping stay until the last handle is
//! dropped, whatever is written or merged meanwhile.

mod id_filter;
mod lacking;
mod segment;
pub(crate) mod stored;
mod version;

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use gleaner_analysis::AnalyzerRegistry;
use gleaner_model::hash::tie_break_hash;
use gleaner_model::mapping::INDEX;
use gleaner_model::{DocumentId, Generation, IndexName, Mapping};
use gleaner_query::answer::ViewId;
use tantivy::columnar::StrColumn;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocSet, Searcher, SegmentReader, TERMINATED, Term};

pub use lacking::LackingDocuments;
pub use segment::{NormHistogram, SegmentCaches, SegmentKey, SegmentView};
pub(crate) use stored::CachePolicy;
pub use stored::StoredDocument;
pub use version::DocumentVersion;

use crate::doc_values::ConstantColumns;
use crate::document_cache::DocumentCache;
use crate::{EngineError, schema::FieldHandle, schema::Fields};

/// What searches see: segments with their live documents, under one mapping.
pub struct View {
    id: ViewId,
    generation: Generation,
    index_name: IndexName,
    mapping: Arc<Mapping>,
    analyzers: Arc<AnalyzerRegistry>,
    fields: Arc<Fields>,
    searcher: Searcher,
    segments: Vec<SegmentView>,
    documents: Arc<DocumentCache>,
    constants: ConstantColumns,
    num_documents: u64,
}

/// What a view is made of, beside its segments.
pub(crate) struct ViewParts {
    pub(crate) id: ViewId,
    pub(crate) generation: Generation,
    pub(crate) index_name: IndexName,
    pub(crate) mapping: Arc<Mapping>,
    pub(crate) analyzers: Arc<AnalyzerRegistry>,
    pub(crate) fields: Arc<Fields>,
    pub(crate) searcher: Searcher,
    pub(crate) documents: Arc<DocumentCache>,
    /// Where what is derived from segments may lie; `None` where that is no folder of the machine.
    pub(crate) folder: Option<Arc<PathBuf>>,
}

impl View {
    /// Makes a view; `before` lends what it has computed about segments that are still the same.
    pub(crate) fn new(parts: ViewParts, before: Option<&Self>) -> Result<Self, EngineError> {
        let mut segments = Vec::with_capacity(parts.searcher.segment_readers().len());
        for (ord, reader) in parts.searcher.segment_readers().iter().enumerate() {
            let folder = parts.folder.as_ref();
            segments.push(SegmentView::open(
                reader.clone(),
                ord as u32,
                folder,
                before,
            )?);
        }
        Ok(Self {
            id: parts.id,
            generation: parts.generation,
            index_name: parts.index_name,
            mapping: parts.mapping,
            analyzers: parts.analyzers,
            fields: parts.fields,
            num_documents: parts.searcher.num_docs(),
            searcher: parts.searcher,
            segments,
            documents: parts.documents,
            constants: ConstantColumns::default(),
        })
    }

    /// Returns the view's identity: unique per copy and process, growing.
    pub fn id(&self) -> ViewId {
        self.id
    }

    /// Returns what is visible.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Returns the name of the index.
    pub(crate) fn index_name(&self) -> &IndexName {
        &self.index_name
    }

    /// Returns the mapping the view was taken under.
    pub fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }

    /// Returns the analyzers of the index.
    pub fn analyzers(&self) -> &Arc<AnalyzerRegistry> {
        &self.analyzers
    }

    /// Returns the columns of the mapping's fields.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    pub(crate) fn shared_fields(&self) -> &Arc<Fields> {
        &self.fields
    }

    pub(crate) fn documents(&self) -> &Arc<DocumentCache> {
        &self.documents
    }

    /// Returns the column of `path`; `None` when no document of the shard can have a value for it.
    pub fn field(&self, path: &str) -> Option<&FieldHandle> {
        self.fields.get(path)
    }

    /// Returns the column of the values at `path`, which may be a key of a `flattened` field; `None` when no
    /// document of the shard can have one.
    pub fn values(&self, path: &str) -> Option<Cow<'_, FieldHandle>> {
        self.fields.values(path)
    }

    /// Returns the column of the constant at `path`, which all documents have; `None` where no value is set, and for
    /// other fields. The name of the index is one.
    pub(crate) fn constant(&self, path: &str) -> Result<Option<StrColumn>, EngineError> {
        let declared = || self.mapping.field(path)?.kind.constant();
        let value = match path {
            INDEX => Some(self.index_name.as_str()),
            _ => declared(),
        };
        value.map(|value| self.constants.of(value)).transpose()
    }

    /// Returns tantivy's searcher over the same segments, in the same order.
    pub fn searcher(&self) -> &Searcher {
        &self.searcher
    }

    /// Returns the segments; index = ordinal.
    pub fn segments(&self) -> &[SegmentView] {
        &self.segments
    }

    /// Returns the segment that `reader` is of.
    ///
    /// # Errors
    /// `EvaluationError::Internal` when it is none of the view's.
    pub(crate) fn segment_of(&self, reader: &SegmentReader) -> Result<&SegmentView, EngineError> {
        let id = reader.segment_id();
        let mut segments = self.segments.iter();
        let found = segments.find(|segment| segment.key().segment == id);
        found.ok_or_else(|| EngineError::internal(format!("segment {id} is not of this view")))
    }

    /// Returns the number of live documents.
    pub fn num_documents(&self) -> u64 {
        self.num_documents
    }

    /// Returns the live document of `id`.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn find(&self, id: &DocumentId) -> Result<Option<StoredDocument>, EngineError> {
        self.find_place(id)?
            .map(|place| self.document(place))
            .transpose()
    }

    /// Returns the place of the live document of `id`, without reading it.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn find_place(&self, id: &DocumentId) -> Result<Option<u64>, EngineError> {
        // Segments stand by size, largest first; a recent write is more likely in a small one.
        let hash = tie_break_hash(id.as_str());
        for segment in self.segments.iter().rev() {
            if !segment.may_have_id(hash) {
                continue;
            }
            let term = Term::from_field_text(self.fields.system().id, id.as_str());
            let inverted = segment.reader().inverted_index(term.field())?;
            let postings = inverted
                .read_postings(&term, IndexRecordOption::Basic)
                .map_err(EngineError::io("looking an id up"))?;
            let Some(mut postings) = postings else {
                continue;
            };
            while postings.doc() != TERMINATED {
                if segment.is_alive(postings.doc()) {
                    return Ok(Some(place(segment.ord(), postings.doc())));
                }
                postings.advance();
            }
        }
        Ok(None)
    }

    /// Reads the document at `place`, a number this view gave out.
    ///
    /// # Errors
    /// When the index cannot be read, or `place` is not of this view.
    pub fn document(&self, place: u64) -> Result<StoredDocument, EngineError> {
        self.read(place, CachePolicy::Read)
    }

    /// As [`Self::document`]; `keeping` says whether it stays in the node's cache.
    pub(crate) fn read(
        &self,
        place: u64,
        keeping: CachePolicy,
    ) -> Result<StoredDocument, EngineError> {
        let (ord, doc) = split_place(place);
        let segment = self.segments.get(ord as usize);
        let segment = segment.filter(|segment| doc < segment.reader().max_doc());
        let segment = segment.ok_or_else(|| {
            EngineError::internal(format!("place {place:#x} is not of this view"))
        })?;
        stored::read(self, segment, doc, keeping)
    }
}

/// Returns the place of a document in its view: opaque outside the leaf.
pub fn place(segment: u32, doc: u32) -> u64 {
    u64::from(segment) << 32 | u64::from(doc)
}

/// Returns segment ordinal and document number of a place.
pub fn split_place(place: u64) -> (u32, u32) {
    ((place >> 32) as u32, place as u32)
}

//! One segment of a view, with what is computed about it once.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use gleaner_partial::control::Control;
use parking_lot::RwLock;
use tantivy::columnar::ColumnValues;
use tantivy::index::SegmentId;
use tantivy::schema::Field as Column;
use tantivy::{DocId, SegmentReader};

use super::id_filter::IdFilter;
use super::stored::StoredReader;
use crate::blocks::{ListFiles, TextColumn};
use crate::copy::SegmentStats;
use crate::doc_order::DocOrders;
use crate::doc_values::DecodedColumns;
use crate::postings::Runs;
use crate::schema::FieldHandle;
use crate::statistics::SegmentNumbers;
use crate::statistics::totals::{self, Counts};
use crate::view::View;
use crate::{EngineError, schema::names};

/// Documents whose hashes are read within a millisecond.
const SMALL_SEGMENT: u32 = 50_000;

/// Identity of a segment's content: equal keys mean the same documents, live and deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentKey {
    /// The segment; unique across shards.
    pub segment: SegmentId,
    /// Number of deleted documents; grows with each delete.
    pub num_deleted: u32,
}

impl SegmentKey {
    pub(crate) fn of(reader: &SegmentReader) -> Self {
        Self {
            segment: reader.segment_id(),
            num_deleted: reader.num_deleted_docs(),
        }
    }
}

/// One segment of a view.
pub struct SegmentView {
    reader: SegmentReader,
    ord: u32,
    key: SegmentKey,
    id_hash: Arc<dyn ColumnValues<u64>>,
    seq_no: Arc<dyn ColumnValues<u64>>,
    caches: Arc<SegmentCaches>,
    /// Of all its documents, deleted or not.
    ids: Arc<OnceLock<IdFilter>>,
    /// As `ids`.
    decoded: Arc<DecodedColumns>,
    /// As `ids`.
    orders: Arc<DocOrders>,
}

/// What is computed about a segment's content at most once; views share it while the content is
/// the same.
#[derive(Default)]
pub struct SegmentCaches {
    norms: RwLock<HashMap<Column, Arc<NormHistogram>>>,
    numbers: SegmentNumbers,
    lists: ListFiles,
    /// `None` for columns whose lists cannot be read.
    text: RwLock<hashbrown::HashMap<Column, Option<Arc<TextColumn>>>>,
    runs: OnceLock<Runs>,
    stored: OnceLock<StoredReader>,
    totals: RwLock<HashMap<Column, Counts>>,
}

/// How many live documents have each norm id; `[0]` counts those without the field.
pub type NormHistogram = [u32; 256];

impl SegmentView {
    pub(crate) fn open(
        reader: SegmentReader,
        ord: u32,
        folder: Option<&Arc<PathBuf>>,
        before: Option<&View>,
    ) -> Result<Self, EngineError> {
        let key = SegmentKey::of(&reader);
        let mut known = before.into_iter().flat_map(View::segments);
        let same = known.find(|known| known.key.segment == key.segment);
        let ids = same.map(|same| Arc::clone(&same.ids)).unwrap_or_default();
        let decoded = same.map(|same| Arc::clone(&same.decoded));
        let orders = match same {
            Some(same) => Arc::clone(&same.orders),
            None => Arc::new(DocOrders::new(folder.cloned())),
        };
        let caches = same.filter(|same| same.key == key);
        let caches = caches
            .map(|same| Arc::clone(&same.caches))
            .unwrap_or_default();
        let fast = reader.fast_fields();
        let id_hash = fast.column_first_or_default(names::ID_HASH)?;
        let seq_no = fast.column_first_or_default(names::SEQ_NO)?;
        Ok(Self {
            key,
            reader,
            ord,
            id_hash,
            seq_no,
            caches,
            ids,
            decoded: decoded.unwrap_or_default(),
            orders,
        })
    }

    /// Returns tantivy's reader of the segment.
    pub fn reader(&self) -> &SegmentReader {
        &self.reader
    }

    /// Returns the segment's ordinal in its view.
    pub fn ord(&self) -> u32 {
        self.ord
    }

    /// Returns the identity of the segment's content, for caches.
    pub fn key(&self) -> SegmentKey {
        self.key
    }

    /// Returns whether `doc` is live.
    pub fn is_alive(&self, doc: DocId) -> bool {
        !self.reader.is_deleted(doc)
    }

    /// Returns the tie-break hash of each document's id.
    pub fn id_hashes(&self) -> &Arc<dyn ColumnValues<u64>> {
        &self.id_hash
    }

    /// Returns whether a document, live or not, may have the id with this tie-break hash; when not,
    /// the segment need not be asked.
    pub(crate) fn may_have_id(&self, hash: u64) -> bool {
        let filter = self.ids.get_or_init(|| IdFilter::of(&*self.id_hash));
        filter.may_have(hash)
    }

    /// Returns whether ids are looked up without a pass over the segment: it is small, or its filter
    /// has been made.
    pub(crate) fn finds_ids_at_once(&self) -> bool {
        self.ids.get().is_some() || self.reader.max_doc() <= SMALL_SEGMENT
    }

    /// Returns each document's seq_no.
    pub fn seq_nos(&self) -> &Arc<dyn ColumnValues<u64>> {
        &self.seq_no
    }

    /// Returns what documents are read back from.
    pub(super) fn stored(&self) -> Result<&StoredReader, EngineError> {
        if let Some(known) = self.caches.stored.get() {
            return Ok(known);
        }
        let opened = StoredReader::open(&self.reader)?;
        Ok(self.caches.stored.get_or_init(|| opened))
    }

    /// Returns the stretches of documents whose seq_nos ascend: one pass over them, the first time.
    pub(crate) fn runs(&self) -> &Runs {
        let find = || Runs::of(self.seq_no.as_ref());
        self.caches.runs.get_or_init(find)
    }

    /// Returns the numbers that ranking has counted in the segment.
    pub fn numbers(&self) -> &SegmentNumbers {
        &self.caches.numbers
    }

    /// Returns the postings and occurrences of a column in live documents: one pass over its terms, the first time.
    ///
    /// # Errors
    /// When they cannot be read, or `control` stops the pass.
    pub(crate) fn totals(
        &self,
        handle: &FieldHandle,
        control: &Control,
    ) -> Result<Counts, EngineError> {
        if let Some(known) = self.caches.totals.read().get(&handle.column) {
            return Ok(*known);
        }
        let counted = totals::of_segment(self, handle, control)?;
        self.caches.totals.write().insert(handle.column, counted);
        Ok(counted)
    }

    /// Returns the columns whose terms stand for points and ranges, each decoded once.
    pub(crate) fn decoded(&self) -> &DecodedColumns {
        &self.decoded
    }

    /// Returns its documents in the orders of keys.
    pub(crate) fn orders(&self) -> &DocOrders {
        &self.orders
    }

    /// Returns the figures that need no look at the disk; `bytes` is 0.
    pub fn counts(&self) -> SegmentStats {
        SegmentStats {
            documents: u64::from(self.reader.num_docs()),
            deleted: u64::from(self.reader.num_deleted_docs()),
            bytes: 0,
        }
    }

    /// Returns how many live documents have each norm id of a text column.
    ///
    /// # Errors
    /// When the norms cannot be read.
    pub fn norm_histogram(&self, column: Column) -> Result<Arc<NormHistogram>, EngineError> {
        if let Some(histogram) = self.caches.norms.read().get(&column) {
            return Ok(Arc::clone(histogram));
        }
        let histogram = Arc::new(self.count_norms(column)?);
        self.caches
            .norms
            .write()
            .insert(column, Arc::clone(&histogram));
        Ok(histogram)
    }

    /// Returns the files of the lists of its columns.
    pub(crate) fn list_files(&self) -> &ListFiles {
        &self.caches.lists
    }

    /// Returns a text column, open for ranking; `None` when its lists cannot be read
    /// ([`TextColumn::open`]).
    ///
    /// # Errors
    /// When the index cannot be read.
    pub(crate) fn text_column(
        &self,
        column: Column,
    ) -> Result<Option<Arc<TextColumn>>, EngineError> {
        if let Some(known) = self.caches.text.read().get(&column) {
            return Ok(known.clone());
        }
        let opened = TextColumn::open(self, column)?.map(Arc::new);
        self.caches.text.write().insert(column, opened.clone());
        Ok(opened)
    }

    fn count_norms(&self, column: Column) -> Result<NormHistogram, EngineError> {
        let norms = self.reader.get_fieldnorms_reader(column)?;
        let mut histogram = [0; 256];
        for doc in self.reader.doc_ids_alive() {
            histogram[usize::from(norms.fieldnorm_id(doc))] += 1;
        }
        Ok(histogram)
    }
}

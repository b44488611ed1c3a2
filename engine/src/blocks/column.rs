//! A column of one segment whose terms are counted, open for ranking.

use std::sync::{Arc, OnceLock};

use tantivy::SegmentReader;
use tantivy::directory::{CompositeFile, OwnedBytes};
use tantivy::index::{InvertedIndexReader, SegmentComponent};
use tantivy::postings::TermInfo;
use tantivy::schema::{Field as Column, FieldType, IndexRecordOption, TextFieldIndexing};

use super::list::PostingList;
use super::positions::Positions;
use super::terms::RecentTerms;
use crate::EngineError;
use crate::score::bound::Lengths;
use crate::view::SegmentView;

/// Bytes in front of a column's posting lists: its number of tokens.
const HEADER_BYTES: usize = 8;

/// The files that hold the lists of all columns of a segment, each opened once: to find one column in them takes as long
/// as to find all.
#[derive(Default)]
pub(crate) struct ListFiles {
    postings: OnceLock<Option<CompositeFile>>,
    positions: OnceLock<Option<CompositeFile>>,
}

impl ListFiles {
    /// Returns a file of the segment that `reader` is of; `None` where it has been deleted.
    fn get(
        &self,
        reader: &SegmentReader,
        component: SegmentComponent,
    ) -> Result<Option<&CompositeFile>, EngineError> {
        let known = match component {
            SegmentComponent::Positions => &self.positions,
            _ => &self.postings,
        };
        if let Some(known) = known.get() {
            return Ok(known.as_ref());
        }
        let opened = match reader.open_read(component) {
            Ok(file) => {
                let opened = CompositeFile::open(&file);
                Some(opened.map_err(EngineError::io("opening a text column"))?)
            }
            Err(_) => None,
        };
        Ok(known.get_or_init(|| opened).as_ref())
    }
}

/// Where a column's lists and norms stand.
pub(crate) struct TextColumn {
    inverted: Arc<InvertedIndexReader>,
    postings: OwnedBytes,
    norm_ids: OwnedBytes,
    lengths: Option<Lengths>,
    /// `None` where the column has none.
    positions: Option<OwnedBytes>,
    recent: RecentTerms,
}

impl TextColumn {
    /// Opens `column`; `None` when its lists cannot be read here: the column has no frequencies or
    /// norms, or the segment's file has been deleted since its reader was opened (files that are
    /// mapped stay; such as are copied do not).
    ///
    /// # Errors
    /// When the index cannot be read.
    pub(crate) fn open(segment: &SegmentView, column: Column) -> Result<Option<Self>, EngineError> {
        let reader = segment.reader();
        let record = match reader.schema().get_field_entry(column).field_type() {
            FieldType::Str(options) => options
                .get_indexing_options()
                .map(TextFieldIndexing::index_option),
            _ => None,
        };
        let Some(record) = record.filter(|record| *record != IndexRecordOption::Basic) else {
            return Ok(None);
        };
        let norms = reader.fieldnorms_readers().get_inner_file();
        let Some(norms) = norms.open_read(column) else {
            return Ok(None);
        };
        let files = segment.list_files();
        let Some(lists) = files.get(reader, SegmentComponent::Postings)? else {
            return Ok(None);
        };
        let read = |error| EngineError::io("opening a text column")(error);
        let postings = match lists.open_read(column) {
            Some(lists) => lists.slice_from(HEADER_BYTES).read_bytes().map_err(read)?,
            None => OwnedBytes::empty(),
        };
        let positions = if record == IndexRecordOption::WithFreqsAndPositions {
            let Some(positions) = files.get(reader, SegmentComponent::Positions)? else {
                return Ok(None);
            };
            Some(match positions.open_read(column) {
                Some(positions) => positions.read_bytes().map_err(read)?,
                None => OwnedBytes::empty(),
            })
        } else {
            None
        };
        Ok(Some(Self {
            inverted: reader.inverted_index(column)?,
            postings,
            norm_ids: norms.read_bytes().map_err(read)?,
            lengths: segment.numbers().of_text(segment, column)?.lengths,
            positions,
            recent: RecentTerms::new(reader.max_doc()),
        }))
    }

    /// Returns the norm id of each document.
    pub(crate) fn norm_ids(&self) -> &[u8] {
        self.norm_ids.as_slice()
    }

    /// Returns the lengths of the segment's documents; `None` when none has the field.
    pub(crate) fn lengths(&self) -> Option<Lengths> {
        self.lengths
    }

    /// Returns how many documents hold `term`, deleted ones included.
    ///
    /// # Errors
    /// When the dictionary cannot be read.
    pub(crate) fn frequency(&self, term: &str) -> Result<u32, EngineError> {
        Ok(self.info(term)?.map_or(0, |info| info.doc_freq))
    }

    /// Returns the list of `term`; `None` when no document of the segment holds it.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub(crate) fn list(&self, term: &str) -> Result<Option<PostingList<'_>>, EngineError> {
        let Some(info) = self.info(term)? else {
            return Ok(None);
        };
        let bytes = self.postings.as_slice().get(info.postings_range);
        let bytes = bytes.ok_or_else(|| {
            EngineError::Corrupt(format!("the list of `{term}` is not in the file"))
        })?;
        PostingList::open(bytes, info.doc_freq, self.has_positions()).map(Some)
    }

    /// Returns whether it is known where terms stand in a document.
    pub(crate) fn has_positions(&self) -> bool {
        self.positions.is_some()
    }

    /// Returns where `term` stands in the documents of its list; `None` when no document of the
    /// segment holds it, and where the column has no positions.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub(crate) fn positions(&self, term: &str) -> Result<Option<Positions<'_>>, EngineError> {
        let (Some(positions), Some(info)) = (&self.positions, self.info(term)?) else {
            return Ok(None);
        };
        let bytes = positions.as_slice().get(info.positions_range);
        let bytes = bytes.ok_or_else(|| {
            EngineError::Corrupt(format!("the positions of `{term}` are not in the file"))
        })?;
        Positions::open(bytes).map(Some)
    }

    fn info(&self, term: &str) -> Result<Option<TermInfo>, EngineError> {
        self.recent.get(term.as_bytes(), || {
            let found = self.inverted.terms().get(term.as_bytes());
            found.map_err(EngineError::io("reading terms"))
        })
    }
}

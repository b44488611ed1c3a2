//! A column of one segment whose terms are counted, open for ranking.

use std::sync::Arc;

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
        let Ok(file) = reader.open_read(SegmentComponent::Postings) else {
            return Ok(None);
        };
        let read = |error| EngineError::io("opening a text column")(error);
        let composite = CompositeFile::open(&file).map_err(read)?;
        let postings = match composite.open_read(column) {
            Some(lists) => lists.slice_from(HEADER_BYTES).read_bytes().map_err(read)?,
            None => OwnedBytes::empty(),
        };
        let positions = if record == IndexRecordOption::WithFreqsAndPositions {
            let Ok(file) = reader.open_read(SegmentComponent::Positions) else {
                return Ok(None);
            };
            let composite = CompositeFile::open(&file).map_err(read)?;
            Some(match composite.open_read(column) {
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

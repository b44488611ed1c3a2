//! Numbers of one segment, each computed once.

use std::collections::HashMap;

use gleaner_partial::control::Control;
use gleaner_partial::score::bm25::length_of;
use gleaner_query::resolved::{FieldStatistics, feature_code};
use moka::sync::Cache;
use parking_lot::RwLock;
use tantivy::postings::SegmentPostings;
use tantivy::schema::{Field as Column, IndexRecordOption};
use tantivy::{DocSet, TERMINATED, Term};

use crate::EngineError;
use crate::doc_values::DocValues;
use crate::schema::{FieldHandle, names};
use crate::score::bound::Lengths;
use crate::view::SegmentView;

/// Terms whose corrected document frequency a segment remembers; some 100 bytes each.
const FREQUENCIES_KEPT: u64 = 4_096;
/// Postings between two looks at the clock.
const POSTINGS_PER_CHECK: u32 = 65_536;

/// Numbers of a field in one segment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FieldNumbers {
    /// Of its live documents.
    pub live: FieldStatistics,
    /// Lengths of all its documents, deleted ones included; `None` when none has the field, or the
    /// field has no lengths.
    pub lengths: Option<Lengths>,
}

/// What was counted in a segment; valid as long as its live documents stay the same.
pub struct SegmentNumbers {
    fields: RwLock<HashMap<Column, FieldNumbers>>,
    frequencies: Cache<Term, u64>,
    /// By name: features of one field share its column.
    features: Cache<String, FieldStatistics>,
}

impl Default for SegmentNumbers {
    fn default() -> Self {
        Self {
            fields: RwLock::default(),
            frequencies: Cache::new(FREQUENCIES_KEPT),
            features: Cache::new(FREQUENCIES_KEPT),
        }
    }
}

impl SegmentNumbers {
    /// Returns the numbers of a column with lengths: one pass over its norms, the first time.
    ///
    /// # Errors
    /// When the norms cannot be read.
    pub fn of_text(
        &self,
        segment: &SegmentView,
        column: Column,
    ) -> Result<FieldNumbers, EngineError> {
        self.remembered(column, || count_norms(segment, column))
    }

    /// Returns the numbers of a column without lengths: how many live documents have a value.
    ///
    /// # Errors
    /// When the column cannot be read.
    pub fn of_values(
        &self,
        segment: &SegmentView,
        handle: &FieldHandle,
    ) -> Result<FieldNumbers, EngineError> {
        self.remembered(handle.column, || {
            let documents = count_present(segment, handle)?;
            Ok(FieldNumbers {
                live: FieldStatistics {
                    documents,
                    total_length: documents,
                },
                lengths: None,
            })
        })
    }

    /// Returns the numbers of a feature: how many live documents have it, and the sum of its codes. One pass over its
    /// values, the first time.
    ///
    /// # Errors
    /// When the column cannot be read.
    pub fn of_feature(
        &self,
        segment: &SegmentView,
        handle: &FieldHandle,
        is_positive: bool,
    ) -> Result<FieldStatistics, EngineError> {
        if let Some(known) = self.features.get(&handle.name) {
            return Ok(known);
        }
        let mut sum = FieldStatistics::default();
        if let Some(DocValues::F64(values)) = DocValues::open(segment, handle)? {
            let alive = (0..segment.reader().max_doc()).filter(|&doc| segment.is_alive(doc));
            for value in alive.filter_map(|doc| values.first(doc)) {
                sum.documents += 1;
                sum.total_length += feature_code(value, is_positive);
            }
        }
        self.features.insert(handle.name.clone(), sum);
        Ok(sum)
    }

    /// Returns how many live documents hold `term`.
    ///
    /// Without deletes this is a look-up; with deletes the first call walks the posting list.
    ///
    /// # Errors
    /// When the postings cannot be read, or `control` stops the walk.
    pub fn live_frequency(
        &self,
        segment: &SegmentView,
        term: &Term,
        control: &Control,
    ) -> Result<u64, EngineError> {
        let reader = segment.reader();
        if !reader.has_deletes() {
            let inverted = reader.inverted_index(term.field())?;
            let frequency = inverted
                .doc_freq(term)
                .map_err(EngineError::io("reading terms"))?;
            return Ok(u64::from(frequency));
        }
        if let Some(known) = self.frequencies.get(term) {
            return Ok(known);
        }
        let inverted = reader.inverted_index(term.field())?;
        let postings = inverted
            .read_postings(term, IndexRecordOption::Basic)
            .map_err(EngineError::io("reading postings"))?;
        let frequency = match postings {
            Some(postings) => count_alive(segment, postings, control)?,
            None => 0,
        };
        self.frequencies.insert(term.clone(), frequency);
        Ok(frequency)
    }

    fn remembered(
        &self,
        column: Column,
        count: impl FnOnce() -> Result<FieldNumbers, EngineError>,
    ) -> Result<FieldNumbers, EngineError> {
        if let Some(known) = self.fields.read().get(&column) {
            return Ok(*known);
        }
        let counted = count()?;
        self.fields.write().insert(column, counted);
        Ok(counted)
    }
}

fn count_norms(segment: &SegmentView, column: Column) -> Result<FieldNumbers, EngineError> {
    let reader = segment.reader();
    let nothing = FieldNumbers {
        live: FieldStatistics::default(),
        lengths: None,
    };
    let Some(norms) = reader.fieldnorms_readers().get_field(column)? else {
        return Ok(nothing);
    };
    let (mut all, mut dead) = ([0u64; 256], [0u64; 256]);
    for doc in 0..norms.num_docs() {
        all[usize::from(norms.fieldnorm_id(doc))] += 1;
    }
    if let Some(alive) = reader.alive_bitset() {
        for doc in (0..norms.num_docs()).filter(|&doc| alive.is_deleted(doc)) {
            dead[usize::from(norms.fieldnorm_id(doc))] += 1;
        }
    }
    let mut live = FieldStatistics::default();
    for id in 1..256 {
        let documents = all[id] - dead[id];
        live.documents += documents;
        live.total_length += documents * u64::from(length_of(id));
    }
    let tokens = reader.inverted_index(column)?.total_num_tokens();
    let average = tokens as f64 / f64::from(reader.max_doc());
    let mut present = (1..=255u8).filter(|&id| all[usize::from(id)] > 0);
    let lengths = present.next().map(|shortest| Lengths {
        average,
        shortest,
        longest: present.next_back().unwrap_or(shortest),
    });
    Ok(FieldNumbers { live, lengths })
}

fn count_present(segment: &SegmentView, handle: &FieldHandle) -> Result<u64, EngineError> {
    let alive = (0..segment.reader().max_doc()).filter(|&doc| segment.is_alive(doc));
    if let Some(values) = DocValues::open(segment, handle)? {
        return Ok(alive.filter(|&doc| values.num_values(doc) > 0).count() as u64);
    }
    if !names::is_listed(&handle.kind) {
        return Ok(0);
    }
    let schema = segment.reader().schema();
    let listed = schema.get_field(names::PRESENT)?;
    let term = Term::from_field_u64(listed, u64::from(handle.ordinal));
    let inverted = segment.reader().inverted_index(listed)?;
    let postings = inverted
        .read_postings(&term, IndexRecordOption::Basic)
        .map_err(EngineError::io("reading postings"))?;
    postings.map_or(Ok(0), |postings| {
        count_alive(segment, postings, &Control::unlimited())
    })
}

fn count_alive(
    segment: &SegmentView,
    mut postings: SegmentPostings,
    control: &Control,
) -> Result<u64, EngineError> {
    let (mut alive, mut seen) = (0, 0u32);
    while postings.doc() != TERMINATED {
        alive += u64::from(segment.is_alive(postings.doc()));
        seen += 1;
        if seen % POSTINGS_PER_CHECK == 0 {
            control.check()?;
        }
        postings.advance();
    }
    Ok(alive)
}

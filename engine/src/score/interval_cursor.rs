//! How often, and how closely, the intervals of a query occur in a document.
//!
//! Does: read the places of words in one segment and weigh the intervals that they make. Does not: find intervals
//! (`intervals` does). Called by: `canonical`. Read first: [`IntervalMatcher::frequency`].

use std::sync::Arc;

use gleaner_model::FieldPath;
use gleaner_partial::control::{Control, HighWater, Pace, Stop};
use gleaner_query::resolved::{IntervalScoring, Intervals};
use tantivy::postings::SegmentPostings;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, SegmentReader};

use super::canonical::{Lengths, read};
use super::intervals::{Algebra, Interval, Steps as _, Work};
use super::phrase::read_positions;
use crate::EngineError;
use crate::lower::{Scope, require_index};

/// Finds intervals in the documents of a segment, forwards only.
pub(crate) struct IntervalMatcher {
    algebra: Algebra,
    scoring: IntervalScoring,
    /// For each of the algebra's words: where they are read from.
    postings: Vec<Vec<SegmentPostings>>,
    /// Beside them: their places.
    places: Vec<Vec<i64>>,
    buffer: Vec<u32>,
    pace: Pace<Arc<Control>>,
    held: HighWater,
}

impl IntervalMatcher {
    /// Opens the words of `intervals` in a segment.
    ///
    /// # Errors
    /// `EvaluationError::Query` for a field that is not indexed, and when the segment cannot be read.
    pub(crate) fn open(
        scope: &Scope<'_>,
        reader: &SegmentReader,
        intervals: &Intervals,
    ) -> Result<Self, EngineError> {
        let algebra = Algebra::new(&intervals.source);
        let mut postings = Vec::with_capacity(algebra.words().len());
        for words in algebra.words() {
            postings.push(match scope.view.fields().text(words.field.as_str()) {
                None => Vec::new(),
                Some(handle) => {
                    require_index(&words.field, handle)?;
                    let option = IndexRecordOption::WithFreqsAndPositions;
                    read(reader, handle.column, &words.terms, option)?
                }
            });
        }
        Ok(Self {
            places: vec![Vec::new(); postings.len()],
            algebra,
            scoring: intervals.scoring,
            postings,
            buffer: Vec::new(),
            pace: Pace::new(Arc::clone(scope.control)),
            held: HighWater::default(),
        })
    }

    /// Returns the weight of all intervals in `doc`, 0 where there are none. `doc` never falls.
    ///
    /// Where the time is over within a document it returns 0 too, and [`Control::check_whole`] tells.
    pub(crate) fn frequency(&mut self, doc: DocId) -> f64 {
        self.weigh(doc).unwrap_or_else(|_| {
            self.pace.control().cut_short();
            0.0
        })
    }

    fn weigh(&mut self, doc: DocId) -> Result<f64, Stop> {
        let mut work = Work {
            pace: &mut self.pace,
            held: &mut self.held,
        };
        for (lists, places) in self.postings.iter_mut().zip(&mut self.places) {
            read_positions(lists, doc, &mut self.buffer, places, &mut work)?;
            work.step(1 + places.len())?;
        }
        let found = self.algebra.intervals(&self.places, &mut work)?;
        work.give_back(found.capacity() * size_of::<Interval>());
        let (scoring, least) = (self.scoring, self.algebra.least_length());
        Ok(found
            .iter()
            .map(|found| weight(found, scoring, least))
            .sum())
    }
}

/// Returns what an interval adds to the frequency.
fn weight(interval: &Interval, scoring: IntervalScoring, least_length: i64) -> f64 {
    let over = match scoring {
        IntervalScoring::Saturated => interval.length().saturating_sub(least_length),
        IntervalScoring::Bm25 => interval.gaps,
    };
    1.0 / (1.0 + over.max(0) as f64)
}

/// Intervals with what they score.
pub(crate) struct IntervalCursor {
    matcher: IntervalMatcher,
    /// The field's lengths, where it is scored by BM25.
    lengths: Option<Lengths>,
    /// Factor on f / (f + 1), where it is not.
    boost: f64,
}

impl IntervalCursor {
    /// Opens `intervals`, their score multiplied by `boost`; `None` where the segment has no document with the field.
    ///
    /// # Errors
    /// `EvaluationError::MissingStatistics`, and as [`IntervalMatcher::open`].
    pub(crate) fn open(
        scope: &Scope<'_>,
        reader: &SegmentReader,
        intervals: &Intervals,
        boost: f64,
    ) -> Result<Option<Self>, EngineError> {
        let lengths = match intervals.scoring {
            IntervalScoring::Saturated => None,
            IntervalScoring::Bm25 => {
                let weight = boost * idf(scope, &intervals.field, &intervals.terms())?;
                let opened = Lengths::open(scope, reader, &intervals.field, weight)?;
                let Some((lengths, _)) = opened else {
                    return Ok(None);
                };
                Some(lengths)
            }
        };
        Ok(Some(Self {
            matcher: IntervalMatcher::open(scope, reader, intervals)?,
            lengths,
            boost,
        }))
    }

    /// Returns the score of `doc`, `None` where it has no interval.
    pub(crate) fn score(&mut self, doc: DocId) -> Option<f64> {
        let frequency = self.matcher.frequency(doc);
        (frequency > 0.0).then(|| match &self.lengths {
            Some(lengths) => lengths.score(doc, frequency),
            None => self.boost * (frequency / (frequency + 1.0)),
        })
    }

    /// Returns the frequency that the score of `doc` is made of, with the length of the field where that counts.
    pub(crate) fn frequency(&mut self, doc: DocId) -> Option<(f64, u32)> {
        let frequency = self.matcher.frequency(doc);
        let lengths = self.lengths.as_ref();
        lengths.map(|lengths| (frequency, lengths.length(doc)))
    }
}

/// Returns the sum of the terms' inverse document frequencies, each term once, in order.
fn idf(scope: &Scope<'_>, field: &FieldPath, terms: &[&str]) -> Result<f64, EngineError> {
    let mut terms = terms.to_vec();
    terms.sort_unstable();
    terms.dedup();
    let terms: Vec<String> = terms.into_iter().map(str::to_owned).collect();
    Ok(scope.model.phrase_idf(field, &[(0, terms)])?)
}

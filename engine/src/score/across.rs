//! One text over several fields: as if they were one, or the best of them under common numbers.
//!
//! Does: open and score what [`Clause::Across`] and [`Clause::AtLeast`] stand for. Does not: find candidates. Called by:
//! `canonical`. Read first: [`Combined::score`].
//!
//! ```text
//! one field: f = Σ wᵢ · tfᵢ   length = Σ wᵢ · lengthᵢ   average = Σ wᵢ · tokensᵢ / N
//! N = the most documents that have one of the fields, n = the most that hold the text in one of them
//! ```

use gleaner_partial::score::bm25;
use gleaner_partial::score::model::TermNumbers;
use gleaner_query::resolved::{Bm25, Clause};
use tantivy::{DocId, SegmentReader};

use super::canonical::{Asked, Cursor, Frequencies, group_cursor};
use super::function::Numbers;
use crate::EngineError;
use crate::lower::Scope;

/// Frequencies and lengths of several fields in a segment, scored as those of one.
pub(crate) struct Combined {
    /// Each with its factor; `None` where the segment has none of the words.
    fields: Vec<(f64, Option<Frequencies>, Option<super::canonical::Lengths>)>,
    /// boost · idf · (k1 + 1).
    weight: f64,
    similarity: Bm25,
    /// Mean of the summed lengths, > 0.
    average: f64,
}

/// Returns the numbers that several fields have in common.
///
/// # Errors
/// `EvaluationError::MissingStatistics` when the root did not send them.
pub(super) fn common(scope: &Scope<'_>, clauses: &[Clause]) -> Result<TermNumbers, EngineError> {
    let (mut documents, mut matching) = (0, 0);
    for clause in clauses {
        if let Some((field, terms)) = clause.terms() {
            let terms: Vec<String> = terms.into_iter().map(str::to_owned).collect();
            let numbers = scope.model.group(field, &terms)?;
            documents = numbers.documents.max(documents);
            matching = numbers.matching.max(matching);
        }
    }
    Ok(TermNumbers {
        documents,
        matching,
        idf: bm25::idf(matching, documents),
    })
}

impl Combined {
    /// Opens the words of `clauses`, one for each field.
    ///
    /// # Errors
    /// As [`Cursor::open`].
    pub(crate) fn open(
        scope: &Scope<'_>,
        reader: &SegmentReader,
        clauses: &[Clause],
        weights: &[f32],
        boost: f64,
    ) -> Result<Option<Self>, EngineError> {
        let common = common(scope, clauses)?;
        let (mut fields, mut total_length) = (Vec::with_capacity(clauses.len()), 0.0);
        let mut similarity = None;
        for (clause, weight) in clauses.iter().zip(weights) {
            let Some((field, terms)) = clause.terms() else {
                continue;
            };
            let weight = f64::from(*weight);
            total_length += weight * scope.model.field(field)?.total_length as f64;
            let norms = scope.model.norms(field);
            similarity = similarity.or(norms.map(|norms| norms.similarity()));
            let lengths = super::canonical::Lengths::open(scope, reader, field, 0.0)?;
            let terms: Vec<String> = terms.into_iter().map(str::to_owned).collect();
            let words = Frequencies::open(scope, reader, field, &terms, 0.0)?;
            fields.push((weight, words, lengths.map(|(lengths, _)| lengths)));
        }
        let average = total_length / common.documents as f64;
        let is_usable = common.documents > 0 && total_length > 0.0;
        let similarity = similarity.unwrap_or_default();
        Ok(is_usable.then_some(Self {
            fields,
            weight: boost * common.idf * similarity.gain(),
            similarity,
            average,
        }))
    }

    /// Returns the score of `doc`, `None` where no field has the words. `doc` never falls.
    pub(crate) fn score(&mut self, doc: DocId) -> Option<f64> {
        let (frequency, length) = self.numbers(doc);
        let norm = bm25::norm_of(self.similarity, length, self.average);
        (frequency > 0.0).then(|| self.weight * frequency / (frequency + norm))
    }

    /// Returns the parameters of the score, and the mean of the summed lengths.
    pub(super) fn parameters(&self) -> (Bm25, f64) {
        (self.similarity, self.average)
    }

    /// Returns the summed frequency and length.
    pub(super) fn numbers(&mut self, doc: DocId) -> (f64, f64) {
        let (mut frequency, mut length) = (0.0, 0.0);
        for (weight, words, lengths) in &mut self.fields {
            if let Some(words) = words {
                frequency += *weight * words.frequency(doc);
            }
            if let Some(lengths) = lengths {
                length += *weight * f64::from(lengths.length(doc));
            }
        }
        (frequency, length)
    }
}

/// Opens each of several fields under common numbers.
///
/// # Errors
/// As [`Cursor::open`].
pub(super) fn alike(
    scope: &Scope<'_>,
    reader: &SegmentReader,
    clauses: &[Clause],
    weights: &[f32],
    boost: f64,
) -> Result<Vec<Cursor>, EngineError> {
    let common = common(scope, clauses)?;
    let mut cursors = Vec::with_capacity(clauses.len());
    for (clause, weight) in clauses.iter().zip(weights) {
        let weight = boost * f64::from(*weight) * common.idf;
        cursors.push(group_cursor(scope, reader, clause, weight)?);
    }
    Ok(cursors)
}

/// Clauses of which a document says how many must match.
pub(crate) struct AtLeast {
    clauses: Vec<Cursor>,
    minimum: Numbers,
}

impl AtLeast {
    /// Opens clauses and the field of the number.
    ///
    /// # Errors
    /// As [`Cursor::open`].
    pub(crate) fn open(
        scope: &Scope<'_>,
        reader: &SegmentReader,
        clauses: &[Clause],
        field: &gleaner_model::FieldPath,
        boost: f64,
    ) -> Result<Self, EngineError> {
        let open = |clause| Cursor::open(scope, reader, clause, boost, Asked::Any);
        Ok(Self {
            clauses: clauses.iter().map(open).collect::<Result<_, _>>()?,
            minimum: Numbers::open(scope, reader, field)?,
        })
    }

    /// Returns the score of `doc`, `None` where too few match. `doc` never falls.
    pub(crate) fn score(&mut self, doc: DocId) -> Option<f64> {
        let minimum = self.minimum.smallest(doc)?.floor().max(1.0);
        let (mut number, mut sum) = (0.0, 0.0);
        for score in self
            .clauses
            .iter_mut()
            .filter_map(|cursor| cursor.score(doc))
        {
            number += 1.0;
            sum += score;
        }
        (number >= minimum).then_some(sum)
    }
}

//! Terms and phrases of fields that count their terms, scored by tantivy's own scorers under the request's
//! numbers: of fields whose k1 and b are tantivy's.
//!
//! tantivy computes idf as `ln(1 + x)` in f32, which for frequent terms is off by percents. So its
//! weights are made for a term that no document holds, whose idf is harmless, and corrected by a
//! factor: the scorer's weight is then right to a few roundings.

use std::collections::HashSet;

use gleaner_model::FieldPath;
use gleaner_query::resolved::{Clause, FieldStatistics};
use tantivy::query::{
    Bm25StatisticsProvider, BooleanWeight, EmptyWeight, EnableScoring, Explanation, Occur,
    PhraseQuery, Query, Scorer, SumCombiner, TermQuery, Weight,
};
use tantivy::schema::{Field as Column, IndexRecordOption};
use tantivy::{DocId, Score, SeekDangerResult, SegmentReader, Term};

use super::{Scope, candidates, constant, posting_set};
use crate::EngineError;
use crate::schema::FieldHandle;

/// Positions of a phrase that tantivy looks for, at most: in a text that says one word a million times
/// that takes some ten milliseconds.
const LONGEST_PLAIN: usize = 32;

/// Field, alternatives by position, and slop of a phrase.
pub(super) type PhraseParts<'a> = (&'a FieldPath, &'a [(u32, Vec<String>)], u32);

/// A term of a text or keyword field.
pub(super) fn term(
    scope: &Scope<'_>,
    field: &FieldPath,
    term: &str,
    boost: f64,
) -> Result<Box<dyn Weight>, EngineError> {
    let idf = scope.model.term(field, term)?.idf;
    weighted_term(scope, field, term, boost * idf)
}

/// A group of terms, each scored with the group's idf times its factor, summed.
pub(super) fn blended(
    scope: &Scope<'_>,
    field: &FieldPath,
    terms: &[(String, f32)],
    boost: f64,
) -> Result<Box<dyn Weight>, EngineError> {
    let idf = scope
        .model
        .group(field, terms.iter().map(|(term, _)| term))?
        .idf;
    let mut weights = Vec::with_capacity(terms.len());
    for (term, factor) in terms {
        let weight = boost * f64::from(*factor) * idf;
        weights.push((Occur::Should, weighted_term(scope, field, term, weight)?));
    }
    Ok(Box::new(BooleanWeight::with_minimum_number_should_match(
        weights,
        0,
        true,
        Box::new(SumCombiner::default),
    )))
}

/// A phrase that scores.
pub(super) fn phrase(
    scope: &Scope<'_>,
    clause: &Clause,
    (field, positions, slop): PhraseParts<'_>,
    boost: f64,
) -> Result<Box<dyn Weight>, EngineError> {
    let idf = scope.model.phrase_idf(field, positions)?;
    let Some(handle) = scope.view.fields().text(field.as_str()) else {
        return Ok(Box::new(EmptyWeight));
    };
    let Some(text) = text_column(scope, field, handle)? else {
        return Ok(Box::new(EmptyWeight));
    };
    let Some(query) = plain_phrase(text.column, positions, slop) else {
        let found = phrase_candidates(scope, field, positions)?;
        return Ok(candidates::scored(scope, clause, boost, found));
    };
    let scoring = text.scoring(scope);
    let inner = query.weight(scoring)?;
    let assumed_idf = text.assumed_idf() * positions.len() as f64;
    Ok(Box::new(ScaledWeight {
        inner,
        factor: (boost * idf / assumed_idf) as Score,
    }))
}

/// A phrase that only matches.
pub(super) fn phrase_matching(
    scope: &Scope<'_>,
    clause: &Clause,
    (field, positions, slop): PhraseParts<'_>,
) -> Result<Box<dyn Weight>, EngineError> {
    let Some(handle) = scope.view.fields().text(field.as_str()) else {
        return Ok(Box::new(EmptyWeight));
    };
    if let Some(query) = plain_phrase(handle.column, positions, slop) {
        return Ok(query.weight(EnableScoring::disabled_from_searcher(scope.view.searcher()))?);
    }
    let found = phrase_candidates(scope, field, positions)?;
    if positions.len() < 2 {
        return Ok(found);
    }
    Ok(candidates::matching(scope, clause, found))
}

fn weighted_term(
    scope: &Scope<'_>,
    field: &FieldPath,
    term: &str,
    weight: f64,
) -> Result<Box<dyn Weight>, EngineError> {
    let Some(handle) = scope.view.fields().counted(field.as_str()) else {
        let matching = posting_set::of_terms(scope, field, &[term.to_owned()])?;
        return Ok(constant(matching, weight));
    };
    let Some(text) = text_column(scope, field, handle)? else {
        return Ok(Box::new(EmptyWeight));
    };
    let term = Term::from_field_text(text.column, term);
    let query = TermQuery::new(term, IndexRecordOption::WithFreqs);
    let inner = query.specialized_weight(text.scoring(scope))?;
    let factor = (weight / text.assumed_idf()) as Score;
    Ok(Box::new(ScaledWeight {
        inner: Box::new(inner),
        factor,
    }))
}

/// tantivy's phrase where it does what we mean: no moves, one term per position. Of a long phrase in a long
/// text it would see no deadline.
fn plain_phrase(
    column: Column,
    positions: &[(u32, Vec<String>)],
    slop: u32,
) -> Option<PhraseQuery> {
    if slop > 0
        || !(2..=LONGEST_PLAIN).contains(&positions.len())
        || positions.iter().any(|(_, terms)| terms.len() != 1)
    {
        return None;
    }
    let terms = positions
        .iter()
        .map(|(offset, terms)| (*offset as usize, Term::from_field_text(column, &terms[0])));
    Some(PhraseQuery::new_with_offset(terms.collect()))
}

/// Documents that have a term of every position, wherever it stands.
fn phrase_candidates(
    scope: &Scope<'_>,
    field: &FieldPath,
    positions: &[(u32, Vec<String>)],
) -> Result<Box<dyn Weight>, EngineError> {
    let mut slots = Vec::with_capacity(positions.len());
    let mut seen = HashSet::new();
    for (_, terms) in positions {
        if seen.insert(terms) {
            slots.push((Occur::Must, posting_set::of_terms(scope, field, terms)?));
        }
    }
    Ok(Box::new(BooleanWeight::with_minimum_number_should_match(
        slots,
        0,
        false,
        Box::new(SumCombiner::default),
    )))
}

/// Refuses a text field that is kept out of the index.
pub(super) fn require_index(scope: &Scope<'_>, field: &FieldPath) -> Result<(), EngineError> {
    match scope.view.fields().text(field.as_str()) {
        Some(handle) => posting_set::require_index(field, handle),
        None => Ok(()),
    }
}

/// The column of a field with its numbers in the request; `None` where no document has the field.
fn text_column(
    scope: &Scope<'_>,
    field: &FieldPath,
    handle: &FieldHandle,
) -> Result<Option<TextColumn>, EngineError> {
    let numbers = scope.model.field(field)?;
    posting_set::require_index(field, handle)?;
    let has_documents = scope.model.norms(field).is_some();
    Ok(has_documents.then_some(TextColumn {
        column: handle.column,
        numbers,
    }))
}

struct TextColumn {
    column: Column,
    numbers: FieldStatistics,
}

impl TextColumn {
    fn scoring<'a>(&'a self, scope: &'a Scope<'_>) -> EnableScoring<'a> {
        EnableScoring::enabled_from_statistics_provider(self, scope.view.searcher())
    }

    /// The idf tantivy computes from the numbers below, in its arithmetic.
    fn assumed_idf(&self) -> f64 {
        let odds = (self.numbers.documents as Score + 0.5) / 0.5;
        f64::from((1.0 + odds).ln())
    }
}

impl Bm25StatisticsProvider for TextColumn {
    fn total_num_tokens(&self, _: Column) -> tantivy::Result<u64> {
        Ok(self.numbers.total_length)
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.numbers.documents)
    }

    fn doc_freq(&self, _: &Term) -> tantivy::Result<u64> {
        Ok(0)
    }
}

/// Multiplies a weight's scores, and hands its scorers through as they are.
struct ScaledWeight {
    inner: Box<dyn Weight>,
    factor: Score,
}

impl Weight for ScaledWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        self.inner.scorer(reader, boost * self.factor)
    }

    fn scorer_danger(
        &self,
        reader: &SegmentReader,
        target: DocId,
        boost: Score,
    ) -> tantivy::Result<(SeekDangerResult, Box<dyn Scorer>)> {
        self.inner
            .scorer_danger(reader, target, boost * self.factor)
    }

    fn explain(&self, reader: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        self.inner.explain(reader, doc)
    }

    fn count(&self, reader: &SegmentReader) -> tantivy::Result<u32> {
        self.inner.count(reader)
    }
}

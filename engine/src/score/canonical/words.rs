//! Words of fields that count them, in a segment: their frequencies, the lengths of the field, and the cursors made of both.
//!
//! Does: open posting lists and norms. Does not: combine clauses (`canonical` does). Called by: `canonical` and those
//! that score intervals or several fields. Read first: [`Frequencies`].

use std::sync::Arc;

use gleaner_model::FieldPath;
use gleaner_partial::score::weights::TextWeight;
use gleaner_query::resolved::Clause;
use tantivy::fieldnorm::FieldNormReader;
use tantivy::postings::{Postings, SegmentPostings};
use tantivy::schema::{Field as Column, IndexRecordOption};
use tantivy::{DocId, SegmentReader, Term};

use super::super::phrase::PhraseMatcher;
use super::super::window;
use super::{Asked, Cursor, Sum, holds};
use crate::EngineError;
use crate::lower::Scope;

/// A field's lengths in a segment, with the weight of what is looked for.
pub(crate) struct Lengths {
    weight: TextWeight,
    ids: FieldNormReader,
}

/// Posting lists whose frequencies are added.
pub(crate) struct Frequencies {
    pub(super) lengths: Lengths,
    postings: Vec<SegmentPostings>,
}

impl Lengths {
    pub(in crate::score) fn open(
        scope: &Scope<'_>,
        reader: &SegmentReader,
        field: &FieldPath,
        weight: f64,
    ) -> Result<Option<(Self, Column)>, EngineError> {
        let (Some(handle), Some(norms)) = (
            scope.view.fields().counted(field.as_str()),
            scope.model.norms(field),
        ) else {
            return Ok(None);
        };
        let Some(ids) = reader.fieldnorms_readers().get_field(handle.column)? else {
            return Ok(None);
        };
        Ok(Some((
            Self {
                weight: TextWeight::new(weight, Arc::clone(norms)),
                ids,
            },
            handle.column,
        )))
    }

    pub(in crate::score) fn score(&self, doc: DocId, frequency: f64) -> f64 {
        self.weight.score(frequency, self.ids.fieldnorm_id(doc))
    }

    pub(in crate::score) fn length(&self, doc: DocId) -> u32 {
        self.ids.fieldnorm(doc)
    }
}

impl Frequencies {
    /// Opens the lists of `terms`; `None` where the segment has none of them.
    pub(in crate::score) fn open(
        scope: &Scope<'_>,
        reader: &SegmentReader,
        field: &FieldPath,
        terms: &[String],
        weight: f64,
    ) -> Result<Option<Self>, EngineError> {
        let Some((lengths, column)) = Lengths::open(scope, reader, field, weight)? else {
            return Ok(None);
        };
        let postings = read(reader, column, terms, IndexRecordOption::WithFreqs)?;
        let is_empty = postings.is_empty();
        Ok((!is_empty).then_some(Self { lengths, postings }))
    }

    pub(in crate::score) fn frequency(&mut self, doc: DocId) -> f64 {
        let mut sum = 0.0;
        for postings in &mut self.postings {
            if holds(postings, doc) {
                sum += f64::from(postings.term_freq());
            }
        }
        sum
    }
}

pub(super) fn terms(
    scope: &Scope<'_>,
    reader: &SegmentReader,
    field: &FieldPath,
    terms: &[String],
    weight: f64,
) -> Result<Cursor, EngineError> {
    let opened = Frequencies::open(scope, reader, field, terms, weight)?;
    Ok(opened.map_or(Cursor::Absent, Cursor::Terms))
}

/// Opens the words of a clause that is a term or several, with a weight that is not its own.
pub(in crate::score) fn group_cursor(
    scope: &Scope<'_>,
    reader: &SegmentReader,
    clause: &Clause,
    weight: f64,
) -> Result<Cursor, EngineError> {
    let Some((field, group)) = clause.terms() else {
        return Ok(Cursor::Absent);
    };
    if scope.view.fields().counted(field.as_str()).is_none() {
        return Cursor::constant(scope, reader, clause, weight, Asked::Any);
    }
    let group: Vec<String> = group.into_iter().map(str::to_owned).collect();
    terms(scope, reader, field, &group, weight)
}

pub(super) fn blended(
    scope: &Scope<'_>,
    reader: &SegmentReader,
    field: &FieldPath,
    group: &[(String, f32)],
    boost: f64,
) -> Result<Cursor, EngineError> {
    let idf = scope
        .model
        .group(field, group.iter().map(|(term, _)| term))?
        .idf;
    let is_counted = scope.view.fields().counted(field.as_str()).is_some();
    let mut should = Vec::with_capacity(group.len());
    for (term, factor) in group {
        let weight = boost * f64::from(*factor) * idf;
        should.push(if is_counted {
            terms(scope, reader, field, std::slice::from_ref(term), weight)?
        } else {
            let clause = Clause::Term {
                field: field.clone(),
                term: term.clone(),
            };
            Cursor::constant(scope, reader, &clause, weight, Asked::Any)?
        });
    }
    let (must, gates) = (Vec::new(), Vec::new());
    Ok(Cursor::Sum(Sum {
        must,
        should,
        minimum_should_match: 1,
        gates,
    }))
}

pub(super) fn phrase(
    scope: &Scope<'_>,
    reader: &SegmentReader,
    clause: &Clause,
    boost: f64,
) -> Result<Cursor, EngineError> {
    let Clause::Phrase {
        field,
        positions,
        slop,
    } = clause
    else {
        return Err(EngineError::internal("not a phrase"));
    };
    let weight = boost * scope.model.phrase_idf(field, positions)?;
    if scope.view.fields().text(field.as_str()).is_none() {
        // Its terms have no places.
        return Ok(Cursor::Absent);
    }
    let Some((lengths, column)) = Lengths::open(scope, reader, field, weight)? else {
        return Ok(Cursor::Absent);
    };
    let matcher = matcher(scope, reader, column, positions, *slop)?;
    Ok(matcher.map_or(Cursor::Absent, |matcher| Cursor::Phrase(lengths, matcher)))
}

/// Opens what finds a phrase; `None` when the segment lacks all terms of one of its positions.
pub(super) fn matcher(
    scope: &Scope<'_>,
    reader: &SegmentReader,
    column: Column,
    positions: &[(u32, Vec<String>)],
    slop: u32,
) -> Result<Option<PhraseMatcher>, EngineError> {
    let slots = window::slots(positions);
    let mut lists = Vec::new();
    for ((_, terms), slot) in positions.iter().zip(&slots) {
        if slot.list < lists.len() {
            continue;
        }
        let option = IndexRecordOption::WithFreqsAndPositions;
        let postings = read(reader, column, terms, option)?;
        if postings.is_empty() {
            return Ok(None);
        }
        lists.push(postings);
    }
    let is_empty = lists.is_empty();
    Ok((!is_empty).then(|| PhraseMatcher::new(slots, lists, slop, scope.control)))
}

/// Opens the posting lists of those of `terms` that the segment has.
pub(in crate::score) fn read(
    reader: &SegmentReader,
    column: Column,
    terms: &[String],
    option: IndexRecordOption,
) -> Result<Vec<SegmentPostings>, EngineError> {
    let inverted = reader.inverted_index(column)?;
    let mut lists = Vec::with_capacity(terms.len());
    for term in terms {
        let postings = inverted
            .read_postings(&Term::from_field_text(column, term), option)
            .map_err(EngineError::io("reading postings"))?;
        lists.extend(postings);
    }
    Ok(lists)
}

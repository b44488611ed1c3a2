//! Documents that hold any of a set of terms: listed, in a range, or matching a pattern.
//!
//! Few terms are walked side by side; many are gathered into a bitmap first. Nothing is capped: the set is complete.

use std::ops::Bound;
use std::sync::Arc;

use gleaner_model::{DocumentId, FieldPath};
use gleaner_partial::EvaluationError;
use gleaner_partial::control::{Control, Stop};
use gleaner_partial::pattern::{self, TermAutomaton};
use gleaner_query::resolved::Pattern;
use roaring::RoaringBitmap;
use tantivy::postings::TermInfo;
use tantivy::query::{
    EmptyScorer, EmptyWeight, EnableScoring, Explanation, Query, Scorer, TermQuery, Weight,
};
use tantivy::schema::{Field as Column, IndexRecordOption};
use tantivy::{DocId, InvertedIndexReader, Score, SegmentReader, TantivyError, Term};

use super::gather::Gathering;
use super::{Scope, cached, compound};
use crate::EngineError;
use crate::automaton::Walked;
use crate::filter_cache::BitmapScorer;
use crate::schema::FieldHandle;

/// Terms walked side by side at most; beyond that a bitmap is cheaper.
const SIDE_BY_SIDE: usize = 8;
/// Terms between two looks at the clock.
const TERMS_PER_CHECK: usize = 1_024;

/// Documents with any of `terms` of a text or keyword field.
pub(super) fn of_terms(
    scope: &Scope<'_>,
    field: &FieldPath,
    terms: &[String],
) -> Result<Box<dyn Weight>, EngineError> {
    let Some(handle) = scope.view.field(field.as_str()) else {
        return Ok(Box::new(EmptyWeight));
    };
    require_index(field, handle)?;
    let terms = terms
        .iter()
        .map(|term| Term::from_field_text(handle.column, term));
    of_list(scope, handle.column, terms.collect())
}

/// Documents with any of `ids`.
pub(super) fn of_ids(
    scope: &Scope<'_>,
    ids: &[DocumentId],
) -> Result<Box<dyn Weight>, EngineError> {
    let column = scope.view.fields().system().id;
    let terms = ids
        .iter()
        .map(|id| Term::from_field_text(column, id.as_str()));
    of_list(scope, column, terms.collect())
}

/// Documents with any of `terms`, all of `column`.
pub(super) fn of_list(
    scope: &Scope<'_>,
    column: Column,
    terms: Vec<Term>,
) -> Result<Box<dyn Weight>, EngineError> {
    if terms.is_empty() {
        return Ok(Box::new(EmptyWeight));
    }
    if terms.len() > SIDE_BY_SIDE {
        let terms = terms
            .iter()
            .map(|term| term.serialized_value_bytes().to_vec())
            .collect();
        return Ok(set(scope, column, Members::Listed(terms)));
    }
    let without_score = EnableScoring::disabled_from_searcher(scope.view.searcher());
    let mut weights = Vec::with_capacity(terms.len());
    for term in terms {
        weights.push(TermQuery::new(term, IndexRecordOption::Basic).weight(without_score)?);
    }
    Ok(compound::any_matching(weights))
}

/// Documents with a term between the bounds.
pub(super) fn of_range(
    scope: &Scope<'_>,
    column: Column,
    lower: Bound<Vec<u8>>,
    upper: Bound<Vec<u8>>,
) -> Box<dyn Weight> {
    set(scope, column, Members::Between(lower, upper))
}

/// Documents with a term that matches `pattern`.
pub(super) fn of_pattern(
    scope: &Scope<'_>,
    field: &FieldPath,
    pattern: &Pattern,
) -> Result<Box<dyn Weight>, EngineError> {
    let members = match pattern.is_test() {
        true => Members::Accepted(pattern.clone()),
        false => match pattern::automaton(pattern, scope.control) {
            Ok(automaton) => Members::Matching(automaton),
            Err(EvaluationError::DeadlineExceeded) => Members::Late,
            Err(error) => return Err(error.into()),
        },
    };
    let Some(handle) = scope.view.field(field.as_str()) else {
        return Ok(Box::new(EmptyWeight));
    };
    require_index(field, handle)?;
    Ok(set(scope, handle.column, members))
}

/// Refuses fields that are kept out of the index.
pub(crate) fn require_index(field: &FieldPath, handle: &FieldHandle) -> Result<(), EngineError> {
    if handle.kind.is_indexed() {
        return Ok(());
    }
    let reason = format!("Cannot search on field [{field}] since it is not indexed.");
    Err(EngineError::clause(reason))
}

fn set(scope: &Scope<'_>, column: Column, members: Members) -> Box<dyn Weight> {
    Box::new(PostingSet {
        column,
        members,
        control: Arc::clone(scope.control),
    })
}

/// Which terms.
enum Members {
    Listed(Vec<Vec<u8>>),
    Between(Bound<Vec<u8>>, Bound<Vec<u8>>),
    Matching(Arc<TermAutomaton>),
    /// Those that a test accepts, each of the dictionary's being asked.
    Accepted(Pattern),
    /// Unknown: no time was left to build the automaton. Every segment says that it is late.
    Late,
}

struct PostingSet {
    column: Column,
    members: Members,
    control: Arc<Control>,
}

impl PostingSet {
    fn gather(&self, reader: &SegmentReader) -> tantivy::Result<RoaringBitmap> {
        let inverted = reader.inverted_index(self.column)?;
        let mut union = Union::new(&inverted, reader.max_doc(), &self.control);
        let dictionary = inverted.terms();
        match &self.members {
            Members::Listed(terms) => {
                for term in terms {
                    if let Some(info) = dictionary.get(term)? {
                        union.add(&info)?;
                    }
                }
            }
            Members::Between(lower, upper) => {
                let range = dictionary.range();
                let range = match lower {
                    Bound::Included(term) => range.ge(term),
                    Bound::Excluded(term) => range.gt(term),
                    Bound::Unbounded => range,
                };
                let range = match upper {
                    Bound::Included(term) => range.le(term),
                    Bound::Excluded(term) => range.lt(term),
                    Bound::Unbounded => range,
                };
                let mut terms = range.into_stream()?;
                while terms.advance() {
                    union.add(terms.value())?;
                }
            }
            Members::Matching(automaton) => {
                let mut terms = dictionary.search(Walked(automaton)).into_stream()?;
                while terms.advance() {
                    union.add(terms.value())?;
                }
            }
            Members::Accepted(test) => {
                let mut terms = dictionary.stream()?;
                let mut num_terms = 0_usize;
                while terms.advance() {
                    num_terms += 1;
                    if num_terms.is_multiple_of(TERMS_PER_CHECK) {
                        self.control.check().map_err(cached::stopped)?;
                    }
                    let is_accepted = std::str::from_utf8(terms.key());
                    if is_accepted.is_ok_and(|term| test.accepts(term)) {
                        union.add(terms.value())?;
                    }
                }
            }
            Members::Late => return Err(cached::stopped(Stop::Deadline)),
        }
        union.gathering.finish().map_err(cached::stopped)
    }
}

impl Weight for PostingSet {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let bitmap = self.gather(reader)?;
        if bitmap.is_empty() {
            return Ok(Box::new(EmptyScorer));
        }
        Ok(Box::new(BitmapScorer::new(Arc::new(bitmap), boost)))
    }

    fn explain(&self, _: &SegmentReader, _: DocId) -> tantivy::Result<Explanation> {
        // Explanations are made from canonical scores.
        Err(TantivyError::InvalidArgument(
            "not explained by tantivy".to_owned(),
        ))
    }
}

/// Posting lists becoming one bitmap.
struct Union<'a> {
    inverted: &'a InvertedIndexReader,
    control: &'a Control,
    gathering: Gathering<'a>,
    num_terms: usize,
}

impl<'a> Union<'a> {
    fn new(inverted: &'a InvertedIndexReader, max_doc: u32, control: &'a Control) -> Self {
        Self {
            inverted,
            control,
            gathering: Gathering::new(max_doc, control),
            num_terms: 0,
        }
    }

    fn add(&mut self, info: &TermInfo) -> tantivy::Result<()> {
        self.num_terms += 1;
        if self.num_terms.is_multiple_of(TERMS_PER_CHECK) {
            self.control.check().map_err(cached::stopped)?;
        }
        let mut postings = self
            .inverted
            .read_block_postings_from_terminfo(info, IndexRecordOption::Basic)?;
        while !postings.docs().is_empty() {
            let docs = postings.docs().iter().copied();
            self.gathering.extend(docs).map_err(cached::stopped)?;
            postings.advance();
        }
        Ok(())
    }
}

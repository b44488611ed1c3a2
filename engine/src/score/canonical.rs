//! The canonical score of a document: f64, in the query's clause order, rounded once to f32.
//!
//! f32 sums depend on the order of scorers, and that on the layout. So tantivy's f32 scores only
//! decide which documents are worth a look; what is compared and returned is this. A [`Cursor`]
//! walks one segment forwards only and is asked about few documents (those that may enter the top).

mod words;

use gleaner_model::FieldPath;
use gleaner_query::resolved::{Blend, Clause, Intervals};
use tantivy::query::Scorer;
use tantivy::{DocId, DocSet, SegmentReader};

use super::across::{self, AtLeast, Combined};
use super::function::Functions;
use super::interval_cursor::{IntervalCursor, IntervalMatcher};
use super::phrase::PhraseMatcher;
use crate::EngineError;
use crate::lower::{self, Scope};
pub(super) use words::{Frequencies, Lengths, group_cursor, read};
use words::{blended, matcher, phrase, terms};

/// Whether the documents asked about are known to match the clause (then its filters are not
/// evaluated again).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Only matching documents.
    Matching,
    /// Any documents.
    Any,
}

/// Scores documents of one segment, in ascending order.
pub(crate) enum Cursor {
    /// Matches nothing in this segment.
    Absent,
    /// The same score for what matches; without a docset everything asked about does.
    Constant(f64, Option<Box<dyn Scorer>>),
    /// Terms of one field that count as one.
    Terms(Frequencies),
    /// A phrase of a text field.
    Phrase(Lengths, PhraseMatcher),
    /// A phrase that only matches.
    PhraseMatch(PhraseMatcher),
    /// Words that stand to each other in some way.
    Intervals(Box<IntervalCursor>),
    /// The same that only match.
    IntervalMatch(Box<IntervalMatcher>),
    /// Several fields as one.
    Combined(Box<Combined>),
    /// So many as the document says.
    AtLeast(Box<AtLeast>),
    /// Scores added up.
    Sum(Sum),
    /// The largest score, and a share of the others.
    DisMax(f64, Vec<Cursor>),
    /// A score made smaller where something else matches too.
    Demote(Box<Cursor>, Box<dyn Scorer>, f64),
    /// A score made of functions.
    Functions(Box<Functions>),
}

/// A `bool` clause.
pub(crate) struct Sum {
    must: Vec<Cursor>,
    should: Vec<Cursor>,
    minimum_should_match: usize,
    /// Docsets with whether they must (true) or must not match; empty when that is known.
    gates: Vec<(Box<dyn Scorer>, bool)>,
}

impl Cursor {
    /// Opens a cursor for `clause`, its score multiplied by `boost`.
    ///
    /// # Errors
    /// `EvaluationError::MissingStatistics`, and when the segment cannot be read.
    pub(crate) fn open(
        scope: &Scope<'_>,
        reader: &SegmentReader,
        clause: &Clause,
        boost: f64,
        asked: Asked,
    ) -> Result<Self, EngineError> {
        let open = |clause, boost, asked| Self::open(scope, reader, clause, boost, asked);
        Ok(match clause {
            Clause::MatchAll => Self::Constant(boost, None),
            Clause::MatchNone => Self::Absent,
            Clause::Boost { clause, factor } => open(clause, boost * f64::from(*factor), asked)?,
            Clause::Term { field, term } => {
                let idf = scope.model.term(field, term)?.idf;
                if scope.view.fields().counted(field.as_str()).is_none() {
                    return Self::constant(scope, reader, clause, boost * idf, asked);
                }
                terms(
                    scope,
                    reader,
                    field,
                    std::slice::from_ref(term),
                    boost * idf,
                )?
            }
            Clause::Synonyms {
                field,
                terms: group,
            } => {
                let idf = scope.model.group(field, group)?.idf;
                if scope.view.fields().counted(field.as_str()).is_none() {
                    return Self::constant(scope, reader, clause, boost * idf, asked);
                }
                terms(scope, reader, field, group, boost * idf)?
            }
            Clause::Blended { field, terms } => blended(scope, reader, field, terms, boost)?,
            Clause::Phrase { .. } => phrase(scope, reader, clause, boost)?,
            Clause::Bool { .. } => bool_cursor(scope, reader, clause, boost, asked)?,
            Clause::DisMax {
                clauses,
                tie_breaker,
            } => {
                let asked = if clauses.len() == 1 {
                    asked
                } else {
                    Asked::Any
                };
                let clauses = clauses.iter().map(|clause| open(clause, boost, asked));
                Self::DisMax(f64::from(*tie_breaker), clauses.collect::<Result<_, _>>()?)
            }
            Clause::Demote {
                positive,
                negative,
                factor,
            } => Self::Demote(
                Box::new(open(positive, boost, asked)?),
                lower::filter(scope, negative)?.scorer(reader, 1.0)?,
                f64::from(*factor),
            ),
            Clause::Functions(scored) => {
                let functions = Functions::open(scope, reader, scored, boost, asked)?;
                Self::Functions(Box::new(functions))
            }
            Clause::Across { .. } | Clause::AtLeast { .. } | Clause::Intervals(_) => {
                Self::open_related(scope, reader, clause, boost)?
            }
            Clause::Constant(inner) => Self::constant(scope, reader, inner, boost, asked)?,
            Clause::Exact { field, value } => {
                let score = boost * scope.model.value(field, value)?;
                Self::constant(scope, reader, clause, score, asked)?
            }
            Clause::AnyOf { .. }
            | Clause::Range { .. }
            | Clause::Exists { .. }
            | Clause::Ids { .. }
            | Clause::Slice { .. }
            | Clause::Pattern { .. } => Self::constant(scope, reader, clause, boost, asked)?,
        })
    }

    /// Opens words over several fields, of a number, and that stand to each other.
    fn open_related(
        scope: &Scope<'_>,
        reader: &SegmentReader,
        clause: &Clause,
        boost: f64,
    ) -> Result<Self, EngineError> {
        Ok(match clause {
            Clause::Across {
                clauses,
                weights,
                blend,
            } => match blend {
                Blend::OneField => {
                    let combined = Combined::open(scope, reader, clauses, weights, boost)?;
                    combined.map_or(Self::Absent, |combined| Self::Combined(Box::new(combined)))
                }
                Blend::Best(share) => {
                    let fields = across::alike(scope, reader, clauses, weights, boost)?;
                    Self::DisMax(f64::from(*share), fields)
                }
            },
            Clause::AtLeast { clauses, field } => {
                let of_number = AtLeast::open(scope, reader, clauses, field, boost)?;
                Self::AtLeast(Box::new(of_number))
            }
            Clause::Intervals(intervals) => {
                let opened = IntervalCursor::open(scope, reader, intervals, boost)?;
                opened.map_or(Self::Absent, |cursor| Self::Intervals(Box::new(cursor)))
            }
            _ => Self::Absent,
        })
    }

    /// Opens a cursor that only tells where a phrase occurs; needs no statistics.
    ///
    /// # Errors
    /// When the segment cannot be read.
    pub(crate) fn open_phrase_match(
        scope: &Scope<'_>,
        reader: &SegmentReader,
        field: &FieldPath,
        positions: &[(u32, Vec<String>)],
        slop: u32,
    ) -> Result<Self, EngineError> {
        let Some(handle) = scope.view.fields().text(field.as_str()) else {
            return Ok(Self::Absent);
        };
        let matcher = matcher(scope, reader, handle.column, positions, slop)?;
        Ok(matcher.map_or(Self::Absent, Self::PhraseMatch))
    }

    /// Opens a cursor that only tells where intervals are; needs no statistics.
    ///
    /// # Errors
    /// When the segment cannot be read.
    pub(crate) fn open_interval_match(
        scope: &Scope<'_>,
        reader: &SegmentReader,
        intervals: &Intervals,
    ) -> Result<Self, EngineError> {
        let matcher = IntervalMatcher::open(scope, reader, intervals)?;
        Ok(Self::IntervalMatch(Box::new(matcher)))
    }

    fn constant(
        scope: &Scope<'_>,
        reader: &SegmentReader,
        clause: &Clause,
        score: f64,
        asked: Asked,
    ) -> Result<Self, EngineError> {
        let docset = match asked {
            Asked::Matching => None,
            Asked::Any => Some(lower::filter(scope, clause)?.scorer(reader, 1.0)?),
        };
        Ok(Self::Constant(score, docset))
    }

    /// Returns the score of `doc`, `None` where it does not match. `doc` never falls.
    ///
    /// It counts for nothing unless [`Control::check_whole`](gleaner_partial::control::Control::check_whole) says
    /// afterwards that the scope's control has cut nothing short.
    pub(crate) fn score(&mut self, doc: DocId) -> Option<f64> {
        match self {
            Self::Absent => None,
            Self::Constant(score, docset) => {
                let is_match = docset.as_mut().is_none_or(|docset| holds(docset, doc));
                is_match.then_some(*score)
            }
            Self::Terms(terms) => {
                let frequency = terms.frequency(doc);
                (frequency > 0.0).then(|| terms.lengths.score(doc, frequency))
            }
            Self::Phrase(lengths, matcher) => {
                let frequency = matcher.frequency(doc);
                (frequency > 0.0).then(|| lengths.score(doc, frequency))
            }
            Self::PhraseMatch(matcher) => (matcher.frequency(doc) > 0.0).then_some(0.0),
            Self::Intervals(cursor) => cursor.score(doc),
            Self::IntervalMatch(matcher) => (matcher.frequency(doc) > 0.0).then_some(0.0),
            Self::Combined(combined) => combined.score(doc),
            Self::AtLeast(of_number) => of_number.score(doc),
            Self::Sum(sum) => sum.score(doc),
            Self::DisMax(tie_breaker, cursors) => dis_max(*tie_breaker, cursors, doc),
            Self::Demote(positive, negative, factor) => {
                let score = positive.score(doc)?;
                Some(if holds(negative, doc) {
                    score * *factor
                } else {
                    score
                })
            }
            Self::Functions(functions) => functions.score(doc),
        }
    }

    /// Returns the frequency the score of `doc` is made of, with the length of the field, for
    /// explanations; `None` for clauses that are not of a field which counts its terms.
    pub(crate) fn frequency(&mut self, doc: DocId) -> Option<(f64, u32)> {
        match self {
            Self::Terms(terms) => Some((terms.frequency(doc), terms.lengths.length(doc))),
            Self::Phrase(lengths, matcher) => Some((matcher.frequency(doc), lengths.length(doc))),
            Self::Intervals(cursor) => cursor.frequency(doc),
            _ => None,
        }
    }
}

impl Sum {
    fn score(&mut self, doc: DocId) -> Option<f64> {
        for (docset, wanted) in &mut self.gates {
            if holds(docset, doc) != *wanted {
                return None;
            }
        }
        let mut sum = 0.0;
        for cursor in &mut self.must {
            sum += cursor.score(doc)?;
        }
        let mut num_matching = 0;
        for score in self
            .should
            .iter_mut()
            .filter_map(|cursor| cursor.score(doc))
        {
            sum += score;
            num_matching += 1;
        }
        (num_matching >= self.minimum_should_match).then_some(sum)
    }
}

/// Returns whether `docset` holds `doc`, which never falls.
pub(super) fn holds<D: DocSet + ?Sized>(docset: &mut D, doc: DocId) -> bool {
    if docset.doc() < doc {
        docset.seek(doc);
    }
    docset.doc() == doc
}

fn dis_max(tie_breaker: f64, cursors: &mut [Cursor], doc: DocId) -> Option<f64> {
    let (mut best, mut sum) = (None::<f64>, 0.0);
    for score in cursors.iter_mut().filter_map(|cursor| cursor.score(doc)) {
        best = Some(best.map_or(score, |best| best.max(score)));
        sum += score;
    }
    best.map(|best| best + tie_breaker * (sum - best))
}

fn bool_cursor(
    scope: &Scope<'_>,
    reader: &SegmentReader,
    clause: &Clause,
    boost: f64,
    asked: Asked,
) -> Result<Cursor, EngineError> {
    let Clause::Bool {
        must,
        should,
        filter,
        must_not,
        ..
    } = clause
    else {
        return Err(EngineError::internal("not a bool clause"));
    };
    let minimum_should_match = clause.minimum_should_match();
    let asked_of_should = if minimum_should_match == should.len() {
        asked
    } else {
        Asked::Any
    };
    let open_all = |clauses: &[Clause], asked| -> Result<Vec<Cursor>, EngineError> {
        let open = |clause| Cursor::open(scope, reader, clause, boost, asked);
        clauses.iter().map(open).collect()
    };
    let mut gates = Vec::new();
    if asked == Asked::Any {
        for (clauses, wanted) in [(filter, true), (must_not, false)] {
            for clause in clauses {
                gates.push((lower::filter(scope, clause)?.scorer(reader, 1.0)?, wanted));
            }
        }
    }
    if lower::is_empty_bool(clause) {
        return Ok(Cursor::Constant(boost, None));
    }
    Ok(Cursor::Sum(Sum {
        must: open_all(must, asked)?,
        should: open_all(should, asked_of_should)?,
        minimum_should_match,
        gates,
    }))
}

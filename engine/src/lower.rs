//! From a resolved clause to tantivy weights that find candidates.
//!
//! Weights made here match exactly what the clause says; their f32 scores are close to the
//! canonical ones (within `score::bound::Slack`) and never decide an order. Statistics are the
//! request's, never the searcher's. Fields with other k1 and b than tantivy's are scored canonically
//! here already.

mod cached;
mod candidates;
mod compound;
mod excluded;
mod gather;
mod interval;
mod posting_set;
mod slice;
mod stoppable;
mod terms;
mod values;

use std::sync::Arc;

use gleaner_model::FieldPath;
use gleaner_partial::control::Control;
use gleaner_partial::score::model::Model;
use gleaner_query::resolved::{Bm25, Clause, FunctionScore};
use tantivy::query::{AllWeight, EmptyWeight, Weight};

use crate::filter_cache::FilterCache;
use crate::{EngineError, View};

pub(crate) use cached::{Gate, GateFilter};
pub(crate) use compound::is_empty_bool;
pub(crate) use posting_set::require_index;
pub(crate) use values::term_of;

/// What a clause is lowered against: one view, the request's numbers, and who may stop it.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    /// The shard.
    pub(crate) view: &'a Arc<View>,
    /// Numbers for scoring.
    pub(crate) model: &'a Arc<Model>,
    /// Deadline and cancellation.
    pub(crate) control: &'a Arc<Control>,
    /// Bitmaps of filters.
    pub(crate) filters: &'a Arc<FilterCache>,
}

/// Returns a weight that scores, for the whole query.
///
/// # Errors
/// `EvaluationError::MissingStatistics`, `EvaluationError::Query` for what cannot be evaluated.
pub(crate) fn query(scope: &Scope<'_>, clause: &Clause) -> Result<Box<dyn Weight>, EngineError> {
    scored(scope, clause, 1.0)
}

/// Returns a weight that only matches, for the whole query: bitmaps are kept of its filters, not
/// of itself.
///
/// # Errors
/// As [`query`].
pub(crate) fn unscored(scope: &Scope<'_>, clause: &Clause) -> Result<Box<dyn Weight>, EngineError> {
    matching(scope, clause)
}

/// Returns a weight that only matches; bitmaps of it may be kept.
///
/// # Errors
/// As [`query`].
pub(crate) fn filter(scope: &Scope<'_>, clause: &Clause) -> Result<Box<dyn Weight>, EngineError> {
    let (clause, _) = simplify(clause, 1.0);
    cached::wrap(scope, clause, matching(scope, clause)?)
}

/// Takes off what does not change matches: boosts, and a `bool` around a single scored clause.
pub(crate) fn simplify(clause: &Clause, boost: f64) -> (&Clause, f64) {
    match clause {
        Clause::Boost { clause, factor } => simplify(clause, boost * f64::from(*factor)),
        Clause::DisMax { clauses, .. } if clauses.len() == 1 => simplify(&clauses[0], boost),
        Clause::Bool {
            must,
            should,
            filter,
            must_not,
            minimum_should_match,
        } if filter.is_empty() && must_not.is_empty() => {
            match (must.as_slice(), should.as_slice(), minimum_should_match) {
                ([only], [], 0) | ([], [only], 0 | 1) => simplify(only, boost),
                _ => (clause, boost),
            }
        }
        _ => (clause, boost),
    }
}

/// Returns the clause that alone decides what matches `clause`: takes off, beside what [`simplify`] does, constant scores and a `bool`
/// around a single clause.
pub(crate) fn only_filter(clause: &Clause) -> &Clause {
    match simplify(clause, 1.0).0 {
        Clause::Constant(inner) => only_filter(inner),
        Clause::Bool {
            must,
            should,
            filter,
            must_not,
            minimum_should_match: 0,
        } if must_not.is_empty() && should.is_empty() => match (&must[..], &filter[..]) {
            ([only], []) | ([], [only]) => only_filter(only),
            _ => clause,
        },
        other => other,
    }
}

/// Returns the functions that `clause` is scored by, if it is.
pub(crate) fn functions(clause: &Clause) -> Option<&FunctionScore> {
    match clause {
        Clause::Functions(scored) => Some(scored),
        _ => None,
    }
}

/// Returns whether tantivy's scorers, whose k1 and b are constants, are close to the field's scores.
fn is_scored_by_tantivy(model: &Model, field: &FieldPath) -> bool {
    let norms = model.norms(field);
    norms.is_none_or(|norms| norms.similarity() == Bm25::DEFAULT)
}

/// Returns a weight whose scores are the clause's times `boost`.
fn scored(scope: &Scope<'_>, clause: &Clause, boost: f64) -> Result<Box<dyn Weight>, EngineError> {
    let (clause, boost) = simplify(clause, boost);
    match clause {
        Clause::MatchNone => Ok(Box::new(EmptyWeight)),
        Clause::Term { field, .. }
        | Clause::Blended { field, .. }
        | Clause::Phrase { field, .. }
            if !is_scored_by_tantivy(scope.model, field) =>
        {
            terms::require_index(scope, field)?;
            canonical(scope, clause, boost)
        }
        Clause::Term { field, term } => terms::term(scope, field, term, boost),
        Clause::Blended { field, terms } => terms::blended(scope, field, terms, boost),
        Clause::Phrase {
            field,
            positions,
            slop,
        } => {
            let phrase = terms::phrase(scope, clause, (field, positions, *slop), boost)?;
            Ok(stoppable(scope, phrase))
        }
        Clause::Synonyms { .. }
        | Clause::Demote { .. }
        | Clause::Functions(_)
        | Clause::Across { .. }
        | Clause::AtLeast { .. }
        | Clause::Intervals(_) => canonical(scope, clause, boost),
        Clause::Bool { .. } => compound::bool_scored(scope, clause, boost),
        Clause::DisMax {
            clauses,
            tie_breaker,
        } => compound::dis_max(scope, clauses, *tie_breaker, boost),
        Clause::Constant(inner) => Ok(constant(filter(scope, inner)?, boost)),
        Clause::Exact { field, value } => {
            let score = boost * scope.model.value(field, value)?;
            Ok(constant(matching(scope, clause)?, score))
        }
        Clause::Boost { .. }
        | Clause::MatchAll
        | Clause::AnyOf { .. }
        | Clause::Range { .. }
        | Clause::Exists { .. }
        | Clause::Ids { .. }
        | Clause::Slice { .. }
        | Clause::Pattern { .. } => Ok(constant(matching(scope, clause)?, boost)),
    }
}

/// Returns a weight whose scores are canonical: for what tantivy cannot score. Its k1 and b are
/// constants.
fn canonical(
    scope: &Scope<'_>,
    clause: &Clause,
    boost: f64,
) -> Result<Box<dyn Weight>, EngineError> {
    let found = match clause {
        Clause::Functions(scored) => matching(scope, &scored.query)?,
        Clause::AtLeast { clauses, .. } => any_of(scope, clauses)?,
        Clause::Intervals(intervals) => matching(scope, &intervals.source.words())?,
        _ => matching(scope, clause)?,
    };
    Ok(candidates::scored(scope, clause, boost, found))
}

/// Returns a weight that only matches.
fn matching(scope: &Scope<'_>, clause: &Clause) -> Result<Box<dyn Weight>, EngineError> {
    let (clause, _) = simplify(clause, 1.0);
    match clause {
        Clause::MatchAll => Ok(Box::new(AllWeight)),
        Clause::MatchNone => Ok(Box::new(EmptyWeight)),
        Clause::Term { field, term } => {
            posting_set::of_terms(scope, field, std::slice::from_ref(term))
        }
        Clause::Synonyms { field, terms } => posting_set::of_terms(scope, field, terms),
        Clause::Blended { field, terms } => {
            let terms: Vec<String> = terms.iter().map(|(term, _)| term.clone()).collect();
            posting_set::of_terms(scope, field, &terms)
        }
        Clause::Phrase {
            field,
            positions,
            slop,
        } => {
            let phrase = terms::phrase_matching(scope, clause, (field, positions, *slop))?;
            Ok(stoppable(scope, phrase))
        }
        Clause::Exact { field, value } => values::any_of(scope, field, std::slice::from_ref(value)),
        Clause::AnyOf { field, values } => values::any_of(scope, field, values),
        Clause::Range {
            field,
            lower,
            upper,
        } => {
            let range = values::range(scope, field, lower, upper)?;
            Ok(Box::new(interval::Interval::new(scope, clause, range)))
        }
        Clause::Exists { fields } => values::exists(scope, fields),
        Clause::Ids { ids } => posting_set::of_ids(scope, ids),
        Clause::Slice { id, max } => Ok(Box::new(slice::OfSlice { id: *id, max: *max })),
        Clause::Pattern { field, pattern } => posting_set::of_pattern(scope, field, pattern),
        Clause::Bool { .. } => compound::bool_matching(scope, clause),
        Clause::DisMax { clauses, .. } | Clause::Across { clauses, .. } => any_of(scope, clauses),
        Clause::AtLeast { clauses, field } => {
            let clauses = clauses
                .iter()
                .map(|clause| Clause::Constant(Box::new(clause.clone())));
            let unscored = Clause::AtLeast {
                clauses: clauses.collect(),
                field: field.clone(),
            };
            canonical(scope, &unscored, 1.0)
        }
        Clause::Intervals(intervals) => {
            let found = matching(scope, &intervals.source.words())?;
            Ok(stoppable(scope, candidates::matching(scope, clause, found)))
        }
        Clause::Constant(inner) | Clause::Boost { clause: inner, .. } => filter(scope, inner),
        Clause::Demote { positive, .. } => matching(scope, positive),
        Clause::Functions(scored) => {
            let candidates = matching(scope, &scored.query)?;
            Ok(match scored.min_score {
                None => candidates,
                Some(_) => candidates::scored(scope, clause, 1.0, candidates),
            })
        }
    }
}

/// Returns a weight that matches what any of `clauses` does.
fn any_of(scope: &Scope<'_>, clauses: &[Clause]) -> Result<Box<dyn Weight>, EngineError> {
    let alternatives = clauses.iter().map(|clause| matching(scope, clause));
    let alternatives = alternatives.collect::<Result<_, _>>()?;
    Ok(compound::any_matching(alternatives))
}

/// Lets what is costly at each document end when the evaluation is called off.
fn stoppable(scope: &Scope<'_>, inner: Box<dyn Weight>) -> Box<dyn Weight> {
    let control = Arc::clone(scope.control);
    Box::new(stoppable::Stoppable { inner, control })
}

/// Gives everything `weight` matches the same score.
fn constant(weight: Box<dyn Weight>, score: f64) -> Box<dyn Weight> {
    Box::new(compound::Constant::new(weight, score as f32))
}

/// Returns whether all documents of `view` that match `clause` have the same score.
pub(crate) fn has_one_score(view: &View, clause: &Clause) -> bool {
    match simplify(clause, 1.0).0 {
        Clause::MatchAll
        | Clause::MatchNone
        | Clause::Exact { .. }
        | Clause::AnyOf { .. }
        | Clause::Range { .. }
        | Clause::Exists { .. }
        | Clause::Ids { .. }
        | Clause::Slice { .. }
        | Clause::Pattern { .. }
        | Clause::Constant(_) => true,
        Clause::Term { field, .. } => {
            let handle = view.field(field.as_str());
            handle.is_none_or(|handle| !handle.kind.counts_occurrences())
        }
        Clause::Bool { must, should, .. } => {
            should.is_empty() && must.iter().all(|clause| has_one_score(view, clause))
        }
        _ => false,
    }
}

/// Returns how many clauses and terms whose scores count `clause` consists of, itself included.
pub(crate) fn num_nodes(clause: &Clause) -> usize {
    clause.sum_scored(&|clause| {
        1 + match clause {
            Clause::Term { .. } => 0,
            Clause::Phrase { positions, .. } => positions.len(),
            other => other.num_terms(),
        }
    })
}

/// Returns the most alternatives of any dis-max inside, 0 without one.
pub(crate) fn widest_dis_max(clause: &Clause) -> usize {
    let own = match clause {
        Clause::DisMax { clauses, .. } => clauses.len(),
        _ => 0,
    };
    let inside = clause.scored_children().map(widest_dis_max);
    inside.max().unwrap_or(0).max(own)
}

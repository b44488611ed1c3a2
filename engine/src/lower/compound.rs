//! Clauses made of clauses: `bool`, dis-max, constants.

use gleaner_query::resolved::Clause;
use tantivy::query::{
    AllWeight, BooleanWeight, ConstScorer, DisjunctionMaxCombiner, EmptyScorer, EmptyWeight,
    Explanation, Occur, Scorer, SumCombiner, Weight,
};
use tantivy::{DocId, Score, SeekDangerResult, SegmentReader};

use super::excluded::ExcludedWeight;
use super::{Scope, constant, filter, matching, scored};
use crate::EngineError;
use crate::filter_cache::BitmapScorer;

/// How a sub-clause is lowered.
type Lower = fn(&Scope<'_>, &Clause, f64) -> Result<Box<dyn Weight>, EngineError>;

/// Returns whether a `bool` asks for nothing at all: it then matches everything, with score 1.
pub(crate) fn is_empty_bool(clause: &Clause) -> bool {
    matches!(clause, Clause::Bool { must, should, filter, must_not, .. }
        if must.is_empty() && should.is_empty() && filter.is_empty() && must_not.is_empty())
}

/// A `bool` that scores.
pub(super) fn bool_scored(
    scope: &Scope<'_>,
    clause: &Clause,
    boost: f64,
) -> Result<Box<dyn Weight>, EngineError> {
    if is_empty_bool(clause) {
        return Ok(constant(Box::new(AllWeight), boost));
    }
    bool_weight(scope, clause, boost, scored, true)
}

/// A `bool` that only matches.
pub(super) fn bool_matching(
    scope: &Scope<'_>,
    clause: &Clause,
) -> Result<Box<dyn Weight>, EngineError> {
    if is_empty_bool(clause) {
        return Ok(Box::new(AllWeight));
    }
    bool_weight(
        scope,
        clause,
        1.0,
        |scope, clause, _| matching(scope, clause),
        false,
    )
}

fn bool_weight(
    scope: &Scope<'_>,
    clause: &Clause,
    boost: f64,
    lower: Lower,
    is_scored: bool,
) -> Result<Box<dyn Weight>, EngineError> {
    let Clause::Bool {
        must,
        should,
        filter: filters,
        must_not,
        ..
    } = clause
    else {
        return Err(EngineError::internal("not a bool clause"));
    };
    let without_score = |weight| {
        if is_scored {
            constant(weight, 0.0)
        } else {
            weight
        }
    };
    let mut weights = Vec::new();
    for clause in must {
        weights.push((Occur::Must, lower(scope, clause, boost)?));
    }
    for clause in filters {
        weights.push((Occur::Must, without_score(filter(scope, clause)?)));
    }
    for clause in should {
        weights.push((Occur::Should, lower(scope, clause, boost)?));
    }
    if weights.is_empty() {
        weights.push((Occur::Must, without_score(Box::new(AllWeight))));
    }
    for clause in must_not {
        weights.push((
            Occur::MustNot,
            Box::new(ExcludedWeight(filter(scope, clause)?)),
        ));
    }
    let minimum = clause.minimum_should_match();
    if minimum > should.len() {
        return Ok(Box::new(EmptyWeight));
    }
    // A minimum of 1 where nothing else is required is what tantivy means by 0.
    let is_implied = minimum == 1 && must.is_empty() && filters.is_empty();
    Ok(sum(
        weights,
        if is_implied { 0 } else { minimum },
        is_scored,
    ))
}

/// The largest score plus a share of the others.
pub(super) fn dis_max(
    scope: &Scope<'_>,
    clauses: &[Clause],
    tie_breaker: f32,
    boost: f64,
) -> Result<Box<dyn Weight>, EngineError> {
    let mut weights = Vec::with_capacity(clauses.len());
    for clause in clauses {
        weights.push((Occur::Should, scored(scope, clause, boost)?));
    }
    let combiner = move || DisjunctionMaxCombiner::with_tie_breaker(tie_breaker);
    Ok(Box::new(BooleanWeight::with_minimum_number_should_match(
        weights,
        0,
        true,
        Box::new(combiner),
    )))
}

/// What any of `weights` matches.
pub(super) fn any_matching(mut weights: Vec<Box<dyn Weight>>) -> Box<dyn Weight> {
    if weights.len() == 1 {
        return weights.swap_remove(0);
    }
    let weights = weights
        .into_iter()
        .map(|weight| (Occur::Should, weight))
        .collect();
    sum(weights, 0, false)
}

fn sum(
    weights: Vec<(Occur, Box<dyn Weight>)>,
    minimum_should_match: usize,
    is_scored: bool,
) -> Box<dyn Weight> {
    Box::new(BooleanWeight::with_minimum_number_should_match(
        weights,
        minimum_should_match,
        is_scored,
        Box::new(SumCombiner::default),
    ))
}

/// Gives everything a weight matches the same score.
///
/// tantivy drops scorers of all documents from conjunctions, and their score with them; behind
/// this they are not recognised.
pub(super) struct Constant {
    inner: Box<dyn Weight>,
    score: Score,
}

impl Constant {
    pub(super) fn new(inner: Box<dyn Weight>, score: Score) -> Self {
        Self { inner, score }
    }

    fn wrap(&self, scorer: Box<dyn Scorer>, boost: Score) -> Box<dyn Scorer> {
        let score = self.score * boost;
        if scorer.is::<EmptyScorer>() {
            return scorer;
        }
        match scorer.downcast::<BitmapScorer>() {
            Ok(scorer) => Box::new(scorer.with_score(score)),
            Err(scorer) => Box::new(ConstScorer::new(scorer, score)),
        }
    }
}

impl Weight for Constant {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        Ok(self.wrap(self.inner.scorer(reader, 1.0)?, boost))
    }

    fn scorer_danger(
        &self,
        reader: &SegmentReader,
        target: DocId,
        boost: Score,
    ) -> tantivy::Result<(SeekDangerResult, Box<dyn Scorer>)> {
        let (found, scorer) = self.inner.scorer_danger(reader, target, 1.0)?;
        Ok((found, self.wrap(scorer, boost)))
    }

    fn explain(&self, reader: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        self.inner.explain(reader, doc)
    }

    fn count(&self, reader: &SegmentReader) -> tantivy::Result<u32> {
        self.inner.count(reader)
    }
}

//! Queries whose matches are skipped by bounds: words and phrases, combined, under filters.

use std::ops::Range;
use std::sync::Arc;

use gleaner_model::FieldPath;
use gleaner_partial::score::bm25::LengthNorms;
use gleaner_partial::score::model::Model;
use gleaner_query::resolved::Clause;

use super::tree::{self, Tree};
use crate::EngineError;
use crate::View;
use crate::lower::{GateFilter, Scope};
use crate::score::bound::{MOST_TERMS, Scale};
use crate::search::columns::{self, Columns};
use crate::search::shape::{RankedNode, Shape};

/// Which documents match.
#[derive(Debug)]
pub(in crate::search) enum Kind {
    /// Those that hold every term.
    All,
    /// Those that hold at least one.
    Any,
    /// Those that hold every term at its place.
    Phrase,
    /// Those that terms make match in another way.
    Tree(Tree),
}

/// A query of terms, made ready once for all shards.
pub(in crate::search) struct Plan<'q> {
    pub(super) kind: Kind,
    /// In the order their scores are added up.
    pub(super) terms: Vec<PlannedTerm<'q>>,
    /// Which of them make phrases.
    pub(super) phrases: Vec<PlannedPhrase>,
    /// What a match must pass beside its terms, with whether it must match or must not.
    pub(super) gates: Vec<(GateFilter<'q>, bool)>,
}

/// A term that scores.
pub(super) struct PlannedTerm<'q> {
    pub(super) field: &'q FieldPath,
    pub(super) term: &'q str,
    /// boost · idf; of a phrase's terms, the phrase's.
    pub(super) weight: f64,
    /// `None` when no document has the field.
    pub(super) norms: Option<Arc<LengthNorms>>,
}

/// Terms that score where they stand together.
pub(super) struct PlannedPhrase {
    /// Place of the first term; the others follow it.
    pub(super) first: usize,
    /// Beside the terms: their places in the phrase.
    pub(super) offsets: Vec<u32>,
}

impl PlannedPhrase {
    /// Returns the places of the terms.
    pub(super) fn terms(&self) -> Range<usize> {
        self.first..self.first + self.offsets.len()
    }
}

/// A plan on one shard.
pub(in crate::search) struct ShardPlan {
    /// Beside the terms: their columns; `None` where no document of the shard has the field.
    pub(super) columns: Columns,
}

impl<'q> Plan<'q> {
    /// Makes a query of this shape ready, with `post_filter` as one more gate; `None` where its scores
    /// cannot be bounded: then it is walked.
    ///
    /// Weights are multiplied as `score::canonical` does, so that scores are the same to the bit.
    ///
    /// # Errors
    /// `EvaluationError::MissingStatistics`.
    pub(in crate::search) fn new(
        shape: &Shape<'q>,
        post_filter: Option<&'q Clause>,
        model: &Model,
    ) -> Result<Option<Self>, EngineError> {
        let mut plan = Self {
            kind: Kind::Any,
            terms: Vec::new(),
            phrases: Vec::new(),
            gates: Vec::with_capacity(shape.filters.len()),
        };
        plan.kind = plan.add(&shape.ranked, model)?;
        let filters = shape.filters.iter().copied();
        for (filter, is_wanted) in filters.chain(post_filter.map(|filter| (filter, true))) {
            plan.gates.push((GateFilter::new(filter)?, is_wanted));
        }
        let most_terms = match plan.kind {
            Kind::Tree(_) => tree::MOST_TERMS,
            _ => MOST_TERMS,
        };
        let can_bound = |term: &PlannedTerm<'_>| {
            let norms = term.norms.as_deref();
            norms.is_none_or(|norms| Scale::is_bounded(term.weight, norms))
        };
        let is_bounded = plan.terms.iter().all(can_bound) && plan.terms.len() <= most_terms;
        Ok((is_bounded && !plan.terms.is_empty()).then_some(plan))
    }

    /// Tells what is wrong with the gates on a shard of which none is opened.
    ///
    /// # Errors
    /// `EvaluationError::Query` for fields that cannot be searched.
    pub(in crate::search) fn check_gates(&self, scope: &Scope<'_>) -> Result<(), EngineError> {
        self.gates
            .iter()
            .try_for_each(|(gate, _)| gate.check(scope))
    }

    /// Adds the terms of what matches and scores; returns how they are put together.
    fn add(&mut self, ranked: &RankedNode<'q>, model: &Model) -> Result<Kind, EngineError> {
        let (parts, kind) = match ranked {
            RankedNode::Term { .. } | RankedNode::Group { .. } => {
                (std::slice::from_ref(ranked), Kind::Any)
            }
            RankedNode::Phrase { .. } => (std::slice::from_ref(ranked), Kind::Phrase),
            RankedNode::Sum {
                must,
                should,
                minimum: 0,
            } if should.is_empty() && must.iter().all(RankedNode::is_term) => {
                (must.as_slice(), Kind::All)
            }
            RankedNode::Sum {
                must,
                should,
                minimum: 1,
            } if must.is_empty() && should.iter().all(RankedNode::is_term) => {
                (should.as_slice(), Kind::Any)
            }
            _ => return Ok(Kind::Tree(self.add_part(ranked, model)?)),
        };
        for part in parts {
            self.add_part(part, model)?;
        }
        Ok(kind)
    }

    /// Adds the terms of a part of the query.
    fn add_part(&mut self, ranked: &RankedNode<'q>, model: &Model) -> Result<Tree, EngineError> {
        match ranked {
            RankedNode::Term { field, term, boost } => {
                let weight = boost * model.term(field, term)?.idf;
                Ok(self.push(field, term, weight, model))
            }
            RankedNode::Group {
                field,
                terms,
                boost,
            } => {
                let idf = model.group(field, terms.iter().map(|(term, _)| term))?.idf;
                let add = |(term, factor): &'q (String, f32)| {
                    self.push(field, term, boost * f64::from(*factor) * idf, model)
                };
                Ok(Tree::any(terms.iter().map(add).collect()))
            }
            RankedNode::Phrase {
                field,
                positions,
                boost,
            } => self.add_phrase(field, positions, *boost, model),
            RankedNode::Sum {
                must,
                should,
                minimum,
            } => Ok(Tree::Sum {
                must: self.add_parts(must, model)?,
                should: self.add_parts(should, model)?,
                minimum: *minimum,
            }),
            RankedNode::Best { nodes, tie_breaker } => Ok(Tree::Best {
                nodes: self.add_parts(nodes, model)?,
                tie_breaker: *tie_breaker,
            }),
        }
    }

    fn add_parts(
        &mut self,
        nodes: &[RankedNode<'q>],
        model: &Model,
    ) -> Result<Vec<Tree>, EngineError> {
        nodes
            .iter()
            .map(|node| self.add_part(node, model))
            .collect()
    }

    /// Adds a phrase, of which the first term stands for the whole.
    fn add_phrase(
        &mut self,
        field: &'q FieldPath,
        positions: &'q [(u32, Vec<String>)],
        boost: f64,
        model: &Model,
    ) -> Result<Tree, EngineError> {
        let weight = boost * model.phrase_idf(field, positions)?;
        let first = self.terms.len();
        for term in positions.iter().flat_map(|(_, terms)| terms) {
            self.push(field, term, weight, model);
        }
        self.phrases.push(PlannedPhrase {
            first,
            offsets: positions.iter().map(|(offset, _)| *offset).collect(),
        });
        Ok(Tree::Term(first))
    }

    fn push(&mut self, field: &'q FieldPath, term: &'q str, weight: f64, model: &Model) -> Tree {
        self.terms.push(PlannedTerm {
            field,
            term,
            weight,
            norms: model.norms(field).cloned(),
        });
        Tree::Term(self.terms.len() - 1)
    }

    /// Makes the plan ready for a shard; `None` when one of its fields does not count its terms there.
    ///
    /// # Errors
    /// `EvaluationError::Query` for fields that cannot be searched.
    pub(in crate::search) fn on_shard(
        &self,
        view: &View,
    ) -> Result<Option<ShardPlan>, EngineError> {
        let columns = columns::of_counted(view, self.terms.iter().map(|term| term.field))?;
        Ok(columns.map(|columns| ShardPlan { columns }))
    }
}

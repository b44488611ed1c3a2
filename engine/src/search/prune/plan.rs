//! Queries whose matches are skipped by bounds: all or any of some terms of text, under filters.

use std::sync::Arc;

use gleaner_model::FieldPath;
use gleaner_query::resolved::Clause;
use tantivy::query::Weight;
use tantivy::schema::Field as Column;

use crate::EngineError;
use crate::View;
use crate::lower::{self, Scope};
use crate::score::bm25::LengthNorms;
use crate::score::bound::{MOST_TERMS, Scale};
use crate::score::model::Model;

/// Which documents match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::search) enum Kind {
    /// Those that hold every term.
    All,
    /// Those that hold at least one.
    Any,
}

/// A query of terms, made ready once for all shards.
pub(in crate::search) struct Plan<'q> {
    pub(super) kind: Kind,
    /// In the order their scores are added up.
    pub(super) terms: Vec<PlannedTerm<'q>>,
    filters: Vec<&'q Clause>,
    excluded: Vec<&'q Clause>,
}

/// A term that scores.
pub(super) struct PlannedTerm<'q> {
    pub(super) field: &'q FieldPath,
    pub(super) term: &'q str,
    /// boost · idf.
    pub(super) weight: f64,
    /// `None` when no document has the field.
    pub(super) norms: Option<Arc<LengthNorms>>,
}

/// A plan on one shard.
pub(in crate::search) struct ShardPlan {
    /// Beside the terms: their columns; `None` where no document of the shard has the field.
    pub(super) columns: Vec<Option<Column>>,
    pub(super) gates: Vec<Gate>,
}

/// What a match must pass beside its terms.
pub(super) struct Gate {
    pub(super) weight: Box<dyn Weight>,
    /// Whether it must match, or must not.
    pub(super) is_wanted: bool,
}

impl<'q> Plan<'q> {
    /// Makes `clause` ready; `None` for queries of another shape, which are walked.
    ///
    /// Weights are multiplied as `score::canonical` does, so that scores are the same to the bit.
    ///
    /// # Errors
    /// [`EngineError::MissingStatistics`].
    pub(in crate::search) fn new(
        clause: &'q Clause,
        boost: f64,
        model: &Model,
    ) -> Result<Option<Self>, EngineError> {
        let mut plan = Self {
            kind: Kind::Any,
            terms: Vec::new(),
            filters: Vec::new(),
            excluded: Vec::new(),
        };
        let is_planned = match clause {
            Clause::Term { .. } => plan.add(std::slice::from_ref(clause), boost, model)?,
            Clause::Blended { field, terms } => plan.add_group(field, terms, boost, model)?,
            Clause::Bool {
                must,
                should,
                filter,
                must_not,
                ..
            } => {
                plan.filters.extend(filter);
                plan.excluded.extend(must_not);
                let minimum = lower::minimum_should_match(clause);
                match (must.as_slice(), should.as_slice(), minimum) {
                    (all, [], 0) => {
                        plan.kind = Kind::All;
                        plan.add(all, boost, model)?
                    }
                    ([], any, 1) => plan.add(any, boost, model)?,
                    _ => false,
                }
            }
            _ => false,
        };
        let can_bound = |term: &PlannedTerm<'_>| Scale::is_bounded(term.weight);
        let is_bounded = plan.terms.iter().all(can_bound) && plan.terms.len() <= MOST_TERMS;
        Ok((is_planned && is_bounded && !plan.terms.is_empty()).then_some(plan))
    }

    /// Adds terms that each score by themselves; false when one of `clauses` is something else.
    fn add(
        &mut self,
        clauses: &'q [Clause],
        boost: f64,
        model: &Model,
    ) -> Result<bool, EngineError> {
        for clause in clauses {
            let (Clause::Term { field, term }, boost) = lower::simplify(clause, boost) else {
                return Ok(false);
            };
            let weight = boost * model.term(field, term)?.idf;
            self.push(field, term, weight, model);
        }
        Ok(true)
    }

    fn add_group(
        &mut self,
        field: &'q FieldPath,
        terms: &'q [(String, f32)],
        boost: f64,
        model: &Model,
    ) -> Result<bool, EngineError> {
        let idf = model.group(field, terms.iter().map(|(term, _)| term))?.idf;
        for (term, factor) in terms {
            self.push(field, term, boost * f64::from(*factor) * idf, model);
        }
        Ok(true)
    }

    fn push(&mut self, field: &'q FieldPath, term: &'q str, weight: f64, model: &Model) {
        self.terms.push(PlannedTerm {
            field,
            term,
            weight,
            norms: model.norms(field).cloned(),
        });
    }

    /// Returns whether every field of the plan is a text field in `view`, or absent.
    pub(in crate::search) fn fits(&self, view: &View) -> bool {
        let mut fields = self.terms.iter().map(|term| term.field.as_str());
        fields.all(|field| view.field(field).is_none() || view.fields().text(field).is_some())
    }

    /// Makes the plan ready for a shard that it fits, with `post_filter` as one more gate.
    ///
    /// # Errors
    /// [`EngineError::Query`] for fields that cannot be searched.
    pub(in crate::search) fn on_shard(
        &self,
        scope: &Scope<'_>,
        post_filter: Option<&Clause>,
    ) -> Result<ShardPlan, EngineError> {
        let mut columns = Vec::with_capacity(self.terms.len());
        for term in &self.terms {
            columns.push(match scope.view.fields().text(term.field.as_str()) {
                Some(handle) => {
                    lower::require_index(term.field, handle)?;
                    Some(handle.column)
                }
                None => None,
            });
        }
        let wanted = self.filters.iter().copied().chain(post_filter);
        let wanted = wanted.map(|clause| (clause, true));
        let unwanted = self.excluded.iter().map(|&clause| (clause, false));
        let mut gates = Vec::new();
        for (clause, is_wanted) in wanted.chain(unwanted) {
            let weight = lower::gate(scope, clause)?;
            gates.push(Gate { weight, is_wanted });
        }
        Ok(ShardPlan { columns, gates })
    }
}

//! Queries whose matches are skipped by bounds: all or any of some terms of text, or a phrase, under
//! filters.

use std::sync::Arc;

use gleaner_model::{FieldKind, FieldPath};
use gleaner_query::resolved::Clause;
use smallvec::SmallVec;
use tantivy::schema::Field as Column;

use crate::EngineError;
use crate::View;
use crate::lower::{self, GateFilter, Scope};
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
    /// Those that hold every term at its place.
    Phrase,
}

/// A query of terms, made ready once for all shards.
pub(in crate::search) struct Plan<'q> {
    pub(super) kind: Kind,
    /// In the order their scores are added up.
    pub(super) terms: Vec<PlannedTerm<'q>>,
    /// Beside the terms of a phrase: their places in it.
    pub(super) offsets: Vec<u32>,
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

/// Columns of a plan's terms.
type Columns = SmallVec<[Option<Column>; 4]>;

/// A plan on one shard.
pub(in crate::search) struct ShardPlan {
    /// Beside the terms: their columns; `None` where no document of the shard has the field.
    pub(super) columns: Columns,
}

impl<'q> Plan<'q> {
    /// Makes `clause` ready, with `post_filter` as one more gate; `None` for queries of another shape,
    /// which are walked.
    ///
    /// Weights are multiplied as `score::canonical` does, so that scores are the same to the bit.
    ///
    /// # Errors
    /// [`EngineError::MissingStatistics`].
    pub(in crate::search) fn new(
        (clause, boost): (&'q Clause, f64),
        post_filter: Option<&'q Clause>,
        model: &Model,
    ) -> Result<Option<Self>, EngineError> {
        let mut plan = Self {
            kind: Kind::Any,
            terms: Vec::new(),
            offsets: Vec::new(),
            gates: Vec::new(),
        };
        let is_planned = plan.add_query(clause, boost, model)?;
        plan.add_gates(post_filter, true)?;
        let can_bound = |term: &PlannedTerm<'_>| Scale::is_bounded(term.weight);
        let is_bounded = plan.terms.iter().all(can_bound) && plan.terms.len() <= MOST_TERMS;
        Ok((is_planned && is_bounded && !plan.terms.is_empty()).then_some(plan))
    }

    /// Adds what matches and scores; false for what is walked.
    ///
    /// A `bool` of one clause scores as that clause does; whatever stands beside it is a gate.
    fn add_query(
        &mut self,
        clause: &'q Clause,
        boost: f64,
        model: &Model,
    ) -> Result<bool, EngineError> {
        let (clause, boost) = lower::simplify(clause, boost);
        match clause {
            Clause::Term { .. } => self.add(std::slice::from_ref(clause), boost, model),
            Clause::Blended { field, terms } => self.add_group(field, terms, boost, model),
            Clause::Phrase { .. } => self.add_phrase(clause, boost, model),
            Clause::Bool {
                must,
                should,
                filter,
                must_not,
                ..
            } => {
                self.add_gates(filter, true)?;
                self.add_gates(must_not, false)?;
                let minimum = lower::minimum_should_match(clause);
                match (must.as_slice(), should.as_slice(), minimum) {
                    ([only], [], 0) | ([], [only], 1) => self.add_query(only, boost, model),
                    (all, [], 0) => {
                        self.kind = Kind::All;
                        self.add(all, boost, model)
                    }
                    ([], any, 1) => self.add(any, boost, model),
                    _ => Ok(false),
                }
            }
            _ => Ok(false),
        }
    }

    /// Tells what is wrong with the gates on a shard of which none is opened.
    ///
    /// # Errors
    /// [`EngineError::Query`] for fields that cannot be searched.
    pub(in crate::search) fn check_gates(&self, scope: &Scope<'_>) -> Result<(), EngineError> {
        self.gates
            .iter()
            .try_for_each(|(gate, _)| gate.check(scope))
    }

    fn add_gates(
        &mut self,
        clauses: impl IntoIterator<Item = &'q Clause>,
        is_wanted: bool,
    ) -> Result<(), EngineError> {
        for clause in clauses {
            self.gates.push((GateFilter::new(clause)?, is_wanted));
        }
        Ok(())
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

    /// Adds a phrase; false when it is one that is walked: positions with alternatives, or slop.
    ///
    /// A sloppy phrase may count more often than its rarest term occurs.
    fn add_phrase(
        &mut self,
        clause: &'q Clause,
        boost: f64,
        model: &Model,
    ) -> Result<bool, EngineError> {
        let Clause::Phrase {
            field,
            positions,
            slop: 0,
        } = clause
        else {
            return Ok(false);
        };
        if positions.len() < 2 || positions.iter().any(|(_, terms)| terms.len() != 1) {
            return Ok(false);
        }
        self.kind = Kind::Phrase;
        let mut idf = 0.0;
        for term in positions.iter().flat_map(|(_, terms)| terms) {
            idf += model.term(field, term)?.idf;
        }
        for (offset, terms) in positions {
            self.offsets.push(*offset);
            for term in terms {
                self.push(field, term, boost * idf, model);
            }
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

    /// Makes the plan ready for a shard; `None` when one of its fields is not a text field there.
    ///
    /// # Errors
    /// [`EngineError::Query`] for fields that cannot be searched.
    pub(in crate::search) fn on_shard(
        &self,
        view: &View,
    ) -> Result<Option<ShardPlan>, EngineError> {
        let mut columns = Columns::with_capacity(self.terms.len());
        for (at, term) in self.terms.iter().enumerate() {
            // Mostly all terms are of one field.
            let before = at.checked_sub(1).map(|before| self.terms[before].field);
            if let Some(known) = columns.last().copied()
                && before == Some(term.field)
            {
                columns.push(known);
                continue;
            }
            let Some(handle) = view.field(term.field.as_str()) else {
                columns.push(None);
                continue;
            };
            if !matches!(handle.kind, FieldKind::Text { .. }) {
                return Ok(None);
            }
            lower::require_index(term.field, handle)?;
            columns.push(Some(handle.column));
        }
        Ok(Some(ShardPlan { columns }))
    }
}

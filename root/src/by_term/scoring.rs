//! Canonical scores from posting lists: the same numbers, multiplied and added in the same order as a
//! leaf does it, so the same bits.
//!
//! Documents are scored clause by clause: for each document the sums then grow in the order of the
//! clauses, which is all that the order of an f64 sum depends on. A nested `bool` is summed by itself
//! and then added, as a leaf does.

use std::sync::Arc;

use gleaner_partial::EvaluationError;
use gleaner_partial::control::Control;
use gleaner_partial::score::weights::TermWeights;
use gleaner_query::resolved::Clause;
use roaring::RoaringTreemap;

use super::lists::TermList;
use super::wanted::{Term, WantedTerms, term_of};

/// A set this many times smaller than another is looked up in it instead of walked beside it.
const SPARSE: u64 = 64;
/// Documents between two looks at the clock.
const PER_CHECK: u32 = 4_096;

/// One shard's lists, with the numbers of the request.
pub(super) struct Evaluation<'a> {
    pub(super) terms: &'a WantedTerms,
    /// As many as terms.
    pub(super) lists: &'a [Arc<TermList>],
    pub(super) weights: &'a TermWeights,
    pub(super) control: &'a Control,
}

impl<'a> Evaluation<'a> {
    pub(super) fn list(&self, term: Term<'_>) -> Result<&'a TermList, EvaluationError> {
        let Term { field, text } = term;
        let at = self.terms.position(field, text);
        let list = at.and_then(|at| self.lists.get(at));
        let missing = || EvaluationError::Internal(format!("no list of `{field}:{text}`"));
        Ok(list.ok_or_else(missing)?)
    }

    /// Returns the scores of `documents`, all of which match `clause`, in their order.
    pub(super) fn scores(
        &self,
        clause: &Clause,
        boost: f64,
        documents: &RoaringTreemap,
    ) -> Result<Vec<f64>, EvaluationError> {
        let mut scores = vec![0.0; documents.len() as usize];
        if let Some(term) = term_of(clause) {
            self.each_of_term(term, boost, documents, |at, score| {
                scores[at] = score;
            })?;
            return Ok(scores);
        }
        match clause {
            Clause::Boost { clause, factor } => {
                return self.scores(clause, boost * f64::from(*factor), documents);
            }
            Clause::Bool { must, should, .. } => {
                for clause in must {
                    self.add(clause, boost, documents, &mut scores)?;
                }
                for clause in should {
                    // A term's list tells by itself which documents it is in.
                    if term_of(clause).is_some() {
                        self.add(clause, boost, documents, &mut scores)?;
                        continue;
                    }
                    let own = documents & &*self.matching(clause)?;
                    let of_own = self.scores(clause, boost, &own)?;
                    self.each_common(documents, &own, |at, at_own| scores[at] += of_own[at_own])?;
                }
            }
            _ => {}
        }
        Ok(scores)
    }

    /// Adds the scores of `clause` to those of `documents`, all of which it matches unless it is a term.
    fn add(
        &self,
        clause: &Clause,
        boost: f64,
        documents: &RoaringTreemap,
        sums: &mut [f64],
    ) -> Result<(), EvaluationError> {
        if let Some(term) = term_of(clause) {
            return self.each_of_term(term, boost, documents, |at, score| sums[at] += score);
        }
        let scores = self.scores(clause, boost, documents)?;
        sums.iter_mut()
            .zip(scores)
            .for_each(|(sum, score)| *sum += score);
        Ok(())
    }

    /// Calls `take` with the score of each of `documents` that holds the term, and its position.
    fn each_of_term(
        &self,
        term: Term<'_>,
        boost: f64,
        documents: &RoaringTreemap,
        mut take: impl FnMut(usize, f64),
    ) -> Result<(), EvaluationError> {
        let list = &self.list(term)?.list;
        if list.documents.is_empty() {
            return Ok(());
        }
        let Term { field, text } = term;
        let Some(weights) = &list.weights else {
            let score = self.weights.of_keyword(field, text, boost)?;
            return self.each_common(documents, &list.documents, |at, _| take(at, score));
        };
        let Some(weight) = self.weights.of_text(field, text, boost)? else {
            return Ok(());
        };
        self.each_common(documents, &list.documents, |at, at_list| {
            let (frequency, norm_id) = weights.get(at_list);
            take(at, weight.score(f64::from(frequency), norm_id));
        })
    }

    /// Calls `take` with the positions, in both sets, of each document that is in both, in order.
    fn each_common(
        &self,
        one: &RoaringTreemap,
        other: &RoaringTreemap,
        mut take: impl FnMut(usize, usize),
    ) -> Result<(), EvaluationError> {
        if one.len() * SPARSE < other.len() {
            return self.look_up(one, other, take);
        }
        if other.len() * SPARSE < one.len() {
            return self.look_up(other, one, |at_other, at_one| take(at_one, at_other));
        }
        let mut others = (0..).zip(other.iter()).peekable();
        for (at, document) in (0..).zip(one.iter()) {
            self.check_at(at)?;
            while others.next_if(|(_, next)| *next < document).is_some() {}
            match others.peek() {
                None => return Ok(()),
                Some((at_other, next)) if *next == document => take(at as usize, *at_other),
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// As [`Self::each_common`], for a set that is much smaller than the other.
    fn look_up(
        &self,
        few: &RoaringTreemap,
        many: &RoaringTreemap,
        mut take: impl FnMut(usize, usize),
    ) -> Result<(), EvaluationError> {
        for (at, document) in (0..).zip(few.iter()) {
            self.check_at(at)?;
            if many.contains(document) {
                take(at as usize, (many.rank(document) - 1) as usize);
            }
        }
        Ok(())
    }

    fn check_at(&self, at: u32) -> Result<(), EvaluationError> {
        if at.is_multiple_of(PER_CHECK) {
            self.control.check()?;
        }
        Ok(())
    }
}

//! How the lists of a segment are walked, by how the plan puts its terms together.

use std::cmp::Reverse;

use smallvec::SmallVec;

use super::leaf::Leaf;
use super::phrase::Occurrences;
use super::plan::{Kind, Plan, PlannedPhrase, ShardPlan};
use super::sink::Sink;
use super::tree::{Limb, Tree};
use super::{OpenColumn, all, any, one, phrase, tree};
use crate::EngineError;
use crate::score::bound::Scale;

/// Lists of a segment.
pub(super) type Leaves<'a> = SmallVec<[Leaf<'a>; 4]>;

/// Walks the lists of one segment.
pub(super) enum Driver<'a> {
    /// One term, whatever it is a part of: it scores as the whole where no other one occurs.
    One(Leaf<'a>),
    /// All terms, the rarest first.
    All(Leaves<'a>),
    /// Any term, the one with the least bound first.
    Any(Leaves<'a>),
    /// A phrase, its rarest term first.
    Phrase(Leaves<'a>, Box<Occurrences<'a>>),
    /// Limbs of a tree of so many terms, the longest first.
    Tree(&'a Tree, usize, Vec<Limb<'a>>),
}

impl<'a> Driver<'a> {
    /// Opens the lists of the plan's terms; `None` where nothing can match.
    pub(super) fn open(
        plan: &'a Plan<'_>,
        own: &ShardPlan,
        columns: &'a [OpenColumn],
    ) -> Result<Option<Self>, EngineError> {
        let needs_all = matches!(plan.kind, Kind::All | Kind::Phrase);
        let mut leaves = Leaves::new();
        for at in 0..plan.terms.len() {
            let order = match plan.kind {
                Kind::Tree(_) => at,
                _ => leaves.len(),
            };
            match open_leaf((plan, at), own, columns, order)? {
                Some(leaf) => leaves.push(leaf),
                None if needs_all => return Ok(None),
                None => {}
            }
        }
        if let Kind::Tree(tree) = &plan.kind {
            return Ok(Self::of_tree(tree, plan, own, columns, leaves));
        }
        if leaves.len() <= 1 {
            return Ok(leaves.pop().map(Self::One));
        }
        Ok(Some(match &plan.kind {
            Kind::Any => {
                leaves.sort_by(|a, b| a.scale().most().total_cmp(&b.scale().most()));
                Self::Any(leaves)
            }
            Kind::Phrase => {
                leaves.sort_by_key(Leaf::num_documents);
                let phrase = plan.phrases.first();
                let Some(occurrences) =
                    phrase.and_then(|phrase| occurrences(phrase, plan, own, columns))
                else {
                    return Ok(None);
                };
                Self::Phrase(leaves, Box::new(occurrences))
            }
            Kind::All | Kind::Tree(_) => {
                leaves.sort_by_key(Leaf::num_documents);
                Self::All(leaves)
            }
        }))
    }

    /// Makes limbs of the leaves of a tree.
    fn of_tree(
        tree: &'a Tree,
        plan: &'a Plan<'_>,
        own: &ShardPlan,
        columns: &'a [OpenColumn],
        mut leaves: Leaves<'a>,
    ) -> Option<Self> {
        let mut limbs = Vec::with_capacity(leaves.len());
        for phrase in &plan.phrases {
            let (mut own_leaves, others): (Leaves<'a>, Leaves<'a>) = leaves
                .into_iter()
                .partition(|leaf| phrase.terms().contains(&leaf.order()));
            leaves = others;
            if own_leaves.len() < phrase.offsets.len() {
                continue;
            }
            own_leaves.sort_by_key(Leaf::num_documents);
            let occurrences = occurrences(phrase, plan, own, columns)?;
            limbs.push(Limb::phrase(phrase.first, own_leaves, occurrences));
        }
        limbs.extend(leaves.into_iter().map(Limb::term));
        limbs.sort_by_key(|limb| Reverse(limb.leaf().num_documents()));
        let num_terms = plan.terms.len();
        if !tree::can_match(tree, num_terms, &limbs) {
            return None;
        }
        if limbs.len() == 1 {
            return limbs.pop().map(Limb::into_driver);
        }
        Some(Self::Tree(tree, num_terms, limbs))
    }

    /// Returns how many postings are walked, at most.
    pub(super) fn num_postings(&self) -> u64 {
        let length = |leaf: &Leaf<'_>| u64::from(leaf.num_documents());
        match self {
            Self::One(leaf) => length(leaf),
            Self::All(leaves) | Self::Phrase(leaves, _) => leaves.first().map_or(0, length),
            Self::Any(leaves) => leaves.iter().map(length).sum(),
            Self::Tree(_, _, limbs) => limbs.iter().map(|limb| length(limb.leaf())).sum(),
        }
    }

    /// Brings the documents that may be among the best to `sink`, and the matches to be counted.
    pub(super) fn drive(&mut self, sink: &mut Sink<'_, '_>) -> Result<(), EngineError> {
        match self {
            Self::One(leaf) => one::drive(leaf, sink),
            Self::All(leaves) => all::drive(leaves, sink),
            Self::Any(leaves) => any::drive(leaves, sink),
            Self::Phrase(leaves, occurrences) => phrase::drive(leaves, occurrences, sink),
            Self::Tree(tree, num_terms, limbs) => tree::drive(tree, *num_terms, limbs, sink),
        }
    }

    /// Leaves the memory of the lists to the thread's next ones.
    pub(super) fn recycle(self) {
        match self {
            Self::One(leaf) => leaf.recycle(),
            Self::All(leaves) | Self::Any(leaves) | Self::Phrase(leaves, _) => {
                leaves.into_iter().for_each(Leaf::recycle);
            }
            Self::Tree(_, _, limbs) => limbs.into_iter().for_each(Limb::recycle),
        }
    }
}

/// Opens the list of the plan's term at a place; `None` where the segment has none.
fn open_leaf<'a>(
    (plan, at): (&'a Plan<'_>, usize),
    own: &ShardPlan,
    columns: &'a [OpenColumn],
    order: usize,
) -> Result<Option<Leaf<'a>>, EngineError> {
    let term = &plan.terms[at];
    let (Some(open), Some(norms)) = (open_column(at, own, columns), &term.norms) else {
        return Ok(None);
    };
    let Some(list) = open.text.list(term.term)? else {
        return Ok(None);
    };
    let scale = Scale::new(
        term.weight,
        norms,
        open.text.norm_ids(),
        open.bound.as_ref(),
    );
    Ok(Some(Leaf::new(list, scale, order)))
}

/// Returns what finds a phrase whose terms all have lists.
fn occurrences<'a>(
    phrase: &PlannedPhrase,
    plan: &'a Plan<'_>,
    own: &ShardPlan,
    columns: &'a [OpenColumn],
) -> Option<Occurrences<'a>> {
    let open = open_column(phrase.first, own, columns)?;
    let terms = &plan.terms[phrase.terms()];
    Some(Occurrences::new(
        &open.text,
        (phrase.first, terms),
        &phrase.offsets,
    ))
}

fn open_column<'a>(
    at: usize,
    own: &ShardPlan,
    columns: &'a [OpenColumn],
) -> Option<&'a OpenColumn> {
    let column = own.columns[at]?;
    columns.iter().find(|open| open.column == column)
}

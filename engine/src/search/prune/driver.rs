//! How the lists of a segment are walked, by how the plan puts its terms together.

use std::cmp::Reverse;

use smallvec::SmallVec;

use super::leaf::Leaf;
use super::phrase::Finder;
use super::plan::{Kind, Plan, PlannedPhrase, ShardPlan};
use super::sink::Sink;
use super::tree::{Limb, Tree};
use super::{OpenColumn, all, any, one, phrase, tree};
use crate::EngineError;
use crate::score::bound::Scale;

/// Lists of a segment.
pub(super) type Leaves<'a> = SmallVec<[Leaf<'a>; 4]>;

/// Walks the lists of one segment, which stay where they were opened: a list is large to move.
pub(super) enum Driver<'l, 'a> {
    /// One term, whatever it is a part of: it scores as the whole where no other one occurs.
    One(&'l mut Leaf<'a>),
    /// All terms, the rarest first.
    All(&'l mut [Leaf<'a>]),
    /// Any term, the one with the least bound first.
    Any(&'l mut [Leaf<'a>]),
    /// A phrase, its rarest term first.
    Phrase(&'l mut [Leaf<'a>], Box<Finder<'a>>),
    /// Limbs of a tree of so many terms, the longest first.
    Tree(&'a Tree, usize, Vec<Limb<'a>>),
}

impl<'l, 'a> Driver<'l, 'a> {
    /// Opens the lists of the plan's terms in `leaves`; `None` where nothing can match.
    pub(super) fn open(
        plan: &'a Plan<'_>,
        own: &ShardPlan,
        columns: &'a [OpenColumn],
        leaves: &'l mut Leaves<'a>,
    ) -> Result<Option<Self>, EngineError> {
        let needs_all = matches!(plan.kind, Kind::All | Kind::Phrase);
        for at in 0..plan.terms.len() {
            if !open_leaf(plan, at, own, columns, leaves)? && needs_all {
                return Ok(None);
            }
        }
        Ok(match &plan.kind {
            Kind::Tree(tree) => Self::of_tree(tree, plan, own, columns, leaves),
            _ if leaves.len() <= 1 => leaves.first_mut().map(Self::One),
            Kind::All => {
                leaves.sort_by_key(Leaf::num_documents);
                Some(Self::All(leaves))
            }
            Kind::Any => {
                leaves.sort_by(|a, b| a.scale().most().total_cmp(&b.scale().most()));
                Some(Self::Any(leaves))
            }
            Kind::Phrase => {
                leaves.sort_by_key(Leaf::num_documents);
                let phrase = plan.phrases.first();
                let finder = phrase.and_then(|phrase| finder(phrase, plan, own, columns));
                finder.map(|finder| Self::Phrase(leaves, Box::new(finder)))
            }
        })
    }

    /// Makes limbs of the leaves of a tree.
    fn of_tree(
        tree: &'a Tree,
        plan: &'a Plan<'_>,
        own: &ShardPlan,
        columns: &'a [OpenColumn],
        leaves: &'l mut Leaves<'a>,
    ) -> Option<Self> {
        let mut limbs = Vec::with_capacity(leaves.len());
        for phrase in &plan.phrases {
            let (mut own_leaves, others): (Leaves<'a>, Leaves<'a>) = std::mem::take(leaves)
                .into_iter()
                .partition(|leaf| phrase.terms().contains(&leaf.order()));
            *leaves = others;
            if own_leaves.len() < phrase.offsets.len() {
                continue;
            }
            own_leaves.sort_by_key(Leaf::num_documents);
            let finder = finder(phrase, plan, own, columns)?;
            limbs.push(Limb::phrase(phrase.first, own_leaves, finder));
        }
        limbs.extend(leaves.drain(..).map(Limb::term));
        limbs.sort_by_key(|limb| Reverse(limb.leaf().num_documents()));
        let num_terms = plan.terms.len();
        if !tree::can_match(tree, num_terms, &limbs) {
            return None;
        }
        if limbs.len() > 1 {
            return Some(Self::Tree(tree, num_terms, limbs));
        }
        let finder = limbs.pop().and_then(|limb| limb.into_leaves(leaves));
        match finder {
            Some(finder) => Some(Self::Phrase(leaves, Box::new(finder))),
            None => leaves.first_mut().map(Self::One),
        }
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
    pub(super) fn drive(self, sink: &mut Sink<'_, '_>) -> Result<(), EngineError> {
        match self {
            Self::One(leaf) => one::drive(leaf, sink),
            Self::All(leaves) => all::drive(leaves, sink),
            Self::Any(leaves) => any::drive(leaves, sink),
            Self::Phrase(leaves, mut finder) => phrase::drive(leaves, &mut finder, sink),
            Self::Tree(tree, num_terms, mut limbs) => {
                let outcome = tree::drive(tree, num_terms, &mut limbs, sink);
                limbs.into_iter().for_each(Limb::recycle);
                outcome
            }
        }
    }
}

/// Opens the list of the plan's term at a place; returns whether the segment has one.
fn open_leaf<'a>(
    plan: &'a Plan<'_>,
    at: usize,
    own: &ShardPlan,
    columns: &'a [OpenColumn],
    leaves: &mut Leaves<'a>,
) -> Result<bool, EngineError> {
    let term = &plan.terms[at];
    let (Some(open), Some(norms)) = (open_column(at, own, columns), &term.norms) else {
        return Ok(false);
    };
    let Some(list) = open.text.list(term.term)? else {
        return Ok(false);
    };
    let scale = Scale::new(
        term.weight,
        norms,
        open.text.norm_ids(),
        open.bound.as_ref(),
    );
    let order = match plan.kind {
        Kind::Tree(_) => at,
        _ => leaves.len(),
    };
    leaves.push(Leaf::new(list, scale, order));
    Ok(true)
}

/// Returns what finds a phrase whose terms all have lists.
fn finder<'a>(
    phrase: &PlannedPhrase,
    plan: &'a Plan<'_>,
    own: &ShardPlan,
    columns: &'a [OpenColumn],
) -> Option<Finder<'a>> {
    let open = open_column(phrase.first, own, columns)?;
    let terms = &plan.terms[phrase.terms()];
    Some(Finder::new(&open.text, phrase, terms))
}

fn open_column<'a>(
    at: usize,
    own: &ShardPlan,
    columns: &'a [OpenColumn],
) -> Option<&'a OpenColumn> {
    let column = own.columns[at]?;
    columns.iter().find(|open| open.column == column)
}

//! Ranking by score where bounds tell which documents cannot be among the best.
//!
//! A [`plan`] is made once per query; on each segment its terms become [`leaf`]s over posting lists,
//! which [`one`], [`all`] or [`any`] walk, skipping blocks and documents that cannot reach the k-th
//! score. What is left goes to a [`sink`] with its canonical score. The same walk counts matches, as
//! long as they are wanted: then it skips nothing.

mod all;
mod any;
mod finalists;
mod leaf;
mod one;
mod plan;
mod sink;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use smallvec::SmallVec;
use tantivy::DocSet;
use tantivy::query::{AllScorer, EmptyScorer};
use tantivy::schema::Field as Column;

use super::request::{Request, Shard};
use super::walk;
use crate::blocks::{PostingList, TextColumn};
use crate::score::bound::{BlockBound, Scale};
use crate::view::SegmentView;
use crate::{EngineError, lower};
use leaf::Leaf;
use plan::Kind;
pub(super) use plan::{Plan, ShardPlan};
use sink::{Gates, Sink};

/// Postings of the terms per document of a filter from which on the filter leads the walk.
const FILTER_LEADS: u64 = 8;

/// Offers the segment's documents that may be among the best, and counts matches where a total is
/// wanted.
pub(super) fn segment(
    request: &Request<'_>,
    shard: &Shard<'_>,
    segment: &SegmentView,
    (plan, own): (&Plan<'_>, &ShardPlan),
) -> Result<(), EngineError> {
    let Some(columns) = open_columns(plan, own, segment)? else {
        return walk_instead(request, shard, segment);
    };
    let mut leaves = leaves(plan, own, &columns)?;
    if leaves.is_empty() {
        return Ok(());
    }
    let Some(gates) = open_gates(own, segment)? else {
        return Ok(());
    };
    let lengths = leaves.iter().map(|leaf| u64::from(leaf.num_documents()));
    let num_postings: u64 = match plan.kind {
        Kind::All => lengths.min().unwrap_or(0),
        Kind::Any => lengths.sum(),
    };
    if gates.num_let_through().saturating_mul(FILTER_LEADS) < num_postings {
        return walk_instead(request, shard, segment);
    }
    let mut sink = Sink::new(request, shard, segment, gates);
    let outcome = match (plan.kind, leaves.as_mut_slice()) {
        (_, [only]) => one::drive(only, &mut sink),
        (Kind::All, leaves) => all::drive(leaves, &mut sink),
        (Kind::Any, leaves) => any::drive(leaves, &mut sink),
    };
    // What was seen before a stop is part of the answer.
    sink.finish()?;
    outcome
}

/// Looks at every match: exact too, and without need of the plan.
fn walk_instead(
    request: &Request<'_>,
    shard: &Shard<'_>,
    segment: &SegmentView,
) -> Result<(), EngineError> {
    let weight = lower::query(&request.scope(shard.target), &request.query.query)?;
    walk::segment(request, shard, segment, weight.as_ref())
}

/// A column that the plan needs.
struct OpenColumn {
    column: Column,
    text: Arc<TextColumn>,
    bound: Option<BlockBound>,
}

type OpenColumns = SmallVec<[OpenColumn; 2]>;

/// Opens the plan's columns; `None` when one cannot be read.
fn open_columns(
    plan: &Plan<'_>,
    own: &ShardPlan,
    segment: &SegmentView,
) -> Result<Option<OpenColumns>, EngineError> {
    let mut opened = OpenColumns::new();
    for (term, column) in plan.terms.iter().zip(&own.columns) {
        let (Some(column), Some(norms)) = (*column, &term.norms) else {
            continue;
        };
        if opened.iter().any(|open| open.column == column) {
            continue;
        }
        let Some(text) = segment.text_column(column)? else {
            return Ok(None);
        };
        let bound = text.lengths();
        opened.push(OpenColumn {
            column,
            bound: bound.and_then(|lengths| BlockBound::new(lengths, norms)),
            text,
        });
    }
    Ok(Some(opened))
}

/// Opens the lists of the plan's terms, those first that lead the walk least expensively; none when
/// nothing can match.
fn leaves<'a>(
    plan: &'a Plan<'_>,
    own: &ShardPlan,
    columns: &'a [OpenColumn],
) -> Result<Vec<Leaf<'a>>, EngineError> {
    let mut lists: SmallVec<[(PostingList<'a>, Scale<'a>, usize); 8]> = SmallVec::new();
    for (term, column) in plan.terms.iter().zip(&own.columns) {
        let open = columns.iter().find(|open| Some(open.column) == *column);
        let list = match open {
            Some(open) => open.text.list(term.term)?,
            None => None,
        };
        if let (Some(open), Some(list), Some(norms)) = (open, list, &term.norms) {
            let scale = Scale::new(
                term.weight,
                norms,
                open.text.norm_ids(),
                open.bound.as_ref(),
            );
            lists.push((list, scale, lists.len()));
        } else if plan.kind == Kind::All {
            return Ok(Vec::new());
        }
    }
    match plan.kind {
        Kind::All => lists.sort_by_key(|(list, ..)| list.num_documents()),
        Kind::Any => lists.sort_by(|(_, a, _), (_, b, _)| a.most().total_cmp(&b.most())),
    }
    let leaves = lists
        .into_iter()
        .map(|(list, scale, order)| Leaf::new(list, scale, order));
    Ok(leaves.collect())
}

/// Opens the gates; `None` when nothing gets through.
fn open_gates(own: &ShardPlan, segment: &SegmentView) -> Result<Option<Gates>, EngineError> {
    let mut gates = Gates::default();
    for gate in &own.gates {
        let scorer = gate.weight.scorer(segment.reader(), 1.0)?;
        let (is_all, is_none) = (scorer.is::<AllScorer>(), scorer.is::<EmptyScorer>());
        let lets_all_through = if gate.is_wanted { is_all } else { is_none };
        let lets_none_through = if gate.is_wanted { is_none } else { is_all };
        if lets_none_through {
            return Ok(None);
        }
        if !lets_all_through {
            gates.push(scorer, gate.is_wanted);
        }
    }
    Ok(Some(gates))
}

/// Returns whether `docset` holds `doc`, which never falls.
pub(super) fn holds<D: DocSet + ?Sized>(docset: &mut D, doc: u32) -> bool {
    if docset.doc() < doc {
        docset.seek(doc);
    }
    docset.doc() == doc
}

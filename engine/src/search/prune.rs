//! Ranking by score where bounds tell which documents cannot be among the best.
//!
//! A [`plan`] is made once per query; on each segment its terms become [`leaf`]s over posting lists,
//! which [`one`], [`all`], [`any`], [`phrase`] or [`tree`] walk, skipping blocks and documents that cannot reach the k-th
//! score. What is left goes to a [`sink`] with its canonical score. The same walk counts matches, as
//! long as they are wanted: then it skips nothing.

mod all;
mod any;
mod finalists;
mod leaf;
mod one;
mod phrase;
mod plan;
mod sink;
#[cfg(test)]
mod tests;
mod tree;

use std::cmp::Reverse;
use std::sync::Arc;

use smallvec::SmallVec;
use tantivy::DocSet;
use tantivy::schema::Field as Column;

use super::request::{Request, Shard};
use super::walk;
use crate::EngineError;
use crate::blocks::TextColumn;
use crate::lower::{self, Gate, Scope};
use crate::score::bound::{BlockBound, Scale};
use crate::view::SegmentView;
use leaf::Leaf;
use phrase::Occurrences;
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
    if matches!(plan.kind, Kind::Phrase) && !columns.iter().all(|open| open.text.has_positions()) {
        return walk_instead(request, shard, segment);
    }
    let scope = request.scope(shard.target);
    let mut leaves = Leaves::new();
    if !open_leaves(plan, own, &columns, &mut leaves)? {
        return plan.check_gates(&scope);
    }
    let Some(gates) = open_gates(&scope, plan, segment)? else {
        return Ok(());
    };
    let lengths = leaves.iter().map(|leaf| u64::from(leaf.num_documents()));
    let num_postings: u64 = match plan.kind {
        Kind::All | Kind::Phrase => lengths.min().unwrap_or(0),
        Kind::Any | Kind::Tree(_) => lengths.sum(),
    };
    if gates.num_let_through().saturating_mul(FILTER_LEADS) < num_postings {
        return walk_instead(request, shard, segment);
    }
    let mut sink = Sink::new(request, shard, segment, gates);
    let outcome = match (&plan.kind, leaves.as_mut_slice()) {
        // Whatever it is a part of: it scores as the whole where no other term occurs.
        (_, [only]) => one::drive(only, &mut sink),
        (Kind::All, leaves) => all::drive(leaves, &mut sink),
        (Kind::Any, leaves) => any::drive(leaves, &mut sink),
        (Kind::Phrase, leaves) => {
            let text = &columns[0].text;
            let occurrences = Occurrences::new(text, &plan.terms, &plan.offsets);
            phrase::drive(leaves, occurrences, &mut sink)
        }
        (Kind::Tree(tree), leaves) => tree::drive(tree, plan.terms.len(), leaves, &mut sink),
    };
    leaves.into_iter().for_each(Leaf::recycle);
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

type Leaves<'a> = SmallVec<[Leaf<'a>; 4]>;

/// Opens the lists of the plan's terms, those first that lead the walk least expensively; returns
/// whether anything can match.
fn open_leaves<'a>(
    plan: &'a Plan<'_>,
    own: &ShardPlan,
    columns: &'a [OpenColumn],
    leaves: &mut Leaves<'a>,
) -> Result<bool, EngineError> {
    for (at, (term, column)) in plan.terms.iter().zip(&own.columns).enumerate() {
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
            let order = match plan.kind {
                Kind::Tree(_) => at,
                _ => leaves.len(),
            };
            leaves.push(Leaf::new(list, scale, order));
        } else if matches!(plan.kind, Kind::All | Kind::Phrase) {
            return Ok(false);
        }
    }
    let by_bound = |a: &Leaf<'_>, b: &Leaf<'_>| a.scale().most().total_cmp(&b.scale().most());
    match &plan.kind {
        Kind::All | Kind::Phrase => leaves.sort_by_key(Leaf::num_documents),
        Kind::Any => leaves.sort_by(by_bound),
        Kind::Tree(_) => leaves.sort_by_key(|leaf| Reverse(leaf.num_documents())),
    }
    Ok(match &plan.kind {
        Kind::Tree(tree) => tree.can_match(plan.terms.len(), leaves),
        _ => !leaves.is_empty(),
    })
}

/// Opens the gates; `None` when nothing gets through.
fn open_gates(
    scope: &Scope<'_>,
    plan: &Plan<'_>,
    segment: &SegmentView,
) -> Result<Option<Gates>, EngineError> {
    let (mut gates, mut is_shut) = (Gates::default(), false);
    for (filter, is_wanted) in &plan.gates {
        match (filter.open(scope, segment.reader())?, is_wanted) {
            (Gate::All, true) | (Gate::None, false) => {}
            // The others are opened too: what is wrong with them is told whatever the documents.
            (Gate::All, false) | (Gate::None, true) => is_shut = true,
            (gate, _) => gates.push(gate, *is_wanted),
        }
    }
    Ok((!is_shut).then_some(gates))
}

/// Returns whether `docset` holds `doc`, which never falls.
pub(super) fn holds<D: DocSet + ?Sized>(docset: &mut D, doc: u32) -> bool {
    if docset.doc() < doc {
        docset.seek(doc);
    }
    docset.doc() == doc
}

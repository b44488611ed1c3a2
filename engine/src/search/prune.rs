//! Ranking by score where bounds tell which documents cannot be among the best.
//!
//! A [`plan`] is made once per query; on each segment its terms become [`leaf`]s over posting lists,
//! which a [`driver`] ([`one`], [`all`], [`any`], [`phrase`] or [`tree`]) walks, skipping blocks and
//! documents that cannot reach the k-th score. What is left goes to a [`sink`] with its canonical score. The
//! same walk counts matches, as long as they are wanted: then it skips nothing.

mod all;
mod any;
mod driver;
mod finalists;
mod leaf;
mod one;
mod phrase;
mod plan;
mod sink;
#[cfg(test)]
mod tests;
mod tree;

use std::sync::Arc;

use smallvec::SmallVec;
use tantivy::DocSet;
use tantivy::schema::Field as Column;

use super::order::Order;
use super::request::{Request, Shard};
use super::walk;
use crate::EngineError;
use crate::blocks::TextColumn;
use crate::lower::{self, Gate, Scope};
use crate::score::bound::BlockBound;
use crate::view::SegmentView;
use driver::{Driver, Leaves};
use leaf::Leaf;
pub(super) use plan::{Plan, ShardPlan};
use sink::{Gates, Sink};

/// Postings of the terms per document of a filter from which on the filter leads the walk.
const FILTER_LEADS: u64 = 8;

/// Postings up to which a walk counts as it goes, although a tally could: it has to read most of them
/// anyway, and to read them twice costs a rare phrase two fifths more. Fewer in tests, whose lists are
/// shorter.
const COUNTED_IN_PASSING: u64 = if cfg!(test) { 32 } else { 16_384 };

/// Whether matches of a segment are still to be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Totals {
    /// Those that are wanted were counted.
    Counted,
    /// They were left to a tally.
    Left,
}

/// How a shard is ranked.
pub(super) struct Pruning<'r, 'q> {
    pub(super) plan: &'r Plan<'q>,
    pub(super) own: &'r ShardPlan,
    /// Whether counting may be left to a tally.
    pub(super) totals: Totals,
}

/// Offers the segment's documents that may be among the best. Where a total is wanted it counts the matches,
/// or, if `totals` says that it may, leaves that to a tally: a walk that counts skips nothing. Returns which it
/// was.
pub(super) fn segment(
    request: &Request<'_>,
    shard: &Shard<'_>,
    segment: &SegmentView,
    pruning: &Pruning<'_, '_>,
) -> Result<Totals, EngineError> {
    let Pruning { plan, own, totals } = *pruning;
    let Some(columns) = open_columns(plan, own, segment)? else {
        return walk_instead(request, shard, segment);
    };
    let needs_positions = !plan.phrases.is_empty();
    if needs_positions && !columns.iter().all(|open| open.text.has_positions()) {
        return walk_instead(request, shard, segment);
    }
    let scope = request.scope(shard.target);
    let mut leaves = Leaves::new();
    let Some(driver) = Driver::open(plan, own, &columns, &mut leaves)? else {
        plan.check_gates(&scope)?;
        return Ok(Totals::Counted);
    };
    let Some(gates) = open_gates(&scope, plan, segment)? else {
        return Ok(Totals::Counted);
    };
    if gates.num_let_through().saturating_mul(FILTER_LEADS) < driver.num_postings() {
        return walk_instead(request, shard, segment);
    }
    // Keys behind the score order what it ties.
    let sorter = match &request.order {
        Order::Keys(keys) => {
            Some(keys.segment(request.query, shard.target, segment, request.env)?)
        }
        _ => None,
    };
    let mut sink = Sink::new(request, shard, segment, gates, sorter);
    let totals = match totals {
        Totals::Left if driver.num_postings() > COUNTED_IN_PASSING => {
            sink.leave_counting();
            Totals::Left
        }
        _ => Totals::Counted,
    };
    let outcome = driver.drive(&mut sink);
    leaves.into_iter().for_each(Leaf::recycle);
    // What was seen before a stop is part of the answer.
    sink.finish()?;
    outcome.map(|()| totals)
}

/// Looks at every match: exact too, and without need of the plan.
fn walk_instead(
    request: &Request<'_>,
    shard: &Shard<'_>,
    segment: &SegmentView,
) -> Result<Totals, EngineError> {
    let weight = lower::query(&request.scope(shard.target), &request.query.query)?;
    let docs = weight.scorer(segment.reader(), 1.0)?;
    walk::segment(request, shard, segment, docs)?;
    Ok(Totals::Counted)
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

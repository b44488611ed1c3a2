//! Totals: `hits.total` = min(matches, limit), and whether there are more, must not depend on the
//! layout.
//!
//! The count is exact up to the limit: it stops only when the shards together have counted one match
//! more. What is counted is shared, so one shard may stop because another has counted enough.

use std::sync::atomic::Ordering;

use gleaner_partial::control::Control;
use gleaner_query::resolved::Clause;
use tantivy::query::{Scorer, Weight};
use tantivy::{COLLECT_BLOCK_BUFFER_LEN, DocSet};

use super::request::{Request, Shard};
use crate::doc_order::column::OfView;
use crate::filter_cache::BitmapScorer;
use crate::lower;
use crate::statistics::live_frequency;
use crate::view::SegmentView;
use crate::{EngineError, View};

/// Matches up to which tantivy counts by itself, in less than a millisecond.
const AT_ONCE: u32 = 262_144;
/// Buffers between two looks at clock and limit: 4,096 documents.
const BUFFERS_PER_CHECK: usize = 4_096 / COLLECT_BLOCK_BUFFER_LEN;

/// What is known of a total without a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KnownTotal {
    Exactly(u64),
    AtLeast(u64),
}

impl KnownTotal {
    pub(super) fn at_least(self) -> u64 {
        match self {
            Self::Exactly(total) | Self::AtLeast(total) => total,
        }
    }

    pub(super) fn is_exact(&self) -> bool {
        matches!(self, Self::Exactly(_))
    }
}

/// Returns what numbers that are kept anyway say of a shard's matches.
///
/// # Errors
/// When the index cannot be read, or `control` stops the count.
pub(super) fn known(
    view: &View,
    clause: &Clause,
    control: &Control,
) -> Result<KnownTotal, EngineError> {
    Ok(match lower::simplify(clause, 1.0).0 {
        Clause::MatchAll => KnownTotal::Exactly(view.num_documents()),
        Clause::MatchNone => KnownTotal::Exactly(0),
        Clause::Term { field, term } => match view.field(field.as_str()) {
            Some(handle) if handle.kind.is_indexed() => {
                KnownTotal::Exactly(live_frequency(view, handle, term, control)?)
            }
            // Such a query is refused.
            Some(_) => KnownTotal::AtLeast(0),
            None => KnownTotal::Exactly(0),
        },
        Clause::Constant(inner) => known(view, inner, control)?,
        Clause::Bool {
            must,
            should,
            filter,
            must_not,
            minimum_should_match,
        } if must.is_empty()
            && filter.is_empty()
            && must_not.is_empty()
            && *minimum_should_match <= 1 =>
        {
            let mut most = 0;
            for clause in should {
                most = most.max(known(view, clause, control)?.at_least());
            }
            KnownTotal::AtLeast(most)
        }
        _ => KnownTotal::AtLeast(0),
    })
}

/// Counts what `weight` matches in a segment; of what is cut short within a document, what was seen
/// before.
pub(super) fn segment(
    request: &Request<'_>,
    shard: &Shard<'_>,
    segment: &SegmentView,
    weight: &dyn Weight,
) -> Result<(), EngineError> {
    if is_enough(request) {
        return Ok(());
    }
    if counted_by_order(request, shard, segment)? {
        return Ok(());
    }
    let docs = weight.scorer(segment.reader(), 1.0)?;
    matches(request, shard, segment, docs)
}

/// Counts the matches of a range by the borders that it has in an order of its column; returns whether that was enough.
pub(super) fn counted_by_order(
    request: &Request<'_>,
    shard: &Shard<'_>,
    segment: &SegmentView,
) -> Result<bool, EngineError> {
    if shard.post_filter.is_some() {
        return Ok(false);
    }
    let segment_of_view = OfView {
        view: &shard.target.view,
        segment,
    };
    let clause = lower::only_filter(request.clause);
    let Some(ranked) = segment_of_view.of_range(clause, Some(request.env.memory))? else {
        return Ok(false);
    };
    let num_deleted = u64::from(segment.reader().num_deleted_docs());
    // So many are alive at least.
    let at_least = (ranked.len() as u64).saturating_sub(num_deleted);
    let counted = request.counted.load(Ordering::Relaxed);
    if num_deleted > 0 && counted.saturating_add(at_least) < request.count_limit {
        return Ok(false);
    }
    add(request, shard, at_least);
    Ok(true)
}

/// Counts `docs`, which match in a segment.
pub(super) fn matches(
    request: &Request<'_>,
    shard: &Shard<'_>,
    segment: &SegmentView,
    mut docs: Box<dyn Scorer>,
) -> Result<(), EngineError> {
    if is_enough(request) {
        return Ok(());
    }
    let reader = segment.reader();
    let is_at_once = docs.is::<BitmapScorer>() || docs.size_hint() <= AT_ONCE;
    if !reader.has_deletes() && shard.post_filter.is_none() && is_at_once {
        let counted = docs.count_including_deleted();
        request.env.control.check_whole()?;
        add(request, shard, u64::from(counted));
        return Ok(());
    }
    let mut gate = shard
        .post_filter
        .as_ref()
        .map(|gate| gate.scorer(reader, 1.0))
        .transpose()?;
    let mut buffer = [0; COLLECT_BLOCK_BUFFER_LEN];
    loop {
        let mut counted = 0;
        let mut is_done = false;
        for _ in 0..BUFFERS_PER_CHECK {
            let num_filled = docs.fill_buffer(&mut buffer);
            let mut found = 0;
            for &doc in &buffer[..num_filled] {
                let is_let_through = gate.as_mut().is_none_or(|gate| {
                    if gate.doc() < doc {
                        gate.seek(doc);
                    }
                    gate.doc() == doc
                });
                found += u64::from(is_let_through && segment.is_alive(doc));
            }
            if request.env.control.check_whole().is_err() {
                is_done = true;
                break;
            }
            counted += found;
            is_done = num_filled < buffer.len();
            if is_done {
                break;
            }
        }
        add(request, shard, counted);
        if is_done || is_enough(request) {
            return Ok(());
        }
        request.env.control.check()?;
    }
}

/// Adds to the totals of the shard and of the request.
pub(super) fn add(request: &Request<'_>, shard: &Shard<'_>, matches: u64) {
    if request.count_limit > 0 && matches > 0 {
        shard.total.fetch_add(matches, Ordering::Relaxed);
        request.counted.fetch_add(matches, Ordering::Relaxed);
    }
}

/// Returns whether nothing needs to be counted any more.
pub(super) fn is_enough(request: &Request<'_>) -> bool {
    request.counted.load(Ordering::Relaxed) >= request.count_limit
}

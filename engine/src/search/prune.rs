//! Ranking by score with tantivy's block-max pruning.

use super::rank::Ranker;
use super::request::{Request, Shard};
use crate::EngineError;
use crate::lower;
use crate::view::SegmentView;

/// Documents above the threshold between two looks at the clock.
const DOCUMENTS_PER_CHECK: u32 = 1_024;

/// Offers the segment's documents that may be among the best.
///
/// The threshold handed to tantivy is the k-th score lowered by what its block maxima and f32
/// arithmetic may be wrong by, so no winner is skipped; see `score::bound`.
pub(super) fn segment(
    request: &Request<'_>,
    shard: &Shard<'_>,
    segment: &SegmentView,
) -> Result<(), EngineError> {
    let shortfall = shortfall(request, shard, segment)?;
    let mut ranker = Ranker::new(request, shard, segment);
    let mut gate = match &shard.post_filter {
        Some(gate) => Some(gate.scorer(segment.reader(), 1.0)?),
        None => None,
    };
    let threshold_of = |reach| request.slack.threshold(reach, shortfall);
    let mut reach = request.top.reach();
    let mut threshold = threshold_of(reach);
    let mut outcome = Ok(());
    let mut num_seen = 0u32;
    let mut look = |doc, approximate| -> Result<f32, EngineError> {
        num_seen += 1;
        if num_seen.is_multiple_of(DOCUMENTS_PER_CHECK) {
            request.env.control.check()?;
        }
        if segment.is_alive(doc)
            && request.slack.may_reach(approximate, request.top.reach())
            && gate.as_mut().is_none_or(|gate| holds(gate.as_mut(), doc))
        {
            ranker.consider(doc, approximate)?;
        }
        if request.top.reach() != reach {
            reach = request.top.reach();
            threshold = threshold_of(reach);
        }
        Ok(threshold)
    };
    let first = threshold_of(request.top.reach());
    shard
        .weight
        .for_each_pruning(first, segment.reader(), &mut |doc, approximate| {
            if outcome.is_err() {
                return f32::MAX;
            }
            match look(doc, approximate) {
                Ok(threshold) => threshold,
                Err(error) => {
                    outcome = Err(error);
                    // Nothing scores more: tantivy runs out without decoding another block.
                    f32::MAX
                }
            }
        })?;
    outcome
}

/// Returns whether `docset` holds `doc`, which never falls.
pub(super) fn holds<D: tantivy::DocSet + ?Sized>(docset: &mut D, doc: u32) -> bool {
    if docset.doc() < doc {
        docset.seek(doc);
    }
    docset.doc() == doc
}

/// The largest shortfall of the fields the query scores.
fn shortfall(
    request: &Request<'_>,
    shard: &Shard<'_>,
    segment: &SegmentView,
) -> Result<f64, EngineError> {
    let view = &shard.target.view;
    let mut worst = 1.0_f64;
    for field in lower::pruned_fields(view, request.clause).unwrap_or_default() {
        let (Some(handle), Some(norms)) = (
            view.fields().text(field.as_str()),
            request.model.norms(field),
        ) else {
            continue;
        };
        let factor = segment
            .numbers()
            .shortfall(segment, handle.column, norms.average())?;
        worst = worst.max(factor);
    }
    Ok(worst)
}

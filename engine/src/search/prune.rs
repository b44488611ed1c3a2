//! Ranking by score with tantivy's block-max pruning.

use super::candidates::Candidates;
use super::rank::Ranker;
use super::request::{Order, Request, Shard};
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
    let gate = match &shard.post_filter {
        Some(gate) => Some(gate.scorer(segment.reader(), 1.0)?),
        None => None,
    };
    let mut pruning = Pruning {
        request,
        segment,
        shortfall: shortfall(request, shard, segment)?,
        ranker: Ranker::new(request, shard, segment),
        candidates: Candidates::new(request.query.top.max(1), request.slack),
        gate,
        reach: f32::MIN,
        threshold: f32::MIN,
        num_seen: 0,
    };
    let first = pruning.threshold();
    let mut outcome = Ok(());
    shard
        .weight
        .for_each_pruning(first, segment.reader(), &mut |doc, approximate| {
            if outcome.is_err() {
                return f32::MAX;
            }
            match pruning.look(doc, approximate) {
                Ok(threshold) => threshold,
                Err(error) => {
                    outcome = Err(error);
                    // Nothing scores more: tantivy runs out without decoding another block.
                    f32::MAX
                }
            }
        })?;
    outcome?;
    pruning.rank()
}

/// One segment on its way through tantivy's pruning.
struct Pruning<'r, 'q> {
    request: &'r Request<'q>,
    segment: &'r SegmentView,
    shortfall: f64,
    ranker: Ranker<'r, 'q>,
    candidates: Candidates,
    gate: Option<Box<dyn tantivy::query::Scorer>>,
    /// What a canonical score has to reach, and the threshold made of it.
    reach: f32,
    threshold: f32,
    num_seen: u32,
}

impl Pruning<'_, '_> {
    /// Looks at a document above the threshold; returns the threshold for the next.
    fn look(&mut self, doc: u32, approximate: f32) -> Result<f32, EngineError> {
        self.num_seen += 1;
        if self.num_seen.is_multiple_of(DOCUMENTS_PER_CHECK) {
            self.request.env.control.check()?;
        }
        let is_candidate = self.request.slack.may_reach(approximate, self.reach)
            && self.segment.is_alive(doc)
            && self
                .gate
                .as_mut()
                .is_none_or(|gate| holds(gate.as_mut(), doc));
        if !is_candidate {
            return Ok(self.threshold());
        }
        if matches!(self.request.order, Order::Score(Some(_))) {
            // Whether it comes after the starting point is told by its canonical score alone.
            self.ranker.consider(doc, approximate)?;
        } else if self.candidates.push(doc, approximate) {
            self.rank()?;
        }
        Ok(self.threshold())
    }

    /// Computes the candidates' canonical scores and offers them.
    fn rank(&mut self) -> Result<(), EngineError> {
        for (doc, approximate) in self.candidates.take() {
            self.ranker.consider(doc, approximate)?;
        }
        Ok(())
    }

    fn threshold(&mut self) -> f32 {
        let reach = self.request.top.reach().max(self.candidates.floor());
        if reach != self.reach {
            self.reach = reach;
            self.threshold = self.request.slack.threshold(reach, self.shortfall);
        }
        self.threshold
    }
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

//! From what tasks left behind to one answer per shard.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use gleaner_model::SeqNo;
use gleaner_partial::Aggregations;
use gleaner_partial::control::Control;
use gleaner_query::answer::{ShardHit, ShardHits, SortValue};
use gleaner_query::resolved::TieBreak;
use tantivy::DocId;

use super::order::Order;
use super::rank;
use super::request::Request;
use super::sorting::{self, SortedHit};
use crate::EngineError;
use crate::score::canonical::Cursor;
use crate::score::top::{ScoredDocument, SharedTop};
use crate::view::split_place;

/// What segments have handed in.
#[derive(Default)]
pub(super) struct SegmentAnswers {
    pub(super) error: Option<EngineError>,
    pub(super) sorted: Vec<SortedHit>,
    pub(super) aggregations: Vec<(u32, Aggregations)>,
    pub(super) max_score: Option<f32>,
}

impl SegmentAnswers {
    /// Takes the largest score that a segment has seen into account.
    pub(super) fn raise_max_score(&mut self, score: Option<f32>) {
        let both = self.max_score.into_iter().chain(score);
        self.max_score = both.reduce(f32::max);
    }
}

/// Makes the answers of all shards.
pub(super) fn assemble(mut request: Request<'_>) -> Vec<Result<ShardHits, EngineError>> {
    let hits = match best(&mut request) {
        Ok(hits) => hits,
        Err(error) => return super::fail_all(request.shards.len(), &error),
    };
    let hits = hits.into_iter().enumerate();
    hits.map(|(index, own)| answer(&mut request, index, own))
        .collect()
}

fn answer(
    request: &mut Request<'_>,
    index: usize,
    hits: Vec<ShardHit>,
) -> Result<ShardHits, EngineError> {
    let is_by_score = matches!(request.order, Order::Score(None));
    let shard = &mut request.shards[index];
    let mut found = std::mem::take(shard.found.get_mut());
    if let Some(error) = found.error {
        return Err(error);
    }
    let aggregations = match &shard.aggregations {
        None => None,
        Some(plan) => {
            found.aggregations.sort_by_key(|(ord, _)| *ord);
            let partials = found
                .aggregations
                .into_iter()
                .map(|(_, partial)| partial)
                .collect();
            Some(plan.finish(partials)?.encode()?)
        }
    };
    let is_late = shard.is_late.load(Ordering::Relaxed);
    let mut total = shard.total.load(Ordering::Relaxed);
    if is_late && request.count_limit > 0 {
        // A tally that was late has not counted all that was ranked before.
        total = total.max(hits.len() as u64);
    }
    let best_score = hits.iter().filter_map(|hit| hit.score).reduce(f32::max);
    Ok(ShardHits {
        generation: shard.target.view.generation(),
        view: shard.target.view.id(),
        num_documents: shard.target.view.num_documents(),
        total,
        max_score: if is_by_score {
            best_score
        } else {
            found.max_score
        },
        hits,
        aggregations,
        timed_out: is_late,
        terminated_early: shard.is_terminated.load(Ordering::Relaxed),
        times: None,
        unmatched: None,
        may_be_stale: false,
    })
}

/// Returns the best hits of all shards together, each with its shard.
fn best(request: &mut Request<'_>) -> Result<Vec<Vec<ShardHit>>, EngineError> {
    let ranked = match &request.order {
        Order::None => Vec::new(),
        Order::Score(_) => {
            let top = std::mem::replace(&mut request.top, SharedTop::new(0));
            let entries = top.into_sorted(|a, b| request.compare_ids(a, b));
            let has_keys = !request.query.sort.is_empty();
            let with_keys = |scored: ScoredDocument| {
                let score = SortValue::F64(f64::from(scored.score));
                SortedHit {
                    keys: if has_keys { vec![score] } else { Vec::new() },
                    group: None,
                    scored,
                }
            };
            entries.into_iter().map(with_keys).collect()
        }
        Order::Keys(_) => {
            let shards = request.shards.iter();
            let all = shards.flat_map(|shard| std::mem::take(&mut shard.found.lock().sorted));
            let merged = sorting::merge(request, all.collect());
            score_sorted(request, merged)?
        }
    };
    let has_scores = matches!(request.order, Order::Score(_)) || request.needs_scores;
    let mut hits: Vec<Vec<ShardHit>> = request.shards.iter().map(|_| Vec::new()).collect();
    for (at, hit) in ranked.iter().enumerate() {
        let ties = |other: Option<&SortedHit>| {
            other.is_some_and(|other| {
                other.scored.hash == hit.scored.hash && other.scored.score == hit.scored.score
            })
        };
        let before = at.checked_sub(1).and_then(|before| ranked.get(before));
        let needs_id = ties(before) || ties(ranked.get(at + 1));
        hits[hit.scored.target].push(shard_hit(request, hit, needs_id, has_scores)?);
    }
    Ok(hits)
}

fn shard_hit(
    request: &Request<'_>,
    hit: &SortedHit,
    needs_id: bool,
    has_scores: bool,
) -> Result<ShardHit, EngineError> {
    let ScoredDocument {
        score,
        hash,
        target,
        place,
    } = hit.scored;
    let (ord, doc) = split_place(place);
    let segment = &request.shards[target].target.view.segments()[ord as usize];
    let id = if needs_id {
        Some(request.id_of(target, place)?)
    } else {
        None
    };
    Ok(ShardHit {
        score: has_scores.then_some(score),
        keys: hit.keys.clone(),
        group: hit.group.clone(),
        tie: TieBreak { hash, id },
        seq_no: SeqNo(segment.seq_nos().get_val(doc)),
        place,
    })
}

/// Scores documents of one segment.
struct SegmentScorer {
    /// Target and number of the segment.
    of: (usize, u32),
    /// `None`: there was no time to open it.
    cursor: Option<Cursor>,
    /// Of this segment alone: that the walk was cut short is no reason to leave hits without a score.
    control: Arc<Control>,
}

impl SegmentScorer {
    fn open(request: &Request<'_>, of: (usize, u32)) -> Result<Self, EngineError> {
        let shard = &request.shards[of.0];
        let segment = &shard.target.view.segments()[of.1 as usize];
        let control = Arc::new(request.env.control.apart());
        let cursor = match rank::open(request, shard, segment, &control) {
            Ok(cursor) => Some(cursor),
            // The control says which errors are stops that tantivy carried through.
            Err(_) if control.check().is_err() => None,
            Err(error) => return Err(error),
        };
        Ok(Self {
            of,
            cursor,
            control,
        })
    }

    /// Returns the score of a hit; `None` where there is no time for it.
    fn score(&mut self, doc: DocId) -> Option<f32> {
        let score = self.cursor.as_mut()?.score(doc).unwrap_or_default() as f32;
        self.control.check_whole().is_ok().then_some(score)
    }
}

/// Scores hits that were ordered by keys, where scores are wanted. Those for which there is no time are
/// left out, and their shards are late.
fn score_sorted(
    request: &Request<'_>,
    mut hits: Vec<SortedHit>,
) -> Result<Vec<SortedHit>, EngineError> {
    if !request.needs_scores {
        return Ok(hits);
    }
    let mut by_place: Vec<usize> = (0..hits.len()).collect();
    by_place.sort_by_key(|&at| (hits[at].scored.target, hits[at].scored.place));
    let mut is_scored = vec![true; hits.len()];
    let mut open: Option<SegmentScorer> = None;
    for at in by_place {
        let scored = &mut hits[at].scored;
        let (ord, doc): (u32, DocId) = split_place(scored.place);
        let of = (scored.target, ord);
        let scoring = match &mut open {
            Some(scoring) if scoring.of == of => scoring,
            slot => slot.insert(SegmentScorer::open(request, of)?),
        };
        if let Some(score) = scoring.score(doc) {
            scored.score = score;
        } else {
            is_scored[at] = false;
            let shard = &request.shards[scored.target];
            shard.is_late.store(true, Ordering::Relaxed);
        }
    }
    let mut is_scored = is_scored.into_iter();
    hits.retain(|_| is_scored.next().unwrap_or(true));
    Ok(hits)
}

//! How a leaf finds hits in a view, and hands out what stands at their places.

use gleaner_proto::LeafFault;
use gleaner_query::answer::{FetchedHit, ShardHit, ShardHits};
use gleaner_query::resolved::{ShardQuery, Statistics, StatisticsRequest, TieBreak};

use super::Leaf;
use super::views::View;
use crate::documents::Stored;
use crate::schedule::{Broken, TERM};
use crate::scoring;

impl Leaf {
    pub(super) fn count(&self, view: &View, request: &StatisticsRequest) -> Statistics {
        let mut numbers = scoring::count(&view.documents, request);
        if self.cluster.schedule.is_breaking(Broken::Miscounts) {
            let fields = numbers.fields.values_mut();
            fields.for_each(|of_field| of_field.documents += 1);
        }
        numbers
    }

    /// Finds the best hits of one view.
    pub(super) fn rank(&self, view: &View, query: &ShardQuery) -> ShardHits {
        let alone;
        let mut numbers = &*query.statistics;
        if self.cluster.schedule.is_breaking(Broken::ScoresAlone) {
            let mut wanted = StatisticsRequest::default();
            wanted.collect(&query.query);
            alone = scoring::count(&view.documents, &wanted);
            numbers = &alone;
        }
        let placed = view.documents.iter().zip(0..);
        let mut hits: Vec<ShardHit> = placed
            .filter_map(|(stored, place)| {
                let score = scoring::score(&query.query, stored, numbers)?;
                Some(hit(stored, place, score))
            })
            .collect();
        hits.sort_by(by_score);
        let mut total = hits.len() as u64;
        let is_broken = |broken| self.cluster.schedule.is_breaking(broken) && !hits.is_empty();
        if is_broken(Broken::HidesHits) {
            hits.remove(0);
            total -= 1;
        } else if is_broken(Broken::RepeatsHits) && hits.len() > 1 {
            hits[1] = hits[0].clone();
        }
        ShardHits {
            generation: view.generation,
            view: view.id,
            num_documents: view.documents.len() as u64,
            total,
            max_score: hits.first().and_then(|hit| hit.score),
            hits,
            aggregations: None,
            timed_out: false,
            terminated_early: false,
            times: None,
            unmatched: None,
            may_be_stale: false,
        }
    }
}

fn hit(stored: &Stored, place: u64, score: f32) -> ShardHit {
    ShardHit {
        group: None,
        score: Some(score),
        keys: Vec::new(),
        tie: TieBreak {
            hash: stored.tie,
            id: None,
        },
        seq_no: stored.seq_no,
        place,
    }
}

fn by_score(a: &ShardHit, b: &ShardHit) -> std::cmp::Ordering {
    let score = |hit: &ShardHit| hit.score.unwrap_or_default();
    score(b)
        .total_cmp(&score(a))
        .then_with(|| a.tie.cmp(&b.tie))
}

/// Leaves out hits that cannot be among the best of all shards of the call: leaves share one
/// threshold among them.
pub(super) fn share_threshold(answers: &mut [Result<ShardHits, LeafFault>], top: usize) {
    let hits = answers.iter().flatten().flat_map(|answer| &answer.hits);
    let mut best: Vec<ShardHit> = hits.cloned().collect();
    best.sort_by(by_score);
    let worst = best.get(top.max(1) - 1).cloned();
    for answer in answers.iter_mut().flatten() {
        if let Some(worst) = &worst {
            answer.hits.retain(|hit| by_score(hit, worst).is_le());
        }
        answer.hits.truncate(top);
    }
}

pub(super) fn fetched(stored: &Stored) -> FetchedHit {
    FetchedHit {
        ignored: Vec::new(),
        ignored_values: Default::default(),
        matched_queries: Vec::new(),
        id: stored.id.clone(),
        routing: None,
        seq_no: stored.seq_no,
        term: TERM,
        version: stored.version,
        source: stored.source.clone(),
        fields: Default::default(),
        highlight: Default::default(),
        explanation: None,
    }
}

//! `rescore`: the best hits of all shards, scored by another query too.
//!
//! The window is of the merged list, not of each shard's: so the answer is the same however documents lie in
//! shards. Scores come from the copies that ranked the hits, by the way that explains them.

use std::sync::Arc;

use gleaner_proto::search::FetchWhat;
use gleaner_query::answer::Explanation;
use gleaner_query::resolved::{Clause, ShardQuery};
use gleaner_query::search::Rescore;

use super::phase::CommonRequest;
use super::restart::Stop;
use super::shard_query;
use crate::merge::RankedHit;
use crate::plan::IndexPlan;
use crate::response::ShardFailure;
use crate::scatter::Trip;
use crate::search::Searcher;

/// Hits in their new order.
pub(super) struct Rescored {
    pub(super) ranked: Vec<RankedHit>,
    /// Shards that failed; their hits of the window are not among `ranked`.
    pub(super) failures: Vec<ShardFailure>,
}

impl Searcher {
    /// Scores the best of `ranked` anew, step by step.
    ///
    /// # Errors
    /// As [`Searcher::fetch`]; when a copy is lost that can be replaced.
    pub(super) async fn rescored(
        &self,
        plans: &[IndexPlan],
        ranked: Vec<RankedHit>,
        asked: &CommonRequest<'_>,
        trip: &mut Trip,
    ) -> Result<Rescored, Stop> {
        let mut rescored = Rescored {
            ranked,
            failures: Vec::new(),
        };
        for (step, rescore) in asked.request.rescores.iter().enumerate() {
            let num_within = rescore.window_size.min(rescored.ranked.len());
            let behind = rescored.ranked.split_off(num_within);
            let window = std::mem::take(&mut rescored.ranked);
            if window.is_empty() {
                continue;
            }
            let what = plans.iter().enumerate();
            let what: Vec<Arc<FetchWhat>> = what
                .map(|(at, plan)| Arc::new(scoring(at, plan, step, asked)))
                .collect();
            let contents = Box::pin(self.contents(plans, &window, &what, trip)).await?;
            rescored.failures.extend(contents.failures);
            let both = window.into_iter().zip(contents.hits);
            let both = both.filter_map(|(ranked, content)| Some((ranked, content?)));
            let mut window: Vec<RankedHit> = both
                .map(|(ranked, content)| {
                    let other = content.explanation.filter(Explanation::matched);
                    scored_anew(ranked, other, rescore)
                })
                .collect();
            // Hits behind the window count as if the other query did not match them.
            window.extend(
                behind
                    .into_iter()
                    .map(|hit| scored_anew(hit, None, rescore)),
            );
            // Equal scores keep the order that they had.
            window.sort_by(|a, b| {
                let score = |ranked: &RankedHit| ranked.hit.score.unwrap_or_default();
                score(b).total_cmp(&score(a))
            });
            rescored.ranked = window;
        }
        Ok(rescored)
    }
}

/// Returns what scores the hits of an index by the query of a step. An index for which the request is wrong has no such
/// query, and no hits.
fn scoring(at: usize, plan: &IndexPlan, step: usize, asked: &CommonRequest<'_>) -> FetchWhat {
    let own = plan.resolved.rescores.get(step).cloned();
    let query = ShardQuery {
        query: own.unwrap_or(Clause::MatchNone),
        ..shard_query(at, plan, asked)
    };
    FetchWhat {
        explain: Some(Arc::new(query)),
        is_without_source: true,
        ..FetchWhat::default()
    }
}

/// Returns a hit with the score made of its own and of `other`, if the other query matches it.
fn scored_anew(mut ranked: RankedHit, other: Option<Explanation>, rescore: &Rescore) -> RankedHit {
    let score = ranked.hit.score.unwrap_or_default();
    let explained = Explanation {
        value: score,
        description: "first pass score".to_owned(),
        details: Vec::new(),
    };
    let combined = rescore.combine(score, other.as_ref().map(|other| other.value));
    let mode = rescore.score_mode;
    let (weight, other_weight) = (rescore.query_weight, rescore.rescore_query_weight);
    let first = ranked.rescored.take().unwrap_or(explained);
    ranked.rescored = Some(Explanation {
        value: combined,
        description: format!(
            "{mode:?} of the first times {weight} and, where it matches, the second times \
             {other_weight}:"
        ),
        details: std::iter::once(first).chain(other).collect(),
    });
    ranked.hit.score = Some(combined);
    ranked
}

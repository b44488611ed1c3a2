//! The usual query phase: the numbers that scoring needs, then every shard ranks its own hits.

use std::sync::Arc;

use async_trait::async_trait;
use gleaner_proto::LeafFault;
use gleaner_proto::search::SearchCall;
use gleaner_query::answer::ShardHits;
use tokio::time::Instant;

use super::coverage::check_complete;
use super::phase::{CommonRequest, QueryAnswers, QueryPhase};
use super::restart::{Restart, Stop};
use super::shard_query::shard_queries;
use super::skipping::skipped;
use crate::SharedParts;
use crate::cluster::ClusterView;
use crate::health::Phase;
use crate::merge::HitMerger;
use crate::plan::IndexPlan;
use crate::response::ShardFailure;
use crate::scatter::{Answers, Calls, LeafCall, RoundAnswers, Scatterer, Trip};
use crate::statistics::{self, Exclusion, hangs_on_scores};

/// Searches that are scattered by shards.
pub(crate) struct ShardScatter {
    pub(crate) cluster: Arc<ClusterView>,
    pub(crate) scatterer: Arc<Scatterer>,
    pub(crate) statistics: Arc<statistics::Cache>,
}

#[async_trait]
impl QueryPhase for ShardScatter {
    async fn query<'a>(
        &self,
        plans: &mut [IndexPlan],
        asked: &CommonRequest<'a>,
        trip: &mut Trip,
    ) -> Result<QueryAnswers<'a>, Stop> {
        let counted = self.counted(plans, asked.request, trip);
        let mut counted = counted.await.map_err(Stop::Restart)?;
        if asked.page.is_part && hangs_on_scores(asked.request) {
            check_complete(plans.iter().flat_map(|plan| &plan.lost), false)?;
        }
        self.skip_excluded(plans, &mut counted, asked.request);
        let asked = CommonRequest {
            statistics: Arc::clone(&counted.statistics),
            ..*asked
        };
        let mut merged = HitMerger::of(asked.request);
        let began = Instant::now();
        let mut gathered = self.ask(plans, &asked, trip, &mut merged).await;
        self.note_answers(plans, &gathered, began);
        if let Some(waterfall) = &mut trip.waterfall {
            waterfall.statistics = counted.origin();
            waterfall.num_restarts = trip.num_restarts;
            waterfall.skipped = skipped(plans);
        }
        if trip.may_begin_again() {
            if gathered.is_mixed {
                return Err(Stop::Restart(Restart::Mixed));
            }
            if !counted.is_confirmed_by(&gathered.answers)
                || !is_expected(plans, &gathered.answers)
                || lost_a_view(plans, &gathered)
            {
                return Err(Stop::Restart(Restart::Torn));
            }
        }
        counted.mark_unconfirmed(&mut gathered.answers);
        mark_unexpected(plans, &mut gathered.answers);
        Ok(QueryAnswers {
            answers: gathered.answers,
            merged,
            statistics: asked.statistics,
        })
    }
}

impl ShardScatter {
    pub(crate) fn new(shared: &SharedParts, scatterer: &Arc<Scatterer>) -> Self {
        Self {
            cluster: Arc::clone(&shared.cluster),
            scatterer: Arc::clone(scatterer),
            statistics: Arc::clone(&shared.statistics),
        }
    }

    /// Remembers what the copies showed that were asked for their newest, after `began`.
    fn note_answers(
        &self,
        plans: &[IndexPlan],
        gathered: &RoundAnswers<ShardHits>,
        began: Instant,
    ) {
        let newest = &self.statistics.newest;
        for (plan, answers) in plans.iter().zip(&gathered.answers) {
            for (asked, answer) in plan.shards.iter().zip(answers) {
                if let (false, Ok(answer)) = (asked.is_pinned, answer) {
                    let (shard, hits) = (asked.shard, &answer.value);
                    newest.saw(shard, hits.generation, Some(hits.num_documents));
                    if let Some(unmatched) = &hits.unmatched {
                        let exclusion = Exclusion {
                            node: &answer.node,
                            generation: hits.generation,
                            unmatched,
                            asked: began,
                        };
                        newest.promised(shard, &exclusion);
                    }
                }
            }
        }
    }

    /// Asks all shards; their hits go to `merged` as they come.
    pub(crate) async fn ask(
        &self,
        plans: &[IndexPlan],
        asked: &CommonRequest<'_>,
        trip: &mut Trip,
        merged: &mut HitMerger<'_>,
    ) -> RoundAnswers<ShardHits> {
        let queries = shard_queries(plans, asked);
        let ask = |call: LeafCall| {
            let query = Arc::clone(&queries[call.plan]);
            let search = SearchCall {
                shards: call.shards,
                query,
                remaining: call.remaining,
            };
            async move { call.located.client.search(search).await }
        };
        let taken = |plan, shard, answer: &mut ShardHits| {
            merged.take(plan, shard, std::mem::take(&mut answer.hits));
        };
        self.scatterer
            .scatter_to(plans, trip, Phase::Query, Calls { ask, taken })
            .await
    }
}

/// Returns whether all answers come from the generations that their queries were resolved for.
pub(crate) fn is_expected(plans: &[IndexPlan], answers: &Answers<ShardHits>) -> bool {
    let shards = plans.iter().flat_map(|plan| &plan.shards);
    let mut both = shards.zip(answers.iter().flatten());
    both.all(|(shard, answer)| match answer {
        Ok(answer) => shard.expects(answer.value.generation),
        Err(_) => true,
    })
}

/// Marks those that do not as cut short: there was no time to resolve them again.
pub(crate) fn mark_unexpected(plans: &[IndexPlan], answers: &mut Answers<ShardHits>) {
    let shards = plans.iter().flat_map(|plan| &plan.shards);
    for (shard, answer) in shards.zip(answers.iter_mut().flatten()) {
        if let Ok(answer) = answer {
            answer.value.timed_out |= !shard.expects(answer.value.generation);
        }
    }
}

/// Returns whether a shard's moment is gone that the search itself chose: another will do.
pub(crate) fn lost_a_view<A>(plans: &[IndexPlan], gathered: &RoundAnswers<A>) -> bool {
    let shards = plans.iter().flat_map(|plan| &plan.shards);
    let mut both = shards.zip(gathered.answers.iter().flatten());
    both.any(|(shard, answer)| {
        let is_gone = |failure: &ShardFailure| {
            matches!(failure.fault, LeafFault::ViewMissing { .. }) && !shard.is_pinned
        };
        answer.as_ref().is_err_and(is_gone)
    })
}

//! The search's way: plan → expand → statistics → scatter → merge → fetch.

mod coverage;
mod gather;
mod preparing;
mod shard_query;
mod skipping;

use std::sync::Arc;

use gleaner_proto::LeafFault;
use gleaner_proto::search::SearchCall;
use gleaner_query::answer::ShardHits;
use gleaner_query::resolved::Statistics;
use gleaner_query::search::{Scatter, SearchRequest};
use tokio::time::Instant;

use crate::Root;
use crate::RootError;
use crate::SharedParts;
use crate::by_term::TermScatter;
use crate::cluster::ClusterView;
use crate::deadline::Deadline;
use crate::health::Phase;
use crate::memory::Accounts;
use crate::memory::AnswerMemory;
use crate::merge::HitMerger;
use crate::plan::Planner;
use crate::plan::{IndexPlan, Target};
use crate::response::{SearchResponse, ShardFailure};
use crate::scatter::Scatterer;
use crate::scatter::{LeafCall, RoundAnswers, Trip};
use crate::slow_log::{self, SearchTimes};
use crate::statistics::hangs_on_scores;
use crate::tasks::{Action, Origin};
use crate::token::Position;
use crate::waterfall::Waterfall;
use crate::work::Workers;
use coverage::check_complete;
use preparing::{apply_boosts, check_indices, check_search_after, check_unsliced};
use shard_query::shard_queries;
use skipping::{skip_hopeless, skipped};

pub(crate) use coverage::check_page;
pub(crate) use preparing::refused;
pub(crate) use shard_query::{Tie, shard_query, wanted_hits};

/// Answers searches.
pub struct Searcher {
    pub(crate) cluster: Arc<ClusterView>,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) scatterer: Arc<Scatterer>,
    pub(crate) planner: Arc<Planner>,
    pub(crate) by_terms: TermScatter,
    pub(crate) statistics: Arc<crate::statistics::Cache>,
    pub(crate) workers: Arc<Workers>,
}

impl Searcher {
    pub(crate) fn new(
        shared: &SharedParts,
        scatterer: &Arc<Scatterer>,
        planner: &Arc<Planner>,
    ) -> Self {
        Self {
            cluster: Arc::clone(&shared.cluster),
            accounts: Arc::clone(&shared.accounts),
            scatterer: Arc::clone(scatterer),
            planner: Arc::clone(planner),
            by_terms: TermScatter::new(shared, scatterer),
            statistics: Arc::clone(&shared.statistics),
            workers: Arc::clone(&shared.workers),
        }
    }
}

/// What a search needs beside its body.
#[derive(Debug, Clone, Default)]
pub struct SearchOptions {
    /// Whether an answer without some shards is refused (`allow_partial_search_results=false`).
    pub refuse_partial: bool,
    /// Share of the documents that an answer must cover, 0 to 1 (`min_coverage`); `None` takes any.
    pub min_coverage: Option<f64>,
    /// Who asked, for the list of tasks.
    pub origin: Origin,
    /// What the answer's bytes are charged to; `None` opens an account for it alone.
    pub memory: Option<AnswerMemory>,
    /// Whether the hits go on where others ended, or others will go on where they end: all of them are
    /// ranked by the numbers of all shards, or none is.
    pub(crate) is_page: bool,
    /// Only hits after this one, with the tie-break (scroll); `search_after` without one else.
    pub(crate) after: Option<Position>,
    /// The request's time, where it began earlier than now (scroll): milliseconds since the epoch.
    pub(crate) now_ms: Option<i64>,
}

/// Times that a search is begun again because something it counted on is gone or is not the newest.
pub(crate) const MAX_RESTARTS: usize = 3;

impl Root {
    /// Answers one search.
    ///
    /// # Errors
    /// [`RootError`] when the request is wrong, when no shard answered, or when partial answers are
    /// refused. Shards that failed are reported in the answer otherwise.
    ///
    /// # Cancel safety
    /// Dropping the future cancels everything that the search caused on leaves.
    pub async fn search(
        &self,
        target: &Target,
        request: &SearchRequest,
        options: &SearchOptions,
    ) -> Result<SearchResponse, RootError> {
        let work = async {
            let deadline = self.searcher.deadline_of(request);
            if let Some(pit) = &request.pit {
                return Box::pin(self.contexts.search_pit(pit, request, options, deadline)).await;
            }
            self.searcher
                .search_named(target, request, options, deadline)
                .await
        };
        let named = (Action::Search, target.name());
        // A box is cheaper to hand on than a large future.
        self.tasks
            .as_task(named.0, named.1, &options.origin, Box::pin(work))
            .await
    }
}

impl Searcher {
    /// Answers one search of what `target` names. When an index of it is deleted or closed meanwhile, the
    /// name is looked up again: it is refused, or stands for what is there now.
    async fn search_named(
        &self,
        target: &Target,
        request: &SearchRequest,
        options: &SearchOptions,
        deadline: Deadline,
    ) -> Result<SearchResponse, RootError> {
        check_unsliced(request)?;
        let mut num_restarts = 0;
        loop {
            let mut plans = self.planner.targets(target)?;
            let answer = self.search_plans(&mut plans, request, options, deadline);
            let answer = answer.await;
            let failures = match &answer {
                Ok(response) => &response.shards.failures[..],
                Err(error) => error.failures(),
            };
            if !self.cluster.has_vanished(failures, deadline).await {
                return answer;
            }
            if num_restarts == MAX_RESTARTS || !deadline.allows_another() {
                return self.planner.targets(target).and(answer);
            }
            num_restarts += 1;
        }
    }

    /// Returns by when a search that begins now is owed.
    pub(crate) fn deadline_of(&self, request: &SearchRequest) -> Deadline {
        Deadline::after(
            request
                .timeout
                .unwrap_or_else(|| self.cluster.default_timeout()),
        )
    }

    /// Answers one search on the shards and views of `plans`.
    pub(crate) async fn search_plans(
        &self,
        plans: &mut [IndexPlan],
        request: &SearchRequest,
        options: &SearchOptions,
        deadline: Deadline,
    ) -> Result<SearchResponse, RootError> {
        check_indices(plans, request)?;
        check_search_after(plans, request)?;
        apply_boosts(plans, request);
        let now_ms = options.now_ms.unwrap_or_else(|| self.cluster.now_ms());
        let mut trip = Trip::new(deadline);
        trip.waterfall = request.profile.then(Waterfall::default);
        let planning = Instant::now();
        let has_patterns = self
            .planner
            .resolve_all(plans, (request, now_ms, true), &mut trip)
            .await?;
        trip.did("plan", planning);
        skip_hopeless(plans, request);
        let asked = CommonRequest {
            request,
            options,
            statistics: Arc::default(),
            now_ms,
        };
        let mut num_restarts = 0;
        loop {
            let answer = self.pass(plans, &asked, &mut trip, num_restarts).await?;
            if let Some(mut response) = answer {
                response.took = deadline.elapsed();
                response.profile = trip.waterfall.take().map(Box::new);
                let times = SearchTimes {
                    query: response.took.saturating_sub(trip.fetch_took),
                    fetch: trip.fetch_took,
                };
                slow_log::note_search(plans, (request, &options.origin), &response, &times);
                return Ok(response);
            }
            plans.iter_mut().for_each(IndexPlan::unbind);
            num_restarts += 1;
            if has_patterns {
                // They may stand for other terms now.
                self.planner
                    .resolve_all(plans, (request, now_ms, false), &mut trip)
                    .await?;
            }
        }
    }

    /// Goes once from statistics to hits; `None` when it must be begun again, which is never said
    /// after [`MAX_RESTARTS`].
    async fn pass(
        &self,
        plans: &mut [IndexPlan],
        asked: &CommonRequest<'_>,
        trip: &mut Trip,
        num_restarts: usize,
    ) -> Result<Option<SearchResponse>, RootError> {
        if asked.request.scatter == Scatter::Terms {
            return Box::pin(self.pass_by_terms(plans, asked, trip, num_restarts)).await;
        }
        trip.may_restart = num_restarts < MAX_RESTARTS;
        let may_guess = num_restarts == 0;
        let mut counted = self.counted(plans, (asked.request, may_guess), trip).await;
        if counted.is_torn() {
            return Ok(None);
        }
        if asked.options.is_page && hangs_on_scores(asked.request) {
            check_complete(plans.iter().flat_map(|plan| &plan.lost), false)?;
        }
        self.skip_excluded(plans, &mut counted, asked.request);
        let asked = CommonRequest {
            statistics: Arc::clone(&counted.statistics),
            ..*asked
        };
        let mut merged = HitMerger::of(asked.request);
        let began = Instant::now();
        let mut gathered = self.query_phase(plans, &asked, trip, &mut merged).await;
        self.note_answers(plans, &gathered, began);
        if let Some(waterfall) = &mut trip.waterfall {
            waterfall.statistics = counted.origin();
            waterfall.num_restarts = num_restarts;
            waterfall.skipped = skipped(plans);
        }
        let may_restart = trip.may_begin_again();
        let is_torn = gathered.is_mixed
            || !counted.is_confirmed_by(&gathered.answers)
            || !is_expected(plans, &gathered)
            || lost_a_view(plans, &gathered);
        if may_restart && is_torn {
            // Asked as before they would be mixed again, as long as the copies show what they do.
            trip.is_apart |= gathered.is_mixed;
            return Ok(None);
        }
        counted.mark_unconfirmed(&mut gathered.answers);
        mark_unexpected(plans, &mut gathered);
        self.gather(
            plans,
            (gathered.answers, merged),
            &asked,
            (trip, may_restart),
        )
        .await
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
                        let shown = (&answer.node, hits.generation);
                        newest.promised(shard, shown, (unmatched, began));
                    }
                }
            }
        }
    }

    /// Asks all shards; their hits go to `merged` as they come.
    pub(crate) async fn query_phase(
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
            .scatter_to(plans, trip, Phase::Query, (ask, taken))
            .await
    }
}

/// What all shards are asked in common.
#[derive(Clone)]
pub(crate) struct CommonRequest<'a> {
    pub(crate) request: &'a SearchRequest,
    pub(crate) options: &'a SearchOptions,
    pub(crate) statistics: Arc<Statistics>,
    pub(crate) now_ms: i64,
}

/// Returns whether all answers come from the generations that their queries were resolved for.
fn is_expected(plans: &[IndexPlan], gathered: &RoundAnswers<ShardHits>) -> bool {
    let shards = plans.iter().flat_map(|plan| &plan.shards);
    let mut both = shards.zip(gathered.answers.iter().flatten());
    both.all(|(shard, answer)| match answer {
        Ok(answer) => shard.expects(answer.value.generation),
        Err(_) => true,
    })
}

/// Marks those that do not as cut short: there was no time to resolve them again.
fn mark_unexpected(plans: &[IndexPlan], gathered: &mut RoundAnswers<ShardHits>) {
    let shards = plans.iter().flat_map(|plan| &plan.shards);
    for (shard, answer) in shards.zip(gathered.answers.iter_mut().flatten()) {
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

#[cfg(test)]
mod tests;

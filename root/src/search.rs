//! The search's way: plan → expand → statistics → scatter → merge → fetch.

mod coverage;
mod gather;
mod shard_query;

use std::sync::Arc;

use gleaner_proto::LeafFault;
use gleaner_proto::search::SearchCall;
use gleaner_query::answer::ShardHits;
use gleaner_query::resolved::{ShardQuery, Statistics};
use gleaner_query::search::{Scatter, SearchRequest};
use tokio::time::Instant;

use crate::deadline::Deadline;
use crate::health::Phase;
use crate::plan::{IndexPlan, PlannedShard, Target};
use crate::response::{SearchResponse, ShardFailure};
use crate::scatter::{Gathered, Trip};
use crate::tasks::{Action, Origin};
use crate::token::Position;
use crate::waterfall::Waterfall;
use crate::{Root, RootError};

pub(crate) use shard_query::{shard_query, wanted_hits};

/// What a search needs beside its body.
#[derive(Debug, Clone, Default)]
pub struct SearchOptions {
    /// Whether an answer without some shards is refused (`allow_partial_search_results=false`).
    pub refuse_partial: bool,
    /// Share of the documents that an answer must cover, 0 to 1 (`min_coverage`); `None` takes any.
    pub min_coverage: Option<f64>,
    /// Who asked, for the list of tasks.
    pub origin: Origin,
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
            let deadline = self.deadline_of(request);
            if let Some(pit) = &request.pit {
                return self.search_pit(pit, request, options, deadline).await;
            }
            let mut plans = self.targets(target)?;
            self.search_plans(&mut plans, request, options, deadline)
                .await
        };
        let named = (Action::Search, target.name());
        self.as_task(named, &options.origin, work).await
    }

    /// Returns by when a search that begins now is owed.
    pub(crate) fn deadline_of(&self, request: &SearchRequest) -> Deadline {
        Deadline::after(request.timeout.unwrap_or(self.options.default_timeout))
    }

    /// Answers one search on the shards and views of `plans`.
    pub(crate) async fn search_plans(
        &self,
        plans: &mut [IndexPlan],
        request: &SearchRequest,
        options: &SearchOptions,
        deadline: Deadline,
    ) -> Result<SearchResponse, RootError> {
        self.check_window(plans, request)?;
        apply_boosts(plans, request);
        let now_ms = options.now_ms.unwrap_or_else(|| self.now_ms());
        let mut trip = Trip::new(deadline);
        trip.waterfall = request.profile.then(Waterfall::default);
        let planning = Instant::now();
        self.resolve_all(plans, (request, now_ms), &mut trip)
            .await?;
        trip.did("plan", planning);
        skip_hopeless(plans, request);
        let asked = Asked {
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
                return Ok(response);
            }
            shards_of(plans).for_each(PlannedShard::unbind);
            num_restarts += 1;
        }
    }

    /// Goes once from statistics to hits; `None` when it must be begun again, which is never said
    /// after [`MAX_RESTARTS`].
    async fn pass(
        &self,
        plans: &mut [IndexPlan],
        asked: &Asked<'_>,
        trip: &mut Trip,
        num_restarts: usize,
    ) -> Result<Option<SearchResponse>, RootError> {
        if asked.request.scatter == Scatter::Terms {
            return self.pass_by_terms(plans, asked, trip, num_restarts).await;
        }
        let may_guess = num_restarts == 0;
        let counted = self.counted(plans, (asked.request, may_guess), trip).await;
        let asked = Asked {
            statistics: Arc::clone(&counted.statistics),
            ..*asked
        };
        let gathered = self.query_phase(plans, &asked, trip).await;
        self.note_generations(plans, &gathered);
        if let Some(waterfall) = &mut trip.waterfall {
            waterfall.statistics = counted.origin();
            waterfall.num_restarts = num_restarts;
        }
        let may_restart = num_restarts < MAX_RESTARTS && trip.deadline.allows_another();
        let is_torn = gathered.is_mixed
            || !counted.is_confirmed_by(&gathered.answers)
            || lost_a_view(plans, &gathered);
        if may_restart && is_torn {
            return Ok(None);
        }
        self.gather(plans, gathered.answers, &asked, (trip, may_restart))
            .await
    }

    /// Remembers what the copies showed that were asked for their newest.
    fn note_generations(&self, plans: &[IndexPlan], gathered: &Gathered<ShardHits>) {
        for (plan, answers) in plans.iter().zip(&gathered.answers) {
            for (asked, answer) in plan.shards.iter().zip(answers) {
                if let (false, Ok(answer)) = (asked.is_pinned, answer) {
                    let hits = &answer.value;
                    let num_documents = Some(hits.num_documents);
                    self.statistics
                        .saw(asked.shard, hits.generation, num_documents);
                }
            }
        }
    }

    fn check_window(&self, plans: &[IndexPlan], request: &SearchRequest) -> Result<(), RootError> {
        let window = request.from.saturating_add(request.size());
        let limit = plans
            .iter()
            .map(|p| p.index.settings.max_result_window)
            .min();
        let Some(limit) = limit.filter(|limit| window > *limit) else {
            return Ok(());
        };
        let reason = format!(
            "Result window is too large, from + size must be less than or equal to: [{limit}] but \
             was [{window}]. See the scroll api for a more efficient way to request large data \
             sets. This limit can be set by changing the [index.max_result_window] index level \
             setting."
        );
        Err(gleaner_query::QueryError::illegal(reason).into())
    }

    pub(crate) async fn query_phase(
        &self,
        plans: &[IndexPlan],
        asked: &Asked<'_>,
        trip: &mut Trip,
    ) -> Gathered<ShardHits> {
        let queries: Vec<Arc<ShardQuery>> = plans
            .iter()
            .enumerate()
            .map(|plan| Arc::new(shard_query(plan, asked)))
            .collect();
        self.scatter(plans, trip, Phase::Query, |call| {
            let query = Arc::clone(&queries[call.plan]);
            let search = SearchCall {
                shards: call.shards,
                query,
                remaining: call.remaining,
            };
            async move { call.located.client.search(search).await }
        })
        .await
    }
}

fn shards_of(plans: &mut [IndexPlan]) -> impl Iterator<Item = &mut PlannedShard> {
    plans.iter_mut().flat_map(|plan| &mut plan.shards)
}

/// Leaves out the shards of indices whose query matches nothing whatever they hold. One shard is
/// always asked, for what it says about the rest of the request. Aggregations are asked of all: they
/// have results where nothing matches.
fn skip_hopeless(plans: &mut [IndexPlan], request: &SearchRequest) {
    if !request.aggregations.is_empty() {
        return;
    }
    let mut is_asked = plans.iter().any(|plan| !plan.is_hopeless());
    for plan in plans {
        if plan.is_hopeless() {
            let kept = usize::from(!is_asked).min(plan.shards.len());
            plan.skipped += (plan.shards.len() - kept) as u32;
            plan.shards.truncate(kept);
            is_asked |= kept > 0;
        }
    }
}

/// What all shards are asked in common.
#[derive(Clone)]
pub(crate) struct Asked<'a> {
    pub(crate) request: &'a SearchRequest,
    pub(crate) options: &'a SearchOptions,
    pub(crate) statistics: Arc<Statistics>,
    pub(crate) now_ms: i64,
}

/// Returns whether a shard's moment is gone that the search itself chose: another will do.
fn lost_a_view(plans: &[IndexPlan], gathered: &Gathered<ShardHits>) -> bool {
    let shards = plans.iter().flat_map(|plan| &plan.shards);
    let mut both = shards.zip(gathered.answers.iter().flatten());
    both.any(|(shard, answer)| {
        let is_gone = |failure: &ShardFailure| {
            matches!(failure.fault, LeafFault::ViewMissing { .. }) && !shard.is_pinned
        };
        answer.as_ref().is_err_and(is_gone)
    })
}

fn apply_boosts(plans: &mut [IndexPlan], request: &SearchRequest) {
    for plan in plans {
        let name = plan.index.name.as_str();
        let boost = request.indices_boost.iter().find(|(pattern, _)| {
            gleaner_model::mapping::matches_pattern(pattern, name)
                || plan.index.aliases.contains_key(pattern.as_str())
        });
        plan.boost = boost.map_or(1.0, |(_, factor)| *factor);
    }
}

#[cfg(test)]
mod tests;

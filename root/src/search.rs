//! The search's way: plan → expand → statistics → scatter → merge → fetch.

use std::sync::Arc;

use gleaner_proto::LeafFault;
use gleaner_proto::search::{ExpandCall, SearchCall, StatisticsCall};
use gleaner_query::answer::ShardHits;
use gleaner_query::resolved::{
    After, ExpansionCandidate, ExpansionRequest, ShardQuery, Statistics, StatisticsRequest,
};
use gleaner_query::search::{SearchRequest, SortTarget, TrackTotal};

use crate::deadline::Deadline;
use crate::merge::{self, Ranked};
use crate::plan::{IndexPlan, Target};
use crate::resolve::Expansions;
use crate::response::{CallProfile, SearchResponse, ShardFailure, ShardSummary, Total};
use crate::scatter::{Gathered, scatter};
use crate::scroll;
use crate::{Root, RootError};

/// What a search needs beside its body.
#[derive(Debug, Clone, Default)]
pub struct SearchOptions {
    /// Whether an answer without some shards is refused (`allow_partial_search_results=false`).
    pub refuse_partial: bool,
    /// Only hits after this point, with the tie-break (scroll); `search_after` without one else.
    pub(crate) after: Option<After>,
}

/// Times that a search is begun again because a view it counted on is gone.
const MAX_RESTARTS: usize = 3;

impl Root {
    /// Answers one search.
    ///
    /// # Errors
    /// [`RootError`] when the request is wrong, when no shard answered, or when partial answers are
    /// refused. Shards that failed are reported in the answer otherwise.
    pub async fn search(
        &self,
        target: &Target,
        request: &SearchRequest,
        options: &SearchOptions,
    ) -> Result<SearchResponse, RootError> {
        let deadline = Deadline::after(request.timeout.unwrap_or(self.options.default_timeout));
        if let Some(pit) = &request.pit {
            return self.search_pit(pit, request, options, deadline).await;
        }
        let mut plans = self.targets(target)?;
        self.search_plans(&mut plans, request, options, deadline)
            .await
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
        let now_ms = self.now_ms();
        let mut calls = Vec::new();
        self.resolve_all(plans, request, now_ms, deadline, &mut calls)
            .await?;
        let pinned = plans
            .iter()
            .flat_map(|p| &p.shards)
            .any(|shard| shard.view.is_some());
        for restarts in 0.. {
            let statistics = self.statistics(plans, request, deadline, &mut calls).await;
            let asked = Asked {
                request,
                options,
                statistics: Arc::new(statistics),
                now_ms,
            };
            let gathered = self.query_phase(plans, &asked, deadline).await;
            if !pinned && restarts < MAX_RESTARTS && lost_a_view(&gathered) {
                plans
                    .iter_mut()
                    .flat_map(|p| &mut p.shards)
                    .for_each(|shard| shard.view = None);
                continue;
            }
            calls.extend(gathered.calls);
            let phase = QueryPhase {
                answers: gathered.answers,
                asked,
                calls,
            };
            return self.gather(plans, phase, deadline).await;
        }
        Err(RootError::Internal(
            "the search was begun too often".to_owned(),
        ))
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

    /// Resolves the queries of all plans, asking the shards what scored patterns stand for.
    pub(crate) async fn resolve_all(
        &self,
        plans: &mut [IndexPlan],
        request: &SearchRequest,
        now_ms: i64,
        deadline: Deadline,
        calls: &mut Vec<CallProfile>,
    ) -> Result<(), RootError> {
        for at in 0..plans.len() {
            let mut expansions = Expansions::default();
            self.resolve_plan(&mut plans[at], request, now_ms, &mut expansions)?;
            if expansions.wanted.is_empty() {
                continue;
            }
            let wanted = Arc::new(std::mem::take(&mut expansions.wanted));
            let plan = std::slice::from_mut(&mut plans[at]);
            let gathered = self.expand(plan, &wanted, deadline).await;
            calls.extend(gathered.calls);
            let answers: Vec<_> = gathered
                .answers
                .into_iter()
                .flatten()
                .filter_map(Result::ok)
                .collect();
            for (n, request) in wanted.iter().enumerate() {
                let lists = answers.iter().map(|answer| &answer.candidates[n]);
                expansions.answer(request, merge_candidates(lists, request.limit));
            }
            self.resolve_plan(&mut plans[at], request, now_ms, &mut expansions)?;
        }
        Ok(())
    }

    async fn expand(
        &self,
        plans: &[IndexPlan],
        requests: &Arc<Vec<ExpansionRequest>>,
        deadline: Deadline,
    ) -> Gathered<gleaner_proto::search::ExpandAnswer> {
        scatter(&*self.leaves, plans, deadline, "expand", |call| {
            let requests = Arc::clone(requests);
            let expand = ExpandCall {
                shards: call.shards,
                requests,
                remaining: call.remaining,
            };
            async move { call.client.expand(expand).await }
        })
        .await
    }

    /// Collects the numbers that scoring needs over all shards and binds each shard to the view
    /// they were taken from; nothing is asked when nothing is scored.
    pub(crate) async fn statistics(
        &self,
        plans: &mut [IndexPlan],
        request: &SearchRequest,
        deadline: Deadline,
        calls: &mut Vec<CallProfile>,
    ) -> Statistics {
        let mut wanted = StatisticsRequest::default();
        if needs_scores(request) {
            plans
                .iter()
                .for_each(|plan| wanted.collect(&plan.resolved.query));
        }
        if wanted.fields.is_empty() {
            return Statistics::default();
        }
        let wanted = Arc::new(wanted);
        let gathered = scatter(&*self.leaves, plans, deadline, "statistics", |call| {
            let request = Arc::clone(&wanted);
            let asked = StatisticsCall {
                shards: call.shards,
                request,
                remaining: call.remaining,
            };
            async move { call.client.statistics(asked).await }
        })
        .await;
        calls.extend(gathered.calls);
        let mut statistics = zeros(&wanted);
        for (plan, answers) in plans.iter_mut().zip(gathered.answers) {
            for (shard, answer) in plan.shards.iter_mut().zip(answers) {
                // A shard that cannot count will fail the query phase and be reported there.
                if let Ok(answer) = answer {
                    shard.view = Some(answer.view);
                    statistics.merge(&answer.statistics);
                }
            }
        }
        statistics
    }

    pub(crate) async fn query_phase(
        &self,
        plans: &[IndexPlan],
        asked: &Asked<'_>,
        deadline: Deadline,
    ) -> Gathered<ShardHits> {
        let queries: Vec<Arc<ShardQuery>> = plans
            .iter()
            .map(|plan| Arc::new(shard_query(plan, asked)))
            .collect();
        scatter(&*self.leaves, plans, deadline, "query", |call| {
            let query = Arc::clone(&queries[call.plan]);
            let search = SearchCall {
                shards: call.shards,
                query,
                remaining: call.remaining,
            };
            async move { call.client.search(search).await }
        })
        .await
    }

    /// Merges what the shards answered and fetches the winners.
    async fn gather(
        &self,
        plans: &[IndexPlan],
        phase: QueryPhase<'_>,
        deadline: Deadline,
    ) -> Result<SearchResponse, RootError> {
        let QueryPhase {
            answers,
            asked,
            mut calls,
        } = phase;
        let request = asked.request;
        let mut response = SearchResponse::default();
        let mut partials = Vec::new();
        let mut lists = Vec::new();
        let mut total = 0_u64;
        for (at, (plan, answers)) in plans.iter().zip(answers).enumerate() {
            for (shard, answer) in plan.shards.iter().zip(answers) {
                response.shards.total += 1;
                match answer {
                    Err(failure) => note_failure(&mut response, failure),
                    Ok(mut hits) => {
                        note_success(&mut response, &hits, request);
                        total = total.saturating_add(hits.total);
                        partials.extend(hits.aggregations.take());
                        lists.push((at, shard.shard, hits));
                    }
                }
            }
        }
        check_coverage(&response.shards, asked.options, "query")?;
        let ranked = merge::top(lists, &request.sort, request.from, request.size());
        response.last = ranked
            .last()
            .map(|last| scroll::position_of(last.hit.score, &last.hit.keys, &last.hit.tie));
        response.total = counted(total, request.track_total_hits);
        response.aggregations = self.reduce(plans, &partials, &asked, deadline).await?;
        self.fetch(
            plans,
            &ranked,
            &asked,
            deadline,
            (&mut response, &mut calls),
        )
        .await?;
        if request.profile {
            response.profile = calls;
        }
        response.took = deadline.elapsed();
        Ok(response)
    }
}

/// What all shards are asked in common.
pub(crate) struct Asked<'a> {
    pub(crate) request: &'a SearchRequest,
    pub(crate) options: &'a SearchOptions,
    pub(crate) statistics: Arc<Statistics>,
    pub(crate) now_ms: i64,
}

struct QueryPhase<'a> {
    answers: Vec<Vec<Result<ShardHits, ShardFailure>>>,
    asked: Asked<'a>,
    calls: Vec<CallProfile>,
}

/// Makes what the shards of one index are asked.
pub(crate) fn shard_query(plan: &IndexPlan, asked: &Asked<'_>) -> ShardQuery {
    let request = asked.request;
    ShardQuery {
        query: plan.resolved.query.clone(),
        post_filter: plan.resolved.post_filter.clone(),
        statistics: Arc::clone(&asked.statistics),
        top: wanted_hits(request),
        sort: request.sort.clone(),
        after: asked.options.after.clone(),
        search_after: request
            .search_after
            .as_deref()
            .map(|v| start_of(v, request.sort.len())),
        track_scores: request.track_scores,
        track_total: request.track_total_hits,
        min_score: request.min_score,
        aggregations: Arc::new(request.aggregations.clone()),
        aggregation_filters: Arc::new(plan.resolved.aggregation_filters.clone()),
        terminate_after: request.terminate_after,
        now_ms: asked.now_ms,
    }
}

/// Returns how many hits each shard must give; none for an empty window, for which no scores are
/// computed and no statistics asked.
fn wanted_hits(request: &SearchRequest) -> usize {
    match request.size() {
        0 => 0,
        size => request.from + size,
    }
}

/// Reads the tie-break that follows the keys, which travels as text.
fn start_of(values: &[serde_json::Value], num_keys: usize) -> Vec<serde_json::Value> {
    let mut values = values.to_vec();
    if let Some(tie) = values.get_mut(num_keys)
        && let Some(Ok(hash)) = tie.as_str().map(str::parse::<u64>)
    {
        *tie = hash.into();
    }
    values
}

fn needs_scores(request: &SearchRequest) -> bool {
    let by_score = request.sort.is_empty()
        || request
            .sort
            .iter()
            .any(|key| key.target == SortTarget::Score);
    (by_score && request.size() > 0)
        || request.track_scores
        || request.min_score.is_some()
        || request.explain
        || !request.aggregations.is_empty()
}

fn zeros(wanted: &StatisticsRequest) -> Statistics {
    let mut statistics = Statistics::default();
    for (field, terms) in &wanted.fields {
        statistics.fields.insert(
            field.clone(),
            gleaner_query::resolved::FieldStatistics::default(),
        );
        let counts = terms.iter().map(|term| (term.clone(), 0)).collect();
        statistics.terms.insert(field.clone(), counts);
    }
    statistics
}

fn lost_a_view(gathered: &Gathered<ShardHits>) -> bool {
    gathered.answers.iter().flatten().any(|answer| {
        matches!(
            answer,
            Err(ShardFailure {
                fault: LeafFault::ViewMissing { .. },
                ..
            })
        )
    })
}

/// Merges candidates of shards: by distance, then term; documents are summed.
fn merge_candidates<'a>(
    lists: impl Iterator<Item = &'a Vec<ExpansionCandidate>>,
    limit: usize,
) -> Vec<ExpansionCandidate> {
    let mut merged: Vec<ExpansionCandidate> = lists.flatten().cloned().collect();
    merged.sort();
    merged.dedup_by(|next, kept| {
        let same = next.term == kept.term;
        if same {
            kept.documents += next.documents;
        }
        same
    });
    merged.truncate(limit);
    merged
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

fn note_failure(response: &mut SearchResponse, failure: ShardFailure) {
    response.timed_out |= matches!(failure.fault, LeafFault::DeadlinePassed { .. });
    response.shards.failures.push(failure);
}

fn note_success(response: &mut SearchResponse, hits: &ShardHits, request: &SearchRequest) {
    response.shards.successful += 1;
    response.shards.documents += hits.num_documents;
    response.timed_out |= hits.timed_out;
    if request.terminate_after.is_some_and(|limit| limit > 0) {
        *response.terminated_early.get_or_insert(false) |= hits.terminated_early;
    }
    if let Some(score) = hits.max_score {
        response.max_score = Some(response.max_score.map_or(score, |max| max.max(score)));
    }
}

fn check_coverage(
    shards: &ShardSummary,
    options: &SearchOptions,
    phase: &'static str,
) -> Result<(), RootError> {
    let failures = || shards.failures.clone();
    if shards.failures.is_empty() {
        return Ok(());
    }
    // A query that one shard calls wrong is wrong: say so instead of answering in part.
    let is_wrong = |failure: &&ShardFailure| matches!(failure.fault, LeafFault::BadQuery { .. });
    if shards.successful == 0 || shards.failures.iter().find(is_wrong).is_some() {
        return Err(RootError::AllShardsFailed {
            phase,
            failures: failures(),
        });
    }
    if options.refuse_partial {
        return Err(RootError::PartialRefused {
            failures: failures(),
        });
    }
    Ok(())
}

/// Returns min(total, limit), which does not depend on how documents are spread over shards.
fn counted(total: u64, track: TrackTotal) -> Option<Total> {
    match track {
        TrackTotal::No => None,
        TrackTotal::Exact => Some(Total {
            value: total,
            is_exact: true,
        }),
        TrackTotal::UpTo(limit) => Some(Total {
            value: total.min(limit),
            is_exact: total <= limit,
        }),
    }
}

/// The winners of a search, for the fetch phase.
pub(crate) type Winners<'a> = &'a [Ranked];

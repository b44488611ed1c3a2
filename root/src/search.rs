//! The search's way: plan → expand → statistics → scatter → merge → fetch.

use std::sync::Arc;

use gleaner_proto::LeafFault;
use gleaner_proto::search::{SearchCall, ShardView};
use gleaner_query::answer::{ShardHits, SortValue};
use gleaner_query::resolved::{After, ShardQuery, Statistics, TieBreak};
use gleaner_query::search::{SearchRequest, TrackTotal};

use crate::deadline::Deadline;
use crate::merge::{self, Ranked};
use crate::plan::{IndexPlan, Target};
use crate::response::{CallProfile, SearchResponse, ShardFailure, ShardSummary, Total};
use crate::scatter::{Gathered, scatter};
use crate::token::Position;
use crate::{Root, RootError};

/// What a search needs beside its body.
#[derive(Debug, Clone, Default)]
pub struct SearchOptions {
    /// Whether an answer without some shards is refused (`allow_partial_search_results=false`).
    pub refuse_partial: bool,
    /// Only hits after this one, with the tie-break (scroll); `search_after` without one else.
    pub(crate) after: Option<Position>,
    /// The request's time, where it began earlier than now (scroll): milliseconds since the epoch.
    pub(crate) now_ms: Option<i64>,
}

/// Times that a search is begun again because a view it counted on is gone or is not the newest.
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
        let now_ms = options.now_ms.unwrap_or_else(|| self.now_ms());
        let is_pinned = is_pinned(plans);
        let mut calls = Vec::new();
        self.resolve_all(plans, (request, now_ms), deadline, &mut calls)
            .await?;
        skip_hopeless(plans, request);
        let mut attempt = 0;
        loop {
            let counted = self
                .counted(plans, (request, attempt == 0), deadline, &mut calls)
                .await;
            let asked = Asked {
                request,
                options,
                statistics: Arc::clone(&counted.statistics),
                now_ms,
            };
            let gathered = self.query_phase(plans, &asked, deadline).await;
            self.note_views(plans, &gathered);
            attempt += 1;
            let may_restart = attempt <= MAX_RESTARTS && !deadline.has_passed();
            if may_restart && !counted.is_confirmed_by(&gathered.answers) {
                continue;
            }
            if may_restart && !is_pinned && lost_a_view(&gathered) {
                shards_of(plans).for_each(|shard| shard.view = None);
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
    }

    /// Remembers which views answered for the newest.
    fn note_views(&self, plans: &[IndexPlan], gathered: &Gathered<ShardHits>) {
        for (plan, answers) in plans.iter().zip(&gathered.answers) {
            for (asked, answer) in plan.shards.iter().zip(answers) {
                if let (None, Ok(hits)) = (asked.view, answer) {
                    self.statistics.saw(asked.shard, hits.view);
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
        deadline: Deadline,
    ) -> Gathered<ShardHits> {
        let queries: Vec<Arc<ShardQuery>> = plans
            .iter()
            .enumerate()
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
        plans: &mut [IndexPlan],
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
        for (at, (plan, answers)) in plans.iter_mut().zip(answers).enumerate() {
            let answers = plan.settle(answers);
            note_coverage(&mut response, plan);
            for (shard, mut hits) in plan.shards.iter_mut().zip(answers) {
                // What is asked from here on must come from what was searched.
                shard.view = Some(hits.view);
                note_success(&mut response, &hits, request);
                total = total.saturating_add(hits.total);
                partials.extend(hits.aggregations.take());
                lists.push((at, shard.shard, hits));
            }
        }
        check_coverage(&response.shards, asked.options, "query")?;
        let ranked = merge::top(lists, &request.sort, request.from, request.size());
        response.last = ranked.last().map(position_of);
        response.total = counted(total, request.track_total_hits);
        let (aggregations, failures) = self.reduce(plans, &partials, &asked, deadline).await?;
        response.aggregations = aggregations;
        for failure in failures {
            response.shards.successful = response.shards.successful.saturating_sub(1);
            note_failure(&mut response, failure);
        }
        check_coverage(&response.shards, asked.options, "query")?;
        self.fetch(
            plans,
            &ranked,
            (&asked, deadline),
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

fn is_pinned(plans: &[IndexPlan]) -> bool {
    let mut shards = plans.iter().flat_map(|plan| &plan.shards);
    shards.any(|shard| shard.view.is_some())
}

fn shards_of(plans: &mut [IndexPlan]) -> impl Iterator<Item = &mut ShardView> {
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

fn note_coverage(response: &mut SearchResponse, plan: &mut IndexPlan) {
    let num_lost = plan.lost.len() as u32;
    response.shards.total += plan.shards.len() as u32 + num_lost + plan.skipped;
    response.shards.skipped += plan.skipped;
    response.shards.successful += plan.skipped;
    for failure in std::mem::take(&mut plan.lost) {
        note_failure(response, failure);
    }
}

fn position_of(last: &Ranked) -> Position {
    let hit = &last.hit;
    let keys = if hit.keys.is_empty() {
        vec![SortValue::F64(f64::from(hit.score.unwrap_or(0.0)))]
    } else {
        hit.keys.clone()
    };
    Position {
        keys,
        tie: hit.tie.clone(),
        plan: last.plan as u32,
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

/// Makes what the shards of one index are asked; `at` is its position among the plans.
pub(crate) fn shard_query((at, plan): (usize, &IndexPlan), asked: &Asked<'_>) -> ShardQuery {
    let request = asked.request;
    let num_keys = request.sort.len();
    let values = request.search_after.as_deref();
    ShardQuery {
        query: plan.resolved.query.clone(),
        post_filter: plan.resolved.post_filter.clone(),
        statistics: Arc::clone(&asked.statistics),
        top: wanted_hits(request),
        sort: request.sort.clone(),
        after: asked.options.after.as_ref().map(|last| after_of(last, at)),
        search_after: values.map(|values| start_of(values, num_keys, at)),
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
        size => request.from.saturating_add(size),
    }
}

/// Returns where the hits after `last` begin in the index at position `at`.
///
/// Documents of one id in several indices have the same tie-break and come in the order of their
/// indices, so those of a later index are still to come.
fn after_of(last: &Position, at: usize) -> After {
    let plan = last.plan as usize;
    let tie = if at == plan {
        last.tie.clone()
    } else {
        TieBreak {
            hash: tie_for(last.tie.hash, plan, at),
            id: None,
        }
    };
    After {
        keys: last.keys.clone(),
        tie: Some(tie),
    }
}

/// Returns the hash that hits of the index at `at` must be above to come after one of `hash` in the
/// index at `last`.
fn tie_for(hash: u64, last: usize, at: usize) -> u64 {
    if at > last {
        hash.saturating_sub(1)
    } else {
        hash
    }
}

/// Reads the tie-break that follows the keys, which travels as text: the hash, and where several
/// indices were searched, the position of the hit's index.
fn start_of(values: &[serde_json::Value], num_keys: usize, at: usize) -> Vec<serde_json::Value> {
    let mut values = values.to_vec();
    if let Some(tie) = values.get_mut(num_keys)
        && let Some((hash, last)) = tie.as_str().and_then(read_tie)
    {
        *tie = tie_for(hash, last.unwrap_or(at), at).into();
    }
    values
}

fn read_tie(text: &str) -> Option<(u64, Option<usize>)> {
    match text.split_once(':') {
        None => Some((text.parse().ok()?, None)),
        Some((hash, last)) => Some((hash.parse().ok()?, Some(last.parse().ok()?))),
    }
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
    let is_wrong = |failure: &ShardFailure| matches!(failure.fault, LeafFault::BadQuery { .. });
    let is_late =
        |failure: &ShardFailure| matches!(failure.fault, LeafFault::DeadlinePassed { .. });
    // A search that ran out of time everywhere is answered as such: late, with nothing in it.
    let has_nothing = shards.successful == 0 && !shards.failures.iter().all(is_late);
    if has_nothing || shards.failures.iter().any(is_wrong) {
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

#[cfg(test)]
mod tests;

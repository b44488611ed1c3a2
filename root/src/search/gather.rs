//! From the shards' answers to the response: merge, reduce, fetch.

use std::sync::Arc;

use bytes::Bytes;
use gleaner_model::ShardKey;
use gleaner_proto::LeafFault;
use gleaner_query::answer::{ShardHits, SortValue};
use gleaner_query::search::{SearchRequest, TrackTotal};
use tokio::time::Instant;

use super::coverage::{ShardsSeen, check};
use super::phase::{CommonRequest, QueryAnswers};
use super::rescore::Rescored;
use super::restart::{Restart, Stop};
use crate::RootError;
use crate::aggregations::ReducedAggregations;
use crate::deadline::Deadline;
use crate::merge::{HitMerger, RankedHit, page_of};
use crate::plan::{IndexPlan, PlannedShard};
use crate::response::{SearchResponse, ShardFailure, Total};
use crate::scatter::{Answer, Answers, Trip};
use crate::search::Searcher;
use crate::token::Position;
use crate::waterfall::Step;

impl Searcher {
    /// Adds up what the shards answered and fetches the winners.
    ///
    /// # Errors
    /// [`Restart::Lost`] when a copy lost meanwhile what it had answered from, and the search may begin
    /// again: others will be asked.
    pub(crate) async fn gather(
        &self,
        plans: &mut [IndexPlan],
        queried: QueryAnswers<'_>,
        asked: &CommonRequest<'_>,
        trip: &mut Trip,
    ) -> Result<SearchResponse, Stop> {
        let QueryAnswers {
            answers,
            merged,
            statistics,
        } = queried;
        let asked = &CommonRequest {
            statistics,
            ..*asked
        };
        let adding = Instant::now();
        let known = |shard| self.by_shards.statistics.newest.num_documents(shard);
        let AnswerSum {
            mut response,
            mut seen,
            partials,
        } = AnswerSum::of(plans, answers, asked.request, trip.deadline, known);
        response.coverage = seen.coverage(&response.shards, known);
        check(&response, &seen, asked.options, "query")?;
        trip.merged(&merged, adding);
        let Rescored { ranked, failures } = self
            .rescored(plans, merged.into_ranked(), asked, trip)
            .await?;
        trip.check_lost(plans, &failures)?;
        for failure in failures {
            note_late_failure(&mut response, reported(plans, failure, trip));
        }
        if !asked.request.rescores.is_empty() {
            response.max_score = ranked.first().and_then(|best| best.hit.score);
        }
        let ranked = page_of(ranked, asked.request);
        response.last = ranked.last().map(position_of);
        // Winners come first: counting again may take all the time there is.
        let fetching = Instant::now();
        let fetched = self.fetch(plans, &ranked, asked, trip).await?;
        trip.fetch_took = fetching.elapsed();
        trip.check_lost(plans, &fetched.failures)?;
        let reducing = Instant::now();
        let ReducedAggregations {
            results,
            held,
            failures,
            cut,
            timed_out,
        } = self.reduce(plans, partials, asked, trip).await?;
        if !results.is_empty() {
            trip.did("reduce", reducing);
        }
        trip.check_lost(plans, &failures)?;
        // Without an index there is nothing to aggregate: the answer has no such part.
        if !plans.is_empty() {
            response.aggregations = results;
        }
        response.held_results = held;
        response.timed_out |= timed_out;
        seen.cut(&cut);
        let num_ranked = ranked.len();
        response.hits = fetched.hits;
        response.content_bytes = fetched.num_bytes;
        response.held = fetched.held.map(Arc::new);
        response.explained_on = fetched.nodes;
        for failure in fetched.failures.into_iter().chain(failures) {
            note_late_failure(&mut response, reported(plans, failure, trip));
        }
        response.coverage = seen.coverage(&response.shards, known);
        let is_late =
            |failure: &ShardFailure| matches!(failure.fault, LeafFault::DeadlinePassed { .. });
        let has_nothing = num_ranked > 0 && response.hits.is_empty();
        if has_nothing && !response.shards.failures.iter().all(is_late) {
            let failures = response.shards.failures;
            return Err(RootError::AllShardsFailed {
                phase: "fetch",
                failures,
            }
            .into());
        }
        check(&response, &seen, asked.options, "fetch")?;
        Ok(response)
    }
}

/// What the answers of all shards add up to.
struct AnswerSum {
    /// Without hits and aggregations.
    response: SearchResponse,
    seen: ShardsSeen,
    /// Partial results of aggregations, encoded.
    partials: Vec<Bytes>,
}

impl AnswerSum {
    /// Adds up answers, and binds each shard to what it answered from; `known` says how many documents a shard
    /// held when it was last seen.
    fn of(
        plans: &mut [IndexPlan],
        answers: Answers<ShardHits>,
        request: &SearchRequest,
        deadline: Deadline,
        known: impl Fn(ShardKey) -> Option<u64>,
    ) -> Self {
        let mut sum = Self {
            response: SearchResponse::default(),
            seen: ShardsSeen::default(),
            partials: Vec::new(),
        };
        let mut total = 0_u64;
        for (plan, answers) in plans.iter_mut().zip(answers) {
            let answers = plan.settle(answers, deadline);
            note_lost(&mut sum.response, plan);
            for excluded in &plan.excluded {
                sum.seen.add_excluded(excluded.shard, known(excluded.shard));
            }
            for (shard, answer) in plan.shards.iter_mut().zip(answers) {
                let Answer { node, value } = answer;
                let mut hits = value;
                hits.may_be_stale |= shard.may_be_stale;
                // What is asked from here on must come from what was searched.
                shard.bind(&node, hits.view, hits.generation);
                note_success(&mut sum.response, &hits, request);
                sum.seen.add(shard.shard, &hits);
                total = total.saturating_add(hits.total);
                sum.partials.extend(hits.aggregations.take());
            }
        }
        sum.response.total = counted(total, request.track_total_hits);
        sum
    }
}

impl Trip {
    /// Notes how long merging took: that of hits, as their lists came, and of all else since `adding`.
    fn merged(&mut self, merged: &HitMerger<'_>, adding: Instant) {
        if let Some(waterfall) = &mut self.waterfall {
            let (began, took) = merged.time();
            waterfall.steps.push(Step {
                name: "merge",
                started_after: self.deadline.at(began.unwrap_or(adding)),
                took: took + adding.elapsed(),
            });
        }
    }

    /// Begins again where something is lost that another attempt can have from other copies; the leaves that
    /// lost it are asked last then.
    fn check_lost(&mut self, plans: &[IndexPlan], failures: &[ShardFailure]) -> Result<(), Stop> {
        if !self.may_begin_again() {
            return Ok(());
        }
        let lost = failures.iter().filter(|failure| is_passing(&failure.fault));
        let lost: Vec<&PlannedShard> = lost
            .filter_map(|failure| {
                let mut shards = plans.iter().flat_map(|plan| &plan.shards);
                shards.find(|planned| planned.shard == failure.shard && !planned.is_pinned)
            })
            .collect();
        self.shunned
            .extend(lost.iter().filter_map(|planned| planned.node.clone()));
        match lost.is_empty() {
            true => Ok(()),
            false => Err(Stop::Restart(Restart::Lost)),
        }
    }
}

/// Returns a failure of one of the shards as the client is to see it.
fn reported(plans: &[IndexPlan], mut failure: ShardFailure, trip: &Trip) -> ShardFailure {
    let mut shards = plans.iter().flat_map(|plan| &plan.shards);
    if let Some(planned) = shards.find(|planned| planned.shard == failure.shard) {
        failure.fault = planned.reported(failure.fault, trip.deadline);
    }
    failure
}

/// Returns whether the fault is of the copy, not of the query or the time.
fn is_passing(fault: &LeafFault) -> bool {
    matches!(
        fault,
        LeafFault::ViewMissing { .. }
            | LeafFault::NotHere { .. }
            | LeafFault::Unreachable { .. }
            | LeafFault::Recovering { .. }
            | LeafFault::Stopped { .. }
            | LeafFault::Behind { .. }
    )
}

fn note_lost(response: &mut SearchResponse, plan: &IndexPlan) {
    let num_lost = plan.lost.len() as u32;
    let num_skipped = plan.num_skipped();
    response.shards.total += plan.shards.len() as u32 + num_lost + num_skipped;
    response.shards.skipped += num_skipped;
    response.shards.successful += num_skipped;
    for failure in &plan.lost {
        note_failure(response, failure.clone());
    }
}

fn note_failure(response: &mut SearchResponse, failure: ShardFailure) {
    response.timed_out |= matches!(failure.fault, LeafFault::DeadlinePassed { .. });
    response.shards.failures.push(failure);
}

/// Notes the failure of a shard that had been searched. One that fails when it is asked for counts again,
/// and when its hits are fetched, is missing once.
pub(super) fn note_late_failure(response: &mut SearchResponse, failure: ShardFailure) {
    let mut known = response.shards.failures.iter();
    if known.any(|known| known.shard == failure.shard) {
        return;
    }
    response.shards.successful = response.shards.successful.saturating_sub(1);
    note_failure(response, failure);
}

fn note_success(response: &mut SearchResponse, hits: &ShardHits, request: &SearchRequest) {
    response.shards.successful += 1;
    response.shards.stale += u32::from(hits.may_be_stale);
    response.timed_out |= hits.timed_out;
    if request.terminate_after.is_some_and(|limit| limit > 0) {
        *response.terminated_early.get_or_insert(false) |= hits.terminated_early;
    }
    if let Some(score) = hits.max_score.filter(|_| request.shows_max_score()) {
        response.max_score = Some(response.max_score.map_or(score, |max| max.max(score)));
    }
}

fn position_of(last: &RankedHit) -> Position {
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
        shard: Some(last.shard.shard.0),
    }
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

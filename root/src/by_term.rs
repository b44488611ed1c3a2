//! Scatter by term: each term's posting list is asked for by itself, the root combines the lists and
//! ranks, and only then are documents asked for by their numbers.
//!
//! ```text
//! lists   a request for each term and leaf, spread over leaves and copies: roaring bitmaps of seq_nos,
//!         with frequencies and lengths where the term scores
//! rank    AND, OR and NOT per shard; canonical scores; the best of all shards
//! locate  of the copies: where the best stand, and the order among equal scores
//! fetch   as after any query phase
//! ```
//!
//! The answer is that of a scatter by shards, to the bit: a document frequency is the length of a
//! term's lists, the numbers of a field come with each list, and all of a shard's lists are of one
//! generation, whichever copies they come from. A shard of which a list is missing is missing in the
//! answer. Lists of hot terms are remembered by generation.
//!
//! What comes out has the form of the shards' own answers, so merging, coverage and fetching are the
//! same code. `docs/scatter.md` has an example and what each way costs.

mod best;
mod cache;
mod check;
mod lists;
mod locate;
mod matching;
mod paging;
mod rank;
mod scoring;
#[cfg(test)]
mod tests;
mod wanted;

use std::sync::Arc;

use async_trait::async_trait;
use gleaner_model::ShardKey;
use gleaner_partial::EvaluationError;
use gleaner_partial::control::MemoryAccount;
use gleaner_proto::LeafFault;
use gleaner_query::answer::ShardHits;
use gleaner_query::resolved::{Clause, Statistics, StatisticsRequest};
use gleaner_query::search::SearchRequest;
use tokio::time::Instant;

use crate::RootError;
use crate::SharedParts;
use crate::cluster::ClusterView;
use crate::memory::no_room;
use crate::merge::HitMerger;
use crate::plan::{IndexPlan, PlannedShard, ResolvedQueries};
use crate::response::ShardFailure;
use crate::scatter::Scatterer;
use crate::scatter::{Answers, Trip, failure};
use crate::search::phase::{CommonRequest, QueryAnswers, QueryPhase};
use crate::search::restart::{Restart, Stop};
use crate::search::{is_expected, mark_unexpected, wanted_hits};
use crate::statistics::needs_scores;
use crate::waterfall::Numbers;
use crate::work::Workers;

use cache::TermLists;
use lists::ShardLists;
use locate::{Best, RankedShard};
use paging::Paging;
use rank::{QueryToRank, RankJob, ShardToRank};
use wanted::{TermDemand, WantedTerms, wanted};

/// Posting lists that one search may ask for, terms × shards: each may cost the root a megabyte.
const MAX_LISTS: usize = 8_192;

/// Part of the memory for all searches by terms that one may take.
const SHARE_OF_ONE: u64 = 4;

/// Searches that are scattered by terms.
pub(crate) struct TermScatter {
    pub(crate) cluster: Arc<ClusterView>,
    scatterer: Arc<Scatterer>,
    statistics: Arc<crate::statistics::Cache>,
    workers: Arc<Workers>,
    /// Lists that were asked for before.
    lists: TermLists,
    /// Bytes of lists that the searches hold.
    memory: Arc<MemoryAccount>,
}

impl TermScatter {
    pub(crate) fn new(shared: &SharedParts, scatterer: &Arc<Scatterer>) -> Self {
        let options = &shared.cluster.options;
        let max_bytes = options.term_lists_memory_bytes;
        Self {
            lists: TermLists::new(options.term_lists_cache_bytes),
            memory: MemoryAccount::root("posting lists", max_bytes),
            cluster: Arc::clone(&shared.cluster),
            scatterer: Arc::clone(scatterer),
            statistics: Arc::clone(&shared.statistics),
            workers: Arc::clone(&shared.workers),
        }
    }
}

#[async_trait]
impl QueryPhase for TermScatter {
    async fn query<'a>(
        &self,
        plans: &mut [IndexPlan],
        asked: &CommonRequest<'a>,
        trip: &mut Trip,
    ) -> Result<QueryAnswers<'a>, Stop> {
        let (mut answers, statistics) = self.query_by_terms(plans, asked, trip).await?;
        let is_gone =
            |failure: &ShardFailure| matches!(failure.fault, LeafFault::ViewMissing { .. });
        let mut each = answers.iter().flatten();
        let is_torn = each.any(|answer| answer.as_ref().is_err_and(is_gone));
        let is_as_resolved = is_expected(plans, &answers);
        if (is_torn || !is_as_resolved) && trip.may_begin_again() {
            return Err(Stop::Restart(Restart::Torn));
        }
        mark_unexpected(plans, &mut answers);
        let mut merged = HitMerger::of(asked.request);
        for (at, (plan, answers)) in plans.iter().zip(&mut answers).enumerate() {
            for (shard, answer) in plan.shards.iter().zip(answers) {
                if let Ok(answer) = answer {
                    merged.take(at, shard.shard, std::mem::take(&mut answer.value.hits));
                }
            }
        }
        Ok(QueryAnswers {
            answers,
            merged,
            statistics,
        })
    }
}

impl TermScatter {
    /// Returns the answers of all shards, with the numbers that their scores are made of.
    async fn query_by_terms(
        &self,
        plans: &[IndexPlan],
        asked: &CommonRequest<'_>,
        trip: &mut Trip,
    ) -> Result<(Answers<ShardHits>, Arc<Statistics>), RootError> {
        let request = asked.request;
        check::check(plans, request, asked.page)?;
        let wanted = wanted(plans, needs_scores(request))?;
        check_number(plans, &wanted)?;
        let share = self.cluster.options.term_lists_memory_bytes / SHARE_OF_ONE;
        let memory = self.memory.child("posting lists of a search", share);
        let paging = Paging::new(memory);
        let asking = Instant::now();
        let lists = self.term_lists(plans, &wanted, &paging, trip).await;
        trip.did("lists", asking);
        let statistics = Arc::new(statistics(plans, &wanted, &lists));
        let ranking = Ranking {
            request,
            wanted,
            statistics: Arc::clone(&statistics),
            memory: paging.memory(),
        };
        let answers = self.ranked(plans, lists, ranking, trip).await?;
        if let Some(waterfall) = &mut trip.waterfall {
            waterfall.statistics = match statistics.fields.is_empty() {
                true => Numbers::NotNeeded,
                false => Numbers::Counted,
            };
            waterfall.num_restarts = trip.num_restarts;
            waterfall.terms = Some(paging.counters.cost());
        }
        Ok((answers, statistics))
    }

    /// Ranks the shards whose lists have come, and locates the best.
    async fn ranked(
        &self,
        plans: &[IndexPlan],
        lists: Vec<Vec<Result<ShardLists, ShardFailure>>>,
        ranking: Ranking<'_>,
        trip: &mut Trip,
    ) -> Result<Answers<ShardHits>, RootError> {
        let (mut answers, ready) = sort_out(plans, lists);
        let query = |(plan, terms): (&IndexPlan, WantedTerms)| QueryToRank {
            clause: plan.resolved.query.clone(),
            similarities: plan.resolved.similarities.clone(),
            terms,
        };
        let request = ranking.request;
        let queries = plans.iter().zip(ranking.wanted.of_plans);
        let ranking = RankJob {
            queries: queries.map(query).collect(),
            shards: ready.iter().map(Ready::to_rank).collect(),
            statistics: ranking.statistics,
            top: wanted_hits(request),
            min_score: request.min_score,
            memory: Arc::clone(ranking.memory),
        };
        let ranking_began = Instant::now();
        let ranked = ranking
            .run(trip.deadline.gather_by(), &self.workers)
            .await?;
        trip.did("rank", ranking_began);
        let Some(mut ranked) = ranked else {
            return Ok(answers);
        };
        let best = std::mem::take(&mut ranked.chosen.shards);
        let (mut places, mut shards) = (Vec::new(), Vec::new());
        for ((ready, total), best) in ready.into_iter().zip(ranked.totals).zip(best) {
            let Ready {
                plan,
                at,
                shard,
                lists,
            } = ready;
            match total {
                Ok(total) => {
                    places.push((plan, at));
                    shards.push(RankedShard {
                        plan,
                        shard,
                        lists,
                        total,
                        best,
                    });
                }
                Err(error) => {
                    let fault = fault_of(shard, error);
                    answers[plan][at] = Err(failure(&plans[plan], shard, None, fault));
                }
            }
        }
        let located = self
            .located(
                plans,
                &shards,
                Best {
                    hits: &ranked.chosen,
                    request,
                },
                trip,
            )
            .await;
        for ((plan, at), answer) in places.into_iter().zip(located) {
            answers[plan][at] = answer;
        }
        Ok(answers)
    }
}

/// What shards are ranked by.
struct Ranking<'a> {
    request: &'a SearchRequest,
    wanted: TermDemand,
    statistics: Arc<Statistics>,
    memory: &'a Arc<MemoryAccount>,
}

/// A shard whose lists are there.
struct Ready {
    /// Positions of its plan and in it.
    plan: usize,
    at: usize,
    shard: ShardKey,
    lists: ShardLists,
}

impl Ready {
    fn to_rank(&self) -> ShardToRank {
        ShardToRank {
            plan: self.plan,
            lists: self.lists.lists.clone(),
        }
    }
}

/// Parts the shards whose lists are there from the others. Until they are ranked they count as late.
fn sort_out(
    plans: &[IndexPlan],
    lists: Vec<Vec<Result<ShardLists, ShardFailure>>>,
) -> (Answers<ShardHits>, Vec<Ready>) {
    let (mut answers, mut all_ready) = (Answers::<ShardHits>::new(), Vec::new());
    for (plan, lists) in lists.into_iter().enumerate() {
        let shards = plans[plan].shards.iter().map(|planned| planned.shard);
        let mut of_plan = Vec::with_capacity(lists.len());
        for (at, (shard, lists)) in shards.zip(lists).enumerate() {
            of_plan.push(Err(match lists {
                Err(failure) => failure,
                Ok(lists) => {
                    all_ready.push(Ready {
                        plan,
                        at,
                        shard,
                        lists,
                    });
                    failure(
                        &plans[plan],
                        shard,
                        None,
                        LeafFault::DeadlinePassed { shard },
                    )
                }
            }));
        }
        answers.push(of_plan);
    }
    (answers, all_ready)
}

/// Makes the plan of an index of which something else than its query is asked.
fn asking(plan: &IndexPlan, query: Clause, shards: Vec<PlannedShard>) -> IndexPlan {
    IndexPlan {
        index: Arc::clone(&plan.index),
        shards,
        alias_filters: Vec::new(),
        alias_filter_texts: Vec::new(),
        boost: 1.0,
        resolved: ResolvedQueries {
            query,
            ..ResolvedQueries::default()
        },
        has_patterns: false,
        lost: Vec::new(),
        hopeless: Vec::new(),
        excluded: Vec::new(),
    }
}

fn check_number(plans: &[IndexPlan], wanted: &TermDemand) -> Result<(), RootError> {
    let both = plans.iter().zip(&wanted.of_plans);
    let num_lists: usize = both
        .map(|(plan, terms)| plan.shards.len() * terms.terms.len())
        .sum();
    if num_lists <= MAX_LISTS {
        return Ok(());
    }
    Err(check::refused(&format!(
        "[{num_lists}] posting lists, terms × shards; [{MAX_LISTS}] at most"
    ))
    .into())
}

/// Adds up the numbers of the shards whose lists are there: what is missing in the answer is missing
/// in them too.
fn statistics(
    plans: &[IndexPlan],
    wanted: &TermDemand,
    lists: &[Vec<Result<ShardLists, ShardFailure>>],
) -> Statistics {
    let mut sum = crate::statistics::zeros(&wanted.scored);
    for ((_, terms), lists) in plans.iter().zip(&wanted.of_plans).zip(lists) {
        for lists in lists.iter().flatten() {
            let mut of_shard = Statistics::default();
            for (term, list) in terms.terms.iter().zip(&lists.lists) {
                if is_scored(&wanted.scored, term) {
                    of_shard.fields.insert(term.field.clone(), list.field);
                    let counts = of_shard.terms.entry(term.field.clone()).or_default();
                    counts.insert(term.term.clone(), list.list.documents.len());
                }
            }
            sum.merge(&of_shard);
        }
    }
    sum
}

fn is_scored(scored: &StatisticsRequest, term: &wanted::WantedTerm) -> bool {
    let of_field = scored.fields.get(&term.field);
    of_field.is_some_and(|terms| terms.contains(&term.term))
}

fn fault_of(shard: ShardKey, error: EvaluationError) -> LeafFault {
    match error {
        EvaluationError::DeadlineExceeded | EvaluationError::Cancelled => {
            LeafFault::DeadlinePassed { shard }
        }
        error @ EvaluationError::CircuitBreaking { .. } => no_room(&error),
        other => LeafFault::Internal {
            shard,
            reason: other.to_string(),
        },
    }
}

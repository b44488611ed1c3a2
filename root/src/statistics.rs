//! The numbers that scoring needs, over all shards of a search, bound to the views they come from.
//!
//! They are remembered per set of shards, fields and terms, with the views they were counted in. A
//! repeated search whose shards were seen at those very views a moment ago goes without the trip;
//! its answers name the views they come from, and when one is another, the search begins again with
//! numbers counted anew. So no answer mixes numbers of two moments.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gleaner_model::ShardKey;
use gleaner_proto::search::StatisticsCall;
use gleaner_query::answer::{ShardHits, ViewId};
use gleaner_query::resolved::{FieldStatistics, Statistics, StatisticsRequest};
use gleaner_query::search::{SearchRequest, SortTarget};
use parking_lot::Mutex;

use crate::Root;
use crate::deadline::Deadline;
use crate::plan::IndexPlan;
use crate::response::{CallProfile, ShardFailure};
use crate::scatter::scatter;

/// How long a view counts as the newest of its shard after it was seen. A wrong guess costs an
/// evaluation, a trip some 50 µs: with a refresh each second, one guess in ten goes wrong.
const FRESH: Duration = Duration::from_millis(100);

/// Bytes of numbers remembered, roughly.
const CACHE_BYTES: u64 = 8 << 20;

/// Shards whose newest view is remembered; beyond it all are forgotten.
const MAX_SHARDS: usize = 65_536;

/// Numbers with the views they were counted in.
#[derive(Debug, Clone)]
pub(crate) struct Counted {
    /// Views, plan by plan and shard by shard; empty when nothing was counted.
    views: Arc<Vec<ViewId>>,
    /// The numbers.
    pub(crate) statistics: Arc<Statistics>,
    /// Whether the views are a guess that the answers must confirm.
    is_guess: bool,
}

impl Counted {
    /// Returns whether all answers come from the views that were counted, where that was a guess.
    pub(crate) fn is_confirmed_by(&self, answers: &[Vec<Result<ShardHits, ShardFailure>>]) -> bool {
        if !self.is_guess {
            return true;
        }
        let answers = answers.iter().flatten();
        let mut both = answers.zip(self.views.iter());
        both.all(|(answer, view)| answer.as_ref().is_ok_and(|hits| hits.view == *view))
    }
}

/// Numbers counted before, and which view of each shard was seen last.
pub(crate) struct Cache {
    counted: moka::sync::Cache<Vec<u8>, Counted>,
    newest: Mutex<HashMap<ShardKey, (ViewId, Instant)>>,
}

impl Default for Cache {
    fn default() -> Self {
        let weigh = |key: &Vec<u8>, counted: &Counted| {
            u32::try_from(2 * key.len() + 8 * counted.views.len() + 256).unwrap_or(u32::MAX)
        };
        let counted = moka::sync::Cache::builder()
            .max_capacity(CACHE_BYTES)
            .weigher(weigh)
            .build();
        Self {
            counted,
            newest: Mutex::default(),
        }
    }
}

impl Cache {
    /// Notes that `view` is what searches of `shard` see now.
    pub(crate) fn saw(&self, shard: ShardKey, view: ViewId) {
        let mut newest = self.newest.lock();
        if newest.len() >= MAX_SHARDS {
            newest.clear();
        }
        newest.insert(shard, (view, Instant::now()));
    }

    /// Returns the numbers for `plans` when their views are the ones that were counted, as far as
    /// can be told without asking.
    fn look_up(&self, plans: &[IndexPlan], key: &[u8]) -> Option<Counted> {
        let counted = self.counted.get(key)?;
        let newest = self.newest.lock();
        let shards = plans.iter().flat_map(|plan| &plan.shards);
        let mut both = shards.zip(counted.views.iter());
        let is_current = both.all(|(asked, view)| match asked.view {
            Some(pinned) => pinned == *view,
            None => newest
                .get(&asked.shard)
                .is_some_and(|(newest, seen)| newest == view && seen.elapsed() < FRESH),
        });
        is_current.then_some(counted)
    }
}

impl Root {
    /// Returns the numbers that scoring needs over all shards of `plans`, remembered ones if
    /// `may_guess`; else they are counted, and each shard is bound to the view they were taken
    /// from. Shards that cannot count are lost to the search. Nothing is asked when nothing is
    /// scored.
    pub(crate) async fn counted(
        &self,
        plans: &mut [IndexPlan],
        (request, may_guess): (&SearchRequest, bool),
        deadline: Deadline,
        calls: &mut Vec<CallProfile>,
    ) -> Counted {
        let mut wanted = StatisticsRequest::default();
        if needs_scores(request) {
            plans
                .iter()
                .for_each(|plan| wanted.collect(&plan.resolved.query));
        }
        if wanted.fields.is_empty() {
            return Counted {
                views: Arc::default(),
                statistics: Arc::default(),
                is_guess: false,
            };
        }
        let key = key_of(plans, &wanted);
        if may_guess && let Some(counted) = self.statistics.look_up(plans, &key) {
            return counted;
        }
        let num_shards: usize = plans.iter().map(|plan| plan.shards.len()).sum();
        let counted = self.count(plans, Arc::new(wanted), deadline, calls).await;
        if counted.views.len() == num_shards {
            let is_guess = true;
            self.statistics.counted.insert(
                key,
                Counted {
                    is_guess,
                    ..counted.clone()
                },
            );
        }
        counted
    }

    async fn count(
        &self,
        plans: &mut [IndexPlan],
        wanted: Arc<StatisticsRequest>,
        deadline: Deadline,
        calls: &mut Vec<CallProfile>,
    ) -> Counted {
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
        let mut views = Vec::new();
        for (plan, answers) in plans.iter_mut().zip(gathered.answers) {
            let answers = plan.settle(answers);
            for (shard, answer) in plan.shards.iter_mut().zip(answers) {
                if shard.view.is_none() {
                    self.statistics.saw(shard.shard, answer.view);
                }
                shard.view = Some(answer.view);
                views.push(answer.view);
                statistics.merge(&answer.statistics);
            }
        }
        Counted {
            views: Arc::new(views),
            statistics: Arc::new(statistics),
            is_guess: false,
        }
    }
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

/// Returns shards, fields and terms as unambiguous bytes: each part with its length before it.
fn key_of(plans: &[IndexPlan], wanted: &StatisticsRequest) -> Vec<u8> {
    let mut key = Vec::with_capacity(256);
    for plan in plans {
        key.extend(plan.index.uuid.0);
        key.extend((plan.shards.len() as u32).to_le_bytes());
        for shard in &plan.shards {
            key.extend(shard.shard.shard.0.to_le_bytes());
        }
    }
    let mut text = |text: &str| {
        key.extend((text.len() as u32).to_le_bytes());
        key.extend_from_slice(text.as_bytes());
    };
    for (field, terms) in &wanted.fields {
        text(field.as_str());
        text(&terms.len().to_string());
        terms.iter().for_each(|term| text(term));
    }
    key
}

fn zeros(wanted: &StatisticsRequest) -> Statistics {
    let mut statistics = Statistics::default();
    for (field, terms) in &wanted.fields {
        statistics
            .fields
            .insert(field.clone(), FieldStatistics::default());
        let counts = terms.iter().map(|term| (term.clone(), 0)).collect();
        statistics.terms.insert(field.clone(), counts);
    }
    statistics
}

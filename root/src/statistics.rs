//! The numbers that scoring needs, over all shards of a search, bound to the generations they come
//! from.
//!
//! They are remembered per set of shards, fields and terms, with the generations they were counted in,
//! which are the same on every copy. A repeated search whose shards were seen at those very
//! generations a moment ago goes without the trip; its answers name the generations they come from,
//! and when one is another, the search begins again with numbers counted anew. So no answer mixes
//! numbers of two moments.

mod cache;
mod newest;

use std::sync::Arc;

use gleaner_proto::search::StatisticsCall;
use gleaner_query::resolved::{Extent, FieldStatistics, Scalar, Statistics, StatisticsRequest};
use gleaner_query::search::{SearchRequest, SortTarget};

use tokio::time::Instant;

use crate::health::Phase;
use crate::plan::{IndexPlan, ResolvedQueries};
use crate::scatter::{Answer, Trip};
use crate::search::restart::Restart;
use crate::search::{ShardScatter, lost_a_view};
use cache::Moment;

pub(crate) use cache::{Cache, CachedStatistics};
pub(crate) use newest::Exclusion;

impl ShardScatter {
    /// Returns the numbers that scoring needs over all shards of `plans`, remembered ones if
    /// the trip may guess; else they are counted, and each shard is bound to the moment they were taken
    /// from. Shards that cannot count are lost to the search. Nothing is asked when nothing is
    /// scored.
    ///
    /// # Errors
    /// When a moment is gone that shards were bound to, and the search may begin again.
    pub(crate) async fn counted(
        &self,
        plans: &mut [IndexPlan],
        request: &SearchRequest,
        trip: &mut Trip,
    ) -> Result<CachedStatistics, Restart> {
        let mut wanted = StatisticsRequest::default();
        for plan in plans.iter() {
            let ResolvedQueries {
                query,
                rescores,
                named,
                post_filter,
                aggregation_filters,
                ..
            } = &plan.resolved;
            match needs_scores(request) {
                true => {
                    wanted.collect(query);
                    rescores.iter().for_each(|clause| wanted.collect(clause));
                }
                false => wanted.collect_filter(query),
            }
            if request.named_scores {
                named.iter().for_each(|named| wanted.collect(&named.clause));
            }
            let filters = post_filter.iter().chain(aggregation_filters);
            filters.for_each(|clause| wanted.collect_filter(clause));
        }
        if wanted.fields.is_empty() {
            let none = CachedStatistics::new(Vec::new(), Vec::new(), Statistics::default());
            return Ok(none);
        }
        let looking = Instant::now();
        let key = key_of(plans, &wanted);
        let known = trip
            .may_guess()
            .then(|| self.statistics.look_up(plans, &key));
        trip.did("cache", looking);
        if let Some(counted) = known.flatten() {
            return Ok(counted);
        }
        let num_shards: usize = plans.iter().map(|plan| plan.shards.len()).sum();
        let counted = Box::pin(self.count(plans, Arc::new(wanted), trip)).await?;
        if counted.num_shards() == num_shards {
            self.statistics.keep(key, &counted);
        }
        Ok(counted)
    }

    async fn count(
        &self,
        plans: &mut [IndexPlan],
        wanted: Arc<StatisticsRequest>,
        trip: &mut Trip,
    ) -> Result<CachedStatistics, Restart> {
        let gathered = self
            .scatterer
            .scatter(plans, trip, Phase::Statistics, |call| {
                let request = Arc::clone(&wanted);
                let asked = StatisticsCall {
                    shards: call.shards,
                    request,
                    remaining: call.remaining,
                };
                async move { call.located.client.statistics(asked).await }
            })
            .await;
        if trip.may_begin_again() && lost_a_view(plans, &gathered) {
            return Err(Restart::Torn);
        }
        let mut statistics = zeros(&wanted);
        let (mut moments, mut lacking) = (Vec::new(), Vec::new());
        for (plan, answers) in plans.iter_mut().zip(gathered.answers) {
            let answers = plan.settle(answers, trip.deadline);
            for (shard, Answer { node, value }) in plan.shards.iter_mut().zip(answers) {
                let (view, generation) = (value.view, value.generation);
                if !shard.is_pinned {
                    let newest = &self.statistics.newest;
                    newest.saw(shard.shard, generation, value.num_documents);
                }
                shard.bind(&node, view, generation);
                moments.push(Moment {
                    generation,
                    view,
                    node,
                });
                // A copy that may be stale is asked for hits too: its answer says that it may be.
                lacking.push(match value.may_be_stale {
                    true => Extent::default(),
                    false => lacking_in(&value.statistics),
                });
                statistics.merge(&value.statistics);
            }
        }
        Ok(CachedStatistics::new(moments, lacking, statistics))
    }
}

/// Returns which terms a shard lacks, by its numbers.
fn lacking_in(numbers: &Statistics) -> Extent {
    let mut extent = Extent::default();
    for (field, terms) in &numbers.terms {
        for (term, _) in terms.iter().filter(|(_, documents)| **documents == 0) {
            extent.note_absent(field, Scalar::Text(term.clone()));
        }
    }
    extent
}

/// Returns whether scores decide which hits there are, or in which order.
pub(crate) fn hangs_on_scores(request: &SearchRequest) -> bool {
    is_by_score(request) || request.min_score.is_some()
}

fn is_by_score(request: &SearchRequest) -> bool {
    let mut keys = request.sort.iter();
    request.sort.is_empty() || keys.any(|key| key.target == SortTarget::Score)
}

pub(crate) fn needs_scores(request: &SearchRequest) -> bool {
    (is_by_score(request) && request.size() > 0)
        || request.track_scores
        || request.min_score.is_some()
        || request.explain
        || request.named_scores
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

pub(crate) fn zeros(wanted: &StatisticsRequest) -> Statistics {
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

//! Partial aggregations of shards → results, with a second question where counts are not exact yet.

use std::sync::Arc;

use gleaner_engine::EngineError;
use gleaner_engine::partial::{Aggregations, FinalizeContext, merge_encoded, with_live_keys};
use gleaner_model::ShardKey;
use gleaner_proto::LeafFault;
use gleaner_query::aggregation::Aggregation;
use gleaner_query::answer::AggregationResult;
use gleaner_query::search::{SearchRequest, TrackTotal};

use bytes::Bytes;

use crate::merge::Merged;
use crate::plan::IndexPlan;
use crate::response::ShardFailure;
use crate::scatter::Trip;
use crate::search::Asked;
use crate::{Root, RootError};

/// Times that shards are asked again: once deeper, once for the counts of the candidates alone.
const MAX_QUESTIONS: usize = 2;

/// Finished aggregations, and what became of the shards on the way.
#[derive(Default)]
pub(crate) struct Reduced {
    pub(crate) results: Vec<AggregationResult>,
    /// Shards that failed now.
    pub(crate) failures: Vec<ShardFailure>,
    /// Shards that ran out of time when they were asked again: their counts are too low.
    pub(crate) cut: Vec<ShardKey>,
}

impl Root {
    /// Merges partial results and finishes them. Shards that hold more terms than they sent are asked
    /// again.
    pub(crate) async fn reduce(
        &self,
        plans: &[IndexPlan],
        partials: &[Bytes],
        asked: &Asked<'_>,
        trip: &mut Trip,
    ) -> Result<Reduced, RootError> {
        let wanted = &asked.request.aggregations;
        let mut reduced = Reduced::default();
        if wanted.is_empty() {
            return Ok(reduced);
        }
        let mut merged = merge_encoded(partials).map_err(|error| refused(&error))?;
        let first = with_live_keys(wanted);
        let mut before = None;
        for _ in 0..MAX_QUESTIONS {
            let again = merged.refine(&first);
            let is_whole = reduced.failures.is_empty() && reduced.cut.is_empty();
            // The same question would have the same answer.
            if !is_whole || again == before {
                break;
            }
            let Some(again) = again else {
                break;
            };
            before = Some(again.clone());
            let answer = self.ask_again(plans, (again, asked), trip, &mut reduced);
            let answer = answer.await?;
            // Where nobody answered, what is known so far is shown.
            if let Some(answer) = answer {
                merged = merged.refined_by(answer);
            }
        }
        let live_keys = merged.split_live_keys(wanted);
        let names = plans
            .iter()
            .map(|p| (p.index.uuid, p.index.name.to_string()))
            .collect();
        let mappings = plans
            .iter()
            .map(|p| (p.index.uuid, Arc::clone(&p.index.mapping)));
        let context = FinalizeContext {
            mappings: mappings.collect(),
            now_ms: asked.now_ms,
            live_keys,
            ..FinalizeContext::new(&names)
        };
        let finished = merged.finalize(wanted, &context);
        reduced.results = finished.map_err(|error| refused(&error))?;
        Ok(reduced)
    }

    /// Asks the shards of `plans`, which are bound to what answered before: counts of two moments must
    /// not meet. Returns what they answer together, `None` where none does; notes what became of them.
    async fn ask_again(
        &self,
        plans: &[IndexPlan],
        (aggregations, asked): (Vec<Aggregation>, &Asked<'_>),
        trip: &mut Trip,
        reduced: &mut Reduced,
    ) -> Result<Option<Aggregations>, RootError> {
        let request = SearchRequest {
            size: Some(0),
            from: 0,
            aggregations,
            track_total_hits: TrackTotal::No,
            ..asked.request.clone()
        };
        let asked = Asked {
            request: &request,
            options: asked.options,
            statistics: Arc::clone(&asked.statistics),
            now_ms: asked.now_ms,
        };
        let gathered = self
            .query_phase(plans, &asked, trip, &mut Merged::of(&request))
            .await;
        let shards = plans.iter().flat_map(|plan| &plan.shards);
        let mut partials = Vec::new();
        for (planned, answer) in shards.zip(gathered.answers.into_iter().flatten()) {
            match answer {
                Ok(answer) => {
                    if answer.value.timed_out {
                        reduced.cut.push(planned.shard);
                    }
                    partials.extend(answer.value.aggregations);
                }
                Err(failure) => reduced.failures.push(failure),
            }
        }
        if partials.is_empty() {
            return Ok(None);
        }
        let merged = merge_encoded(&partials).map_err(|error| refused(&error))?;
        Ok(Some(merged))
    }
}

fn refused(error: &EngineError) -> RootError {
    let fault = LeafFault::BadQuery {
        kind: error.error_type().into(),
        reason: error.to_string(),
    };
    RootError::Leaf(fault)
}

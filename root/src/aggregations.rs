//! Partial aggregations of shards → results, with a second question where counts are not exact yet.

use std::sync::Arc;

use gleaner_engine::EngineError;
use gleaner_engine::partial::{FinalizeContext, merge_encoded, with_live_keys};
use gleaner_proto::LeafFault;
use gleaner_query::aggregation::Aggregation;
use gleaner_query::answer::{AggregationResult, ShardHits};
use gleaner_query::search::{SearchRequest, TrackTotal};

use bytes::Bytes;

use crate::merge::Merged;
use crate::plan::IndexPlan;
use crate::response::ShardFailure;
use crate::scatter::{Answer, Trip};
use crate::search::Asked;
use crate::{Root, RootError};

impl Root {
    /// Merges partial results and finishes them; returns them with the shards that failed on the
    /// way. Shards that hold more terms than they sent are
    /// asked once more, for the counts of the candidates alone.
    pub(crate) async fn reduce(
        &self,
        plans: &[IndexPlan],
        partials: &[Bytes],
        asked: &Asked<'_>,
        trip: &mut Trip,
    ) -> Result<(Vec<AggregationResult>, Vec<ShardFailure>), RootError> {
        let wanted = &asked.request.aggregations;
        if wanted.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let mut merged = merge_encoded(partials).map_err(|error| refused(&error))?;
        let mut failures = Vec::new();
        if let Some(again) = merged.refine(&with_live_keys(wanted)) {
            let answers = self.ask_again(plans, again, asked, trip).await;
            let mut partials = Vec::with_capacity(answers.len());
            for answer in answers {
                match answer {
                    Ok(answer) => partials.extend(answer.value.aggregations),
                    Err(failure) => failures.push(failure),
                }
            }
            merged = merged.refined_by(merge_encoded(&partials).map_err(|error| refused(&error))?);
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
        Ok((finished.map_err(|error| refused(&error))?, failures))
    }

    /// Asks the shards of `plans`, which are bound to what answered before: counts of two moments must
    /// not meet.
    async fn ask_again(
        &self,
        plans: &[IndexPlan],
        aggregations: Vec<Aggregation>,
        asked: &Asked<'_>,
        trip: &mut Trip,
    ) -> Vec<Result<Answer<ShardHits>, ShardFailure>> {
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
        gathered.answers.into_iter().flatten().collect()
    }
}

fn refused(error: &EngineError) -> RootError {
    let fault = LeafFault::BadQuery {
        kind: error.error_type().into(),
        reason: error.to_string(),
    };
    RootError::Leaf(fault)
}

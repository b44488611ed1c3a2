//! Partial aggregations of shards → results, with a second question where counts are not exact yet.

use gleaner_engine::EngineError;
use gleaner_engine::partial::{Aggregations, FinalizeContext, merge_encoded};
use gleaner_proto::LeafFault;
use gleaner_query::aggregation::Aggregation;
use gleaner_query::answer::AggregationResult;
use gleaner_query::search::{SearchRequest, TrackTotal};

use bytes::Bytes;

use crate::deadline::Deadline;
use crate::plan::IndexPlan;
use crate::search::Asked;
use crate::{Root, RootError};

impl Root {
    /// Merges partial results and finishes them. Shards that hold more terms than they sent are
    /// asked once more, for the counts of the candidates alone.
    pub(crate) async fn reduce(
        &self,
        plans: &[IndexPlan],
        partials: &[Bytes],
        asked: &Asked<'_>,
        deadline: Deadline,
    ) -> Result<Vec<AggregationResult>, RootError> {
        let wanted = &asked.request.aggregations;
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let mut merged = merge_encoded(partials).map_err(refused)?;
        if let Some(again) = merged.refine(wanted) {
            let answer = self.ask_again(plans, again, asked, deadline).await?;
            merged = merged.refined_by(answer);
        }
        let names = plans
            .iter()
            .map(|p| (p.index.uuid, p.index.name.to_string()))
            .collect();
        merged
            .finalize(wanted, &FinalizeContext::new(&names))
            .map_err(refused)
    }

    async fn ask_again(
        &self,
        plans: &[IndexPlan],
        aggregations: Vec<Aggregation>,
        asked: &Asked<'_>,
        deadline: Deadline,
    ) -> Result<Aggregations, RootError> {
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
            statistics: std::sync::Arc::clone(&asked.statistics),
            now_ms: asked.now_ms,
        };
        let gathered = self.query_phase(plans, &asked, deadline).await;
        let answers = gathered
            .answers
            .into_iter()
            .flatten()
            .filter_map(Result::ok);
        let partials: Vec<Bytes> = answers.filter_map(|answer| answer.aggregations).collect();
        merge_encoded(&partials).map_err(refused)
    }
}

fn refused(error: EngineError) -> RootError {
    let fault = LeafFault::BadQuery {
        kind: error.error_type(),
        reason: error.to_string(),
    };
    RootError::Leaf(fault)
}

//! What the shards of one index are asked: window, order, where to go on.

use std::sync::Arc;

use gleaner_engine::partial::with_live_keys;
use gleaner_query::resolved::{After, ShardQuery, TieBreak};
use gleaner_query::search::SearchRequest;

use super::Asked;
use crate::plan::IndexPlan;
use crate::token::Position;

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
        aggregations: Arc::new(with_live_keys(&request.aggregations)),
        aggregation_filters: Arc::new(plan.resolved.aggregation_filters.clone()),
        terminate_after: request.terminate_after,
        now_ms: asked.now_ms,
    }
}

/// Returns how many hits each shard must give; none for an empty window, for which no scores are
/// computed and no statistics asked.
pub(crate) fn wanted_hits(request: &SearchRequest) -> usize {
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
pub(super) fn start_of(
    values: &[serde_json::Value],
    num_keys: usize,
    at: usize,
) -> Vec<serde_json::Value> {
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

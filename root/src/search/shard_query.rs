//! What the shards of one index are asked: window, order, where to go on.

use std::fmt;
use std::sync::Arc;

use gleaner_model::{FieldPath, ShardNumber};
use gleaner_partial::with_live_keys;
use gleaner_query::aggregation::{Aggregation, AggregationKind};
use gleaner_query::resolved::{After, NamedQueries, ShardQuery, TieBreak};
use gleaner_query::search::{SearchRequest, SortKey};
use gleaner_query::sort_value::{narrow_keys, narrowed};
use serde_json::Value;

use super::phase::CommonRequest;
use crate::plan::IndexPlan;
use crate::token::Position;

/// Makes what the shards of each plan are asked.
pub(super) fn shard_queries(
    plans: &[IndexPlan],
    asked: &CommonRequest<'_>,
) -> Vec<Arc<ShardQuery>> {
    let mappings = plans.iter().map(|plan| &*plan.index.mapping);
    let narrow = narrow_keys(&asked.request.sort, &mappings);
    let asked_of = |(at, plan)| {
        let mut query = shard_query(at, plan, asked);
        if let Some(values) = &mut query.search_after {
            narrow_start(values, &narrow);
        }
        Arc::new(query)
    };
    plans.iter().enumerate().map(asked_of).collect()
}

/// Rounds the values given back for `narrow` keys to the floats they were shown for: 0.7 is the one
/// nearest to it. What is no number is left to the shards, which refuse it.
fn narrow_start(values: &mut [Value], narrow: &[bool]) {
    for (value, is_narrow) in values.iter_mut().zip(narrow) {
        let number = match &*value {
            Value::String(text) => text.parse().ok(),
            other => other.as_f64(),
        };
        if let Some(number) = number.filter(|number: &f64| *is_narrow && number.is_finite()) {
            *value = narrowed(number).into();
        }
    }
}

/// Makes what the shards of one index are asked; `at` is its position among the plans.
pub(crate) fn shard_query(at: usize, plan: &IndexPlan, asked: &CommonRequest<'_>) -> ShardQuery {
    let request = asked.request;
    let num_keys = request.sort.len();
    let values = request.search_after.as_deref();
    ShardQuery {
        query: plan.resolved.query.clone(),
        post_filter: plan.resolved.post_filter.clone(),
        statistics: Arc::clone(&asked.statistics),
        similarities: plan.resolved.similarities.clone(),
        top: wanted_hits(request),
        collapse: request
            .collapse
            .as_ref()
            .map(|collapse| FieldPath::new(collapse.field.as_str())),
        sort: sort_of(request),
        after: asked.page.after.as_ref().map(|last| after_of(last, at)),
        search_after: values.map(|values| start_of(values, num_keys, at)),
        track_scores: request.track_scores,
        track_total: request.track_total_hits,
        min_score: request.min_score,
        aggregations: Arc::new(with_live_keys(&request.aggregations)),
        aggregation_filters: Arc::new(plan.resolved.aggregation_filters.clone()),
        named: Arc::new(named_of(plan, request)),
        terminate_after: request.terminate_after,
        now_ms: asked.now_ms,
    }
}

/// Returns what shards must know of named queries before hits are fetched: `top_hits` tells of them.
fn named_of(plan: &IndexPlan, request: &SearchRequest) -> NamedQueries {
    match has_top_hits(&request.aggregations) {
        true => NamedQueries {
            clauses: plan.resolved.named.clone(),
            are_scored: request.named_scores,
        },
        false => NamedQueries::default(),
    }
}

fn has_top_hits(aggregations: &[Aggregation]) -> bool {
    aggregations.iter().any(|aggregation| {
        matches!(aggregation.kind, AggregationKind::TopHits(_)) || has_top_hits(&aggregation.sub)
    })
}

/// Returns the order that shards are asked for: of collapsed hits it always has keys.
fn sort_of(request: &SearchRequest) -> Vec<SortKey> {
    match request.sort.is_empty() && request.collapse.is_some() {
        true => vec![SortKey::by_score()],
        false => request.sort.clone(),
    }
}

/// Returns how many hits each shard must give; none for an empty window, for which no scores are
/// computed and no statistics asked.
pub(crate) fn wanted_hits(request: &SearchRequest) -> usize {
    request.num_ranked()
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
        shard: last.shard.filter(|_| at == plan).map(ShardNumber),
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

/// The tie-break of a hit, as it follows its sort keys: its hash, and where that does not decide, the
/// position of its index among those searched, and its shard. It travels as text (`hash:index:shard`):
/// the hash has more digits than a JSON reader's double keeps.
pub(crate) struct Tie {
    /// Hash of its id.
    pub(crate) hash: u64,
    /// Position of its index; where several are searched, documents of one id in two of them tie.
    pub(crate) plan: Option<usize>,
    /// Its shard; where documents are routed, those of one id in two shards tie.
    pub(crate) shard: Option<u32>,
}

impl fmt::Display for Tie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.plan, self.shard) {
            (None, None) => write!(f, "{}", self.hash),
            (Some(plan), None) => write!(f, "{}:{plan}", self.hash),
            (plan, Some(shard)) => write!(f, "{}:{}:{shard}", self.hash, plan.unwrap_or(0)),
        }
    }
}

impl Tie {
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let tie = Self {
            hash: parts.next()?.parse().ok()?,
            plan: parts.next().map(str::parse).transpose().ok()?,
            shard: parts.next().map(str::parse).transpose().ok()?,
        };
        parts.next().is_none().then_some(tie)
    }
}

/// Reads the tie-break that follows the keys, for the shards of the index at `at`: they are told the
/// hash, and the shard where it is of this index.
pub(super) fn start_of(values: &[Value], num_keys: usize, at: usize) -> Vec<Value> {
    let mut values = values.to_vec();
    if values.len() != num_keys + 1 {
        return values;
    }
    let tie = values[num_keys].as_str().and_then(Tie::read);
    if let Some(tie) = tie {
        let last = tie.plan.unwrap_or(at);
        values[num_keys] = tie_for(tie.hash, last, at).into();
        values.extend(tie.shard.filter(|_| last == at).map(Into::into));
    }
    values
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_given_back_for_floats_are_floats() {
        let given = json!([0.7, "0.7", 16_777_217, 1e39, null, "x", true, 0.7, "500:1"]);
        let Value::Array(mut values) = given else {
            unreachable!("an array")
        };
        let narrow = [true, true, true, true, true, true, true, false];
        narrow_start(&mut values, &narrow);
        let float = f64::from(0.7_f32);
        let expected = json!([
            float,
            float,
            16_777_216.0,
            1e39,
            null,
            "x",
            true,
            0.7,
            "500:1"
        ]);
        assert_eq!(Value::Array(values), expected);
    }
}

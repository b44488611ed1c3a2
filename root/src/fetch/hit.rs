//! A ranked hit and its content, joined.

use gleaner_query::answer::{FetchedHit, Hit};
use gleaner_query::search::{SearchRequest, SortKey, SortTarget};
use gleaner_query::sort_value::shown;
use gleaner_query::source::filter_source;
use serde_json::Value;

use crate::RootError;
use crate::merge::Ranked;
use crate::plan::IndexPlan;
use crate::search::Asked;

/// Joins a ranked hit with its content.
pub(super) fn joined(
    plans: &[IndexPlan],
    ranked: &Ranked,
    content: FetchedHit,
    asked: &Asked<'_>,
) -> Result<Hit, RootError> {
    let request = asked.request;
    let source = if request.source.enabled {
        let filtered = filter_source(&content.source, &request.source);
        Some(filtered.map_err(|error| RootError::Internal(error.to_string()))?)
    } else {
        None
    };
    let score = if request.sort.is_empty() || request.track_scores {
        ranked.hit.score
    } else {
        None
    };
    let by_score = |key: &SortKey| key.target == SortTarget::Score;
    let score = if request.sort.iter().any(by_score) {
        ranked.hit.score
    } else {
        score
    };
    Ok(Hit {
        index: plans[ranked.plan].index.name.to_string(),
        score,
        sort: sort_values(request, ranked, plans.len()),
        content,
        source,
        shard: ranked.shard.shard.0,
    })
}

/// Returns the values that a client gives back as `search_after`: the keys, then the tie-break, so
/// that documents with equal keys are neither repeated nor skipped. The tie-break is text: it has
/// more digits than a JSON reader's double keeps. Where several indices are searched, the index
/// follows it: documents of one id in two of them tie in everything else.
fn sort_values(request: &SearchRequest, ranked: &Ranked, num_plans: usize) -> Vec<Value> {
    let mut values: Vec<Value> = ranked.hit.keys.iter().map(shown).collect();
    let is_total = |key: &SortKey| matches!(key.target, SortTarget::Doc | SortTarget::ShardDoc);
    if !values.is_empty() && !request.sort.iter().any(is_total) {
        let hash = ranked.hit.tie.hash;
        values.push(Value::from(if num_plans > 1 {
            format!("{hash}:{}", ranked.plan)
        } else {
            hash.to_string()
        }));
    }
    values
}

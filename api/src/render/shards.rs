//! `_shards`: what an answer covers.

use gleaner_model::{ClusterState, ShardKey};
use gleaner_proto::LeafFault;
use gleaner_root::{ShardFailure, ShardSummary};
use serde_json::{Value, json};

use crate::error::{ApiError, shard_failure};

/// Returns the summary of a search.
pub(crate) fn of_search(summary: &ShardSummary) -> Value {
    let mut shown = json!({
        "total": summary.total,
        "successful": summary.successful,
        "skipped": summary.skipped,
        "failed": summary.failures.len(),
    });
    if !summary.failures.is_empty() {
        let failures: Vec<Value> = summary
            .failures
            .iter()
            .map(|failure| shard_failure(failure, &ApiError::from(&failure.fault)))
            .collect();
        shown["failures"] = Value::Array(failures);
    }
    shown
}

/// Returns the summary of an operation on all copies: `total` counts the copies that should be,
/// and only primaries took part.
pub(crate) fn of_operation(
    outcomes: &[(ShardKey, Result<(), LeafFault>)],
    state: &ClusterState,
) -> Value {
    let mut total = 0;
    let mut failures = Vec::new();
    for (shard, outcome) in outcomes {
        let index = state.indices.get(&shard.index);
        total += 1 + index.map_or(0, |index| index.settings.number_of_replicas);
        if let Err(fault) = outcome {
            let name = index.map_or_else(String::new, |index| index.name.to_string());
            let failure = ShardFailure {
                index: name,
                shard: *shard,
                node: None,
                fault: fault.clone(),
            };
            failures.push(shard_failure(&failure, &ApiError::from(fault)));
        }
    }
    let mut shown = json!({
        "total": total,
        "successful": outcomes.len() - failures.len(),
        "failed": failures.len(),
    });
    if !failures.is_empty() {
        shown["failures"] = Value::Array(failures);
    }
    shown
}

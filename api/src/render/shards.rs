//! `_shards`: what an answer covers.

use std::collections::BTreeSet;

use gleaner_model::{ClusterState, ShardKey};
use gleaner_root::visibility::CopyOutcome;
use gleaner_root::{Coverage, ShardFailure, ShardSummary};
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

/// Returns what an answer has seen of what was asked: our own object.
pub(crate) fn coverage(coverage: &Coverage) -> Value {
    json!({
        "share": coverage.share(),
        "documents": {
            "seen": coverage.documents_seen,
            "cut_short": coverage.documents_cut,
            "total": coverage.documents_total,
        },
        "shards": {
            "seen": coverage.shards_seen,
            "cut_short": coverage.shards_cut,
            "missing": coverage.shards_missing,
        },
    })
}

/// Returns the summary of an operation on shards: `total` counts the copies that should be, and those
/// that took no part are neither successful nor failed.
pub(crate) fn of_operation(outcomes: &[CopyOutcome], state: &ClusterState) -> Value {
    let shards: BTreeSet<ShardKey> = outcomes.iter().map(|copy| copy.shard).collect();
    let copies_of = |shard: &ShardKey| {
        let index = state.indices.get(&shard.index);
        1 + index.map_or(0, |index| index.settings.number_of_replicas)
    };
    let failures = failures(outcomes, state);
    let mut shown = json!({
        "total": shards.iter().map(copies_of).sum::<u32>(),
        "successful": outcomes.len() - failures.len(),
        "failed": failures.len(),
    });
    if !failures.is_empty() {
        shown["failures"] = Value::Array(failures);
    }
    shown
}

/// Returns an entry of `failures` for each copy that failed.
pub(crate) fn failures(outcomes: &[CopyOutcome], state: &ClusterState) -> Vec<Value> {
    let failed = outcomes.iter().filter_map(|copy| {
        let fault = copy.outcome.as_ref().err()?;
        let index = state.indices.get(&copy.shard.index);
        let failure = ShardFailure {
            index: index.map_or_else(String::new, |index| index.name.to_string()),
            shard: copy.shard,
            node: copy.node.clone(),
            fault: fault.clone(),
        };
        Some(shard_failure(&failure, &ApiError::from(fault)))
    });
    failed.collect()
}

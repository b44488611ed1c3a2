//! Sections of `_cluster/stats` on what there is none of here, or what nobody counts: in the form that the dialect has for
//! none. Clients that read answers into types require them.

use serde_json::{Value, json};

/// Roles of the dialect that no node has.
const ROLES: [&str; 9] = [
    "data_cold",
    "data_content",
    "data_frozen",
    "data_hot",
    "data_warm",
    "ml",
    "remote_cluster_client",
    "transform",
    "voting_only",
];

/// Returns how many nodes have the roles of `count`, and the others, which none has.
pub(super) fn with_other_roles(mut count: Value) -> Value {
    for role in ROLES {
        count[role] = 0.into();
    }
    count
}

/// Returns which parts searches were made of: that is not counted.
pub(super) fn searches() -> Value {
    json!({"total": 0, "queries": {}, "rescorers": {}, "sections": {}, "retrievers": {}})
}

/// Returns what snapshots do.
pub(super) fn snapshots() -> Value {
    json!({
        "current_counts": {
            "snapshots": 0,
            "shard_snapshots": 0,
            "snapshot_deletions": 0,
            "concurrent_operations": 0,
            "cleanups": 0,
        },
        "repositories": {},
    })
}

/// Returns which searches went to other clusters.
pub(super) fn remote_searches() -> Value {
    let took = json!({"max": 0, "avg": 0, "p90": 0});
    json!({"_search": {
        "total": 0,
        "success": 0,
        "skipped": 0,
        "took": took,
        "took_mrt_true": took,
        "took_mrt_false": took,
        "remotes_per_search_max": 0,
        "remotes_per_search_avg": 0.0,
        "failure_reasons": {},
        "features": {},
        "clients": {},
        "clusters": {},
    }})
}

//! `_cluster/recover`: entries and metadata that a restored etcd has lost are written anew, by what nodes hold and know.

use std::collections::BTreeSet;

use gleaner_proto::read::CopyOnDisk;
use gleaner_root::losses::{Recovery, ShardRecovery};
use serde_json::{Value, json};

use crate::parameters::comma_list;
use crate::request::{Answer, Request};
use crate::response::Reply;

/// Does that, or says what would be done, by `dry_run`.
pub(super) async fn recover(request: Request) -> Answer {
    let is_dry = request.parameters.is_set("dry_run")?;
    let without = request.parameters.get("without").unwrap_or_default();
    let without: BTreeSet<String> = comma_list(without).into_iter().collect();
    let recovery = request.root().losses().recover(&without, is_dry).await?;
    Ok(Reply::json(&shown(&recovery, is_dry)))
}

fn shown(recovery: &Recovery, is_dry: bool) -> Value {
    let state = recovery.state.as_ref();
    let state = state.map(|state| {
        json!({"version_in_etcd": state.held, "version_known": state.known, "indices": state.indices})
    });
    let silent = recovery.silent.iter();
    let silent = silent.map(|(node, reason)| json!({"node": node.to_string(), "reason": reason}));
    let unknown = recovery.unknown.iter().map(|(index, held)| {
        let held = held.iter();
        let held = held.map(|(shard, node)| json!({"shard": shard, "node": node.to_string()}));
        json!({"index_uuid": index.to_string(), "held": held.collect::<Vec<Value>>()})
    });
    json!({
        "acknowledged": recovery.shards.iter().all(|shard| shard.failure.is_none()),
        "dry_run": is_dry,
        "state": state,
        "silent": silent.collect::<Vec<Value>>(),
        "shards": recovery.shards.iter().map(shard).collect::<Vec<Value>>(),
        "unknown": unknown.collect::<Vec<Value>>(),
    })
}

fn shard(recovery: &ShardRecovery) -> Value {
    let entry = &recovery.stored.entry;
    let planned = recovery.plan.as_ref().ok();
    let held = recovery
        .held
        .iter()
        .map(|(node, copy)| held(&node.to_string(), copy));
    json!({
        "index": recovery.index,
        "shard": recovery.shard.shard.0,
        "version_in_etcd": entry.version,
        "version_seen": recovery.seen,
        "held": held.collect::<Vec<Value>>(),
        "primary": planned.map(|(node, _)| node.to_string()),
        "version": planned.map(|(_, entry)| entry.version),
        "term": planned.map(|(_, entry)| entry.term.0),
        "new_history": planned.map(|(_, entry)| entry.awaits_opening()),
        "problem": recovery.plan.as_ref().err(),
        "failure": recovery.failure,
    })
}

fn held(node: &str, copy: &CopyOnDisk) -> Value {
    json!({
        "node": node,
        "allocation_id": copy.copy.map(|copy| copy.to_string()),
        "history": copy.history.to_string(),
        "version": copy.version,
        "fence": copy.fence.0,
        "term": copy.last_term.0,
        "end": copy.end.map(|end| end.0),
        "agreed": copy.agreed.0,
        "damage": copy.damage,
    })
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::testing::{sent, speaking};

    #[tokio::test]
    async fn one_process_has_nothing_to_recover() {
        let asked = sent(&speaking(), ("POST", "/_cluster/recover"), &Value::Null).await;
        assert_eq!(asked.0, StatusCode::BAD_REQUEST);
        assert!(
            asked.1.to_string().contains("there are no entries"),
            "{}",
            asked.1
        );
    }
}

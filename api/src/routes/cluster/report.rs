//! `_health_report`: the health of the cluster by indicator. One of them is known here: whether the shards are
//! there.

use gleaner_root::read::ShardStates;
use serde_json::{Map, Value, json};

use super::health::{CopiesByShard, Health, HealthLevel};
use crate::error::ApiError;
use crate::request::Request;
use crate::response::Reply;
use crate::route::Answer;

/// The one indicator that is known.
const SHARDS: &str = "shards_availability";

pub(super) async fn answer(request: Request) -> Answer {
    if let Some(asked) = request.part("feature").filter(|asked| *asked != SHARDS) {
        let reason = format!("Did not find any health indicator [{asked}], there is [{SHARDS}]");
        let status = http::StatusCode::NOT_FOUND;
        return Err(ApiError::new(
            status,
            "resource_not_found_exception",
            reason,
        ));
    }
    let is_verbose = request.parameters.flag("verbose")?.unwrap_or(true);
    let states = request.root().reader().shard_states().await;
    let (level, indicator) = shards(&request, &states, is_verbose);
    let state = request.root().cluster().state();
    Ok(Reply::json(&json!({
        "status": level.as_str(),
        "cluster_name": state.cluster_name,
        "indicators": {SHARDS: indicator},
    })))
}

fn shards(request: &Request, states: &ShardStates, is_verbose: bool) -> (HealthLevel, Value) {
    let state = request.root().cluster().state();
    let indices = state.indices.values().map(|index| &**index);
    let health = Health::of_all(indices, &CopiesByShard::of(&states.copies));
    let symptom = match health.level {
        HealthLevel::Green => "This cluster has all shards available.",
        HealthLevel::Yellow => "This cluster has replica shards that are not available.",
        HealthLevel::Red => "This cluster has primary shards that are not available.",
    };
    let mut indicator = Map::new();
    indicator.insert("status".to_owned(), health.level.as_str().into());
    indicator.insert("symptom".to_owned(), symptom.into());
    if is_verbose {
        indicator.insert("details".to_owned(), details(&health));
    }
    (health.level, Value::Object(indicator))
}

/// Counts copies; of those that are not started, a missing primary is taken before a replica. One that is made counts as one
/// that initializes, and no restart is announced.
fn details(health: &Health) -> Value {
    let missing = health.primaries.saturating_sub(health.active_primaries);
    let initializing = health.initializing.min(missing);
    let unassigned = (missing - initializing).min(health.unassigned);
    json!({
        "started_primaries": health.active_primaries,
        "started_replicas": health.active.saturating_sub(health.active_primaries),
        "initializing_primaries": initializing,
        "initializing_replicas": health.initializing - initializing,
        "unassigned_primaries": unassigned,
        "unassigned_replicas": health.unassigned - unassigned,
        "creating_primaries": 0,
        "creating_replicas": 0,
        "restarting_primaries": 0,
        "restarting_replicas": 0,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::{create, got, speaking};

    #[tokio::test(flavor = "multi_thread")]
    async fn copies_are_counted_by_what_they_do() {
        let dialect = speaking();
        let settings = json!({"number_of_shards": 1, "number_of_replicas": 1});
        create(&dialect, "books", &json!({"settings": settings})).await;
        let report = got(&dialect, "/_health_report/shards_availability").await;
        let details = &report["indicators"]["shards_availability"]["details"];
        for (of, primaries, replicas) in [
            ("started", 0, 0),
            ("unassigned", 1, 1),
            ("creating", 0, 0),
            ("restarting", 0, 0),
        ] {
            assert_eq!(details[format!("{of}_primaries")], primaries, "{details}");
            assert_eq!(details[format!("{of}_replicas")], replicas, "{details}");
        }
    }
}

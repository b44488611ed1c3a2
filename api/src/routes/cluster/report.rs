//! `_health_report`: the health of the cluster by indicator. Two of them are known here: whether the shards are there, and
//! whether the cluster state can be changed, for which other clusters need a master.

use gleaner_coordinator::StoreProblem;
use gleaner_root::read::ShardStates;
use serde_json::{Map, Value, json};

use super::health::{CopiesByShard, Health, HealthLevel};
use crate::error::ApiError;
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::routes::cluster::put_aside;

/// Whether the cluster state can be changed.
const MASTER: &str = "master_is_stable";

/// Whether the shards are there.
const SHARDS: &str = "shards_availability";

/// Where it is said what to do.
const HELP: &str = "docs/operating.md";

pub(super) async fn answer(request: Request) -> Answer {
    let asked = request.part("feature");
    if let Some(asked) = asked.filter(|asked| ![MASTER, SHARDS].contains(asked)) {
        let reason = format!(
            "Did not find any health indicator [{asked}], there are [{MASTER}] and [{SHARDS}]"
        );
        let status = http::StatusCode::NOT_FOUND;
        return Err(ApiError::new(
            status,
            "resource_not_found_exception",
            reason,
        ));
    }
    let is_asked = |name| asked.is_none_or(|asked| asked == name);
    let is_verbose = request.parameters.flag("verbose")?.unwrap_or(true);
    let mut worst = HealthLevel::Green;
    let mut indicators = Map::new();
    let mut add = |name: &str, indicator: Indicator| {
        worst = worst.max(indicator.level);
        indicators.insert(name.to_owned(), indicator.shown);
    };
    let cluster = request.root().cluster();
    if is_asked(MASTER) {
        add(MASTER, master(&cluster.store_problems(), is_verbose));
    }
    if is_asked(SHARDS) {
        let states = request.root().reader().shard_states().await;
        add(SHARDS, shards(&request, &states, is_verbose));
    }
    Ok(Reply::json(&json!({
        "status": worst.as_str(),
        "cluster_name": cluster.state().cluster_name,
        "indicators": indicators,
    })))
}

/// What is shown of one side of the cluster's health.
struct Indicator {
    level: HealthLevel,
    shown: Value,
}

/// Tells whether the cluster state can be changed. Yellow also where it cannot, as in `_cluster/health`: searches and most
/// writes go on.
fn master(problems: &[StoreProblem], is_verbose: bool) -> Indicator {
    let reasons: Vec<&str> = problems.iter().map(StoreProblem::reason).collect();
    let told = reasons.join("; ");
    let prevents_changes = problems.iter().any(StoreProblem::prevents_changes);
    let (level, symptom) = match (problems.is_empty(), prevents_changes) {
        (true, _) => (
            HealthLevel::Green,
            "The cluster state can be changed.".to_owned(),
        ),
        (false, true) => (
            HealthLevel::Yellow,
            format!("The cluster state cannot be changed: {told}."),
        ),
        (false, false) => (
            HealthLevel::Yellow,
            format!("The cluster state cannot be changed soon: {told}."),
        ),
    };
    let mut shown = json!({"status": level.as_str(), "symptom": symptom});
    if is_verbose && !problems.is_empty() {
        shown["details"] = json!({"reasons": reasons});
        shown["impacts"] = impacts(prevents_changes);
        shown["diagnosis"] = problems.iter().map(diagnosis).collect();
    }
    Indicator { level, shown }
}

fn impacts(are_there: bool) -> Value {
    let when = if are_there {
        "cannot"
    } else {
        "will not be able to"
    };
    let impact = |id: &str, description: String, area: &str| {
        json!({
            "id": format!("gleaner:health:{MASTER}:impact:{id}"),
            "severity": 1,
            "description": description,
            "impact_areas": [area],
        })
    };
    let ingest = format!(
        "The cluster {when} create or delete indices, change mappings, settings and aliases, or write documents that \
         bring new fields. Other writes and searches go on."
    );
    let availability = format!(
        "Copies of shards {when} take over from a leaf that is lost, and a leaf that is started {when} join."
    );
    json!([
        impact("ingest_disabled", ingest, "ingest"),
        impact("automation_disabled", availability, "deployment_management"),
    ])
}

fn diagnosis(problem: &StoreProblem) -> Value {
    let (id, action) = match problem {
        StoreProblem::Unavailable(_) => (
            "etcd_unavailable",
            "Start the members of etcd that do not answer, or repair the network to them.",
        ),
        StoreProblem::OutOfQuota(_) => (
            "etcd_out_of_quota",
            "Compact the history of etcd, defragment each member, and end the alarm.",
        ),
        StoreProblem::NearQuota(_) => (
            "etcd_near_quota",
            "Compact the history of etcd and defragment each member, or raise the quota.",
        ),
    };
    json!({
        "id": format!("gleaner:health:{MASTER}:diagnosis:{id}"),
        "cause": problem.reason(),
        "action": action,
        "help_url": HELP,
    })
}

fn shards(request: &Request, states: &ShardStates, is_verbose: bool) -> Indicator {
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
        let mut details = details(&health);
        let diagnoses = states.copies.iter();
        let diagnoses = diagnoses.filter_map(|copy| put_aside::diagnosis(copy, HELP));
        let diagnoses: Vec<Value> = diagnoses.collect();
        if !diagnoses.is_empty() {
            details["put_aside"] = put_aside::folders(states.copies.iter()).into();
            indicator.insert("diagnosis".to_owned(), diagnoses.into());
        }
        indicator.insert("details".to_owned(), details);
    }
    Indicator {
        level: health.level,
        shown: Value::Object(indicator),
    }
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

    use super::*;
    use crate::testing::{create, got, speaking};

    #[test]
    fn a_state_that_cannot_be_changed_or_soon_will_not_be_is_yellow_and_says_why() {
        let Indicator { level, shown } = master(&[], true);
        assert_eq!(
            (level, shown["status"].as_str()),
            (HealthLevel::Green, Some("green"))
        );
        assert_eq!(shown["impacts"], Value::Null);
        let lost = "etcd has no majority (1 of 3 members answers)";
        let near = StoreProblem::NearQuota("it is nearly full".to_owned());
        let problems = [StoreProblem::Unavailable(lost.to_owned()), near.clone()];
        let Indicator { level, shown } = master(&problems, true);
        assert_eq!(level, HealthLevel::Yellow);
        let symptom = shown["symptom"].as_str().unwrap_or_default();
        let wanted = format!("The cluster state cannot be changed: {lost}");
        assert!(symptom.starts_with(&wanted), "{shown}");
        assert_eq!(shown["diagnosis"][0]["cause"], lost);
        assert_eq!(shown["diagnosis"].as_array().map(Vec::len), Some(2));
        assert_eq!(shown["impacts"][0]["impact_areas"], json!(["ingest"]));
        let Indicator { level, shown } = master(&[near], false);
        assert_eq!(
            (level, shown["impacts"].clone()),
            (HealthLevel::Yellow, Value::Null)
        );
    }

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

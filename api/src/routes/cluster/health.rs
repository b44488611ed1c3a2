//! `_cluster/health`: what is served, what is not, waiting for better.
//!
//! Green: every copy is active. Yellow: every primary is; replicas without a node of their own are
//! unassigned. Red: a primary is recovering or has stopped. The whole cluster is not green either while something is wrong
//! with where its state is kept: `reasons` says what. Folders of damaged logs that were put aside are named in any colour.

mod count;
mod wanted;

use std::time::{Duration, Instant};

use gleaner_coordinator::StoreProblem;
use gleaner_model::IndexMeta;
use gleaner_query::names::{self, ExpandWildcards, ResolveOptions};
use gleaner_root::read::{LocatedShard, ShardStates};
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::render::units::humanized;
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::routes::cluster::put_aside;
use crate::routes::nodes::NumMembers;

pub(in crate::routes) use count::{CopiesByShard, Health, HealthLevel};
use wanted::HealthWait;

/// Between two looks while waiting.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Longest wait when the request does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) async fn answer(request: Request) -> Answer {
    let wanted = HealthWait::of(&request)?;
    let limit = request
        .parameters
        .time("timeout")?
        .unwrap_or(DEFAULT_TIMEOUT);
    let started = Instant::now();
    loop {
        let states = request.root().reader().shard_states().await;
        let (shown, health) = look(&request, &states)?;
        let num_nodes = NumMembers::of(&request, &states).all;
        let is_met = health.is_some_and(|health| wanted.is_met(&health, num_nodes));
        if is_met || started.elapsed() >= limit {
            let mut shown = humanized(shown, &request.parameters)?;
            shown["timed_out"] = (!is_met).into();
            let status = match is_met {
                true => StatusCode::OK,
                false => wanted.status_when_late,
            };
            return Ok(Reply::with_status(status, &shown));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Returns the answer as of now, and the health it is judged by; a missing index is never healthy.
fn look(request: &Request, states: &ShardStates) -> Result<(Value, Option<Health>), ApiError> {
    let copies = &CopiesByShard::of(&states.copies);
    let defaults = ResolveOptions {
        expand_wildcards: ExpandWildcards::ALL,
        allow_closed: true,
        ..ResolveOptions::default()
    };
    let options = request.parameters.resolve_options(defaults)?;
    let expression = request.expression()?.unwrap_or_default();
    let state = request.root().cluster().state();
    let found = match names::resolve(&expression, &state, &options) {
        Ok(found) => Some(found),
        Err(error) if error.kind.status() == 404 => None,
        Err(error) => return Err(error.into()),
    };
    let indices = found.as_deref().unwrap_or_default();
    let mut health = Health::of_all(indices.iter().map(|found| &*found.meta), copies);
    let problems = request.root().cluster().store_problems();
    // A path with indices asks for the health of these alone, and etcd is no part of that.
    if !problems.is_empty() && request.part("index").is_none() {
        health.level = health.level.max(HealthLevel::Yellow);
    }
    let level = if found.is_some() {
        health.level
    } else {
        HealthLevel::Red
    };
    let members = NumMembers::of(request, states);
    let mut shown = json!({
        "cluster_name": state.cluster_name,
        "status": level.as_str(),
        "timed_out": false,
        "number_of_nodes": members.all,
        "number_of_data_nodes": members.data,
    });
    if let Value::Object(object) = &mut shown {
        object.extend(health.counts());
    }
    shown["delayed_unassigned_shards"] = 0.into();
    shown["number_of_pending_tasks"] = 0.into();
    shown["number_of_in_flight_fetch"] = 0.into();
    shown["task_max_waiting_in_queue_millis"] = 0.into();
    shown["active_shards_percent_as_number"] = health.active_percent().into();
    if !problems.is_empty() {
        shown["reasons"] = problems.iter().map(StoreProblem::reason).collect();
    }
    let is_asked = |copy: &&LocatedShard| {
        let mut indices = indices.iter();
        indices.any(|found| found.meta.uuid == copy.index.uuid)
    };
    let folders = put_aside::folders(states.copies.iter().filter(is_asked));
    if !folders.is_empty() {
        shown["put_aside"] = folders.into();
    }
    match request.parameters.get("level") {
        None | Some("cluster") => {}
        Some(level @ ("indices" | "shards")) => {
            let with_shards = level == "shards";
            let entries = indices.iter().map(|found| {
                (
                    found.meta.name.to_string(),
                    of_index(&found.meta, copies, with_shards),
                )
            });
            shown["indices"] = Value::Object(entries.collect());
        }
        Some(other) => {
            let reason = format!(
                "level parameter must be one of [cluster] or [indices] or [shards] but was [{other}]"
            );
            return Err(ApiError::illegal(reason));
        }
    }
    Ok((shown, found.is_some().then_some(health)))
}

fn of_index(index: &IndexMeta, copies: &CopiesByShard<'_>, with_shards: bool) -> Value {
    let health = Health::of_index(index, copies);
    let mut object = Map::new();
    object.insert("status".to_owned(), health.level.as_str().into());
    object.insert(
        "number_of_shards".to_owned(),
        index.settings.number_of_shards.into(),
    );
    object.insert(
        "number_of_replicas".to_owned(),
        index.settings.number_of_replicas.into(),
    );
    object.extend(health.counts());
    if with_shards {
        let shards = (0..index.settings.number_of_shards).map(|number| {
            let health = Health::of_shard(index, number, copies);
            let mut object = health.counts();
            object.insert("status".to_owned(), health.level.as_str().into());
            object.insert(
                "primary_active".to_owned(),
                (health.active_primaries > 0).into(),
            );
            (number.to_string(), Value::Object(object))
        });
        object.insert("shards".to_owned(), Value::Object(shards.collect()));
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::Value;

    use crate::testing::{sent, speaking};

    #[tokio::test]
    async fn a_wait_in_vain_has_the_status_that_is_asked_for() {
        let dialect = speaking();
        let asked = async |query: &str| {
            let path = format!("/_cluster/health?timeout=0s&wait_for_nodes=gt(9){query}");
            let (status, answer) = sent(&dialect, ("GET", &path), &Value::Null).await;
            (status, answer["timed_out"].clone())
        };
        let late = Value::Bool(true);
        assert_eq!(asked("").await, (StatusCode::REQUEST_TIMEOUT, late.clone()));
        let fine = asked("&return_200_for_cluster_health_timeout=true").await;
        assert_eq!(fine, (StatusCode::OK, late.clone()));
        let plain = asked("&wait_for_events=LANGUID").await;
        assert_eq!(plain, (StatusCode::REQUEST_TIMEOUT, late));
        let refused = asked("&wait_for_events=bogus").await;
        assert_eq!(refused, (StatusCode::BAD_REQUEST, Value::Null));
    }
}

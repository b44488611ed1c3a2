//! `_tasks`: what is under way on this node, its end on request, and what tasks did.

use std::time::Duration;

use bytes::Bytes;
use gleaner_model::mapping::matches_pattern;
use gleaner_root::RootError;
use gleaner_root::tasks::TaskInfo;
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::by_query::status;
use super::nodes::ROLES;
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::{Parameter, Route};
use crate::security::OWNER;

/// How long tasks are waited for where the request does not say, as in the dialect.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a request for the list of tasks does, as the dialect names it.
const LISTS: &str = "cluster:monitor/tasks/lists";

/// Its part on one node.
const LISTS_ON_NODE: &str = "cluster:monitor/tasks/lists[n]";

const LIST: &[Parameter] = &[
    Parameter::honoured("actions"),
    Parameter::honoured("nodes"),
    Parameter::honoured("parent_task_id"),
    Parameter::honoured("detailed"),
    Parameter::honoured("group_by"),
    Parameter::honoured("wait_for_completion"),
    Parameter::honoured("timeout"),
    Parameter::no_effect("master_timeout", "tasks are listed from memory"),
];
const ONE: &[Parameter] = &[
    Parameter::honoured("wait_for_completion"),
    Parameter::honoured("timeout"),
];
const CANCEL: &[Parameter] = &[
    Parameter::honoured("actions"),
    Parameter::honoured("nodes"),
    Parameter::honoured("parent_task_id"),
    Parameter::honoured("wait_for_completion"),
];

pub(super) static ENDPOINTS: &[Endpoint] = &[
    Route {
        name: "tasks.list",
        methods: &[Method::GET],
        paths: &["/_tasks"],
        parameters: &[LIST],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(list(request))),
    Route {
        name: "tasks.get",
        methods: &[Method::GET],
        paths: &["/_tasks/{task}"],
        parameters: &[ONE],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(get(request))),
    Route {
        name: "tasks.cancel",
        methods: &[Method::POST],
        paths: &["/_tasks/_cancel", "/_tasks/{task}/_cancel"],
        parameters: &[CANCEL],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(cancel(request))),
];

async fn list(request: Request) -> Answer {
    let is_detailed = request.parameters.is_set("detailed")?;
    let tasks = listed(&request).await?;
    let node = node(&request);
    let shown = |task: &TaskInfo| shown(task, &node, is_detailed);
    let body = match request.parameters.get("group_by") {
        None | Some("nodes") => {
            let pairs = tasks.iter().map(|task| (id(task, &node), shown(task)));
            by_node(&request, &pairs.collect())
        }
        Some("parents") => json!({"tasks": by_parent(&tasks, &node, is_detailed)}),
        Some("none") => json!({"tasks": tasks.iter().map(shown).collect::<Vec<_>>()}),
        Some(other) => {
            let reason =
                format!("[group_by] must be one of [nodes], [parents] or [none] but was [{other}]");
            return Err(ApiError::illegal(reason));
        }
    };
    Ok(Reply::json(&body))
}

/// Returns each task with its parts inside it; a part whose whole is not among them stands by itself.
fn by_parent(tasks: &[TaskInfo], node: &str, is_detailed: bool) -> Map<String, Value> {
    let is_there = |parent: u64| tasks.iter().any(|task| task.id == parent);
    let wholes = tasks
        .iter()
        .filter(|task| !task.parent.is_some_and(is_there));
    let shown_whole = |whole: &TaskInfo| {
        let mut object = shown(whole, node, is_detailed);
        let parts = tasks.iter().filter(|task| task.parent == Some(whole.id));
        let parts: Vec<Value> = parts.map(|part| shown(part, node, is_detailed)).collect();
        if !parts.is_empty() {
            object["children"] = Value::Array(parts);
        }
        (id(whole, node), object)
    };
    wholes.map(shown_whole).collect()
}

async fn get(request: Request) -> Answer {
    let text = request.required_part("task")?;
    let number = number_of(&request, text)?;
    let tasks = request.root().tasks();
    let task = number.and_then(|number| tasks.get(number));
    if let Some(task) = task.filter(|task| is_of_owner(&request, task.owner.as_deref())) {
        if !request.parameters.is_set("wait_for_completion")? {
            let task = shown(&task, &node(&request), true);
            return Ok(Reply::json(&json!({"completed": false, "task": task})));
        }
        until_ended(&request, std::slice::from_ref(&task)).await?;
        if let Some(result) = result_of(&request, text).await? {
            return Ok(Reply::raw_json(StatusCode::OK, result));
        }
        // It was waited for by its client, who was told what it did.
        let task = shown(&task, &node(&request), true);
        return Ok(Reply::json(&json!({"completed": true, "task": task})));
    }
    match result_of(&request, text).await? {
        Some(result) => Ok(Reply::raw_json(StatusCode::OK, result)),
        None => Err(not_found(match number {
            Some(_) => format!("task [{text}] isn't running and hasn't stored its results"),
            None => format!(
                "task [{text}] belongs to another node, which has not stored its results: ask that node \
                 while it is running"
            ),
        })),
    }
}

/// Returns what a task did, where the sender may know it.
async fn result_of(request: &Request, id: &str) -> Result<Option<Bytes>, ApiError> {
    let result = request.root().reader().task_result(id).await?;
    let is_known = |result: &Bytes| {
        let read: Value = serde_json::from_slice(result).unwrap_or_default();
        is_of_owner(request, read["owner"].as_str())
    };
    // It is not read where everybody's may be known.
    let knows_all = request.part(OWNER).is_none();
    Ok(result.filter(|result| knows_all || is_known(result)))
}

/// Returns whether the sender reaches a task that is under way. What it does not reach is for it as if it were not there.
pub(super) fn is_reached(request: &Request, number: u64) -> bool {
    let task = request.root().tasks().get(number);
    task.is_some_and(|task| is_of_owner(request, task.owner.as_deref()))
}

fn is_of_owner(request: &Request, owner: Option<&str>) -> bool {
    let reached = request.part(OWNER);
    reached.is_none_or(|reached| owner == Some(reached))
}

async fn cancel(request: Request) -> Answer {
    let tasks = request.root().tasks();
    let cancelled: Vec<TaskInfo> = match request.part("task") {
        Some(text) => {
            let number = number_of(&request, text)?;
            let number = number.filter(|number| is_reached(&request, *number));
            let task = number.and_then(|number| tasks.cancel(number));
            let missing = || not_found(format!("task [{text}] is not found"));
            let task = task.ok_or_else(missing)?;
            if !task.is_cancellable {
                let reason = format!("task [{text}] doesn't support cancellation");
                return Err(ApiError::illegal(reason));
            }
            vec![task]
        }
        None => named(&request)?
            .iter()
            .filter_map(|task| tasks.cancel(task.id))
            .filter(|task| task.is_cancellable)
            .collect(),
    };
    if request.parameters.is_set("wait_for_completion")? {
        until_ended(&request, &cancelled).await?;
    }
    Ok(answer_by_node(&request, &cancelled))
}

/// Waits until none of `tasks` is under way.
///
/// # Errors
/// 429 when that takes longer than the request says, as in the dialect since 8.17.
async fn until_ended(request: &Request, tasks: &[TaskInfo]) -> Result<(), ApiError> {
    let patience = request.parameters.get("timeout");
    let patience = match patience {
        Some(_) => request.parameters.time("timeout")?.unwrap_or(Duration::MAX),
        None => PATIENCE,
    };
    let ids: Vec<u64> = tasks.iter().map(|task| task.id).collect();
    match request.root().tasks().until_ended(&ids, patience).await {
        true => Ok(()),
        false => {
            let node = node(request);
            let ids = tasks.iter().map(|task| id(task, &node));
            let ids: Vec<String> = ids.collect();
            Err(ApiError::new(
                StatusCode::TOO_MANY_REQUESTS,
                "timeout_exception",
                format!("Timed out waiting for completion of [{}]", ids.join(", ")),
            ))
        }
    }
}

/// Returns the tasks that the parameters name, the request itself among them. Where they say so the others are waited for.
pub(super) async fn listed(request: &Request) -> Result<Vec<TaskInfo>, ApiError> {
    let mut tasks = named(request)?;
    if request.parameters.is_set("wait_for_completion")? {
        until_ended(request, &tasks).await?;
    }
    tasks.extend(itself(request)?);
    Ok(tasks)
}

/// Returns the tasks under way that the parameters name.
fn named(request: &Request) -> Result<Vec<TaskInfo>, ApiError> {
    filtered(request, request.root().tasks().list_all())
}

/// Returns the request itself, which lists tasks, where the parameters name that: the whole, and its part on this node.
fn itself(request: &Request) -> Result<Vec<TaskInfo>, ApiError> {
    let origin = request.origin(&Bytes::new());
    let tasks = request.root().tasks();
    let mut whole = tasks.answered_at_once(LISTS, &origin, None);
    whole.running = request.started.elapsed();
    let part = tasks.answered_at_once(LISTS_ON_NODE, &origin, Some(whole.id));
    filtered(request, vec![whole, part])
}

/// Returns those of `tasks` that the parameters name.
fn filtered(request: &Request, mut tasks: Vec<TaskInfo>) -> Result<Vec<TaskInfo>, ApiError> {
    let parameters = &request.parameters;
    let (actions, nodes) = (parameters.list("actions"), parameters.list("nodes"));
    let (id, name) = (node(request), &request.app.options.node_name);
    let is_here = nodes.is_none_or(|nodes| {
        let mut words = nodes.iter();
        words.any(|word| {
            word == "_local" || matches_pattern(word, &id) || matches_pattern(word, name)
        })
    });
    // A task of another node has no parts here; −1 is any task.
    let parent = parameters
        .get("parent_task_id")
        .filter(|parent| *parent != "-1");
    let parent = parent
        .map(|parent| number_of(request, parent))
        .transpose()?;
    let is_part = |task: &TaskInfo| match parent {
        None => true,
        Some(parent) => parent.is_some() && task.parent == parent,
    };
    let is_named = |task: &TaskInfo| {
        let of_action = |pattern: &String| matches_pattern(pattern, task.action);
        actions
            .as_ref()
            .is_none_or(|patterns| patterns.iter().any(of_action))
    };
    let is_seen = |task: &TaskInfo| is_of_owner(request, task.owner.as_deref());
    tasks.retain(|task| is_here && is_part(task) && is_named(task) && is_seen(task));
    Ok(tasks)
}

pub(super) fn node(request: &Request) -> String {
    request.root().cluster().options().node.to_string()
}

fn id(task: &TaskInfo, node: &str) -> String {
    format!("{node}:{}", task.id)
}

/// Reads the id of a task, `node:number`; `None` for any other text.
pub fn read_task_id(text: &str) -> Option<(&str, u64)> {
    let (node, number) = text.rsplit_once(':')?;
    Some((node, number.parse().ok()?))
}

/// Reads an id, `node:number`; `None` when it is of another node.
pub(super) fn number_of(request: &Request, text: &str) -> Result<Option<u64>, ApiError> {
    let malformed = || ApiError::illegal(format!("malformed task id {text}"));
    let (node, number) = read_task_id(text).ok_or_else(malformed)?;
    Ok((*node == *request.root().cluster().options().node.0).then_some(number))
}

pub(super) fn not_found(reason: String) -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "resource_not_found_exception",
        reason,
    )
}

/// Returns tasks under the node that they run on.
pub(super) fn answer_by_node(request: &Request, tasks: &[TaskInfo]) -> Reply {
    let node = node(request);
    let by_id = tasks
        .iter()
        .map(|task| (id(task, &node), shown(task, &node, true)));
    Reply::json(&by_node(request, &by_id.collect()))
}

fn by_node(request: &Request, tasks: &Map<String, Value>) -> Value {
    let mut nodes = Map::new();
    if !tasks.is_empty() {
        let options = &request.app.options;
        let address = &options.publish_address;
        let host = address
            .rsplit_once(':')
            .map_or(address.as_str(), |(host, _)| host);
        let shown = json!({
            "name": options.node_name,
            "transport_address": address,
            "host": host,
            "ip": address,
            "roles": ROLES,
            "attributes": {},
            "tasks": tasks,
        });
        nodes.insert(node(request), shown);
    }
    json!({"nodes": nodes})
}

/// Returns how the dialect calls what begins a task: a client, or the part of it on another node.
pub(super) fn kind(task: &TaskInfo) -> &'static str {
    match task.action {
        LISTS_ON_NODE => "direct",
        _ => "transport",
    }
}

/// Returns what is kept of a task that has ended.
pub(super) fn record(task: &TaskInfo, node: &str, response: Result<Value, &RootError>) -> Bytes {
    let mut kept = json!({"completed": true, "task": shown(task, node, true)});
    if let Some(owner) = &task.owner {
        kept["owner"] = json!(owner);
    }
    match response {
        Ok(response) => kept["response"] = response,
        Err(error) => kept["error"] = ApiError::from(error).to_json(),
    }
    kept.to_string().into()
}

/// Returns one task.
pub(super) fn shown(task: &TaskInfo, node: &str, is_detailed: bool) -> Value {
    let mut headers = Map::new();
    if let Some(opaque_id) = &task.opaque_id {
        headers.insert("X-Opaque-Id".to_owned(), Value::from(opaque_id.as_str()));
    }
    let mut shown = json!({
        "node": node,
        "id": task.id,
        "type": kind(task),
        "action": task.action,
        "start_time_in_millis": task.started_ms,
        "running_time_in_nanos": task.running.as_nanos() as u64,
        "cancellable": task.is_cancellable,
        "headers": headers,
    });
    if task.is_cancellable {
        shown["cancelled"] = Value::from(task.is_cancelled);
    }
    if let Some(parent) = task.parent {
        shown["parent_task_id"] = Value::from(format!("{node}:{parent}"));
    }
    if let Some(done) = task.status.as_ref().filter(|_| is_detailed) {
        shown["status"] = status(done);
    }
    if is_detailed {
        shown["description"] = Value::from(task.description.as_str());
    }
    shown
}

#[cfg(test)]
mod tests;

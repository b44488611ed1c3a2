//! `_tasks`: the searches under way on this node, and their end on request.

use gleaner_model::mapping::matches_pattern;
use gleaner_root::tasks::TaskInfo;
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::nodes::ROLES;
use crate::error::ApiError;
use crate::request::Request;
use crate::response::Reply;
use crate::route::{Answer, Parameter, Route};

const LIST: &[Parameter] = &[
    Parameter::honoured("actions"),
    Parameter::honoured("nodes"),
    Parameter::honoured("parent_task_id"),
    Parameter::honoured("detailed"),
    Parameter::honoured("group_by"),
    Parameter::no_effect("timeout", "tasks are listed from memory"),
    Parameter::no_effect("master_timeout", "tasks are listed from memory"),
    Parameter::refused("wait_for_completion", "waiting for tasks"),
];
const ONE: &[Parameter] = &[
    Parameter::no_effect("timeout", "tasks are listed from memory"),
    Parameter::refused("wait_for_completion", "waiting for a task"),
];
const CANCEL: &[Parameter] = &[
    Parameter::honoured("actions"),
    Parameter::honoured("nodes"),
    Parameter::honoured("parent_task_id"),
    Parameter::no_effect(
        "wait_for_completion",
        "a task that is cancelled has ended by the time it is answered",
    ),
];

pub(super) static ROUTES: &[Route] = &[
    Route {
        name: "tasks.list",
        methods: &[Method::GET],
        paths: &["/_tasks"],
        parameters: &[LIST],
        handler: |request| Box::pin(async move { list(&request) }),
        is_refused: false,
    },
    Route {
        name: "tasks.get",
        methods: &[Method::GET],
        paths: &["/_tasks/{task}"],
        parameters: &[ONE],
        handler: |request| Box::pin(async move { get(&request) }),
        is_refused: false,
    },
    Route {
        name: "tasks.cancel",
        methods: &[Method::POST],
        paths: &["/_tasks/_cancel", "/_tasks/{task}/_cancel"],
        parameters: &[CANCEL],
        handler: |request| Box::pin(async move { cancel(&request) }),
        is_refused: false,
    },
];

fn list(request: &Request) -> Answer {
    let is_detailed = request.parameters.is_set("detailed")?;
    let tasks = named(request)?;
    let node = node(request);
    let shown = |task: &TaskInfo| shown(task, &node, is_detailed);
    let by_id = || -> Map<String, Value> {
        let pairs = tasks.iter().map(|task| (id(task, &node), shown(task)));
        pairs.collect()
    };
    let body = match request.parameters.get("group_by") {
        None | Some("nodes") => by_node(request, &by_id()),
        Some("parents") => json!({"tasks": by_id()}),
        Some("none") => json!({"tasks": tasks.iter().map(shown).collect::<Vec<_>>()}),
        Some(other) => {
            let reason =
                format!("[group_by] must be one of [nodes], [parents] or [none] but was [{other}]");
            return Err(ApiError::illegal(reason));
        }
    };
    Ok(Reply::json(&body))
}

fn get(request: &Request) -> Answer {
    let text = request.required_part("task")?;
    let number = number_of(request, text)?;
    let mut tasks = request.root().tasks().list_all().into_iter();
    let task = tasks.find(|task| Some(task.id) == number);
    let Some(task) = task else {
        let reason = format!("task [{text}] isn't running and hasn't stored its results");
        return Err(not_found(reason));
    };
    let task = shown(&task, &node(request), true);
    Ok(Reply::json(&json!({"completed": false, "task": task})))
}

fn cancel(request: &Request) -> Answer {
    let node = node(request);
    let cancelled: Vec<TaskInfo> = match request.part("task") {
        Some(text) => {
            let number = number_of(request, text)?;
            let task = number.and_then(|number| request.root().tasks().cancel(number));
            let missing = || not_found(format!("task [{text}] is not found"));
            vec![task.ok_or_else(missing)?]
        }
        None => named(request)?
            .iter()
            .filter_map(|task| request.root().tasks().cancel(task.id))
            .collect(),
    };
    let by_id = cancelled
        .iter()
        .map(|task| (id(task, &node), shown(task, &node, true)));
    Ok(Reply::json(&by_node(request, &by_id.collect())))
}

/// Returns the tasks that the parameters name.
fn named(request: &Request) -> Result<Vec<TaskInfo>, ApiError> {
    let parameters = &request.parameters;
    let (actions, nodes) = (parameters.list("actions"), parameters.list("nodes"));
    let (id, name) = (node(request), &request.app.options.node_name);
    let is_here = nodes.is_none_or(|nodes| {
        let mut words = nodes.iter();
        words.any(|word| {
            word == "_local" || matches_pattern(word, &id) || matches_pattern(word, name)
        })
    });
    // No task here was begun by another.
    let has_parent = match parameters.get("parent_task_id") {
        Some(parent) => number_of(request, parent).map(|_| true)?,
        None => false,
    };
    let is_named = |task: &TaskInfo| {
        let of_action = |pattern: &String| matches_pattern(pattern, task.action);
        actions
            .as_ref()
            .is_none_or(|patterns| patterns.iter().any(of_action))
    };
    let mut tasks = request.root().tasks().list_all();
    tasks.retain(|task| is_here && !has_parent && is_named(task));
    Ok(tasks)
}

fn node(request: &Request) -> String {
    request.root().cluster().options().node.to_string()
}

fn id(task: &TaskInfo, node: &str) -> String {
    format!("{node}:{}", task.id)
}

/// Reads an id, `node:number`; `None` when it is of another node.
fn number_of(request: &Request, text: &str) -> Result<Option<u64>, ApiError> {
    let malformed = || ApiError::illegal(format!("malformed task id {text}"));
    let (node, number) = text.rsplit_once(':').ok_or_else(malformed)?;
    let number: u64 = number.parse().map_err(|_| malformed())?;
    Ok((*node == *request.root().cluster().options().node.0).then_some(number))
}

fn not_found(reason: String) -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "resource_not_found_exception",
        reason,
    )
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
            "tasks": tasks,
        });
        nodes.insert(node(request), shown);
    }
    json!({"nodes": nodes})
}

fn shown(task: &TaskInfo, node: &str, is_detailed: bool) -> Value {
    let mut headers = Map::new();
    if let Some(opaque_id) = &task.opaque_id {
        headers.insert("X-Opaque-Id".to_owned(), Value::from(opaque_id.as_str()));
    }
    let mut shown = json!({
        "node": node,
        "id": task.id,
        "type": "transport",
        "action": task.action,
        "start_time_in_millis": task.started_ms,
        "running_time_in_nanos": task.running.as_nanos() as u64,
        "cancellable": true,
        "cancelled": task.is_cancelled,
        "headers": headers,
    });
    if is_detailed {
        shown["description"] = Value::from(task.description.as_str());
    }
    shown
}

#[cfg(test)]
mod tests;

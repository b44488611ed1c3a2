//! `_ilm`: policies of what becomes of indices as they age, where indices stand, and whether policies are carried out.

mod explain;
mod steps;

use gleaner_model::mapping::matches_pattern;
use gleaner_model::{ClusterState, LifecyclePolicy, PolicyScope};
use gleaner_query::lifecycle::{parse_policy, read_policy};
use gleaner_root::lifecycle::policy_name;
use http::Method;
use serde_json::{Map, Value, json};

use super::index::acknowledged;
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::parameters::groups::METADATA;
use crate::render::units::date_text;
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::{Parameter, Route};

use explain::explain;

const POLICY: &[&str] = &["/_ilm/policy/{name}"];

const EXPLAIN: &[Parameter] = &[
    Parameter::honoured("only_managed"),
    Parameter::honoured("only_errors"),
];

pub(super) static ENDPOINTS: &[Endpoint] = &[
    Route {
        name: "ilm.put_lifecycle",
        methods: &[Method::PUT],
        paths: POLICY,
        parameters: &[METADATA],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(put(request))),
    Route {
        name: "ilm.get_lifecycle",
        methods: &[Method::GET],
        paths: &["/_ilm/policy", "/_ilm/policy/{name}"],
        parameters: &[METADATA],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { get(&request) })),
    Route {
        name: "ilm.delete_lifecycle",
        methods: &[Method::DELETE],
        paths: POLICY,
        parameters: &[METADATA],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(delete(request))),
    Route {
        name: "ilm.explain_lifecycle",
        methods: &[Method::GET],
        paths: &["/{index}/_ilm/explain"],
        parameters: &[EXPLAIN, crate::parameters::groups::INDICES, METADATA],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { explain(&request) })),
    Route {
        name: "ilm.get_status",
        methods: &[Method::GET],
        paths: &["/_ilm/status"],
        parameters: &[METADATA],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { Ok(status(&request)) })),
    Route {
        name: "ilm.start",
        methods: &[Method::POST],
        paths: &["/_ilm/start"],
        parameters: &[METADATA],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(set_stopped(request, Mode::Running))),
    Route {
        name: "ilm.stop",
        methods: &[Method::POST],
        paths: &["/_ilm/stop"],
        parameters: &[METADATA],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(set_stopped(request, Mode::Stopped))),
];

/// Routes by which people take steps.
pub(super) use steps::ENDPOINTS as STEP_ENDPOINTS;

/// Whether policies are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Running,
    Stopped,
}

async fn put(mut request: Request) -> Answer {
    let body = request.json().await?.unwrap_or(Value::Null);
    let name = request.required_part("name")?;
    let declared = parse_policy(name, &body)?;
    let without_effect = read_policy(&declared)?.without_effect();
    // In a cluster without keys everybody may do everything.
    let author = request.sender.principal.holder();
    let scope = author.and_then(|author| PolicyScope::of(&author.key.rights));
    let admin = request.root().admin();
    admin.put_policy(name, &declared, scope.as_ref()).await?;
    let warnings: Vec<String> = match without_effect.is_empty() {
        true => Vec::new(),
        false => vec![format!(
            "policy [{name}] has actions that are kept and have no effect: [{}]",
            without_effect.join(", ")
        )],
    };
    Ok(acknowledged().warning(&warnings))
}

fn get(request: &Request) -> Answer {
    let state = request.root().cluster().state();
    let wanted = request.part("name").unwrap_or("*");
    let wanted: Vec<&str> = wanted.split(',').map(str::trim).collect();
    let policies = &state.lifecycles.policies;
    let is_missing = |name: &&&str| !name.contains('*') && !policies.contains_key(**name);
    if let Some(name) = wanted.iter().find(is_missing) {
        return Err(missing(name));
    }
    let mut shown = Map::new();
    for (name, policy) in policies {
        if wanted.iter().any(|pattern| matches_pattern(pattern, name)) {
            shown.insert(name.clone(), shown_policy(name, policy, &state));
        }
    }
    Ok(Reply::json(&shown))
}

fn missing(name: &str) -> ApiError {
    let reason = format!("Lifecycle policy not found: {name}");
    ApiError::from(gleaner_root::RootError::ResourceNotFound {
        kind: "resource_not_found_exception",
        reason,
    })
}

fn shown_policy(name: &str, policy: &LifecyclePolicy, state: &ClusterState) -> Value {
    let named = |settings: &Map<String, Value>| {
        let of = settings.get("index.lifecycle.name").and_then(Value::as_str);
        of == Some(name)
    };
    let indices = state.indices.values();
    let indices = indices.filter(|index| policy_name(index) == Some(name));
    let streams = state.data_streams.iter().filter(|(_, stream)| {
        let mut indices = stream
            .indices
            .iter()
            .filter_map(|uuid| state.indices.get(uuid));
        indices.any(|index| policy_name(index) == Some(name))
    });
    let templates = state.templates.index.iter().filter(|(_, template)| {
        let content = template.template.as_ref();
        content
            .and_then(|content| content.settings.as_ref())
            .is_some_and(named)
    });
    json!({
        "version": policy.version,
        "modified_date": date_text(policy.modified_ms),
        "policy": policy.declared,
        "in_use_by": {
            "indices": indices.map(|index| index.name.as_str()).collect::<Vec<_>>(),
            "data_streams": streams.map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
            "composable_templates": templates.map(|(name, _)| name).collect::<Vec<_>>(),
        },
    })
}

async fn delete(request: Request) -> Answer {
    let name = request.required_part("name")?;
    request.root().admin().delete_policy(name).await?;
    Ok(acknowledged())
}

fn status(request: &Request) -> Reply {
    let state = request.root().cluster().state();
    let mode = match state.lifecycles.is_stopped {
        true => "STOPPED",
        false => "RUNNING",
    };
    Reply::json(&json!({"operation_mode": mode}))
}

async fn set_stopped(request: Request, mode: Mode) -> Answer {
    let admin = request.root().admin();
    admin.set_lifecycles_stopped(mode == Mode::Stopped).await?;
    Ok(acknowledged())
}

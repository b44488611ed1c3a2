//! `_refresh`, `_flush`, `_forcemerge`, `_cache/clear`.

use std::sync::Arc;

use bytes::Bytes;
use gleaner_model::ClusterState;
use gleaner_root::force_merge::{ForceMerge, Merged};
use gleaner_root::tasks::TaskInfo;
use gleaner_root::visibility::CopyOutcome;
use http::Method;
use serde_json::{Value, json};

use super::tasks;
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::parameters::groups::INDICES;
use crate::render::shards;
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::{Parameter, Route};

const FLUSH: &[Parameter] = &[
    Parameter::no_effect("force", "a flush always makes a durable commit"),
    Parameter::no_effect("wait_if_ongoing", "a flush waits for the one before"),
];
const FORCE_MERGE: &[Parameter] = &[
    Parameter::honoured("max_num_segments"),
    Parameter::honoured("flush"),
    Parameter::honoured("wait_for_completion"),
    Parameter::no_effect(
        "only_expunge_deletes",
        "merging always leaves out deleted documents",
    ),
    Parameter::honoured("primary_only"),
];
const CLEAR: &[Parameter] = &[
    Parameter::no_effect("fielddata", "caches are bounded and clear themselves"),
    Parameter::no_effect("fields", "caches are bounded and clear themselves"),
    Parameter::no_effect("query", "caches are bounded and clear themselves"),
    Parameter::no_effect("request", "caches are bounded and clear themselves"),
    Parameter::no_effect("index", "caches are bounded and clear themselves"),
];

pub(super) static ENDPOINTS: &[Endpoint] = &[
    Route {
        name: "indices.refresh",
        methods: &[Method::POST, Method::GET],
        paths: &["/_refresh", "/{index}/_refresh"],
        parameters: &[INDICES],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(refresh(request))),
    Route {
        name: "indices.flush",
        methods: &[Method::POST, Method::GET],
        paths: &["/_flush", "/{index}/_flush"],
        parameters: &[FLUSH, INDICES],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(flush(request))),
    Route {
        name: "indices.forcemerge",
        methods: &[Method::POST],
        paths: &["/_forcemerge", "/{index}/_forcemerge"],
        parameters: &[FORCE_MERGE, INDICES],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(force_merge(request))),
    Route {
        name: "indices.clear_cache",
        methods: &[Method::POST],
        paths: &["/_cache/clear", "/{index}/_cache/clear"],
        parameters: &[CLEAR, INDICES],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(clear_cache(request))),
];

fn answered(request: &Request, outcomes: &[CopyOutcome]) -> Reply {
    Reply::json(&summary(outcomes, &request.root().cluster().state()))
}

fn summary(outcomes: &[CopyOutcome], state: &ClusterState) -> Value {
    json!({"_shards": shards::of_operation(outcomes, state)})
}

async fn refresh(request: Request) -> Answer {
    let outcomes = request
        .root()
        .refresher()
        .refresh(&request.target()?)
        .await?;
    Ok(answered(&request, &outcomes))
}

async fn flush(request: Request) -> Answer {
    let waits = request.parameters.flag("wait_if_ongoing")?.unwrap_or(true);
    if request.parameters.is_set("force")? && !waits {
        let reason = "wait_if_ongoing must be true for a force flush".to_owned();
        return Err(ApiError::validation(&[reason]));
    }
    let outcomes = request.root().reader().flush(&request.target()?).await?;
    Ok(answered(&request, &outcomes))
}

/// Segments per shard that a merge without a number leaves at most.
const DEFAULT_SEGMENTS: usize = 1;

async fn force_merge(request: Request) -> Answer {
    let segments: Option<i64> = request.parameters.number("max_num_segments")?;
    let segments = match segments {
        None | Some(-1) => DEFAULT_SEGMENTS,
        Some(number) => usize::try_from(number)
            .ok()
            .filter(|number| *number > 0)
            .ok_or_else(|| {
                ApiError::illegal(format!("max_num_segments must be positive, got [{number}]"))
            })?,
    };
    let merge = ForceMerge {
        target: request.target()?,
        max_segments: segments,
        only_primaries: request.parameters.is_set("primary_only")?,
        is_flushed: request.parameters.flag("flush")?.unwrap_or(true),
    };
    if request.parameters.flag("wait_for_completion")? == Some(false) {
        return begin_merge(&request, merge);
    }
    let outcomes = request.root().force_merge(&merge).await?;
    Ok(answered(&request, &outcomes))
}

/// Begins a merge as a task, and answers with its id.
fn begin_merge(request: &Request, merge: ForceMerge) -> Answer {
    let node = tasks::node(request);
    let (app, of_node) = (Arc::clone(&request.app), node.clone());
    let render = move |task: &TaskInfo, merged: &Merged| {
        let state = app.root.cluster().state();
        let response = merged.as_ref();
        let response = response.map(|outcomes| summary(outcomes, &state));
        tasks::record(task, &of_node, response)
    };
    let origin = request.origin(&Bytes::new());
    let root = &request.app.root;
    let id = root.begin_force_merge(merge, &origin, Box::new(render))?;
    Ok(Reply::json(&json!({"task": format!("{node}:{id}")})))
}

/// There is nothing to clear by hand; the names are still checked.
async fn clear_cache(request: Request) -> Answer {
    let target = request.target()?;
    let expression = target.expression.as_deref().unwrap_or_default();
    let state = request.root().cluster().state();
    let found = gleaner_query::names::resolve(expression, &state, &target.options)?;
    let outcomes: Vec<_> = found
        .iter()
        .flat_map(|found| found.meta.shards())
        .map(|shard| CopyOutcome {
            shard,
            node: None,
            outcome: Ok(()),
        })
        .collect();
    Ok(answered(&request, &outcomes))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::testing::{create, sent, speaking};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_merge_that_is_not_waited_for_is_a_task() {
        let dialect = speaking();
        create(&dialect, "books", &json!({})).await;
        let merge = ("POST", "/books/_forcemerge?wait_for_completion=false");
        let (status, answer) = sent(&dialect, merge, &Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let id = answer["task"].as_str().unwrap_or_default();
        assert!(id.starts_with("root:"), "{answer}");
        let merge = (
            "POST",
            "/books/_forcemerge?wait_for_completion=false&flush=x",
        );
        let (status, _) = sent(&dialect, merge, &Value::Null).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }
}

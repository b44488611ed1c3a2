//! `_refresh`, `_flush`, `_forcemerge`, `_cache/clear`.

use gleaner_root::visibility::CopyOutcome;
use http::Method;
use serde_json::json;

use crate::error::ApiError;
use crate::parameters::groups::INDICES;
use crate::render::shards;
use crate::request::Request;
use crate::response::Reply;
use crate::route::{Answer, Parameter, Route};

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
    Parameter::no_effect("primary_only", "copies follow by themselves"),
];
const CLEAR: &[Parameter] = &[
    Parameter::no_effect("fielddata", "caches are bounded and clear themselves"),
    Parameter::no_effect("fields", "caches are bounded and clear themselves"),
    Parameter::no_effect("query", "caches are bounded and clear themselves"),
    Parameter::no_effect("request", "caches are bounded and clear themselves"),
    Parameter::no_effect("index", "caches are bounded and clear themselves"),
];

pub(super) static ROUTES: &[Route] = &[
    Route {
        name: "indices.refresh",
        methods: &[Method::POST, Method::GET],
        paths: &["/_refresh", "/{index}/_refresh"],
        parameters: &[INDICES],
        handler: |request| Box::pin(refresh(request)),
        is_refused: false,
    },
    Route {
        name: "indices.flush",
        methods: &[Method::POST, Method::GET],
        paths: &["/_flush", "/{index}/_flush"],
        parameters: &[FLUSH, INDICES],
        handler: |request| Box::pin(flush(request)),
        is_refused: false,
    },
    Route {
        name: "indices.forcemerge",
        methods: &[Method::POST],
        paths: &["/_forcemerge", "/{index}/_forcemerge"],
        parameters: &[FORCE_MERGE, INDICES],
        handler: |request| Box::pin(force_merge(request)),
        is_refused: false,
    },
    Route {
        name: "indices.clear_cache",
        methods: &[Method::POST],
        paths: &["/_cache/clear", "/{index}/_cache/clear"],
        parameters: &[CLEAR, INDICES],
        handler: |request| Box::pin(clear_cache(request)),
        is_refused: false,
    },
];

fn answered(request: &Request, outcomes: &[CopyOutcome]) -> Reply {
    let state = request.root().cluster().state();
    Reply::json(&json!({"_shards": shards::of_operation(outcomes, &state)}))
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
    if request.parameters.flag("wait_for_completion")? == Some(false) {
        return Err(ApiError::unsupported("wait_for_completion=false (tasks)"));
    }
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
    let target = request.target()?;
    let outcomes = request
        .root()
        .reader()
        .force_merge(&target, segments)
        .await?;
    if request.parameters.flag("flush")?.unwrap_or(true) {
        request.root().reader().flush(&target).await?;
    }
    Ok(answered(&request, &outcomes))
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

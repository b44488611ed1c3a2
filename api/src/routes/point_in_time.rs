//! Points in time: `_pit` as Elasticsearch has it, `_search/point_in_time` as OpenSearch has it.

use std::time::Duration;

use gleaner_query::dsl::Query;
use gleaner_query::json::ObjectReader;
use gleaner_query::names::{self, ResolvedIndex};
use gleaner_root::plan::Target;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::index_filter;
use crate::contexts::{ContextId, ContextKind};
use crate::error::ApiError;
use crate::parameters::groups::{COPIES, INDICES, ONE_ROUND};
use crate::request::Request;
use crate::response::Reply;
use crate::route::{Answer, Parameter, Route};
use crate::service::App;

const OPEN: &[Parameter] = &[
    Parameter::honoured("keep_alive"),
    Parameter::no_effect("allow_partial_pit_creation", "a point in time is whole"),
    Parameter::no_effect("allow_partial_search_results", "a point in time is whole"),
    Parameter::no_effect("max_concurrent_shard_requests", ONE_ROUND),
];

pub(super) static ROUTES: &[Route] = &[
    Route {
        name: "open_point_in_time",
        methods: &[Method::POST],
        paths: &["/{index}/_pit"],
        parameters: &[OPEN, COPIES, INDICES],
        handler: |request| Box::pin(open(request)),
        is_refused: false,
    },
    Route {
        name: "close_point_in_time",
        methods: &[Method::DELETE],
        paths: &["/_pit"],
        parameters: &[],
        handler: |request| Box::pin(close(request)),
        is_refused: false,
    },
    Route {
        name: "create_pit",
        methods: &[Method::POST],
        paths: &["/{index}/_search/point_in_time"],
        parameters: &[OPEN, COPIES, INDICES],
        handler: |request| Box::pin(create(request)),
        is_refused: false,
    },
    Route {
        name: "delete_pit",
        methods: &[Method::DELETE],
        paths: &["/_search/point_in_time"],
        parameters: &[],
        handler: |request| Box::pin(delete(request)),
        is_refused: false,
    },
    Route {
        name: "delete_all_pits",
        methods: &[Method::DELETE],
        paths: &["/_search/point_in_time/_all"],
        parameters: &[],
        handler: |request| Box::pin(delete_all(request)),
        is_refused: false,
    },
    Route {
        name: "get_all_pits",
        methods: &[Method::GET],
        paths: &["/_search/point_in_time/_all"],
        parameters: &[],
        handler: |request| Box::pin(async move { Ok(list(&request)) }),
        is_refused: false,
    },
];

/// A point in time that was opened.
struct OpenedPointInTime {
    id: String,
    created_ms: i64,
    shards: Value,
}

async fn opened(request: &Request, target: &Target) -> Result<OpenedPointInTime, ApiError> {
    let missing = || ApiError::validation(&["[keep_alive] is not specified".to_owned()]);
    let keep_alive: Duration = request.parameters.time("keep_alive")?.ok_or_else(missing)?;
    let id = request
        .root()
        .contexts()
        .open_pit(target, keep_alive)
        .await?;
    let created_ms = request.root().cluster().now_ms();
    let contexts = &request.app.contexts;
    contexts.add(ContextKind::PointInTime, ContextId::of(&id), created_ms);
    Ok(OpenedPointInTime {
        id: request.sealed(id),
        created_ms,
        shards: shards(request, target)?,
    })
}

/// A point in time that is open covers all its shards.
fn shards(request: &Request, target: &Target) -> Result<Value, ApiError> {
    let expression = target.expression.as_deref().unwrap_or_default();
    let found = names::resolve(
        expression,
        &request.root().cluster().state(),
        &target.options,
    )?;
    let total: u32 = found
        .iter()
        .map(|found| found.meta.settings.number_of_shards)
        .sum();
    Ok(json!({"total": total, "successful": total, "skipped": 0, "failed": 0}))
}

async fn open(mut request: Request) -> Answer {
    let body = request.json().await?;
    let mut target = request.target()?;
    if let Some(filter) = filter_of(&request, body.as_ref())? {
        narrow(&request, &mut target, &filter).await?;
    }
    let OpenedPointInTime { id, shards, .. } = opened(&request, &target).await?;
    Ok(Reply::json(&json!({"id": id, "_shards": shards})))
}

fn filter_of(request: &Request, body: Option<&Value>) -> Result<Option<Query>, ApiError> {
    let Some(body) = body.filter(|body| !body.is_null()) else {
        return Ok(None);
    };
    let mut reader = ObjectReader::part("open_point_in_time", body)?;
    let filter = index_filter::take(&mut reader, request)?;
    reader.finish()?;
    Ok(filter)
}

/// Leaves out the indices that hold no document which `filter` matches; one is kept in any case. All are kept where one
/// was reached through an alias with a filter or routing: its name says more than the index's.
async fn narrow(request: &Request, target: &mut Target, filter: &Query) -> Result<(), ApiError> {
    let expression = target.expression.as_deref().unwrap_or_default();
    let state = request.root().cluster().state();
    let resolved = names::resolve(expression, &state, &target.options)?;
    let is_plain =
        |found: &ResolvedIndex| found.filters.is_empty() && found.search_routing.is_none();
    let Some(first) = resolved.first().filter(|_| resolved.iter().all(is_plain)) else {
        return Ok(());
    };
    let first = first.meta.name.to_string();
    let kept = index_filter::matching(request, resolved, filter).await?;
    let names: Vec<&str> = kept.iter().map(|found| found.meta.name.as_str()).collect();
    target.expression = Some(match names.is_empty() {
        true => first,
        false => names.join(","),
    });
    Ok(())
}

async fn create(request: Request) -> Answer {
    let OpenedPointInTime {
        id,
        created_ms,
        shards,
    } = opened(&request, &request.target()?).await?;
    Ok(Reply::json(
        &json!({"pit_id": id, "_shards": shards, "creation_time": created_ms}),
    ))
}

async fn close(mut request: Request) -> Answer {
    let body = request.required_json().await?;
    let mut reader = ObjectReader::part("close_point_in_time", &body)?;
    let id = reader.text("id")?;
    reader.finish()?;
    let id = id.ok_or_else(|| ApiError::validation(&["[id] is not specified".to_owned()]))?;
    let ids = [request.unsealed(&id)?];
    let is_freed = request.root().contexts().close_pits(&ids).await?;
    forget(&request.app, &ids);
    let num_freed = is_freed.iter().filter(|freed| **freed).count();
    let status = if num_freed > 0 {
        StatusCode::OK
    } else {
        StatusCode::NOT_FOUND
    };
    Ok(Reply::with_status(
        status,
        &json!({"succeeded": num_freed > 0, "num_freed": num_freed}),
    ))
}

async fn delete(mut request: Request) -> Answer {
    let body = request.required_json().await?;
    let mut reader = ObjectReader::part("delete_pit", &body)?;
    let ids = reader.texts("pit_id")?.unwrap_or_default();
    reader.finish()?;
    if ids.is_empty() {
        return Err(ApiError::validation(&["no pit ids specified".to_owned()]));
    }
    let unsealed = ids.iter().map(|id| request.unsealed(id));
    let unsealed = unsealed.collect::<Result<_, _>>()?;
    end(&request, unsealed, ids).await
}

async fn delete_all(request: Request) -> Answer {
    let opened = request.app.contexts.all(ContextKind::PointInTime);
    let ids: Vec<String> = opened.into_iter().map(|known| known.newest).collect();
    end(&request, ids.clone(), ids).await
}

/// Ends points in time; `named` are their ids as the client has them.
async fn end(request: &Request, ids: Vec<String>, named: Vec<String>) -> Answer {
    let is_freed = request.root().contexts().close_pits(&ids).await?;
    forget(&request.app, &ids);
    let pits = named
        .iter()
        .zip(is_freed)
        .map(|(id, freed)| json!({"pit_id": id, "successful": freed}));
    Ok(Reply::json(&json!({"pits": pits.collect::<Vec<_>>()})))
}

fn forget(app: &App, ids: &[String]) {
    app.contexts.forget(ids.iter().map(|id| ContextId::of(id)));
}

fn list(request: &Request) -> Reply {
    let opened = request.app.contexts.all(ContextKind::PointInTime);
    let pits = opened.into_iter().map(|known| {
        json!({
            "pit_id": known.first,
            "creation_time": known.created_ms,
            "keep_alive": known.keep_alive.as_millis() as u64,
        })
    });
    Reply::json(&json!({"pits": pits.collect::<Vec<_>>()}))
}

//! Points in time: `_pit` as Elasticsearch has it, `_search/point_in_time` as OpenSearch has it.

use std::time::Duration;

use gleaner_query::dsl::Query;
use gleaner_query::json::ObjectReader;
use gleaner_query::names::ResolvedIndex;
use gleaner_root::plan::Target;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::index_filter;
use crate::contexts::{ContextId, ContextKind};
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::parameters::groups::{COPIES, INDICES, ONE_ROUND};
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::{Parameter, Route};
use crate::service::App;

const OPEN: &[Parameter] = &[
    Parameter::honoured("keep_alive"),
    Parameter::no_effect("allow_partial_pit_creation", "a point in time is whole"),
    Parameter::no_effect("allow_partial_search_results", "a point in time is whole"),
    Parameter::no_effect("max_concurrent_shard_requests", ONE_ROUND),
];

pub(super) static ENDPOINTS: &[Endpoint] = &[
    Route {
        name: "open_point_in_time",
        methods: &[Method::POST],
        paths: &["/{index}/_pit"],
        parameters: &[OPEN, COPIES, INDICES],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(open(request))),
    Route {
        name: "close_point_in_time",
        methods: &[Method::DELETE],
        paths: &["/_pit"],
        parameters: &[],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(close(request))),
    Route {
        name: "create_pit",
        methods: &[Method::POST],
        paths: &["/{index}/_search/point_in_time"],
        parameters: &[OPEN, COPIES, INDICES],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(create(request))),
    Route {
        name: "delete_pit",
        methods: &[Method::DELETE],
        paths: &["/_search/point_in_time"],
        parameters: &[],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(delete(request))),
    Route {
        name: "delete_all_pits",
        methods: &[Method::DELETE],
        paths: &["/_search/point_in_time/_all"],
        parameters: &[],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(delete_all(request))),
    Route {
        name: "get_all_pits",
        methods: &[Method::GET],
        paths: &["/_search/point_in_time/_all"],
        parameters: &[],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { Ok(list(&request)) })),
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
    // Before it is opened: what fails afterwards leaves a point in time open whose id nobody has.
    let shards = shards(request, target)?;
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
        shards,
    })
}

/// A point in time that is open covers all its shards.
fn shards(request: &Request, target: &Target) -> Result<Value, ApiError> {
    let searched = request.root().planner().searched(target)?;
    let total: usize = searched.iter().map(|index| index.shards.len()).sum();
    Ok(json!({"total": total, "successful": total, "skipped": 0, "failed": 0}))
}

async fn open(mut request: Request) -> Answer {
    let body = request.json().await?;
    let mut target = request.target()?;
    if let Some(filter) = filter_of(&request, body.as_ref())? {
        narrow(&request, &mut target, filter).await?;
    }
    let OpenedPointInTime { id, shards, .. } = opened(&request, &target).await?;
    Ok(Reply::json(&json!({"id": id, "_shards": shards})))
}

fn filter_of(request: &Request, body: Option<&Value>) -> Result<Option<Query>, ApiError> {
    let Some(body) = body else {
        return Ok(None);
    };
    let mut reader = ObjectReader::part("open_point_in_time", body)?;
    let filter = index_filter::take(&mut reader, request)?;
    reader.finish()?;
    Ok(filter)
}

/// Leaves out the indices that hold no document which `filter` matches; one is kept in any case. All are kept where one of
/// those to keep was reached through an alias with a filter or routing: by the index's own name the point in time would
/// show what the alias does not. The same where such an alias came while the filter was asked.
async fn narrow(request: &Request, target: &mut Target, filter: Query) -> Result<(), ApiError> {
    let searched = request.root().planner().searched(target)?;
    let resolved: Vec<ResolvedIndex> = searched.into_iter().map(|index| index.found).collect();
    let first = resolved.first().cloned();
    let mut kept = index_filter::matching(request, target, resolved, filter).await?;
    if kept.is_empty() {
        kept.extend(first);
    }
    if kept.is_empty() || !kept.iter().all(is_whole) {
        return Ok(());
    }
    let names: Vec<&str> = kept.iter().map(|found| found.meta.name.as_str()).collect();
    let names = names.join(",");
    // What the request names may reach them in another way by now, but for those that are deleted. From here on nothing is
    // awaited.
    let state = request.root().cluster().state();
    kept.retain(|found| state.indices.contains_key(&found.meta.uuid));
    let mut named = target.clone();
    named.options.ignore_unavailable = true;
    let Ok(searched) = request.root().planner().searched(&named) else {
        return Ok(());
    };
    let reached: Vec<ResolvedIndex> = searched.into_iter().map(|index| index.found).collect();
    if !are_reached_whole(&kept, &reached) {
        return Ok(());
    }
    target.expression = Some(names);
    // They were there when the request named them. One that is deleted from now on is left out.
    target.options.ignore_unavailable = true;
    Ok(())
}

/// Does an expression show all of an index?
fn is_whole(found: &ResolvedIndex) -> bool {
    found.filters.is_empty() && found.search_routing.is_none()
}

/// Is each index of `kept` among those `reached`, and shown whole there?
fn are_reached_whole(kept: &[ResolvedIndex], reached: &[ResolvedIndex]) -> bool {
    kept.iter().all(|index| {
        let mut all = reached.iter();
        let found = all.find(|found| found.meta.uuid == index.meta.uuid);
        found.is_some_and(is_whole)
    })
}

/// As OpenSearch has it: the request takes no body.
async fn create(mut request: Request) -> Answer {
    let body = request.bytes().await?;
    if !body.trim_ascii().is_empty() {
        return Err(ApiError::illegal(format!(
            "request [POST {}] does not support having a body",
            request.path()
        )));
    }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gleaner_model::{IndexMeta, IndexName, IndexUuid};

    use super::*;

    fn reached(number: u8) -> ResolvedIndex {
        let name = IndexName::parse(&format!("books-{number}")).expect("a good name");
        ResolvedIndex {
            meta: Arc::new(IndexMeta::new(IndexUuid([number; 16]), name)),
            filters: Vec::new(),
            search_routing: None,
            aliases: Vec::new(),
        }
    }

    #[test]
    fn indices_are_kept_by_name_only_while_the_expression_shows_them_whole() {
        let kept = [reached(1), reached(2)];
        let all = [reached(3), reached(2), reached(1)];
        assert!(are_reached_whole(&kept, &all));
        assert!(!are_reached_whole(&kept, &all[..2]), "one is gone");
        let filtered = ResolvedIndex {
            filters: vec![json!({"term": {"user": "kim"}})],
            ..reached(1)
        };
        assert!(!are_reached_whole(&kept, &[filtered.clone(), reached(2)]));
        let routed = ResolvedIndex {
            search_routing: Some("kim".to_owned()),
            ..reached(2)
        };
        assert!(!are_reached_whole(&kept, &[reached(1), routed]));
        assert!(are_reached_whole(&kept[1..], &[filtered, reached(2)]));
    }
}

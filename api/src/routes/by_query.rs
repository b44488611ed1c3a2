//! `_delete_by_query`, `_update_by_query`, `_reindex`: tasks that are waited for or looked after by their ids.

mod answer;
mod asked;
mod reindex;
mod remote;

use bytes::Bytes;
use gleaner_model::IndexPrivilege;
use gleaner_query::names::ResolveOptions;
use gleaner_query::search::SearchRequest;
use gleaner_root::by_query::{ByQueryRequest, Change, DocumentSource, Outcome, RenderResult};
use gleaner_root::tasks::TaskInfo;
use http::Method;
use serde_json::{Value, json};

use super::document::made_by_deprecated;
use super::tasks;
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::parameters::groups::{ACTIVE_SHARDS, COPIES, INDICES, URI_QUERY};
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::{Parameter, Route};
use crate::security::Action;

pub(super) use answer::status;
use asked::Common;

const NOT_SHOWN: &str = "no document is shown";

/// What all three take.
const TASK: &[Parameter] = &[
    Parameter::honoured("max_docs"),
    Parameter::honoured("scroll"),
    Parameter::honoured("refresh"),
    Parameter::honoured("requests_per_second"),
    Parameter::honoured("slices"),
    Parameter::honoured("timeout"),
    Parameter::honoured("wait_for_completion"),
];

/// Searches in the URI.
const SEARCH: &[Parameter] = &[
    Parameter::honoured("conflicts"),
    Parameter::honoured("size"),
    Parameter::honoured("scroll_size"),
    Parameter::honoured("search_timeout"),
    Parameter::honoured("sort"),
    Parameter::honoured("terminate_after"),
    Parameter::refused("pipeline", "an ingest pipeline"),
    Parameter::no_effect("search_type", "scores do not matter"),
    Parameter::no_effect("request_cache", "there is no request cache"),
    Parameter::no_effect("from", "all matches are taken"),
    Parameter::no_effect("stats", "searches are not counted by group"),
    Parameter::no_effect("version", "conflicts are found by seq_no"),
    Parameter::no_effect("version_type", "conflicts are found by seq_no"),
    Parameter::no_effect("_source", NOT_SHOWN),
    Parameter::no_effect("_source_includes", NOT_SHOWN),
    Parameter::no_effect("_source_excludes", NOT_SHOWN),
];

const REINDEX: &[Parameter] = &[Parameter::honoured("require_alias")];

const RETHROTTLE: &[Parameter] = &[Parameter::honoured("requests_per_second")];

pub(super) static ENDPOINTS: &[Endpoint] = &[
    Route {
        name: "delete_by_query",
        methods: &[Method::POST],
        paths: &["/{index}/_delete_by_query"],
        parameters: &[TASK, SEARCH, URI_QUERY, COPIES, INDICES, ACTIVE_SHARDS],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(delete(request))),
    Route {
        name: "update_by_query",
        methods: &[Method::POST],
        paths: &["/{index}/_update_by_query"],
        parameters: &[TASK, SEARCH, URI_QUERY, COPIES, INDICES, ACTIVE_SHARDS],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(update(request))),
    Route {
        name: "reindex",
        methods: &[Method::POST],
        paths: &["/_reindex"],
        parameters: &[TASK, REINDEX, ACTIVE_SHARDS],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(reindex::reindex(request))),
    Route {
        name: "rethrottle",
        methods: &[Method::POST],
        paths: &[
            "/_delete_by_query/{task}/_rethrottle",
            "/_update_by_query/{task}/_rethrottle",
            "/_reindex/{task}/_rethrottle",
        ],
        parameters: &[RETHROTTLE],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { rethrottle(&request) })),
];

/// What finding documents needs.
const READ: Action = Action {
    name: "indices:data/read/search",
    privilege: IndexPrivilege::Read,
    ignores_filters: false,
};

async fn delete(mut request: Request) -> Answer {
    let body = request.json().await?;
    let mut asked = by_query(&request, body, Change::Delete)?;
    if asked.search.query.is_none() {
        return Err(ApiError::validation(&["query is missing".to_owned()]));
    }
    look_up(&request, &mut asked).await?;
    carry_out(&request, asked).await
}

async fn update(mut request: Request) -> Answer {
    let body = request.json().await?;
    let mut asked = by_query(&request, body, Change::Update)?;
    look_up(&request, &mut asked).await?;
    carry_out(&request, asked).await
}

/// Reads the documents that a task's query names, once: all pages find by what they say now.
async fn look_up(request: &Request, asked: &mut ByQueryRequest) -> Result<(), ApiError> {
    if let DocumentSource::Here(target) = &asked.source {
        asked.held = request.look_up(&mut asked.search, target).await?;
    }
    Ok(())
}

/// Reads a delete or an update by query.
fn by_query(
    request: &Request,
    body: Option<Value>,
    change: Change,
) -> Result<ByQueryRequest, ApiError> {
    let limits = request.root().cluster().limits();
    let (mut common, search) = asked::of_body(&request.parameters, body, &limits)?;
    asked::check_search(&search, &common, Vec::new())?;
    let mut target = request.target_with(ResolveOptions::default())?;
    // The route's right is to write; what the query finds must be allowed to be read too.
    let names = target.expression.as_deref();
    target.expression = request.narrowed_for(&READ, names, &target.options)?;
    let name = target.expression.as_deref().unwrap_or("_all");
    let description = match change {
        Change::Delete => format!("delete-by-query [{name}]"),
        _ => format!("update-by-query [{name}]"),
    };
    if let Some(size) = request.parameters.number("scroll_size")? {
        common.page_size = size;
    }
    made(
        &common,
        change,
        DocumentSource::Here(target),
        search,
        description,
    )
}

/// Puts a request together.
fn made(
    common: &Common,
    change: Change,
    source: DocumentSource,
    search: SearchRequest,
    description: String,
) -> Result<ByQueryRequest, ApiError> {
    if common.page_size == 0 {
        return Err(ApiError::illegal("[scroll_size] must be greater than 0"));
    }
    Ok(ByQueryRequest {
        change,
        source,
        search,
        description,
        page_size: common.page_size,
        max_docs: common.max_docs,
        is_proceeding_on_conflicts: common.is_proceeding,
        is_refreshed: common.is_refreshed,
        requests_per_second: common.requests_per_second,
        keep_alive: common.keep_alive,
        write_timeout: common.write_timeout,
        active_shards: common.active_shards,
        slices: common.slices,
        held: Vec::new(),
    })
}

/// Begins a task; waits for it, or answers with its id.
async fn carry_out(request: &Request, mut asked: ByQueryRequest) -> Answer {
    if let DocumentSource::Here(target) = &asked.source {
        request.narrow_boosts(&mut asked.search, &target.options)?;
    }
    let is_waiting = request.parameters.flag("wait_for_completion")? != Some(false);
    let origin = request.origin(&Bytes::new());
    let form = answer::Form::of(&asked.change);
    let node = tasks::node(request);
    let kept = (!is_waiting).then(|| {
        let node = node.clone();
        let render = move |task: &TaskInfo, outcome: &Outcome| result(task, &node, outcome);
        Box::new(render) as RenderResult
    });
    let begun = request.root().by_query().begin(asked, &origin, kept)?;
    if !is_waiting {
        return Ok(Reply::json(
            &json!({"task": format!("{node}:{}", begun.id)}),
        ));
    }
    let report = begun.ended().await?;
    let state = request.root().cluster().state();
    let warnings = made_by_deprecated(&report.made, &state);
    Ok(answer::answered(&report, form).warning(&warnings))
}

/// Returns what is kept of a task that has ended.
fn result(task: &TaskInfo, node: &str, outcome: &Outcome) -> Bytes {
    let response = outcome.as_ref();
    let response = response.map(|report| answer::response(report, answer::Form::ALL));
    tasks::record(task, node, response)
}

fn rethrottle(request: &Request) -> Answer {
    let Some(text) = request.parameters.get("requests_per_second") else {
        let reason = "requests_per_second is a required parameter";
        return Err(ApiError::illegal(reason));
    };
    let rate = asked::rate(text)?;
    let id = request.required_part("task")?;
    let number = tasks::number_of(request, id)?;
    let number = number.filter(|number| tasks::is_reached(request, *number));
    let task = number.and_then(|number| request.root().tasks().rethrottle(number, rate));
    let task = task.ok_or_else(|| tasks::not_found(format!("task [{id}] is missing")))?;
    Ok(tasks::answer_by_node(request, &[task]))
}

//! `_validate/query`: could this query be asked?

use gleaner_query::dsl::Query;
use gleaner_query::names;
use gleaner_query::search::{SearchRequest, apply_uri_parameters};
use http::Method;
use serde_json::{Value, json};

use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::parameters::groups::{INDICES, SOURCE, URI_QUERY};
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::{Parameter, Route};

const VALIDATE: &[Parameter] = &[
    Parameter::honoured("explain"),
    Parameter::no_effect("rewrite", "an explanation always shows the resolved query"),
    Parameter::no_effect("all_shards", "a query resolves alike for all shards"),
];

pub(super) static ENDPOINTS: &[Endpoint] = &[Route {
    name: "indices.validate_query",
    methods: &[Method::GET, Method::POST],
    paths: &["/_validate/query", "/{index}/_validate/query"],
    parameters: &[VALIDATE, URI_QUERY, INDICES, SOURCE],
    is_refused: false,
}
.answered_by(|request| Box::pin(validate(request)))];

async fn validate(mut request: Request) -> Answer {
    let body = request.bytes().await?;
    let is_explained = request.parameters.is_set("explain")?;
    let target = request.target()?;
    let query = request.query(&body).await;
    let mut search = match query.and_then(|query| read(&request, query)) {
        Ok(search) => search,
        Err(error) => return Ok(invalid(&error, is_explained)),
    };
    let _held = request.look_up(&mut search, &target).await?;
    let checked = request.root().planner().validate(&target, &search)?;
    let mut shown = json!({"_shards": shards(&request, &target)?, "valid": true});
    let mut explanations = Vec::new();
    for (index, outcome) in checked {
        match outcome {
            Ok(resolved) => {
                let entry = json!({"index": index, "valid": true, "explanation": resolved});
                explanations.push(entry);
            }
            Err(error) => {
                shown["valid"] = false.into();
                let error = ApiError::from(error);
                let text = format!("{}[{}]", error.kind(), error.cause_reason());
                explanations.push(json!({"index": index, "valid": false, "error": text}));
            }
        }
    }
    if is_explained {
        shown["explanations"] = Value::Array(explanations);
    }
    Ok(Reply::json(&shown))
}

fn read(request: &Request, query: Option<Query>) -> Result<SearchRequest, ApiError> {
    let limits = &request.root().cluster().limits();
    let mut search = SearchRequest {
        query,
        ..SearchRequest::default()
    };
    let own: Vec<_> = request
        .parameters
        .pairs()
        .iter()
        .filter(|(name, _)| name != "explain")
        .cloned()
        .collect();
    apply_uri_parameters(&mut search, &own, limits)?;
    Ok(search)
}

/// A query that cannot be read is told as not valid, without asking any shard.
fn invalid(error: &ApiError, is_explained: bool) -> Reply {
    let mut shown = json!({"valid": false});
    if is_explained {
        shown["error"] = format!("{}[{}]", error.kind(), error.reason()).into();
    }
    Reply::json(&shown)
}

/// One shard stands for each index: queries resolve alike on all of them.
fn shards(request: &Request, target: &gleaner_root::plan::Target) -> Result<Value, ApiError> {
    let expression = target.expression.as_deref().unwrap_or_default();
    let found = names::resolve(
        expression,
        &request.root().cluster().state(),
        &target.options,
    )?;
    Ok(json!({"total": found.len(), "successful": found.len(), "failed": 0}))
}

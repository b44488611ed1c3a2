//! `_delete_by_query`, waited for.

use bytes::Bytes;
use gleaner_query::json::{self, ObjectReader};
use gleaner_query::search::{SearchRequest, apply_uri_parameters, parse_search};
use gleaner_root::by_query::{ByQueryReport, ByQueryRequest};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::parameters::groups::{ACTIVE_SHARDS, COPIES, INDICES, URI_QUERY};
use crate::request::Request;
use crate::response::Reply;
use crate::route::{Answer, Parameter, Route};

const DELETE: &[Parameter] = &[
    Parameter::honoured("conflicts"),
    Parameter::honoured("max_docs"),
    Parameter::honoured("size"),
    Parameter::honoured("scroll_size"),
    Parameter::honoured("scroll"),
    Parameter::honoured("refresh"),
    Parameter::honoured("requests_per_second"),
    Parameter::honoured("wait_for_completion"),
    Parameter::honoured("timeout"),
    Parameter::honoured("sort"),
    Parameter::honoured("terminate_after"),
    Parameter::no_effect("slices", "one pass reads all shards at once"),
    Parameter::no_effect("search_timeout", "`timeout` bounds each page"),
    Parameter::no_effect("search_type", "scores do not matter"),
    Parameter::no_effect("request_cache", "there is no request cache"),
    Parameter::no_effect("from", "all matches are deleted"),
    Parameter::no_effect("stats", "searches are not counted by group"),
    Parameter::no_effect("version", "conflicts are found by seq_no"),
];

pub(super) static ROUTES: &[Route] = &[Route {
    name: "delete_by_query",
    methods: &[Method::POST],
    paths: &["/{index}/_delete_by_query"],
    parameters: &[DELETE, URI_QUERY, COPIES, INDICES, ACTIVE_SHARDS],
    handler: |request| Box::pin(delete(request)),
    is_refused: false,
}];

async fn delete(mut request: Request) -> Answer {
    let body = request.json().await?;
    if request.parameters.flag("wait_for_completion")? == Some(false) {
        return Err(ApiError::unsupported("wait_for_completion=false (tasks)"));
    }
    let asked = asked(&request, body)?;
    let target = request.target()?;
    let origin = request.origin(&Bytes::new());
    let root = request.root();
    let report = root.delete_by_query(&target, &asked, &origin).await?;
    Ok(answered(&report))
}

fn asked(request: &Request, body: Option<Value>) -> Result<ByQueryRequest, ApiError> {
    let parameters = &request.parameters;
    let mut conflicts = parameters.get("conflicts").map(str::to_owned);
    let mut max_docs: Option<i64> = parameters.number("max_docs")?;
    // An old name of `max_docs`, where −1 is all.
    max_docs = max_docs.or(parameters.number("size")?);
    let search = search(request, body, &mut conflicts, &mut max_docs)?;
    if search.query.is_none() {
        return Err(ApiError::validation(&["query is missing".to_owned()]));
    }
    let max_docs = match max_docs {
        None | Some(-1) => None,
        Some(number) => Some(usize::try_from(number).ok().filter(|n| *n > 0).ok_or_else(|| {
            let reason = format!(
                "maxDocs should be greater than 0 if the request is limited to some number of \
                 documents or -1 if it isn't but it was [{number}]"
            );
            ApiError::validation(&[reason])
        })?),
    };
    let page: usize = parameters.number("scroll_size")?.unwrap_or(1_000);
    if page == 0 {
        return Err(ApiError::illegal("[scroll_size] must be greater than 0"));
    }
    let is_proceeding = match conflicts.as_deref() {
        None | Some("abort") => false,
        Some("proceed") => true,
        Some(other) => {
            let reason =
                format!("conflicts may only be \"proceed\" or \"abort\" but was [{other}]");
            return Err(ApiError::illegal(reason));
        }
    };
    Ok(ByQueryRequest {
        search,
        page_size: page,
        max_docs,
        is_proceeding_on_conflicts: is_proceeding,
        is_refreshed: parameters.is_set("refresh")?,
        requests_per_second: requests_per_second(request)?,
        keep_alive: parameters
            .time("scroll")?
            .unwrap_or(std::time::Duration::from_secs(300)),
    })
}

/// Takes `conflicts` and `max_docs` out of the body; the rest is a search.
fn search(
    request: &Request,
    body: Option<Value>,
    conflicts: &mut Option<String>,
    max_docs: &mut Option<i64>,
) -> Result<SearchRequest, ApiError> {
    let limits = &request.root().options().limits;
    let mut search = match body {
        None => SearchRequest::default(),
        Some(Value::Object(mut entries)) => {
            let own: Value = ["conflicts", "max_docs"]
                .into_iter()
                .filter_map(|key| Some((key.to_owned(), entries.shift_remove(key)?)))
                .collect::<serde_json::Map<_, _>>()
                .into();
            let mut reader = ObjectReader::part("delete_by_query", &own)?;
            *conflicts = reader.text("conflicts")?.or(conflicts.take());
            *max_docs = agreed(*max_docs, reader.integer("max_docs")?)?;
            parse_search(Value::Object(entries).to_string().as_bytes(), limits)?
        }
        Some(other) => {
            let found = json::token_name(&other);
            return Err(ApiError::parse(format!(
                "expected START_OBJECT but found [{found}]"
            )));
        }
    };
    let is_own = |name: &str| matches!(name, "size" | "from" | "version" | "timeout");
    let pairs: Vec<_> = request
        .parameters
        .pairs()
        .iter()
        .filter(|(name, _)| !is_own(name))
        .cloned()
        .collect();
    apply_uri_parameters(&mut search, &pairs, limits)?;
    Ok(search)
}

/// Returns the one `max_docs` that URI and body give; −1 is none.
fn agreed(in_uri: Option<i64>, in_body: Option<i64>) -> Result<Option<i64>, ApiError> {
    match (in_uri, in_body) {
        (Some(first), Some(second)) if first != second && first != -1 => Err(ApiError::illegal(
            format!("[max_docs] set to two different values [{first}] and [{second}]"),
        )),
        _ => Ok(in_body.or(in_uri)),
    }
}

fn requests_per_second(request: &Request) -> Result<Option<f64>, ApiError> {
    let Some(text) = request.parameters.get("requests_per_second") else {
        return Ok(None);
    };
    match text.parse::<f64>() {
        Ok(-1.0) => Ok(None),
        Ok(rate) if rate > 0.0 => Ok(Some(rate)),
        _ => Err(ApiError::illegal(
            "[requests_per_second] must be a float greater than 0. Use -1 to disable throttling.",
        )),
    }
}

fn answered(report: &ByQueryReport) -> Reply {
    let failures: Vec<Value> = report
        .failures
        .iter()
        .map(|failure| {
            let error = ApiError::from(&failure.error);
            json!({
                "index": failure.index,
                "id": failure.id,
                "cause": error.to_json(),
                "status": error.status.as_u16(),
            })
        })
        .collect();
    let status = report
        .failures
        .iter()
        .map(|failure| ApiError::from(&failure.error).status)
        .max();
    let throttled_ms = report.throttled.as_millis() as u64;
    let shown = json!({
        "took": report.took.as_millis() as u64,
        "timed_out": report.timed_out,
        "total": report.total,
        "deleted": report.deleted,
        "batches": report.batches,
        "version_conflicts": report.version_conflicts,
        "noops": 0,
        "retries": {"bulk": 0, "search": 0},
        "throttled_millis": throttled_ms,
        "requests_per_second": report.requests_per_second.unwrap_or(-1.0),
        "throttled_until_millis": 0,
        "failures": failures,
    });
    Reply::with_status(status.unwrap_or(StatusCode::OK), &shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_different_limits_are_refused() {
        let told = |in_uri, in_body| agreed(in_uri, in_body).map_err(|e| e.reason().to_owned());
        assert_eq!(told(Some(3), Some(3)), Ok(Some(3)));
        assert_eq!(told(Some(3), None), Ok(Some(3)));
        assert_eq!(told(Some(-1), Some(3)), Ok(Some(3)));
        let reason = "[max_docs] set to two different values [1] and [3]";
        assert_eq!(told(Some(1), Some(3)), Err(reason.to_owned()));
    }
}

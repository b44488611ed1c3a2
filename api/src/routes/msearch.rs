//! `_msearch`: pairs of lines, a header and a search.

use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use gleaner_query::json::{self, ObjectReader, scalar_text};
use gleaner_query::names::{ExpandWildcards, ResolveOptions, expand_date_math};
use gleaner_query::search::SearchRequest;
use gleaner_root::plan::Target;
use gleaner_root::search::SearchOptions;
use http::{Method, StatusCode};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::search::{self, check_boosts, check_pit, check_search_type, parse_inner};
use crate::error::ApiError;
use crate::parameters::check_preference;
use crate::parameters::groups::{INDICES, NO_NAMED_QUERIES, NO_PRE_FILTER, ONE_ROUND, SOURCE};
use crate::render::search::{SearchBody, SearchForm};
use crate::request::Request;
use crate::response::Reply;
use crate::route::{Answer, Parameter, Route};

const MSEARCH: &[Parameter] = &[
    Parameter::honoured("max_concurrent_searches"),
    Parameter::honoured("typed_keys"),
    Parameter::honoured("rest_total_hits_as_int"),
    Parameter::honoured("search_type"),
    Parameter::honoured("routing"),
    Parameter::no_effect("max_concurrent_shard_requests", ONE_ROUND),
    Parameter::no_effect("pre_filter_shard_size", NO_PRE_FILTER),
    Parameter::no_effect("ccs_minimize_roundtrips", "there are no remote clusters"),
    Parameter::no_effect("include_named_queries_score", NO_NAMED_QUERIES),
];

pub(super) static ROUTES: &[Route] = &[Route {
    name: "msearch",
    methods: &[Method::GET, Method::POST],
    paths: &["/_msearch", "/{index}/_msearch"],
    parameters: &[MSEARCH, INDICES, SOURCE],
    handler: |request| Box::pin(msearch(request)),
    is_refused: false,
}];

/// Most searches of one request.
const MAX_SEARCHES: usize = 10_000;

/// One search: where, and its body not yet read.
struct Part {
    target: Target,
    options: SearchOptions,
    /// How to search, and on which copies, as the header says.
    search_type: Option<String>,
    preference: Option<String>,
    body: Bytes,
}

async fn msearch(mut request: Request) -> Answer {
    check_search_type(request.parameters.get("search_type"))?;
    let parts = read(&mut request).await?;
    if parts.is_empty() {
        return Err(ApiError::validation(&["no requests added".to_owned()]));
    }
    let concurrent = request.parameters.number("max_concurrent_searches")?;
    let concurrent: usize = concurrent.unwrap_or(request.app.options.max_concurrent_searches);
    if concurrent == 0 {
        return Err(ApiError::illegal(
            "maxConcurrentSearchRequests must be positive",
        ));
    }
    let request = &request;
    let answers: Vec<Box<RawValue>> = stream::iter(parts)
        .map(|part| async move { answer(request, part).await })
        .buffered(concurrent.min(request.app.options.max_concurrent_searches))
        .collect()
        .await;
    let took = request.started.elapsed().as_millis() as u64;
    #[derive(serde::Serialize)]
    struct Body {
        took: u64,
        responses: Vec<Box<RawValue>>,
    }
    Ok(Reply::json(&Body {
        took,
        responses: answers,
    }))
}

async fn answer(request: &Request, part: Part) -> Box<RawValue> {
    let shown = match run(request, &part).await {
        Ok((response, form)) => {
            let mut body = SearchBody::new(&response, &form);
            body.status = Some(StatusCode::OK.as_u16());
            to_raw_value(&body)
        }
        Err(error) => to_raw_value(&error.to_body()),
    };
    shown.unwrap_or_else(|_| RawValue::NULL.to_owned())
}

async fn run(
    request: &Request,
    part: &Part,
) -> Result<(gleaner_root::SearchResponse, SearchForm), ApiError> {
    let search: SearchRequest = parse_inner(&part.body, request)?;
    let form = SearchForm::of(&search, &request.parameters)?;
    check_search_type(part.search_type.as_deref())?;
    part.preference
        .as_deref()
        .map_or(Ok(()), check_preference)?;
    check_pit(&search, &part.target, part.preference.as_deref())?;
    check_boosts(&search, &part.target, request)?;
    let response = search::answer(request, &part.target, &search, &part.options).await?;
    Ok((response, form))
}

async fn read(request: &mut Request) -> Result<Vec<Part>, ApiError> {
    let limit = request.app.options.max_body_bytes;
    let mut lines = match request.parameters.get("source") {
        Some(source) => {
            *request.body.get_mut() = axum::body::Body::from(source.to_owned());
            request.lines(limit)?
        }
        None => request.lines(limit)?,
    };
    let mut parts = Vec::new();
    while let Some(header) = lines.next().await? {
        if header.text.trim_ascii().is_empty() && parts.is_empty() && !header.is_terminated {
            break;
        }
        let Some(body) = lines.next().await? else {
            if header.text.trim_ascii().is_empty() {
                break;
            }
            return Err(unterminated());
        };
        if !body.is_terminated {
            return Err(unterminated());
        }
        if parts.len() == MAX_SEARCHES {
            let reason = format!("too many searches, at most [{MAX_SEARCHES}]");
            return Err(ApiError::validation(&[reason]));
        }
        parts.push(part(request, &header.text, body.text)?);
    }
    request.held = lines.into_held();
    Ok(parts)
}

fn unterminated() -> ApiError {
    ApiError::illegal("The msearch request must be terminated by a newline [\\n]")
}

/// Reads a header line; what it does not say is as the URI has it.
fn part(request: &Request, header: &[u8], body: Bytes) -> Result<Part, ApiError> {
    let mut target = request.target()?;
    let mut options = SearchOptions::default();
    options.origin = request.origin(&body);
    let (mut search_type, mut preference) = (None, None);
    let header = header.trim_ascii();
    if !header.is_empty() {
        let value = json::read(header, &request.root().limits())?;
        let mut reader = ObjectReader::part("msearch", &value)?;
        if let Some(indices) = reader.take_any(&["index", "indices"]) {
            let expression = expression(indices)?;
            target.expression = Some(expand_date_math(&expression, request.root().now_ms())?);
        }
        if let Some(routing) = reader.take("routing").and_then(scalar_text) {
            target.routing = Some(routing);
        }
        target.options = resolve_options(&mut reader, target.options)?;
        let partial = reader.boolean("allow_partial_search_results")?;
        options.refuse_partial = partial == Some(false);
        search_type = reader.take("search_type").and_then(scalar_text);
        preference = reader.take("preference").and_then(scalar_text);
        reader.ignore(&["request_cache", "ccs_minimize_roundtrips"]);
        reader.ignore(&["ignore_throttled", "type", "types"]);
        if let Some((key, _)) = reader.rest().next() {
            let reason = format!("key [{key}] is not supported in the metadata section");
            return Err(ApiError::illegal(reason));
        }
    }
    if !body.trim_ascii().is_empty() {
        // As in the dialect, a line that is no JSON refuses all searches; one that asks for what is not
        // there, which may be there in the dialect, is refused alone.
        json::read(&body, &request.root().limits())?;
    }
    Ok(Part {
        target,
        options,
        search_type,
        preference,
        body,
    })
}

fn expression(value: &Value) -> Result<String, ApiError> {
    let name = |value: &Value| {
        value
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| ApiError::illegal("index must be a text"))
    };
    match value {
        Value::Array(items) => Ok(items
            .iter()
            .map(name)
            .collect::<Result<Vec<_>, _>>()?
            .join(",")),
        other => name(other),
    }
}

fn resolve_options(
    reader: &mut ObjectReader<'_>,
    defaults: ResolveOptions,
) -> Result<ResolveOptions, ApiError> {
    let mut options = defaults;
    if let Some(flag) = reader.boolean("ignore_unavailable")? {
        options.ignore_unavailable = flag;
    }
    if let Some(flag) = reader.boolean("allow_no_indices")? {
        options.allow_no_indices = flag;
    }
    if let Some(words) = reader.take("expand_wildcards") {
        options.expand_wildcards = ExpandWildcards::parse(&expression(words)?)?;
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use crate::dialect::tests::speaking;

    use super::*;

    /// Sends searches; returns the answer.
    async fn sent(path: &str, lines: &str) -> Value {
        let request = http::Request::post(path)
            .header("content-type", "application/x-ndjson")
            .body(axum::body::Body::from(lines.to_owned()));
        let Ok(answer) = speaking().oneshot(request.expect("a request")).await;
        let body = answer.into_body().collect().await.expect("a whole body");
        serde_json::from_slice(&body.to_bytes()).expect("JSON")
    }

    /// Returns the reason of each refusal.
    fn reasons(answer: &Value) -> Vec<&str> {
        let responses = answer["responses"].as_array().expect("a list").iter();
        responses
            .filter_map(|one| one["error"]["reason"].as_str())
            .collect()
    }

    #[tokio::test]
    async fn a_point_in_time_takes_no_index_of_header_or_path() {
        let search = r#"{"pit": {"id": "p"}}"#;
        let lines =
            format!("{{\"index\": \"a\"}}\n{search}\n{{\"preference\": \"x\"}}\n{search}\n");
        let answer = sent("/_msearch", &lines).await;
        let reasons_of_headers = reasons(&answer);
        assert!(reasons_of_headers[0].contains("[indices] cannot be used"));
        assert!(reasons_of_headers[1].contains("[preference] cannot be used"));
        let answer = sent("/a/_msearch", &format!("{{}}\n{search}\n")).await;
        assert!(reasons(&answer)[0].contains("[indices] cannot be used"));
    }

    #[tokio::test]
    async fn a_line_that_is_no_json_refuses_all_searches() {
        for lines in [
            "{}\n{}\n{}\n{\"size\": 1\n",
            "{}\n{}\n{}\nsize\n",
            "{}\n{\"size\": 1, \"size\": 2}\n{}\n{}\n",
            "{}\n{}\n{\"index\": \n{}\n",
        ] {
            let answer = sent("/_msearch", lines).await;
            let kind = &answer["error"]["type"];
            assert_eq!(kind, "x_content_parse_exception", "{lines}: {answer}");
            assert_eq!(answer["status"], 400);
        }
        let answer = sent("/_msearch", "{}\n{\"sise\": 1}\n{}\n{}\n").await;
        let responses = answer["responses"].as_array().expect("a list");
        assert_eq!(responses[0]["error"]["type"], "parsing_exception");
        assert_ne!(responses[1]["error"]["type"], "parsing_exception");
    }

    #[tokio::test]
    async fn an_unknown_search_type_refuses_its_own_search() {
        let lines = "{\"search_type\": \"foo\"}\n{}\n{}\n{}\n";
        let answer = sent("/_msearch", lines).await;
        let responses = answer["responses"].as_array().expect("a list");
        assert_eq!(responses[0]["error"]["reason"], "No search type for [foo]");
        assert_eq!(responses[0]["status"], 400);
        assert_ne!(responses[1]["error"]["reason"], "No search type for [foo]");
        let answer = sent("/_msearch?search_type=foo", lines).await;
        assert_eq!(answer["error"]["reason"], "No search type for [foo]");
    }

    #[tokio::test]
    async fn a_preference_for_shards_refuses_its_own_search() {
        let lines = "{\"preference\": \"_shards:0\"}\n{}\n{\"preference\": \"_local\"}\n{}\n";
        let answer = sent("/_msearch", lines).await;
        let reason = "[preference] [_shards:0]";
        let is_named = |at: usize| {
            let told = answer["responses"][at]["error"]["reason"].as_str();
            told.is_some_and(|told| told.starts_with(reason))
        };
        assert_eq!([is_named(0), is_named(1)], [true, false], "{answer}");
    }
}

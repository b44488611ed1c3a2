//! `_msearch`: pairs of lines, a header and a search.

use std::io::{self, Write as _};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use gleaner_query::json::{self, ObjectReader, scalar_text};
use gleaner_query::names::{ExpandWildcards, ResolveOptions, expand_date_math};
use gleaner_query::search::parse_search;
use gleaner_root::plan::Target;
use gleaner_root::search::SearchOptions;
use http::{Method, StatusCode};
use serde_json::Value;

use super::search::{
    self, check_boosts, check_pit, check_search_after, check_search_type,
    count_all_for_plain_totals,
};
use crate::error::ApiError;
use crate::parameters::check_preference;
use crate::parameters::groups::{INDICES, NO_NAMED_QUERIES, NO_PRE_FILTER, ONE_ROUND, SOURCE};
use crate::render::search::{SearchBody, SearchForm, size_hint};
use crate::render::shards::Staleness;
use crate::request::Request;
use crate::response::{Buffer, Reply};
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
    /// Do its header or the path name indices?
    names_indices: bool,
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
    let answers = stream::iter(parts)
        .map(|part| async move { answer(request, part).await })
        .buffered(concurrent.min(request.app.options.max_concurrent_searches));
    let mut answers = std::pin::pin!(answers);
    let mut out = Buffer::new(&request.making.memory, &|| true);
    let mut joined = out.push_str(&" ".repeat(HEAD_BYTES));
    let mut is_first = true;
    let (mut staleness, mut cost) = (Staleness::default(), Duration::ZERO);
    while let (Ok(()), Some(answer)) = (&joined, answers.next().await) {
        let answer = answer?;
        staleness.add(answer.staleness);
        cost += answer.cost;
        joined = join(&answer.body, is_first, &mut out).await;
        is_first = false;
    }
    let joined = joined.and_then(|()| out.push_str("]}"));
    let head = format!(
        r#"{{"took":{},"responses":["#,
        request.started.elapsed().as_millis()
    );
    out.overwrite(HEAD_BYTES - head.len(), &head);
    let body = out.finish(joined)?;
    let reply = Reply::made(body.slice(HEAD_BYTES - head.len()..));
    let reply = request.telling_cost(reply, cost);
    Ok(reply.warning(&staleness.warnings()))
}

/// Bytes in front of the answers, which are written after them: the time that all of them took.
const HEAD_BYTES: usize = 64;

/// Bytes that are copied before others have their turn.
const PIECE_BYTES: usize = 1 << 20;

/// Appends an answer to those before it.
async fn join(answer: &Bytes, is_first: bool, out: &mut Buffer<'_>) -> io::Result<()> {
    if !is_first {
        out.push_str(",")?;
    }
    for piece in answer.chunks(PIECE_BYTES) {
        out.write_all(piece)?;
        if piece.len() == PIECE_BYTES {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

/// The answer to one search.
struct PartAnswer {
    body: Bytes,
    staleness: Staleness,
    /// How long threads of leaves were busy with it.
    cost: Duration,
}

/// Returns the answer to one search; an error is one where there is no memory to tell it.
async fn answer(request: &Request, part: Part) -> Result<PartAnswer, ApiError> {
    let making = &request.making;
    let error = match run(request, &part).await {
        Ok((response, form)) => {
            let num_bytes = size_hint(&response, &form);
            let staleness = Staleness::of_search(&response.shards);
            let cost = response.evaluated;
            let write = move |out: &mut Buffer<'_>| {
                let mut body = SearchBody::new(&response, &form);
                body.status = Some(StatusCode::OK.as_u16());
                out.json(&body)
            };
            match making.written(num_bytes, write).await {
                Ok(body) => {
                    return Ok(PartAnswer {
                        body,
                        staleness,
                        cost,
                    });
                }
                Err(error) => error,
            }
        }
        Err(error) => error,
    };
    let body = error.to_body();
    let written = making.written(0, move |out| out.json(&body)).await?;
    Ok(PartAnswer {
        body: written,
        staleness: Staleness::default(),
        cost: Duration::ZERO,
    })
}

async fn run(
    request: &Request,
    part: &Part,
) -> Result<(gleaner_root::SearchResponse, SearchForm), ApiError> {
    let limits = request.root().cluster().limits();
    let parse = move |body: &[u8]| parse_search(body, &limits);
    let (mut search, _held) = request.making.parsed(&part.body, parse).await?;
    count_all_for_plain_totals(&mut search, &request.parameters)?;
    let form = SearchForm::of(&search, &request.parameters)?;
    check_search_type(part.search_type.as_deref())?;
    part.preference
        .as_deref()
        .map_or(Ok(()), check_preference)?;
    check_search_after(&search)?;
    check_pit(&search, &part.target, part.preference.as_deref())?;
    let target = match search.pit.is_some() && !part.names_indices {
        true => part.target.clone(),
        false => Target {
            expression: request
                .narrowed(part.target.expression.as_deref(), &part.target.options)?,
            ..part.target.clone()
        },
    };
    check_boosts(&search, &target, &request.root().cluster().state())?;
    let response = search::answer(request, &target, search, &part.options).await?;
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
        parts.push(part(request, &header.text, body.text).await?);
    }
    request.held = lines.into_held();
    Ok(parts)
}

fn unterminated() -> ApiError {
    ApiError::illegal("The msearch request must be terminated by a newline [\\n]")
}

/// Reads a header line; what it does not say is as the URI has it.
async fn part(request: &Request, header: &[u8], body: Bytes) -> Result<Part, ApiError> {
    let mut target = request.target()?;
    let mut names_indices = request.reading().names_indices();
    let mut options = SearchOptions {
        origin: request.origin(&body),
        patience: request.patience(),
        memory: Some(request.making.memory.clone()),
        ..SearchOptions::default()
    };
    let (mut search_type, mut preference) = (None, None);
    let header = header.trim_ascii();
    if !header.is_empty() {
        let value = json::read(header, &request.root().cluster().limits())?;
        let mut reader = ObjectReader::part("msearch", &value)?;
        if let Some(indices) = reader.take_any(&["index", "indices"]) {
            let expression = expression(indices)?;
            names_indices = true;
            target.expression = Some(expand_date_math(
                &expression,
                request.root().cluster().now_ms(),
            )?);
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
        let limits = request.root().cluster().limits();
        let read = move |body: &[u8]| {
            let value = json::read(body, &limits)?;
            let limit = value.get("track_total_hits").and_then(scalar_text);
            Ok(limit.and_then(|limit| limit.parse::<u64>().ok()))
        };
        let (limit, _) = request.making.parsed(&body, read).await?;
        check_total(limit, request)?;
    }
    Ok(Part {
        target,
        names_indices,
        options,
        search_type,
        preference,
        body,
    })
}

/// Refuses a limit on what is counted where the total is to be a bare number: it refuses all searches.
fn check_total(limit: Option<u64>, request: &Request) -> Result<(), ApiError> {
    match limit {
        Some(limit) if request.parameters.is_set("rest_total_hits_as_int")? => {
            Err(search::inexact_total(limit))
        }
        _ => Ok(()),
    }
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

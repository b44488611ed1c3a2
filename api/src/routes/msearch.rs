//! `_msearch`: pairs of lines, a header and a search.

mod line;
mod part;

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use gleaner_cache::Origins;
use gleaner_cache::respond::{X_CACHE, X_EDITION, add_warnings};
use gleaner_query::json::{self, scalar_text};
use http::{HeaderMap, Method, header};

use super::search::{self, check_search_type};
use crate::cached::{MAX_KEPT_SEARCHES, PART_END, edition_list, head_of_all};
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::parameters::groups::{INDICES, NO_PRE_FILTER, ONE_ROUND, SOURCE};
use crate::render::shards::Staleness;
use crate::request::{Answer, Request};
use crate::response::{Buffer, Reply};
use crate::route::{Parameter, Route};

pub(crate) use line::{Header, read_kept};
use part::{Part, PartAnswer};

const MSEARCH: &[Parameter] = &[
    Parameter::honoured("max_concurrent_searches").neutral(),
    Parameter::honoured("typed_keys").in_form(),
    Parameter::honoured("rest_total_hits_as_int").in_form(),
    Parameter::honoured("search_type").neutral(),
    Parameter::honoured("include_named_queries_score").in_request(),
    Parameter::honoured("routing").in_request(),
    Parameter::no_effect("max_concurrent_shard_requests", ONE_ROUND),
    Parameter::no_effect("pre_filter_shard_size", NO_PRE_FILTER),
    Parameter::no_effect("ccs_minimize_roundtrips", "there are no remote clusters"),
];

pub(super) static ENDPOINTS: &[Endpoint] = &[Route {
    name: "msearch",
    methods: &[Method::GET, Method::POST],
    paths: &["/_msearch", "/{index}/_msearch"],
    parameters: &[MSEARCH, INDICES, SOURCE],
    is_refused: false,
}
.answered_by(|request| Box::pin(msearch(request)))];

/// Most searches of one request.
const MAX_SEARCHES: usize = 10_000;

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
    let request = &Arc::new(request);
    let answers = stream::iter(parts)
        .map(|part| part::answer(request, part))
        .buffered(concurrent.min(request.app.options.max_concurrent_searches));
    let mut answers = std::pin::pin!(answers);
    let mut out = Buffer::new(&request.making.memory, &|| true);
    let mut joined = out.push_str(&" ".repeat(HEAD_BYTES));
    let mut all = Totals::default();
    while let (Ok(()), Some(answer)) = (&joined, answers.next().await) {
        let answer = answer?;
        joined = join(&answer, all.num_answers == 0, &mut out).await;
        all.add(&answer);
    }
    let joined = joined.and_then(|()| out.push_str("]}"));
    let head = head_of_all(request.started.elapsed());
    out.overwrite(HEAD_BYTES - head.len(), &head);
    let body = out.finish(joined)?;
    let reply = Reply::made(body.slice(HEAD_BYTES - head.len()..));
    Ok(all.told(request, reply))
}

/// What the answer to all searches says beside their answers.
#[derive(Default)]
struct Totals {
    num_answers: usize,
    staleness: Staleness,
    /// How long threads of leaves were busy.
    cost: Duration,
    origins: Origins,
    editions: Vec<Option<gleaner_model::Edition>>,
    /// Warnings of answers that were kept.
    warnings: HeaderMap,
}

impl Totals {
    fn add(&mut self, answer: &PartAnswer) {
        self.num_answers += 1;
        self.staleness.add(answer.staleness);
        self.cost += answer.cost;
        self.origins.add(answer.origin);
        if self.editions.len() < MAX_KEPT_SEARCHES {
            self.editions.push(answer.edition);
        }
        add_warnings(&mut self.warnings, &answer.headers);
    }

    fn told(&self, request: &Request, reply: Reply) -> Reply {
        let mut reply = request.telling_cost(reply, self.cost);
        if request.app.cache.is_some() {
            reply = reply.with_header(X_CACHE, self.origins.word());
            if let Some(age) = self.origins.age() {
                reply = reply.with_header(header::AGE, &age.as_secs().to_string());
            }
            if request.headers.contains_key(X_EDITION) && self.num_answers <= MAX_KEPT_SEARCHES {
                reply = reply.with_header(X_EDITION, &edition_list(&self.editions));
            }
        }
        for warning in self.warnings.get_all(header::WARNING) {
            reply = reply.with_header(header::WARNING, warning.to_str().unwrap_or_default());
        }
        reply.warning(&self.staleness.warnings())
    }
}

/// Bytes in front of the answers, which are written after them: the time that all of them took.
const HEAD_BYTES: usize = 64;

/// Bytes that are copied before others have their turn.
const PIECE_BYTES: usize = 1 << 20;

/// Appends an answer to those before it.
async fn join(answer: &PartAnswer, is_first: bool, out: &mut Buffer<'_>) -> io::Result<()> {
    if !is_first {
        out.push_str(",")?;
    }
    let start = answer.body.strip_suffix(b"}");
    let start = start.filter(|_| answer.is_whole);
    for piece in start.unwrap_or(&answer.body).chunks(PIECE_BYTES) {
        out.write_all(piece)?;
        if piece.len() == PIECE_BYTES {
            tokio::task::yield_now().await;
        }
    }
    match start {
        Some(_) => out.write_all(PART_END),
        None => Ok(()),
    }
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
    let mut names = request.making.memory.reserve(0)?;
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
        let part = part(request, header.text, body.text).await?;
        names.grow(part.header.num_bytes())?;
        parts.push(part);
    }
    request.parsed = Some(names);
    request.held = lines.into_held();
    request.renew_rights()?;
    Ok(parts)
}

fn unterminated() -> ApiError {
    ApiError::illegal("The msearch request must be terminated by a newline [\\n]")
}

/// Reads a header line, and that its search is JSON.
async fn part(request: &Request, line: Bytes, body: Bytes) -> Result<Part, ApiError> {
    let header = Header::read(&line, &request.reading())?;
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
    Ok(Part { line, header, body })
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

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use serde_json::Value;
    use tower::ServiceExt as _;

    use crate::dialect::tests::speaking;

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

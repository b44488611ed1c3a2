//! The access log: one line of JSON for each request, under the names of the Elastic Common Schema where it has them.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, Utc};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, request};
use parking_lot::Mutex;
use serde::{Serialize, Serializer};

use crate::context::TraceContext;
use crate::facts::{Facts, NotedShards, QueryKey, cut};
use crate::line_log::LineLog;
use crate::recorder;
use crate::scope::Scope;
use crate::span::Span;
use crate::top::OpenRequest;

/// Status of a request whose client has gone before it was answered, as nginx has it.
const CLIENT_GONE: u16 = 499;

const OPAQUE_ID: HeaderName = HeaderName::from_static("x-opaque-id");
const X_CACHE: HeaderName = HeaderName::from_static("x-cache");

/// Where a process writes who asked it for what. Clones share it.
#[derive(Debug, Clone)]
pub struct AccessLog {
    lines: Option<LineLog>,
    node: Arc<str>,
}

impl AccessLog {
    /// Returns what watches the requests of a process named `node`; without `lines` for traces and [`crate::top`] alone.
    pub fn new(node: &str, lines: Option<LineLog>) -> Self {
        Self {
            lines,
            node: node.into(),
        }
    }

    /// Begins the record of a request; `peer` is where it comes from.
    pub fn begin(&self, head: &request::Parts, peer: Option<SocketAddr>) -> AccessRecord {
        let caller = TraceContext::of(&head.headers);
        let facts = Arc::default();
        let context = TraceContext::below(caller);
        AccessRecord {
            log: self.clone(),
            context,
            span: Span::of_request(context, caller),
            open: OpenRequest::begin(&head.method, &head.uri, &facts),
            facts,
            came_at: self.lines.is_some().then(Utc::now),
            started: Instant::now(),
            peer,
            method: head.method.clone(),
            uri: head.uri.clone(),
            opaque_id: head.headers.get(OPAQUE_ID).cloned(),
            answer: None,
            served: Served::default(),
        }
    }
}

/// How much of an answer has gone to the client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Served {
    /// Bytes of its body.
    pub num_bytes: u64,
    /// Was it cut off?
    pub is_cut: bool,
}

/// A request under way; its line is written when this is dropped. What it keeps of the request shares the memory of its
/// head: texts are made where a line or a span needs them.
#[derive(Debug)]
pub struct AccessRecord {
    log: AccessLog,
    context: TraceContext,
    span: Span,
    facts: Arc<Mutex<Facts>>,
    open: OpenRequest,
    /// `None` without lines.
    came_at: Option<DateTime<Utc>>,
    started: Instant,
    peer: Option<SocketAddr>,
    method: Method,
    uri: Uri,
    opaque_id: Option<HeaderValue>,
    /// What the head of the answer said; `None` before it was there.
    answer: Option<AnswerHead>,
    served: Served,
}

#[derive(Debug)]
struct AnswerHead {
    status: StatusCode,
    cache: Option<HeaderValue>,
    after: Duration,
}

/// A line.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "@timestamp")]
    timestamp: Option<String>,
    #[serde(rename = "event.dataset")]
    dataset: &'static str,
    node: &'a str,
    #[serde(rename = "client.address", skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    #[serde(rename = "client.port", skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(rename = "http.method")]
    method: &'a str,
    #[serde(rename = "url.path")]
    path: &'a str,
    #[serde(rename = "url.query", skip_serializing_if = "Option::is_none")]
    query: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<&'a str>,
    #[serde(rename = "apikey.id", skip_serializing_if = "Option::is_none")]
    key_id: Option<&'a str>,
    #[serde(rename = "http.status")]
    status: u16,
    #[serde(serialize_with = "milliseconds")]
    took_ms: Duration,
    #[serde(
        serialize_with = "some_milliseconds",
        skip_serializing_if = "Option::is_none"
    )]
    head_ms: Option<Duration>,
    #[serde(rename = "http.bytes")]
    num_bytes: u64,
    #[serde(skip_serializing_if = "is_false")]
    aborted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shards: Option<NotedShards>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query_key: Option<QueryKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backend: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'a str>,
    #[serde(rename = "trace.id")]
    trace_id: String,
    #[serde(rename = "span.id")]
    span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    opaque_id: Option<Cow<'a, str>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Writes milliseconds with three digits behind the point.
fn milliseconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_micros() as f64 / 1_000.0)
}

fn some_milliseconds<S: Serializer>(
    time: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    milliseconds(&time.unwrap_or_default(), serializer)
}

impl AccessRecord {
    /// Returns what the work on the request is to belong to.
    pub fn scope(&self) -> Scope {
        let scope = Scope::of_request(self.context, Arc::clone(&self.facts));
        if self.log.lines.is_some() || recorder::is_recording() {
            scope
        } else {
            scope.staying_here()
        }
    }

    /// Notes the head of the answer.
    pub fn answered(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.answer = Some(AnswerHead {
            status,
            cache: headers.get(X_CACHE).cloned(),
            after: self.started.elapsed(),
        });
    }

    /// Notes how much of the answer has gone.
    pub fn served(&mut self, served: Served) {
        self.served = served;
    }

    fn line(&self, facts: &Facts) -> String {
        let answer = self.answer.as_ref();
        let peer = self
            .peer
            .map(|peer| (peer.ip().to_canonical(), peer.port()));
        let client = facts.client.or(peer.map(|peer| peer.0));
        let line = Line {
            timestamp: self
                .came_at
                .map(|came_at| came_at.to_rfc3339_opts(SecondsFormat::Millis, true)),
            dataset: "gleaner.access",
            node: &self.log.node,
            client: client.map(|address| address.to_string()),
            port: peer
                .filter(|peer| client == Some(peer.0))
                .map(|peer| peer.1),
            method: self.method.as_str(),
            path: cut(self.uri.path()),
            query: self.uri.query().map(cut),
            route: facts.route,
            index: facts.index.as_deref(),
            key_id: facts.key_id.as_deref(),
            status: answer.map_or(CLIENT_GONE, |answer| answer.status.as_u16()),
            took_ms: self.started.elapsed(),
            head_ms: answer.map(|answer| answer.after),
            num_bytes: self.served.num_bytes,
            aborted: self.served.is_cut || answer.is_none(),
            cache: answer.and_then(|answer| answer.cache.as_ref().map(text_of)),
            shards: facts.shards,
            query_key: facts.query_key,
            backend: facts.backend.as_deref(),
            variant: facts.variant.as_deref(),
            trace_id: self.context.trace_hex(),
            span_id: format!("{:016x}", self.context.span_id),
            opaque_id: self.opaque_id.as_ref().map(text_of),
        };
        serde_json::to_string(&line).unwrap_or_default()
    }

    fn describe_span(&mut self, facts: &Facts) {
        if !self.span.is_recorded() {
            return;
        }
        let span = &mut self.span;
        let status = self.answer.as_ref().map(|answer| answer.status);
        span.rename(match facts.route {
            Some(route) => format!("{} {route}", self.method),
            None => self.method.to_string(),
        });
        span.set("http.request.method", self.method.as_str());
        span.set("url.path", self.uri.path());
        if let Some(status) = status {
            let code = usize::from(status.as_u16());
            span.set("http.response.status_code", code);
        }
        if let Some(cache) = self.answer.as_ref().and_then(|head| head.cache.as_ref()) {
            span.set("gleaner.cache", &*text_of(cache));
        }
        if let Some(index) = facts.index.as_deref() {
            span.set("db.collection.name", index);
        }
        if let Some(key) = facts.query_key {
            span.set("gleaner.query_key", key.to_string().as_str());
        }
        match status {
            None => span.set("cancelled", true),
            Some(status) if status.is_server_error() => {
                span.fail("the answer is an error of the server");
            }
            Some(_) => {}
        }
    }
}

impl Drop for AccessRecord {
    fn drop(&mut self) {
        let facts = std::mem::take(&mut *self.facts.lock());
        if let Some(lines) = &self.log.lines {
            lines.write(self.line(&facts));
        }
        self.describe_span(&facts);
        self.open.end(facts, self.started.elapsed());
    }
}

/// Returns the text of a header, cut; its bytes are those of a stranger.
fn text_of(value: &HeaderValue) -> Cow<'_, str> {
    match String::from_utf8_lossy(value.as_bytes()) {
        Cow::Borrowed(text) => Cow::Borrowed(cut(text)),
        Cow::Owned(text) => Cow::Owned(cut(&text).to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use serde_json::Value;

    use super::*;
    use crate::line_log::LinePlace;
    use crate::scope::note;

    fn log_in(folder: &tempfile::TempDir) -> (AccessLog, LineLog, std::path::PathBuf) {
        let path = folder.path().join("access.jsonl");
        let lines = LineLog::start("access", LinePlace::File(path.clone())).expect("opened");
        (AccessLog::new("n1", Some(lines.clone())), lines, path)
    }

    fn head(uri: &str, opaque_id: &[u8]) -> request::Parts {
        let opaque_id = HeaderValue::from_bytes(opaque_id).expect("a value");
        let request = Request::post(uri).header(OPAQUE_ID, opaque_id).body(());
        request.expect("a request").into_parts().0
    }

    #[tokio::test]
    async fn each_request_is_one_line_of_json_whatever_its_client_sends() {
        let folder = tempfile::tempdir().expect("a folder");
        let (log, lines, path) = log_in(&folder);
        let long = format!("/{}?q=%0a%1b", "x".repeat(50_000));
        for uri in ["/books/_search?q=a", &long] {
            let peer = "[::ffff:10.0.0.1]:7".parse().ok();
            let mut record = log.begin(&head(uri, b"a\xff\"\t\\"), peer);
            let noted = async {
                note(|facts| facts.note_key(&[0xab, 1, 2, 3, 4]));
                note(|facts| facts.key_id = Some("id".into()));
                note(|facts| facts.note_target("search", Some(&"é".repeat(2_000))));
            };
            record.scope().run(noted).await;
            let mut headers = HeaderMap::new();
            headers.insert(X_CACHE, HeaderValue::from_static("miss"));
            record.answered(StatusCode::OK, &headers);
            record.served(Served {
                num_bytes: 12,
                is_cut: false,
            });
        }
        drop(log.begin(&head("/gone", b""), None));
        assert!(lines.flush(Duration::from_secs(60)));
        let text = std::fs::read_to_string(path).expect("a file");
        let told: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        assert_eq!(told.len(), 3, "{text}");
        let first = &told[0];
        assert_eq!(first["client.address"], "10.0.0.1");
        assert_eq!(first["http.status"], 200);
        assert_eq!(first["http.bytes"], 12);
        assert_eq!(first["query_key"], "ab010203");
        assert_eq!(first["apikey.id"], "id");
        assert_eq!(first["cache"], "miss");
        assert_eq!(first["index"].as_str().map(str::len), Some(1_024));
        assert_eq!(first["trace.id"].as_str().map(str::len), Some(32));
        assert!(first.get("aborted").is_none(), "{first}");
        assert_eq!(told[1]["url.path"].as_str().map(str::len), Some(1_024));
        assert_eq!(told[2]["http.status"], 499);
        assert_eq!(told[2]["aborted"], true);
    }
}

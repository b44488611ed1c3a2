//! `_reindex` from a cluster elsewhere that speaks the dialect: its documents by its scroll interface.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gleaner_model::mapping::matches_pattern;
use gleaner_query::json::scalar_text;
use gleaner_query::units::parse_time;
use gleaner_root::RootError;
use gleaner_root::by_query::{DocumentPages, FoundDocument, FoundPage, Pauses};
use gleaner_root::memory::{AnswerMemory, HeldMemory};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use reqwest::{Client, Method, RequestBuilder, Response, Url};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::options::RemoteClusters;

/// Bytes of one answer of the other cluster at most.
const MAX_PAGE_BYTES: usize = 100 << 20;

/// Longest time that a scroll is kept for: clusters of the dialect refuse a longer one by default.
const LONGEST_SCROLL: Duration = Duration::from_secs(24 * 3_600);

/// How long the other cluster may take to accept a connection, or to answer, where the request does not say.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What `remote` says.
#[derive(Debug)]
pub(super) struct Remote {
    base: Url,
    headers: HeaderMap,
    user: Option<(String, String)>,
    connect_timeout: Duration,
    socket_timeout: Duration,
}

/// What is asked of the other cluster.
#[derive(Debug)]
pub(super) struct RemoteSearch {
    /// Index expressions, comma-separated.
    pub(super) indices: String,
    /// The body: a search.
    pub(super) body: Map<String, Value>,
    pub(super) page_size: usize,
    /// How long a scroll is kept beside the pause after its page.
    pub(super) keep_alive: Duration,
}

impl Remote {
    /// Reads `{"host": "http://other:9200", …}`.
    pub(super) fn read(value: &Value) -> Result<Self, ApiError> {
        let Value::Object(entries) = value else {
            return Err(ApiError::parse("[remote] must be an object"));
        };
        let mut entries = entries.clone();
        let mut text = |key: &str| entries.shift_remove(key).as_ref().and_then(scalar_text);
        let Some(host) = text("host") else {
            return Err(ApiError::illegal(
                "[host] must be specified to reindex from a remote cluster",
            ));
        };
        let base = base_of(&host)?;
        let (username, password) = (text("username"), text("password"));
        let connect_timeout = timeout(text("connect_timeout"))?;
        let socket_timeout = timeout(text("socket_timeout"))?;
        let headers = entries.shift_remove("headers");
        if !entries.is_empty() {
            let keys: Vec<&str> = entries.keys().map(String::as_str).collect();
            let reason = format!("Unsupported fields in [remote]: [{}]", keys.join(","));
            return Err(ApiError::illegal(reason));
        }
        Ok(Self {
            base,
            headers: read_headers(headers.as_ref())?,
            user: username.map(|name| (name, password.unwrap_or_default())),
            connect_timeout,
            socket_timeout,
        })
    }

    /// Returns `host:port`, as the list of those allowed names it.
    pub(super) fn address(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        let port = self.base.port_or_known_default().unwrap_or_default();
        format!("{host}:{port}")
    }

    /// Returns the pages of a search there, if that cluster is allowed.
    pub(super) fn pages(
        self,
        search: RemoteSearch,
        clusters: &RemoteClusters,
        memory: AnswerMemory,
    ) -> Result<RemotePages, ApiError> {
        let address = self.address();
        let mut allowed = clusters.allowed.iter();
        if !allowed.any(|pattern| matches_pattern(pattern, &address)) {
            let reason = format!("[{address}] not whitelisted in reindex.remote.whitelist");
            return Err(ApiError::illegal(reason));
        }
        let Some(client) = clusters.client.clone() else {
            return Err(ApiError::unsupported("reindex from a remote cluster"));
        };
        Ok(RemotePages {
            scroll: Arc::new(Scroll {
                client,
                remote: self,
                id: parking_lot::Mutex::default(),
            }),
            search,
            memory,
            left: Vec::new(),
            held: None,
            is_begun: false,
        })
    }
}

/// Returns where requests go.
fn base_of(host: &str) -> Result<Url, ApiError> {
    let malformed = || {
        ApiError::illegal(format!(
            "[host] must be of the form [scheme]://[host]:[port](/[pathPrefix])? but was [{host}]"
        ))
    };
    let (scheme, rest) = host.split_once("://").ok_or_else(malformed)?;
    let authority = rest.split('/').next().unwrap_or_default();
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(name, port)| !name.is_empty() && port.parse::<u16>().is_ok());
    if !matches!(scheme, "http" | "https") || !has_port || authority.contains('@') {
        return Err(malformed());
    }
    let url = format!("{}/", host.trim_end_matches('/'));
    Url::parse(&url).map_err(|_| malformed())
}

fn timeout(text: Option<String>) -> Result<Duration, ApiError> {
    let Some(text) = text else {
        return Ok(TIMEOUT);
    };
    match parse_time(&text, "timeout") {
        Ok(time) => Ok(time.unwrap_or(TIMEOUT)),
        Err(error) => {
            let cause = ApiError::new(
                StatusCode::BAD_REQUEST,
                "number_format_exception",
                format!("For input string: \"{text}\""),
            );
            let reason = format!("failed to parse [{text}]: {error}");
            Err(ApiError::illegal(reason).caused_by(cause))
        }
    }
}

fn read_headers(value: Option<&Value>) -> Result<HeaderMap, ApiError> {
    let mut headers = HeaderMap::new();
    for (name, value) in value.and_then(Value::as_object).into_iter().flatten() {
        let text = scalar_text(value).unwrap_or_default();
        let parsed = (HeaderName::try_from(name), HeaderValue::try_from(text));
        let (Ok(name), Ok(value)) = parsed else {
            let reason = format!("[remote] header [{name}] is no header of HTTP");
            return Err(ApiError::illegal(reason));
        };
        headers.insert(name, value);
    }
    Ok(headers)
}

/// A scroll of the other cluster; cleared there when it is dropped.
struct Scroll {
    client: Client,
    remote: Remote,
    id: parking_lot::Mutex<Option<String>>,
}

impl Scroll {
    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.remote.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let request = self
            .client
            .request(method, url)
            .headers(self.remote.headers.clone());
        match &self.remote.user {
            Some((name, password)) => request.basic_auth(name, Some(password)),
            None => request,
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, RootError> {
        let patience = self.remote.connect_timeout + self.remote.socket_timeout;
        let failed = |error: reqwest::Error| self.failed(&error.to_string());
        let response = request.timeout(patience).send().await.map_err(failed)?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let mut response = response;
        let start = response.chunk().await.ok().flatten().unwrap_or_default();
        let start = String::from_utf8_lossy(&start[..start.len().min(500)]).into_owned();
        let reason = format!("it answered {status}: {start}");
        Err(self.failed_with(Some(status.as_u16()), &reason))
    }

    fn failed(&self, reason: &str) -> RootError {
        self.failed_with(None, reason)
    }

    fn failed_with(&self, status: Option<u16>, reason: &str) -> RootError {
        let reason = format!("[{}]: {reason}", self.remote.address());
        RootError::Remote { status, reason }
    }
}

impl Drop for Scroll {
    fn drop(&mut self) {
        let Some(id) = self.id.lock().take() else {
            return;
        };
        let clear = self
            .request(Method::DELETE, &["_search", "scroll"])
            .json(&json!({"scroll_id": [id]}))
            .timeout(TIMEOUT);
        // Without a runtime the process ends, and the other cluster lets go by itself.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { drop(clear.send().await) });
        }
    }
}

/// The pages of a search of the other cluster.
pub(super) struct RemotePages {
    scroll: Arc<Scroll>,
    search: RemoteSearch,
    memory: AnswerMemory,
    /// Documents of a page that were not asked for yet, the last first.
    left: Vec<FoundDocument>,
    /// What they hold.
    held: Option<Arc<HeldMemory>>,
    is_begun: bool,
}

/// A page, the memory that it holds, and how often it was asked for again.
struct RemoteAnswer {
    page: RemotePage,
    held: HeldMemory,
    retries: u64,
}

#[derive(Deserialize)]
struct RemotePage {
    #[serde(rename = "_scroll_id")]
    scroll_id: Option<String>,
    #[serde(default)]
    timed_out: bool,
    #[serde(rename = "_shards", default)]
    shards: Value,
    hits: RemoteHits,
}

#[derive(Deserialize)]
struct RemoteHits {
    #[serde(default)]
    total: Value,
    hits: Vec<RemoteHit>,
}

#[derive(Deserialize)]
struct RemoteHit {
    #[serde(rename = "_index")]
    index: String,
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "_version", default)]
    version: u64,
    #[serde(rename = "_routing", default)]
    routing: Option<String>,
    #[serde(rename = "_source")]
    source: Option<Box<RawValue>>,
}

impl RemotePages {
    /// Asks for a page, and again after a pause where there was no room for it.
    async fn ask_patiently(&self, pause: Duration) -> Result<RemoteAnswer, RootError> {
        let (mut pauses, mut retries) = (Pauses::default(), 0);
        loop {
            let error = match self.ask(pause).await {
                Ok(answer) => return Ok(RemoteAnswer { retries, ..answer }),
                Err(error) => error,
            };
            let is_busy = matches!(
                error,
                RootError::Remote {
                    status: Some(429),
                    ..
                }
            );
            match pauses.next().filter(|_| is_busy) {
                Some(again_after) => tokio::time::sleep(again_after).await,
                None => return Err(error),
            }
            retries += 1;
        }
    }

    async fn ask(&self, pause: Duration) -> Result<RemoteAnswer, RootError> {
        let keep_alive = self.search.keep_alive.saturating_add(pause);
        let keep_alive = keep_alive.min(LONGEST_SCROLL.max(self.search.keep_alive));
        let keep_alive = format!("{}ms", keep_alive.as_millis());
        let id = self.scroll.id.lock().clone();
        let request = match id {
            Some(id) => self
                .scroll
                .request(Method::POST, &["_search", "scroll"])
                .json(&json!({"scroll": keep_alive, "scroll_id": id})),
            None => {
                let mut body = self.search.body.clone();
                body.insert("size".to_owned(), self.search.page_size.into());
                body.insert("version".to_owned(), true.into());
                body.entry("sort").or_insert_with(|| json!(["_doc"]));
                self.scroll
                    .request(Method::POST, &[self.search.indices.as_str(), "_search"])
                    .query(&[("scroll", keep_alive.as_str())])
                    .json(&body)
            }
        };
        let mut response = self.scroll.send(request).await?;
        let mut held = self.memory.reserve(0)?;
        let mut whole = Vec::new();
        let failed = |error: reqwest::Error| self.scroll.failed(&error.to_string());
        while let Some(piece) = response.chunk().await.map_err(failed)? {
            if whole.len() + piece.len() > MAX_PAGE_BYTES {
                return Err(self.scroll.failed(
                    "Remote responded with a chunk that was too large. Use a smaller batch size.",
                ));
            }
            // The bytes, and the documents that are copied out of them.
            held.grow(2 * piece.len())?;
            whole.extend_from_slice(&piece);
        }
        let page: RemotePage = serde_json::from_slice(&whole).map_err(|error| {
            self.scroll
                .failed(&format!("its answer cannot be read: {error}"))
        })?;
        if page.shards["failed"].as_u64().unwrap_or(0) > 0 {
            let failures = page.shards["failures"].to_string();
            return Err(self
                .scroll
                .failed(&format!("shards failed there: {failures}")));
        }
        Ok(RemoteAnswer {
            page,
            held,
            retries: 0,
        })
    }
}

#[async_trait]
impl DocumentPages for RemotePages {
    async fn next(&mut self, size: usize, pause: Duration) -> Result<FoundPage, RootError> {
        let mut found = FoundPage::default();
        if self.left.is_empty() {
            let RemoteAnswer {
                page,
                held,
                retries,
            } = self.ask_patiently(pause).await?;
            found.retries = retries;
            if page.scroll_id.is_some() {
                *self.scroll.id.lock() = page.scroll_id;
            }
            if !std::mem::replace(&mut self.is_begun, true) {
                let total = &page.hits.total;
                found.total = total.as_u64().or_else(|| total["value"].as_u64());
            }
            found.timed_out = page.timed_out;
            self.held = Some(Arc::new(held));
            found.is_last = page.hits.hits.is_empty();
            for hit in page.hits.hits.into_iter().rev() {
                self.left.push(self.found(hit)?);
            }
        }
        found.held.clone_from(&self.held);
        let at = self.left.len().saturating_sub(size);
        found.documents = self.left.split_off(at);
        found.documents.reverse();
        Ok(found)
    }

    async fn keep_alive(&mut self) -> Result<(), RootError> {
        // The dialect has no call for it but the next page, which would be lost: the scroll is kept for the pause too.
        Ok(())
    }
}

impl RemotePages {
    fn found(&self, hit: RemoteHit) -> Result<FoundDocument, RootError> {
        let Some(source) = hit.source else {
            let reason = format!("[{}][_doc][{}] didn't store _source", hit.index, hit.id);
            return Err(gleaner_query::QueryError::illegal(reason).into());
        };
        let source: Box<str> = source.into();
        Ok(FoundDocument {
            index: hit.index,
            id: hit.id,
            routing: hit.routing,
            version: hit.version,
            latest: None,
            source: Some(Bytes::from(source.into_string())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_remote_cluster_is_named() {
        for (value, expected) in [
            (json!({}), "[host] must be specified"),
            (json!({"host": "other"}), "[host] must be of the form"),
            (
                json!({"host": "ftp://other:1"}),
                "[host] must be of the form",
            ),
            (
                json!({"host": "http://me:x@other:1"}),
                "[host] must be of the form",
            ),
            (
                json!({"host": "http://other:9200", "weird": 1, "badkey": 2}),
                "Unsupported fields in [remote]: [weird,badkey]",
            ),
            (
                json!({"host": "http://other:9200", "socket_timeout": "borked"}),
                "[borked]",
            ),
        ] {
            let refused = Remote::read(&value).expect_err("refused");
            assert!(refused.reason().contains(expected), "{refused}");
        }
    }

    #[test]
    fn an_address_is_host_and_port() {
        let remote = Remote::read(&json!({"host": "https://Other:9200/prefix"})).expect("read");
        assert_eq!(remote.address(), "other:9200");
        assert_eq!(remote.base.path(), "/prefix/");
    }
}

//! A server of the dialect, as small as a load needs, that answers as a test tells it to.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// How to answer a bulk request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reply {
    /// As it should be.
    Normal,
    /// With a status and perhaps `Retry-After` seconds; nothing is applied.
    Status(u16, Option<u64>),
    /// Every n-th item, from the first, is rejected with 429; the others are applied.
    RejectEvery(usize),
    /// The first item fails with this status and type; the others are applied.
    FailFirst(u16, &'static str),
    /// The connection breaks before anything is applied.
    Hang,
    /// Everything is applied, and the connection breaks before the answer.
    ApplyAndHang,
    /// Everything is applied, and the first item is told to be unknown, 503, with the id it got.
    ApplyAndForget,
}

#[derive(Default)]
struct Books {
    documents: BTreeMap<String, Value>,
    next: VecDeque<Reply>,
    always: Option<Reply>,
    body_limit: Option<usize>,
    /// Most updates of a request; more of them are refused, each.
    update_limit: Option<usize>,
    exists: bool,
    num_refreshes: usize,
    /// Refreshes get no answer.
    holds_refreshes: bool,
    /// Names of indices, in the order in which they were refreshed.
    refreshed: Vec<String>,
    /// Number of operations of each bulk request.
    sizes: Vec<usize>,
    keys: Vec<String>,
    /// Answers by idempotency key.
    answered: HashMap<String, Value>,
    headers: HeaderMap,
    refused_at: Option<Instant>,
    waits: Vec<Duration>,
    num_ids: usize,
}

/// The server; it ends when it is dropped.
pub(crate) struct Server {
    books: Arc<(Mutex<Books>, Condvar)>,
    address: String,
    _runtime: Runtime,
}

impl Server {
    /// Starts on a free port.
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let books: Arc<(Mutex<Books>, Condvar)> = Arc::default();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let router = Router::new()
            .route(
                "/",
                get(|| async { axum::Json(json!({"tagline": "for tests"})) }),
            )
            .route("/books", put(create))
            .route("/{index}/_refresh", post(refresh))
            .route("/books/_bulk", post(bulk))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&books));
        runtime.spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self {
            books,
            address,
            _runtime: runtime,
        }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Books) -> T) -> T {
        look(&mut self.books.0.lock().expect("no test panicked inside"))
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers the next bulk requests so, one each.
    pub(crate) fn reply_next(&self, replies: impl IntoIterator<Item = Reply>) {
        self.with(|books| books.next.extend(replies));
    }

    /// Answers all bulk requests so, after those of [`reply_next`](Self::reply_next).
    pub(crate) fn reply_always(&self, reply: Reply) {
        self.with(|books| books.always = Some(reply));
    }

    pub(crate) fn limit_body(&self, num_bytes: usize) {
        self.with(|books| books.body_limit = Some(num_bytes));
    }

    /// Forgets which requests it has answered.
    pub(crate) fn forget_requests(&self) {
        self.with(|books| books.answered.clear());
    }

    pub(crate) fn limit_updates(&self, number: usize) {
        self.with(|books| books.update_limit = Some(number));
    }

    pub(crate) fn documents(&self) -> BTreeMap<String, Value> {
        self.with(|books| books.documents.clone())
    }

    pub(crate) fn num_refreshes(&self) -> usize {
        self.with(|books| books.num_refreshes)
    }

    pub(crate) fn refreshed(&self) -> Vec<String> {
        self.with(|books| books.refreshed.clone())
    }

    pub(crate) fn request_sizes(&self) -> Vec<usize> {
        self.with(|books| books.sizes.clone())
    }

    pub(crate) fn idempotency_keys(&self) -> Vec<String> {
        self.with(|books| books.keys.clone())
    }

    pub(crate) fn last_header(&self, name: &str) -> Option<String> {
        self.with(|books| Some(books.headers.get(name)?.to_str().ok()?.to_owned()))
    }

    /// Returns the shortest time between a 429 and the request after it.
    pub(crate) fn shortest_wait_after_429(&self) -> Option<Duration> {
        self.with(|books| books.waits.iter().min().copied())
    }

    /// Answers no refresh from now on.
    pub(crate) fn hold_refreshes(&self) {
        self.with(|books| books.holds_refreshes = true);
    }

    /// Waits until a refresh was asked for.
    pub(crate) fn wait_for_refresh(&self) {
        self.wait_until("refresh", |books| books.num_refreshes > 0);
    }

    /// Waits until so many bulk requests have arrived.
    pub(crate) fn wait_for_requests(&self, number: usize) {
        self.wait_until("requests", |books| books.sizes.len() >= number);
    }

    fn wait_until(&self, what: &str, is_so: impl Fn(&Books) -> bool) {
        let (books, changed) = &*self.books;
        let books = books.lock().expect("no test panicked inside");
        let patience = Duration::from_secs(60);
        let waited = changed.wait_timeout_while(books, patience, |books| !is_so(books));
        assert!(
            !waited.expect("no test panicked inside").1.timed_out(),
            "no {what}"
        );
    }
}

type Shared = State<Arc<(Mutex<Books>, Condvar)>>;

async fn create(State(books): Shared) -> Response {
    let mut books = books.0.lock().expect("no test panicked inside");
    if std::mem::replace(&mut books.exists, true) {
        let error = json!({"type": "resource_already_exists_exception", "reason": "there"});
        return (StatusCode::BAD_REQUEST, axum::Json(json!({"error": error}))).into_response();
    }
    axum::Json(json!({"acknowledged": true})).into_response()
}

async fn refresh(State(shared): Shared, Path(index): Path<String>) -> Response {
    if note_refresh(&shared, index) {
        std::future::pending::<()>().await;
    }
    axum::Json(json!({"_shards": {"failed": 0}})).into_response()
}

/// Counts a refresh; returns whether it is held.
fn note_refresh((books, changed): &(Mutex<Books>, Condvar), index: String) -> bool {
    let mut books = books.lock().expect("no test panicked inside");
    changed.notify_all();
    books.num_refreshes += 1;
    books.refreshed.push(index);
    books.holds_refreshes
}

async fn bulk(State(shared): Shared, headers: HeaderMap, body: Bytes) -> Response {
    let (books, changed) = &*shared;
    let mut books = books.lock().expect("no test panicked inside");
    changed.notify_all();
    let operations = operations(&body);
    books.sizes.push(operations.len());
    if let Some(refused) = books.refused_at.take() {
        books.waits.push(refused.elapsed());
    }
    let key = headers["idempotency-key"]
        .to_str()
        .expect("text")
        .to_owned();
    books.keys.push(key.clone());
    books.headers = headers;
    if books.body_limit.is_some_and(|limit| body.len() > limit) {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    }
    let always = books.always.unwrap_or(Reply::Normal);
    let reply = books.next.pop_front().unwrap_or(always);
    match reply {
        Reply::Status(status, retry_after) => {
            if status == 429 {
                books.refused_at = Some(Instant::now());
            }
            return refusal(status, retry_after);
        }
        Reply::Hang => return broken(),
        _ => {}
    }
    if let Some(answer) = books.answered.get(&key) {
        return axum::Json(answer.clone()).into_response();
    }
    let updates = operations.iter().filter(|(action, ..)| action == "update");
    let are_too_many = books
        .update_limit
        .is_some_and(|limit| updates.count() > limit);
    let items: Vec<Value> = (0_usize..)
        .zip(operations)
        .map(|(index, operation)| match reply {
            Reply::RejectEvery(stride) if index.is_multiple_of(stride) => {
                item(&operation, 429, Some("es_rejected_execution_exception"))
            }
            Reply::FailFirst(status, kind) if index == 0 => item(&operation, status, Some(kind)),
            Reply::ApplyAndForget if index == 0 => {
                let written = apply(&mut books, &operation);
                let mut told = item(&operation, 503, Some("unavailable_shards_exception"));
                told[&operation.0]["_id"] = written[&operation.0]["_id"].clone();
                told
            }
            _ if are_too_many && operation.0 == "update" => {
                item(&operation, 413, Some("content_too_long_exception"))
            }
            _ => apply(&mut books, &operation),
        })
        .collect();
    let answer = json!({"took": 1, "errors": true, "items": items});
    // An index that takes nothing remembers no request either.
    if !matches!(reply, Reply::FailFirst(..)) {
        books.answered.insert(key, answer.clone());
    }
    if matches!(reply, Reply::ApplyAndHang) {
        broken()
    } else {
        axum::Json(answer).into_response()
    }
}

/// Action, metadata, source.
type Operation = (String, Value, Value);

fn operations(body: &[u8]) -> Vec<Operation> {
    let text = std::str::from_utf8(body).expect("UTF-8");
    assert!(text.ends_with('\n'), "the last line has its end");
    let mut lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let mut operations = Vec::new();
    while let Some(action) = lines.next() {
        let (name, metadata) = action
            .as_object()
            .expect("an object")
            .iter()
            .next()
            .expect("one");
        let source = if name == "delete" {
            Value::Null
        } else {
            lines.next().expect("a source")
        };
        operations.push((name.clone(), metadata.clone(), source));
    }
    operations
}

fn apply(books: &mut Books, operation: &Operation) -> Value {
    books.num_ids += 1;
    let own = format!("own-{}", books.num_ids);
    let (action, metadata, source) = operation;
    let id = metadata["_id"].as_str().unwrap_or(&own).to_owned();
    if source.get("bad").is_some() {
        return item(operation, 400, Some("mapper_parsing_exception"));
    }
    match action.as_str() {
        "delete" if books.documents.remove(&id).is_none() => item(operation, 404, None),
        "delete" => item(operation, 200, None),
        "create" if books.documents.contains_key(&id) => {
            item(operation, 409, Some("version_conflict_engine_exception"))
        }
        _ => {
            let mut written = item(operation, 201, None);
            written[action]["_id"] = id.as_str().into();
            books.documents.insert(id, source.clone());
            written
        }
    }
}

fn item((action, metadata, _): &Operation, status: u16, error: Option<&str>) -> Value {
    let index = metadata["_index"].as_str().unwrap_or("books");
    let error = error.map(|kind| json!({"type": kind, "reason": "as the test said"}));
    match error {
        Some(error) => json!({action: {"_index": index, "status": status, "error": error}}),
        None => json!({action: {"_index": index, "status": status}}),
    }
}

fn refusal(status: u16, retry_after: Option<u64>) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    let body = axum::Json(json!({"error": {"type": "refused", "reason": "as the test said"}}));
    match retry_after {
        Some(seconds) => (status, [("retry-after", seconds.to_string())], body).into_response(),
        None => (status, body).into_response(),
    }
}

/// Answers with a body that ends before its length: the client sees the connection break.
fn broken() -> Response {
    let pieces = futures::stream::iter([
        Ok(Bytes::from_static(b"{\"took\":")),
        Err(std::io::Error::other("as the test said")),
    ]);
    axum::body::Body::from_stream(pieces).into_response()
}

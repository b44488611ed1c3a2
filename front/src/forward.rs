//! A request goes to a backend, and once more to another one where that is safe.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use gleaner_model::metric;
use gleaner_telemetry::{Span, SpanKind, TRACEPARENT};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header, request};
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, timeout_at};

use crate::answer::{self, AnswerBody, Held, Open};
use crate::backend::Backend;
use crate::balance::{Affinity, Backends};
use crate::body::{BodyFault, RequestBody, innermost};
use crate::budget::Budget;
use crate::connect::Connect;
use crate::options::FrontOptions;
use crate::refusal::Refusal;

/// Header that tells a root how many milliseconds of a request's time are left.
const REMAINING: HeaderName = HeaderName::from_static("x-gleaner-remaining-ms");

/// How long a connection to a backend is kept without a request: less than servers keep theirs.
const IDLE: Duration = Duration::from_secs(30);

/// Sends requests to backends.
pub(crate) struct Forwarder {
    client: Client<Connect, Body>,
    budget: Budget,
    is_read: fn(&http::Method, &str) -> bool,
    pub(crate) answer_within: Duration,
    pause_within: Duration,
    tells_deadline: bool,
    keeps_host: bool,
}

/// A request on its way to a backend.
pub(crate) struct Forward<'a> {
    pub(crate) head: request::Parts,
    pub(crate) body: RequestBody,
    pub(crate) backends: &'a Backends,
    pub(crate) affinity: Affinity<'a>,
    /// What it holds until the answer ends.
    pub(crate) held: Arc<Held>,
}

/// Why an attempt gave no answer.
pub(crate) struct Failure {
    refusal: Refusal,
    /// Has the backend seen nothing of the request, for certain?
    is_unseen: bool,
}

impl Failure {
    /// Returns what went wrong.
    pub(crate) fn into_reason(self) -> String {
        self.refusal.into_reason()
    }
}

impl Forwarder {
    pub(crate) fn new(options: &FrontOptions) -> Self {
        let connect = Connect {
            tls: options.connector.clone(),
            within: options.connect_within,
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connect);
        Self {
            client,
            budget: Budget::default(),
            is_read: options.is_read,
            answer_within: options.answer_within,
            pause_within: options.pause_within,
            tells_deadline: options.tells_deadline,
            keeps_host: options.keeps_host,
        }
    }

    /// Returns the answer of a backend.
    ///
    /// # Errors
    /// What the client is answered instead.
    pub(crate) async fn forward(&self, forward: Forward<'_>) -> Result<Response<Body>, Refusal> {
        let (backends, affinity, head) = (forward.backends, forward.affinity, &forward.head);
        self.budget.note_request();
        let deadline = Instant::now() + self.answer_within;
        let none = || Refusal::unreachable("none", "there is no backend");
        let first = backends.choose(affinity, None).ok_or_else(none)?;
        let failure = match self.attempt(first, &forward, deadline).await {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        let is_safe = failure.is_unseen || (self.is_read)(&head.method, head.uri.path());
        let is_late = Instant::now() >= deadline;
        if !is_safe || is_late || !forward.body.is_at_hand() {
            return Err(failure.refusal);
        }
        let Some(second) = backends.choose(affinity, Some(first)) else {
            return Err(failure.refusal);
        };
        if !self.budget.take() {
            return Err(failure.refusal);
        }
        metrics::counter!(metric::FRONT_RETRIES.name).increment(1);
        let second = self.attempt(second, &forward, deadline).await;
        second.map_err(|failure| failure.refusal)
    }

    /// Asks one backend.
    pub(crate) async fn attempt(
        &self,
        backend: &Arc<Backend>,
        forward: &Forward<'_>,
        deadline: Instant,
    ) -> Result<Response<Body>, Failure> {
        let body = &forward.body;
        let open = backend.open();
        let mut request = self.request_to(backend, &forward.head, deadline)?;
        if body.is_of_unknown_size() {
            // Else the client would send the body of a GET without its size as no body at all.
            let chunked = HeaderValue::from_static("chunked");
            request
                .headers_mut()
                .insert(header::TRANSFER_ENCODING, chunked);
        }
        let mut span = Span::begin("forward", SpanKind::Client);
        span.set("server.address", &*backend.name);
        gleaner_telemetry::note(|facts| facts.backend = Some(Arc::clone(&backend.name)));
        if let Some(Ok(below)) = span.outgoing().map(|context| context.to_string().parse()) {
            request.headers_mut().insert(TRACEPARENT, below);
        }
        let begun = Instant::now();
        let sending = span.around(self.client.request(request.map(|()| body.lend())));
        let answered = match timeout_at(deadline, sending).await {
            Ok(answered) => answered.map_err(|error| failed(backend, &error, body)),
            Err(_elapsed) => Err(late(backend, body)),
        };
        let answer = answered?;
        note(backend, &answer, begun.elapsed());
        if let Some(objection) = answer::objection(&answer) {
            backend.note_failure();
            return Err(Failure {
                refusal: Refusal::failed(&backend.name, objection),
                is_unseen: false,
            });
        }
        let open = Open {
            _held: Arc::clone(&forward.held),
            _forward: open,
        };
        Ok(answer.map(|body| AnswerBody::wrap(body, self.pause_within, open)))
    }

    fn request_to(
        &self,
        backend: &Backend,
        head: &request::Parts,
        deadline: Instant,
    ) -> Result<Request<()>, Failure> {
        let mut request = Request::new(());
        *request.method_mut() = head.method.clone();
        *request.headers_mut() = head.headers.clone();
        if !self.keeps_host {
            // The client then writes that of the backend.
            request.headers_mut().remove(header::HOST);
        }
        let path = head.uri.path_and_query().cloned();
        let uri = Uri::builder()
            .scheme(backend.url.scheme())
            .authority(backend.url.authority())
            .path_and_query(path.unwrap_or_else(|| PathAndQuery::from_static("/")))
            .build();
        *request.uri_mut() = uri.map_err(|error| Failure {
            refusal: Refusal::bad_request(error.to_string()),
            is_unseen: false,
        })?;
        if self.tells_deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            request
                .headers_mut()
                .insert(REMAINING, HeaderValue::from(left));
        }
        Ok(request)
    }
}

/// Notes what an answer tells of its backend.
fn note(backend: &Backend, answer: &Response<Incoming>, took: Duration) {
    // What is not there yet (501) and full (429, 503 of a breaker) is no fault of the process.
    let is_failure = matches!(
        answer.status(),
        StatusCode::INTERNAL_SERVER_ERROR | StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT
    );
    if is_failure {
        backend.note_failure();
    } else {
        backend.note_success(took);
    }
}

/// Says why a backend gave no answer.
fn failed(backend: &Backend, error: &Error, body: &RequestBody) -> Failure {
    if let Some(fault) = body.fault() {
        return of_client(&fault);
    }
    backend.note_failure();
    let reason = innermost(error);
    tracing::debug!(backend = &*backend.name, reason, "a backend gave no answer");
    let is_unseen = error.is_connect();
    let refusal = match is_unseen {
        true => Refusal::unreachable(&backend.name, &reason),
        false => Refusal::failed(&backend.name, &reason),
    };
    Failure { refusal, is_unseen }
}

/// Says that a backend gave no answer in time.
fn late(backend: &Backend, body: &RequestBody) -> Failure {
    if let Some(fault) = body.fault() {
        return of_client(&fault);
    }
    backend.note_failure();
    Failure {
        refusal: Refusal::late(&backend.name),
        is_unseen: false,
    }
}

/// Says that the client's body is what was wrong.
fn of_client(fault: &BodyFault) -> Failure {
    Failure {
        refusal: Refusal::body(fault),
        is_unseen: false,
    }
}

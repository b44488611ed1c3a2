//! A request goes to a backend, and once more where that is safe.
//!
//! | what failed | what may be sent again | where |
//! | --- | --- | --- |
//! | no connection, or nothing was written to it | any request | another backend |
//! | an answer that cannot be passed on | what changes nothing | another backend |
//! | a connection that was kept, at once and before a word | what changes nothing | the same backend, over a fresh connection |
//! | that one too; a connection that was made for the request; a kept one, later | what may be sent twice, where one like it was answered lately | another backend |
//!
//! The last line is about a backend that may have died of the request: the next one would too. It did not die of what it
//! answered a moment ago ([`Familiar`]).

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
use crate::backend::{Backend, Connections};
use crate::balance::{Affinity, Backends};
use crate::body::{BodyFault, RequestBody, innermost};
use crate::budget::Budget;
use crate::connect::Connect;
use crate::familiar::{Familiar, Likeness, Outline};
use crate::options::FrontOptions;
use crate::refusal::Refusal;
use crate::traffic::{Stage, Traffic};

/// Header that tells a root how many milliseconds of a request's time are left.
const REMAINING: HeaderName = HeaderName::from_static("x-gleaner-remaining-ms");

/// Bytes of a body up to which requests are alike by it: beyond it each request would pay for hashing what seldom helps.
const MAX_LIKENED: usize = 64 << 10;

/// Sends requests to backends.
pub(crate) struct Forwarder {
    connect: Connect,
    /// How long connections are kept.
    idle: Duration,
    /// Makes a connection for each request.
    fresh: Connections,
    lost_within: Duration,
    budget: Budget,
    is_read: fn(&http::Method, &str) -> bool,
    same_work: fn(&request::Parts) -> Option<&str>,
    familiar: Familiar,
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

/// Where a request may go that an attempt brought no answer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// To another backend: this one has seen nothing of it, for certain.
    Elsewhere,
    /// To another backend if it changes nothing: this one lives, and its answer cannot be passed on.
    ElsewhereIfRead,
    /// To the same backend over a fresh connection if it changes nothing: that had closed the one that was kept.
    Again,
    /// To another backend if one like it was answered lately: this one may have died of it.
    ElsewhereIfFamiliar,
    /// Nowhere.
    Nowhere,
}

/// Why an attempt gave no answer.
pub(crate) struct Failure {
    refusal: Refusal,
    next: Next,
}

impl Failure {
    /// Returns what went wrong.
    pub(crate) fn into_reason(self) -> String {
        self.refusal.into_reason()
    }
}

impl Forwarder {
    pub(crate) fn new(options: &FrontOptions) -> Self {
        let connect = Connect::of(options);
        Self {
            fresh: connections(&connect, Duration::ZERO),
            connect,
            idle: options.backend_idle,
            lost_within: options.lost_within,
            budget: Budget::default(),
            is_read: options.is_read,
            same_work: options.same_work,
            familiar: Familiar::default(),
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
        let (backends, affinity) = (forward.backends, forward.affinity);
        self.budget.note_request();
        let deadline = Instant::now() + self.answer_within;
        let none = || Refusal::unreachable("none", "there is no backend");
        let first = backends.choose(affinity, None).ok_or_else(none)?;
        let likeness = self.likeness(&forward);
        let failure = match self.attempt(first, &forward, deadline).await {
            Ok(answer) => return Ok(self.noted(likeness, answer)),
            Err(failure) => failure,
        };
        let is_safe = match failure.next {
            Next::Elsewhere => true,
            Next::ElsewhereIfRead => self.changes_nothing(&forward) && self.budget.take(),
            Next::Again | Next::ElsewhereIfFamiliar => {
                likeness.is_some_and(|likeness| self.familiar.knows(likeness))
            }
            Next::Nowhere => false,
        };
        if !is_safe || Instant::now() >= deadline || !forward.body.is_at_hand() {
            return Err(failure.refusal);
        }
        let Some(second) = backends.choose(affinity, Some(first)) else {
            return Err(failure.refusal);
        };
        metrics::counter!(metric::FRONT_RETRIES.name).increment(1);
        match self.attempt(second, &forward, deadline).await {
            Ok(answer) => Ok(self.noted(likeness, answer)),
            Err(failure) => {
                if let Some(likeness) = likeness
                    && matches!(failure.next, Next::Again | Next::ElsewhereIfFamiliar)
                {
                    self.familiar.forget(likeness);
                }
                Err(failure.refusal)
            }
        }
    }

    /// Returns what a request is alike by that may be sent twice; `None` for any other.
    fn likeness(&self, forward: &Forward<'_>) -> Option<Likeness> {
        let body = forward.body.whole()?;
        let head = &forward.head;
        if let Some(work) = (self.same_work)(head) {
            return Some(self.familiar.likeness((&head.method, work)));
        }
        if body.len() > MAX_LIKENED {
            return None;
        }
        let whole = || {
            let target = head.uri.path_and_query().map(PathAndQuery::as_str);
            self.familiar
                .likeness((&head.method, target, Outline(body)))
        };
        self.changes_nothing(forward).then(whole)
    }

    /// Notes that a backend answered a request.
    fn noted(&self, likeness: Option<Likeness>, answer: Response<Body>) -> Response<Body> {
        if let Some(likeness) = likeness
            && !answer.status().is_server_error()
        {
            self.familiar.note(likeness);
        }
        answer
    }

    fn changes_nothing(&self, forward: &Forward<'_>) -> bool {
        (self.is_read)(&forward.head.method, forward.head.uri.path())
    }

    /// Asks one backend, once more where it had closed the connection that was kept.
    ///
    /// That is not held against the budget: a connection is kept only after an answer, so it is once for each of those.
    pub(crate) async fn attempt(
        &self,
        backend: &Arc<Backend>,
        forward: &Forward<'_>,
        deadline: Instant,
    ) -> Result<Response<Body>, Failure> {
        let kept = backend.kept(|| connections(&self.connect, self.idle));
        let sent = self.send(&kept, backend, forward, deadline).await;
        let lost = match sent {
            Err(failure) if failure.next == Next::Again => failure,
            sent => return sent,
        };
        if !self.changes_nothing(forward) || !forward.body.is_at_hand() {
            return Err(lost);
        }
        metrics::counter!(metric::FRONT_RETRIES.name).increment(1);
        match self.send(&self.fresh, backend, forward, deadline).await {
            // It takes connections no more: it may have died of the request.
            Err(failure) if failure.next == Next::Elsewhere => Err(Failure {
                next: Next::ElsewhereIfFamiliar,
                ..lost
            }),
            sent => sent,
        }
    }

    /// Sends a request over a connection of `client`.
    async fn send(
        &self,
        client: &Connections,
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
        let sending = span.around(client.request(request.map(|()| body.lend())));
        let answered = match timeout_at(deadline, sending).await {
            Ok(answered) => answered.map_err(|error| {
                let is_at_once = begun.elapsed() <= self.lost_within;
                failed(backend, body, &error, next(&error, is_at_once))
            }),
            Err(_elapsed) => Err(late(backend, body)),
        };
        let answer = answered?;
        note(backend, &answer, begun.elapsed());
        if let Some(objection) = answer::objection(&answer) {
            backend.note_failure();
            return Err(Failure {
                refusal: Refusal::failed(&backend.name, objection),
                next: Next::ElsewhereIfRead,
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
            next: Next::Nowhere,
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

/// Returns what makes connections by `connect`, and keeps them for so long.
fn connections(connect: &Connect, idle: Duration) -> Connections {
    let mut builder = Client::builder(TokioExecutor::new());
    builder.pool_timer(TokioTimer::new());
    if idle.is_zero() {
        builder.pool_max_idle_per_host(0);
    }
    builder.pool_idle_timeout(idle).build(connect.clone())
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

/// Returns where a request may go that failed, soon after it was sent or later.
fn next(error: &Error, is_at_once: bool) -> Next {
    if error.is_connect() {
        return Next::Elsewhere;
    }
    match Traffic::of(error).map(|traffic| traffic.stage()) {
        Some(Stage::Unused) => Next::Elsewhere,
        Some(Stage::AskedAgain) if is_at_once => Next::Again,
        _ if is_unreadable(error) => Next::ElsewhereIfRead,
        _ => Next::ElsewhereIfFamiliar,
    }
}

/// Was something answered that is no HTTP?
fn is_unreadable(error: &Error) -> bool {
    let cause = std::error::Error::source(error);
    let cause = cause.and_then(|cause| cause.downcast_ref::<hyper::Error>());
    cause.is_some_and(hyper::Error::is_parse)
}

/// Says why a backend gave no answer.
fn failed(backend: &Backend, body: &RequestBody, error: &Error, next: Next) -> Failure {
    if let Some(fault) = body.fault() {
        return of_client(&fault);
    }
    if matches!(next, Next::Again | Next::ElsewhereIfFamiliar) {
        backend.note_break();
    }
    // That a backend closes what it has kept for long is no fault.
    if next != Next::Again {
        backend.note_failure();
    }
    let reason = innermost(error);
    tracing::debug!(
        backend = &*backend.name,
        reason,
        ?next,
        "a backend gave no answer"
    );
    let refusal = match next {
        Next::Elsewhere => Refusal::unreachable(&backend.name, &reason),
        _ => Refusal::failed(&backend.name, &reason),
    };
    Failure { refusal, next }
}

/// Says that a backend gave no answer in time.
fn late(backend: &Backend, body: &RequestBody) -> Failure {
    if let Some(fault) = body.fault() {
        return of_client(&fault);
    }
    backend.note_failure();
    Failure {
        refusal: Refusal::late(&backend.name),
        next: Next::Nowhere,
    }
}

/// Says that the client's body is what was wrong.
fn of_client(fault: &BodyFault) -> Failure {
    Failure {
        refusal: Refusal::body(fault),
        next: Next::Nowhere,
    }
}

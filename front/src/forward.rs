//! A request goes to a backend, and once more to another one where that is safe.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use gleaner_model::metric;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri, request};
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, timeout_at};

use crate::backend::Backend;
use crate::balance::Backends;
use crate::body::{AnswerBody, BodyProgress, RequestBody, WatchedBody};
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
    answer_within: Duration,
    pause_within: Duration,
    tells_deadline: bool,
}

/// A request on its way to a backend.
pub(crate) struct Forward<'a> {
    pub(crate) head: request::Parts,
    pub(crate) body: RequestBody,
    pub(crate) backends: &'a Backends,
    pub(crate) session: Option<&'a [u8]>,
}

/// Why an attempt gave no answer.
struct Failure {
    refusal: Refusal,
    /// Has the backend seen nothing of the request, for certain?
    is_unseen: bool,
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
        }
    }

    /// Returns the answer of a backend.
    ///
    /// # Errors
    /// What the client is answered instead.
    pub(crate) async fn forward(&self, forward: Forward<'_>) -> Result<Response<Body>, Refusal> {
        let Forward {
            head,
            body,
            backends,
            session,
        } = forward;
        self.budget.note_request();
        let deadline = Instant::now() + self.answer_within;
        let none = || Refusal::unreachable("none", "there is no backend");
        let first = backends.choose(session, None).ok_or_else(none)?;
        let again = match &body {
            RequestBody::Whole(bytes) => Some(bytes.clone()),
            RequestBody::Streamed(_) => None,
        };
        let failure = match self.attempt(first, (&head, body), deadline).await {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        let is_safe = failure.is_unseen || (self.is_read)(&head.method, head.uri.path());
        let is_late = failure.refusal.status == StatusCode::GATEWAY_TIMEOUT;
        let Some(bytes) = again.filter(|_| is_safe && !is_late) else {
            return Err(failure.refusal);
        };
        let Some(second) = backends.choose(session, Some(first)) else {
            return Err(failure.refusal);
        };
        if !self.budget.take() {
            return Err(failure.refusal);
        }
        metrics::counter!(metric::FRONT_RETRIES.name).increment(1);
        let body = RequestBody::Whole(bytes);
        let second = self.attempt(second, (&head, body), deadline).await;
        second.map_err(|failure| failure.refusal)
    }

    async fn attempt(
        &self,
        backend: &Arc<Backend>,
        (head, body): (&request::Parts, RequestBody),
        deadline: Instant,
    ) -> Result<Response<Body>, Failure> {
        let open = backend.open();
        let progress = Arc::<BodyProgress>::default();
        let request = self.request_to(backend, head, deadline)?;
        let request = request.map(|()| match body {
            RequestBody::Whole(bytes) => Body::from(bytes),
            RequestBody::Streamed(body) => Body::new(WatchedBody {
                body,
                progress: Arc::clone(&progress),
            }),
        });
        let begun = Instant::now();
        let answered = timeout_at(deadline, self.client.request(request)).await;
        match answered {
            Ok(Ok(answer)) => {
                note(backend, &answer, begun.elapsed());
                Ok(answer.map(|body| AnswerBody::wrap(body, self.pause_within, open)))
            }
            Ok(Err(error)) => Err(failed(backend, &error, &progress)),
            Err(_elapsed) => {
                backend.note_failure();
                Err(Failure {
                    refusal: Refusal::late(&backend.name),
                    is_unseen: false,
                })
            }
        }
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
fn failed(backend: &Backend, error: &Error, progress: &BodyProgress) -> Failure {
    if progress.is_faulty() {
        return Failure {
            refusal: Refusal::bad_request("the body of the request broke off or is malformed"),
            is_unseen: false,
        };
    }
    backend.note_failure();
    let reason = reason(error);
    tracing::debug!(backend = backend.name, reason, "a backend gave no answer");
    if error.is_connect() {
        return Failure {
            refusal: Refusal::unreachable(&backend.name, &reason),
            is_unseen: !progress.is_begun(),
        };
    }
    Failure {
        refusal: Refusal::failed(&backend.name, &reason),
        is_unseen: false,
    }
}

/// Returns the innermost cause of an error, which is the one that says something.
fn reason(error: &Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

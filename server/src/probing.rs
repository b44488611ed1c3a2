//! Probes: which requests they are, and how the edge answers them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use parking_lot::Mutex;
use serde_json::json;
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;

use crate::accessed::Answered;
use crate::panic::answer_to_panic;
use crate::server::{Answers, Server};

/// The paths that the edge answers.
const PATHS: [&str; 4] = ["/_health/live", "/_health/ready", "/metrics", "/topz"];

/// Their methods, as a request begins with them.
const METHODS: [&str; 2] = ["GET ", "HEAD "];

/// How long the runtime has to say whether the node is ready: less than the second that Kubernetes waits.
const READY_WITHIN: Duration = Duration::from_millis(800);

/// How long what it said last may be given instead.
const READY_FOR: Duration = Duration::from_secs(30);

/// Largest answer that is remembered.
const READY_BYTES: usize = 64 << 10;

/// Whom a listener is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everybody.
    Clients,
    /// Those who look after the node.
    Probes,
}

impl Scope {
    /// Returns its name in metrics and threads.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Clients => "clients",
            Self::Probes => "probes",
        }
    }
}

/// Does a connection begin with a probe?
pub(crate) fn is_probe(first: &[u8]) -> bool {
    let after_method = METHODS
        .iter()
        .find_map(|method| first.strip_prefix(method.as_bytes()));
    after_method.is_some_and(|target| {
        PATHS.iter().any(|path| {
            // A longer path may be an index's.
            let after_path = target.strip_prefix(path.as_bytes());
            matches!(after_path, Some([b' ' | b'?', ..]))
        })
    })
}

/// Is it the path of a probe? Those have no line and no span: they come again and again.
pub(crate) fn is_of_probe(path: &str) -> bool {
    PATHS.contains(&path)
}

/// What the runtime said last about whether the node is ready.
#[derive(Debug, Default)]
pub(crate) struct LastReady(Mutex<Option<(Instant, StatusCode, Bytes)>>);

impl LastReady {
    fn note(&self, status: StatusCode, body: &Bytes) {
        *self.0.lock() = Some((Instant::now(), status, body.clone()));
    }

    fn get(&self) -> Option<(StatusCode, Bytes)> {
        let last = self.0.lock();
        let (at, status, body) = last.as_ref()?;
        (at.elapsed() < READY_FOR).then(|| (*status, body.clone()))
    }
}

impl<S> Server<S>
where
    S: Answers,
{
    /// Answers a request of a connection that probes come over: these here, others by the runtime.
    pub(crate) async fn answer_at_edge(self: Arc<Self>, request: Request<Incoming>) -> Answered {
        match request.uri().path() {
            "/_health/live" | "/metrics" | "/topz" => self.answer(request).await,
            "/_health/ready" => self.ready(request).await.into(),
            _ if self.scope == Scope::Probes => nothing_else().into(),
            _ => {
                let runtime = self.runtime.clone();
                match OwnedTask::spawn(&runtime, self.answer(request)).await {
                    Ok(answered) => answered,
                    Err(failed) => match failed.try_into_panic() {
                        Ok(panic) => answer_to_panic(panic).into(),
                        Err(_) => not_ready("the process stops").into(),
                    },
                }
            }
        }
    }

    async fn ready(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let asking = OwnedTask::spawn(&self.runtime, Arc::clone(&self).answer(request));
        let Ok(Ok(answered)) = tokio::time::timeout(READY_WITHIN, asking).await else {
            return match self.last_ready.get() {
                Some((status, body)) => json_body(status, body),
                None => not_ready("the process is too busy to tell"),
            };
        };
        let (head, body) = answered.response.into_parts();
        let body = axum::body::to_bytes(body, READY_BYTES).await;
        let body = body.unwrap_or_default();
        self.last_ready.note(head.status, &body);
        Response::from_parts(head, Body::from(body))
    }
}

/// A task that ends when nobody waits for it any more: its client has left.
struct OwnedTask<T>(JoinHandle<T>);

impl<T: Send + 'static> OwnedTask<T> {
    fn spawn(runtime: &Handle, task: impl Future<Output = T> + Send + 'static) -> Self {
        Self(runtime.spawn(task))
    }
}

impl<T> Future for OwnedTask<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl<T> Drop for OwnedTask<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn json_body(status: StatusCode, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn not_ready(reason: &str) -> Response<Body> {
    let body = json!({"status": "not ready", "reason": reason});
    json_body(StatusCode::SERVICE_UNAVAILABLE, body.to_string().into())
}

fn nothing_else() -> Response<Body> {
    let reason = "this address answers /_health/live, /_health/ready, /metrics and /topz; others are answered at `listen`";
    let body = json!({"error": reason, "status": 404});
    json_body(StatusCode::NOT_FOUND, body.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_are_whole_paths() {
        for first in [
            "GET /metrics HTTP/1.1\r\n",
            "GET /metrics?x HTTP/1.1\r\n",
            "GET /_health/live HTTP/1.1\r\n",
            "HEAD /_health/ready HTTP/1.1\r\n",
        ] {
            assert!(is_probe(first.as_bytes()), "{first}");
        }
        for first in [
            "GET /metrics-system-default/_search HTTP/1.1\r\n",
            "GET /metrics/_search HTTP/1.1\r\n",
            "GET /metrics",
            "GET /_health/liveness HTTP/1.1\r\n",
            "GET /_health/ HTTP/1.1\r\n",
            "POST /metrics HTTP/1.1\r\n",
            "GET metrics HTTP/1.1\r\n",
        ] {
            assert!(!is_probe(first.as_bytes()), "{first}");
        }
    }
}

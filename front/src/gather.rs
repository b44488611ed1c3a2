//! A request that all backends are asked, and their answers made one.

use axum::body::Body;
use bytes::Bytes;
use futures::future::join_all;
use http::uri::PathAndQuery;
use http::{HeaderValue, Response, Uri, header, request};
use http_body_util::{BodyExt as _, Limited};
use tokio::time::Instant;

use crate::forward::{Failure, Forward, Forwarder};

/// Largest answer of one backend that is joined with others'.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// Makes one answer of those of all backends.
pub trait Join: Send + Sync {
    /// Returns the path and query that backends are asked instead of the request's.
    fn asked(&self, uri: &Uri) -> Option<PathAndQuery>;

    /// Returns what the client is answered before any backend is asked, where the request cannot be joined.
    fn refusal(&self) -> Option<Response<Bytes>>;

    /// Joins the answers, in the order of the backends: each whole, or why there is none.
    fn join(&self, answers: Vec<Result<Response<Bytes>, String>>) -> Response<Bytes>;
}

/// Has each backend answer in a form that can be joined.
pub(crate) fn ask_plainly(head: &mut request::Parts, join: &dyn Join) {
    if let Some(asked) = join.asked(&head.uri) {
        let mut parts = head.uri.clone().into_parts();
        parts.path_and_query = Some(asked);
        // What it was made of was an address.
        head.uri = Uri::from_parts(parts).unwrap_or_else(|_| head.uri.clone());
    }
    let json = HeaderValue::from_static("application/json");
    head.headers.insert(header::ACCEPT, json);
    head.headers.remove(header::ACCEPT_ENCODING);
}

impl Forwarder {
    /// Asks each backend that is ready once; where none is all are, as [`Backends::choose`] does.
    ///
    /// [`Backends::choose`]: crate::balance::Backends::choose
    pub(crate) async fn gather(&self, forward: Forward<'_>, join: &dyn Join) -> Response<Body> {
        let deadline = Instant::now() + self.answer_within;
        let leaves_out = forward.backends.is_any_available();
        let asked = forward.backends.all().iter().map(|backend| {
            let attempt = self.attempt(backend, &forward, deadline);
            async move {
                if leaves_out && !backend.is_available(Instant::now()) {
                    return Err("it is not ready".to_owned());
                }
                let answer = attempt.await.map_err(Failure::into_reason)?;
                whole(answer).await
            }
        });
        join.join(join_all(asked).await).map(Body::from)
    }
}

async fn whole(answer: Response<Body>) -> Result<Response<Bytes>, String> {
    let (head, body) = answer.into_parts();
    let read = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
    let read = read.map_err(|error| format!("its answer cannot be read: {error}"))?;
    Ok(Response::from_parts(head, read.to_bytes()))
}

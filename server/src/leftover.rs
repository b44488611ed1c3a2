//! What a request leaves unread of its body: taken off the connection, so that the answer arrives.
//!
//! An answer may be known before the body is read: a parameter is refused, a body is too large. Were the
//! rest left where it is, the connection would be closed on a client that is still sending. It would
//! fail to send, and might never see the answer; and a client that had sent it all would find out only
//! by its next request. So the rest is read and thrown away. Up to [`DRAIN_BYTES`] that happens before
//! the answer, and the connection stays. Beyond, the answer goes out at once with `Connection: close`,
//! and the rest is read for a while after it. Over HTTP/2 streams end alone, and the rest is not read; yet what is
//! short is read before the answer there too: clients (curl before 8) fail where a stream that they are about to send a
//! body on has ended.
//!
//! Called by services around requests with a body.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use futures::StreamExt;
use http::{HeaderValue, Request, Response, Version, header};
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;

/// Bytes that are read before the answer, so that the connection can be used again: what takes a
/// client no longer than a new connection would.
const DRAIN_BYTES: u64 = 4 << 20;

/// Longest time that they hold an answer up.
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// Bytes that are read after the answer: some times the largest body there can be.
const LINGER_BYTES: u64 = 1 << 30;

/// How long after the answer they are read.
const LINGER_TIME: Duration = Duration::from_secs(15);

/// A request's body, of which whoever answers may read a part only.
pub struct Leftover {
    /// `None` where nothing can be left.
    lent: Option<Arc<Mutex<SharedBody>>>,
    /// The client sends only once it is told to (`Expect: 100-continue`), which reading does.
    waits: bool,
    /// The connection carries one request at a time.
    is_http1: bool,
}

/// The body as it is given to whoever answers.
struct LentBody(Arc<Mutex<SharedBody>>);

struct SharedBody {
    body: Body,
    is_begun: bool,
}

impl Leftover {
    /// Keeps a hold of the body of `request`.
    pub fn of(request: &mut Request<Body>) -> Self {
        let is_http1 = request.version() <= Version::HTTP_11;
        let waits = request.headers().contains_key(header::EXPECT);
        if request.body().is_end_stream() {
            return Self {
                lent: None,
                waits,
                is_http1,
            };
        }
        let body = std::mem::replace(request.body_mut(), Body::empty());
        let is_begun = false;
        let shared = Arc::new(Mutex::new(SharedBody { body, is_begun }));
        *request.body_mut() = Body::new(LentBody(Arc::clone(&shared)));
        let lent = Some(shared);
        Self {
            lent,
            waits,
            is_http1,
        }
    }

    /// Takes what is left off the connection, or says in `response` that it will be closed.
    pub async fn settle(self, response: &mut Response<Body>) {
        // An answer that is still being made from the body reads it itself.
        let Some(shared) = self.lent.and_then(Arc::into_inner) else {
            return;
        };
        let SharedBody { body, is_begun } = shared.into_inner();
        if body.is_end_stream() {
            return;
        }
        if self.waits && !is_begun {
            if self.is_http1 {
                close(response);
            }
            return;
        }
        let told = body.size_hint();
        let mut rest = body.into_data_stream();
        // In a box, as what is rare makes the future of each request large.
        if told.lower() <= DRAIN_BYTES && Box::pin(drain(&mut rest, DRAIN_BYTES, DRAIN_TIME)).await
        {
            return;
        }
        if !self.is_http1 {
            return;
        }
        close(response);
        // It ends by itself, and with the connection.
        tokio::spawn(async move { drain(&mut rest, LINGER_BYTES, LINGER_TIME).await });
    }
}

fn close(response: &mut Response<Body>) {
    let value = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, value);
}

/// Reads and forgets; returns whether that was all of it, or all that will come.
fn drain(
    rest: &mut axum::body::BodyDataStream,
    most: u64,
    time: Duration,
) -> impl Future<Output = bool> {
    let reading = async move {
        let mut num_read = 0;
        while let Some(Ok(piece)) = rest.next().await {
            num_read += piece.len() as u64;
            if num_read > most {
                return false;
            }
        }
        true
    };
    async move { tokio::time::timeout(time, reading).await.unwrap_or(false) }
}

impl HttpBody for LentBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut shared = self.0.lock();
        shared.is_begun = true;
        Pin::new(&mut shared.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().body.size_hint()
    }
}

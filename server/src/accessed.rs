//! A request that is told of, in the access log and as a span, until the last of its answer has gone.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use gleaner_telemetry::{AccessLog, AccessRecord, Served};
use http::{Method, Request, Response};
use hyper::body::{Frame, Incoming, SizeHint};

use crate::client::PeerAddress;

/// A request that has come, with its record.
pub(crate) struct Accessed {
    record: AccessRecord,
    request: Request<Incoming>,
}

impl Accessed {
    /// Begins the record of a request.
    pub(crate) fn begin(log: &AccessLog, request: Request<Incoming>) -> Self {
        let (head, body) = request.into_parts();
        let peer = head.extensions.get().map(|PeerAddress(peer)| *peer);
        Self {
            record: log.begin(&head, peer),
            request: Request::from_parts(head, body),
        }
    }

    /// Has the request answered; the record goes with the answer.
    ///
    /// # Cancel safety
    /// Dropping the future tells that the client has gone.
    pub(crate) async fn answer<F>(
        self,
        answer: impl FnOnce(Request<Incoming>) -> F,
    ) -> Response<Body>
    where
        F: Future<Output = Response<Body>>,
    {
        let Self {
            mut record,
            request,
        } = self;
        let has_body = request.method() != Method::HEAD;
        let response = record.scope().run(answer(request)).await;
        record.answered(response.status(), response.headers());
        response.map(|body| {
            Body::new(RecordedBody {
                to_come: body.size_hint().exact().filter(|_| has_body),
                is_over: !has_body || body.is_end_stream(),
                body,
                num_bytes: 0,
                record,
            })
        })
    }
}

/// The body of an answer whose record ends with it.
struct RecordedBody {
    body: Body,
    record: AccessRecord,
    num_bytes: u64,
    /// All its bytes, where that is known: the connection may not ask for more.
    to_come: Option<u64>,
    is_over: bool,
}

impl HttpBody for RecordedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                self.num_bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
            Poll::Ready(None) => self.is_over = true,
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for RecordedBody {
    fn drop(&mut self) {
        let is_whole = self.is_over
            || self.to_come == Some(self.num_bytes)
            || (self.num_bytes > 0 && self.body.is_end_stream());
        let served = Served {
            num_bytes: self.num_bytes,
            is_cut: !is_whole,
        };
        self.record.served(served);
    }
}

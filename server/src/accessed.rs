//! A request that the access log has a line of and traces a span, until the last of its answer has gone.

use axum::body::{Body, HttpBody};
use gleaner_telemetry::{AccessLog, AccessRecord, Served};
use http::{Method, Request, Response};
use hyper::body::Incoming;

use crate::client::PeerAddress;

/// An answer, with the record that ends with it where its request has one.
pub(crate) struct Answered {
    pub(crate) response: Response<Body>,
    pub(crate) record: Option<Box<AnswerRecord>>,
}

impl From<Response<Body>> for Answered {
    fn from(response: Response<Body>) -> Self {
        Self {
            response,
            record: None,
        }
    }
}

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
    /// A future that is dropped leaves a record of a client that has gone.
    pub(crate) async fn answer<F>(self, answer: impl FnOnce(Request<Incoming>) -> F) -> Answered
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
        let body = response.body();
        let record = AnswerRecord {
            to_come: body.size_hint().exact(),
            is_over: !has_body || body.is_end_stream(),
            num_bytes: 0,
            record,
        };
        Answered {
            record: Some(Box::new(record)),
            response,
        }
    }
}

/// The record of an answer on its way; it ends when this is dropped.
pub(crate) struct AnswerRecord {
    record: AccessRecord,
    num_bytes: u64,
    /// All its bytes, where that is known: the connection may not ask for more.
    to_come: Option<u64>,
    is_over: bool,
}

impl AnswerRecord {
    /// Notes that the connection has taken so many bytes more.
    pub(crate) fn note_taken(&mut self, num_bytes: usize) {
        self.num_bytes += num_bytes as u64;
        self.is_over |= self.to_come == Some(self.num_bytes);
    }

    /// Notes that nothing is left.
    pub(crate) fn note_end(&mut self) {
        self.is_over = true;
    }
}

impl Drop for AnswerRecord {
    fn drop(&mut self) {
        self.record.served(Served {
            num_bytes: self.num_bytes,
            is_cut: !self.is_over,
        });
    }
}

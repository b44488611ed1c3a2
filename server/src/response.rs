//! The body of an answer on its way. It goes in pieces, and its request is open until the last of them has gone: over
//! HTTP/1.1 into the connection, over HTTP/2, where a client can leave a piece in the connection for ever, out of it.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use gleaner_listener::{Lag, OpenRequest};
use http::Response;
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;

use crate::accessed::{AnswerRecord, Answered};

/// Bytes that are handed to a connection at once.
const PIECE: usize = 64 << 10;

/// Since when the answers of an HTTP/2 connection wait for the client to take some more of them, each by its
/// number, and how far the client is behind with them all; moments are milliseconds since the connection was accepted.
#[derive(Debug, Default)]
pub(crate) struct Unread(Mutex<UnreadState>);

#[derive(Debug, Default)]
struct UnreadState {
    next: u64,
    since: BTreeMap<u64, u64>,
    lag: Lag,
}

impl Unread {
    /// Returns for how long the answer has waited that has waited for the longest.
    pub(crate) fn longest(&self, now_ms: u64) -> Option<Duration> {
        let waiting = self.0.lock();
        let first = waiting.since.values().min()?;
        Some(Duration::from_millis(now_ms.saturating_sub(*first)))
    }

    /// Returns how far the client is behind.
    pub(crate) fn behind(&self, now_ms: u64) -> Duration {
        self.0.lock().lag.time(now_ms)
    }
}

/// An answer among those of its HTTP/2 connection.
#[derive(Debug)]
struct Stream {
    unread: Arc<Unread>,
    number: u64,
    open: OpenRequest,
}

impl Stream {
    fn begin(unread: Arc<Unread>, open: OpenRequest) -> Self {
        let mut waiting = unread.0.lock();
        let number = waiting.next;
        waiting.next += 1;
        if waiting.since.is_empty() {
            waiting.lag.clear();
        }
        drop(waiting);
        let stream = Self {
            unread,
            number,
            open,
        };
        stream.note_unread(0);
        stream
    }

    fn now_ms(&self) -> u64 {
        self.open.activity().now_ms()
    }

    /// Notes that the client took so many bytes, and not all that there is.
    fn note_unread(&self, num_taken: usize) {
        let now_ms = self.now_ms();
        let mut waiting = self.unread.0.lock();
        waiting.since.insert(self.number, now_ms);
        waiting.lag.note_unread(now_ms);
        waiting.lag.note_taken(num_taken, now_ms);
    }

    /// Notes that the client waits for us.
    fn note_taken(&self) {
        let now_ms = self.now_ms();
        let mut waiting = self.unread.0.lock();
        waiting.since.remove(&self.number);
        if waiting.since.is_empty() {
            waiting.lag.note_flushed(now_ms);
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.note_taken();
    }
}

/// A piece of an HTTP/2 answer, which is on its way until the connection has written it.
struct Piece {
    data: Bytes,
    _stream: Arc<Stream>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

/// What keeps the request of an answer open.
enum Answer {
    Http1(#[expect(dead_code, reason = "held until it is dropped")] OpenRequest),
    Http2(Arc<Stream>),
}

impl Answer {
    /// Returns the next piece as it is handed to the connection.
    fn piece(&self, data: Bytes) -> Bytes {
        match self {
            Self::Http1(_) => data,
            Self::Http2(stream) => {
                stream.note_unread(data.len());
                Bytes::from_owner(Piece {
                    data,
                    _stream: Arc::clone(stream),
                })
            }
        }
    }
}

/// The body of an answer.
pub(crate) struct PacedBody {
    /// It ends before the rest is let go.
    record: Option<Box<AnswerRecord>>,
    body: Body,
    /// What is left of the last piece of the body.
    rest: Bytes,
    answer: Answer,
}

impl PacedBody {
    /// Returns the body of an answer; `unread` is where an HTTP/2 connection keeps the times of its answers.
    pub(crate) fn of(
        answered: Answered,
        open: OpenRequest,
        unread: Option<Arc<Unread>>,
    ) -> Response<Self> {
        let Answered { response, record } = answered;
        let answer = match unread {
            None => Answer::Http1(open),
            Some(unread) => Answer::Http2(Arc::new(Stream::begin(unread, open))),
        };
        response.map(|body| Self {
            record,
            body,
            rest: Bytes::new(),
            answer,
        })
    }

    fn piece(&mut self, mut data: Bytes) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if data.len() > PIECE {
            self.rest = data.split_off(PIECE);
        }
        let is_last = self.is_end_stream();
        if let Some(record) = &mut self.record {
            record.note_taken(data.len());
            if is_last {
                record.note_end();
            }
        }
        Poll::Ready(Some(Ok(Frame::data(self.answer.piece(data)))))
    }
}

impl HttpBody for PacedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            return self.piece(rest);
        }
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => self.piece(data),
                Err(trailers) => Poll::Ready(Some(Ok(trailers))),
            },
            Poll::Pending => {
                if let Answer::Http2(stream) = &self.answer {
                    stream.note_taken();
                }
                Poll::Pending
            }
            Poll::Ready(None) => {
                if let Some(record) = &mut self.record {
                    record.note_end();
                }
                Poll::Ready(None)
            }
            failed => failed,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let hint = self.body.size_hint();
        let mut whole = SizeHint::new();
        whole.set_lower(hint.lower() + rest);
        if let Some(upper) = hint.upper() {
            whole.set_upper(upper + rest);
        }
        whole
    }
}

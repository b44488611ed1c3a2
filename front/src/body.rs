//! Bodies on their way: of a request, whose fault is its client's, and of an answer, which must go on.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use crate::backend::OpenForward;

/// Largest body that is read before it is sent, so that it can be sent again.
const AT_HAND: u64 = 64 << 10;

/// The body of a request.
pub(crate) enum RequestBody {
    /// All of it.
    Whole(Bytes),
    /// As it comes.
    Streamed(Body),
}

impl RequestBody {
    /// Reads a small body, and leaves another where it is.
    ///
    /// # Errors
    /// What was wrong with what the client sent.
    pub(crate) async fn read(body: Body) -> Result<Self, axum::Error> {
        if body.is_end_stream() {
            return Ok(Self::Whole(Bytes::new()));
        }
        match body.size_hint().exact() {
            Some(size) if size <= AT_HAND => Ok(Self::Whole(body.collect().await?.to_bytes())),
            _ => Ok(Self::Streamed(body)),
        }
    }
}

/// What became of a body that was streamed.
#[derive(Debug, Default)]
pub(crate) struct BodyProgress {
    is_begun: AtomicBool,
    is_faulty: AtomicBool,
}

impl BodyProgress {
    /// Was any of it read?
    pub(crate) fn is_begun(&self) -> bool {
        self.is_begun.load(Ordering::Relaxed)
    }

    /// Did the client break it off, or send what is no body?
    pub(crate) fn is_faulty(&self) -> bool {
        self.is_faulty.load(Ordering::Relaxed)
    }
}

/// A body that notes what becomes of it.
pub(crate) struct WatchedBody {
    pub(crate) body: Body,
    pub(crate) progress: Arc<BodyProgress>,
}

impl HttpBody for WatchedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.progress.is_begun.store(true, Ordering::Relaxed);
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if matches!(frame, Some(Err(_))) {
            self.progress.is_faulty.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer: its request is open until it ends, and it fails where the backend pauses for too long.
pub(crate) struct AnswerBody {
    body: Incoming,
    pause_within: Duration,
    overdue: Pin<Box<Sleep>>,
    _open: OpenForward,
}

impl AnswerBody {
    pub(crate) fn wrap(body: Incoming, pause_within: Duration, open: OpenForward) -> Body {
        if body.is_end_stream() {
            return Body::empty();
        }
        Body::new(Self {
            body,
            pause_within,
            overdue: Box::pin(sleep(pause_within)),
            _open: open,
        })
    }
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            let next = Instant::now() + self.pause_within;
            self.overdue.as_mut().reset(next);
            return Poll::Ready(frame.map(|frame| frame.map_err(axum::Error::new)));
        }
        ready!(self.overdue.as_mut().poll(context));
        let late = std::io::Error::new(std::io::ErrorKind::TimedOut, "the backend paused");
        Poll::Ready(Some(Err(axum::Error::new(late))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

//! An answer on its way: whether it can be passed on, and its body, which must go on.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{Response, header};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

use crate::backend::OpenForward;
use crate::classes::Place;
use crate::limits::Entrant;
use crate::pause::Pause;

/// Returns why an answer cannot be passed on, where it cannot.
pub(crate) fn objection<B>(answer: &Response<B>) -> Option<&'static str> {
    if answer.status().is_informational() {
        // What follows is no HTTP, and nobody asked for another protocol.
        return Some("it switches to another protocol");
    }
    let mut codings = answer.headers().get_all(header::TRANSFER_ENCODING).iter();
    let is_plain = |coding: &http::HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    // Another coding would be taken off the head and stay in the body.
    let is_coded = codings.next().is_some_and(|coding| !is_plain(coding));
    (is_coded || codings.next().is_some())
        .then_some("its answer is in a transfer coding that was not asked for")
}

/// What a request holds from when it came until its answer ends.
pub(crate) struct Held {
    /// Its place among the requests that are open.
    pub(crate) _place: Arc<OwnedSemaphorePermit>,
    /// Its place among those of its sender, and among those that backends answer.
    pub(crate) _controlled: Option<(Arc<Entrant>, Place)>,
}

/// What an attempt holds until its answer ends.
pub(crate) struct Open {
    pub(crate) _held: Arc<Held>,
    pub(crate) _forward: OpenForward,
}

/// The body of an answer: its request is open until it ends, and it fails where the backend pauses for too long.
pub(crate) struct AnswerBody {
    body: Incoming,
    pause: Pause,
    _open: Open,
}

impl AnswerBody {
    pub(crate) fn wrap(body: Incoming, pause_within: Duration, open: Open) -> Body {
        if body.is_end_stream() {
            return Body::empty();
        }
        Body::new(Self {
            body,
            pause: Pause::new(pause_within),
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
            self.pause.end();
            return Poll::Ready(frame.map(|frame| frame.map_err(axum::Error::new)));
        }
        ready!(self.pause.poll(context));
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

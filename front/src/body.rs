//! The body of a request on its way: what is wrong with it is its client's fault, and it can be sent again while all of
//! it is at hand.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::pause::Pause;

/// Largest body that is read before it is sent, so that it can be sent again.
const AT_HAND: u64 = 64 << 10;

/// Bytes of a body that earn its client one more second of waiting: the rate that roots ask for too.
const BYTES_PER_SECOND: u32 = 1 << 10;

/// How much of a body is taken, and how slowly.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    /// Largest body.
    pub(crate) max_bytes: u64,
    /// Longest pause between two pieces.
    pub(crate) pause_within: Duration,
    /// Time that may be waited in all, beside a second for each KiB that came.
    pub(crate) grace: Duration,
}

/// Why a body could not be read to its end.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum BodyFault {
    /// It is malformed, or the client went away.
    #[error("the body of the request broke off or is malformed: {0}")]
    Broken(String),
    /// The client paused for too long, or sends too slowly.
    #[error("the body of the request did not arrive in time")]
    Late,
    /// It is larger than the limit.
    #[error("the body of the request is larger than the limit of {max_bytes} bytes")]
    TooLarge { max_bytes: u64 },
}

/// The body of a request.
pub(crate) enum RequestBody {
    /// All of it.
    Whole(Bytes),
    /// As it comes.
    Streamed(Arc<Mutex<Arriving>>),
}

impl RequestBody {
    /// Reads a small body, and leaves another where it is.
    ///
    /// A body whose size is not told is not read ahead, as its client may wait for the answer before it goes on.
    ///
    /// # Errors
    /// What was wrong with what the client sent.
    pub(crate) async fn read(body: Body, limits: BodyLimits) -> Result<Self, BodyFault> {
        if body.is_end_stream() {
            return Ok(Self::Whole(Bytes::new()));
        }
        let told = body.size_hint();
        let max_bytes = limits.max_bytes;
        if told.lower() > max_bytes {
            return Err(BodyFault::TooLarge { max_bytes });
        }
        let arriving = Arc::new(Mutex::new(Arriving::new(body, limits)));
        if told.upper().is_none_or(|most| most > AT_HAND) {
            return Ok(Self::Streamed(arriving));
        }
        Ok(Self::Whole(Lent(arriving).collect().await?.to_bytes()))
    }

    /// Returns it where all of it has been read.
    pub(crate) fn whole(&self) -> Option<&Bytes> {
        match self {
            Self::Whole(bytes) => Some(bytes),
            Self::Streamed(_) => None,
        }
    }

    /// Returns what of it has been read: all or nothing.
    pub(crate) fn at_hand(&self) -> Bytes {
        match self {
            Self::Whole(bytes) => bytes.clone(),
            Self::Streamed(_) => Bytes::new(),
        }
    }

    /// Returns the body for one attempt to send it.
    pub(crate) fn lend(&self) -> Body {
        match self {
            Self::Whole(bytes) => Body::from(bytes.clone()),
            Self::Streamed(arriving) => Body::new(Lent(Arc::clone(arriving))),
        }
    }

    /// Is its size unknown until it ends?
    pub(crate) fn is_of_unknown_size(&self) -> bool {
        match self {
            Self::Whole(_) => false,
            Self::Streamed(arriving) => arriving.lock().body.size_hint().exact().is_none(),
        }
    }

    /// Can all of it be lent once more?
    pub(crate) fn is_at_hand(&self) -> bool {
        match self {
            Self::Whole(_) => true,
            Self::Streamed(arriving) => !arriving.lock().is_begun,
        }
    }

    /// Returns what was wrong with what the client sent so far.
    pub(crate) fn fault(&self) -> Option<BodyFault> {
        match self {
            Self::Whole(_) => None,
            Self::Streamed(arriving) => arriving.lock().fault.clone(),
        }
    }
}

/// A body that arrives.
pub(crate) struct Arriving {
    body: Body,
    limits: BodyLimits,
    num_read: u64,
    is_begun: bool,
    pause: Pause,
    /// Since when the next piece is waited for.
    waits_since: Option<Instant>,
    /// What is left of the time that may be waited in all.
    patience: Duration,
    fault: Option<BodyFault>,
}

impl Arriving {
    fn new(body: Body, limits: BodyLimits) -> Self {
        Self {
            body,
            limits,
            num_read: 0,
            is_begun: false,
            pause: Pause::new(limits.pause_within),
            waits_since: None,
            patience: limits.grace,
            fault: None,
        }
    }

    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        self.is_begun = true;
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
            ready!(self.poll_wait(context));
            return Poll::Ready(Some(Err(BodyFault::Late)));
        };
        self.end_wait();
        Poll::Ready(frame.map(|frame| {
            let frame = frame.map_err(|error| BodyFault::Broken(innermost(&error)))?;
            self.note_read(frame.data_ref().map_or(0, Bytes::len));
            let max_bytes = self.limits.max_bytes;
            match self.num_read <= max_bytes {
                true => Ok(frame),
                false => Err(BodyFault::TooLarge { max_bytes }),
            }
        }))
    }

    /// Goes on waiting for the next piece; ready once that takes too long.
    fn poll_wait(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.waits_since.is_none() {
            self.waits_since = Some(Instant::now());
            self.pause = Pause::new(self.limits.pause_within.min(self.patience));
        }
        self.pause.poll(context)
    }

    /// Notes that a piece came.
    fn end_wait(&mut self) {
        if let Some(since) = self.waits_since.take() {
            self.patience = self.patience.saturating_sub(since.elapsed());
            self.pause.end();
        }
    }

    fn note_read(&mut self, num_bytes: usize) {
        self.num_read += num_bytes as u64;
        let earned = Duration::from_secs(1) * u32::try_from(num_bytes).unwrap_or(u32::MAX);
        self.patience = self.patience.saturating_add(earned / BYTES_PER_SECOND);
    }
}

/// A body that is lent to a connection.
struct Lent(Arc<Mutex<Arriving>>);

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let mut arriving = self.0.lock();
        let frame = ready!(arriving.poll_next(context));
        if let Some(Err(fault)) = &frame {
            arriving.fault = Some(fault.clone());
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().body.size_hint()
    }
}

/// Returns the innermost cause of an error, which is the one that says something.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

//! A connection that was accepted, whatever carries its bytes: it ends when it must make room for another, unless
//! one of its calls was understood before.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use gleaner_listener::Activity;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

use crate::connect::Caller;

/// A stream of bytes as the server takes it.
pub(crate) struct IncomingStream<S> {
    stream: S,
    connection: CallerConnection,
    place: Place,
}

/// What a connection has of its listener's places.
enum Place {
    /// One for as long as it likes.
    Kept,
    /// One until this is done: another connection needs it.
    Yields(BoxFuture<'static, ()>),
    /// None any more.
    Lost,
}

/// The connection of a call, which each of its calls carries.
#[derive(Debug, Clone)]
pub(crate) struct CallerConnection(Arc<ConnectionState>);

#[derive(Debug)]
struct ConnectionState {
    caller: Caller,
    /// None where connections need no place.
    activity: Option<Arc<Activity>>,
    /// Was one of its calls refused for its role?
    is_refused: AtomicBool,
}

impl CallerConnection {
    fn new(caller: Caller, activity: Option<Arc<Activity>>) -> Self {
        Self(Arc::new(ConnectionState {
            caller,
            activity,
            is_refused: AtomicBool::new(false),
        }))
    }

    /// Returns who is at the other end.
    pub(super) fn caller(&self) -> Caller {
        self.0.caller
    }

    /// Notes that a call was refused; returns whether it is the first one.
    pub(super) fn is_first_refusal(&self) -> bool {
        !self.0.is_refused.swap(true, Ordering::Relaxed)
    }

    /// Keeps the connection whatever happens.
    pub(super) fn keep(&self) {
        if let Some(activity) = &self.0.activity {
            activity.keep();
        }
    }

    fn is_kept(&self) -> bool {
        let activity = self.0.activity.as_ref();
        activity.is_none_or(|activity| activity.is_kept())
    }
}

impl<S> IncomingStream<S> {
    /// Returns a stream that needs no place.
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            connection: CallerConnection::new(Caller::Unchecked, None),
            place: Place::Kept,
        }
    }

    /// Returns a stream of `caller` that gives up its place when `activity` says so.
    pub(super) fn yielding(stream: S, caller: Caller, activity: Arc<Activity>) -> Self {
        let connection = CallerConnection::new(caller, Some(Arc::clone(&activity)));
        let closed = async move { activity.closed().await };
        Self {
            stream,
            connection,
            place: Place::Yields(closed.boxed()),
        }
    }

    /// Fails once the place is lost. Reads and writes both ask, as the server may be waiting for either alone.
    fn poll_place(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if let Place::Yields(closed) = &mut self.place {
            if self.connection.is_kept() {
                self.place = Place::Kept;
            } else if closed.as_mut().poll(context).is_ready() {
                self.place = Place::Lost;
            }
        }
        match self.place {
            Place::Kept | Place::Yields(_) => Ok(()),
            Place::Lost => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

impl<S> Connected for IncomingStream<S> {
    type ConnectInfo = CallerConnection;

    fn connect_info(&self) -> CallerConnection {
        self.connection.clone()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for IncomingStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_place(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for IncomingStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_place(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_place(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_place(context)?;
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

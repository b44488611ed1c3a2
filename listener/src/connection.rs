//! The stream of a connection: what was read to tell its protocol comes first, and its activity is noted.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::activity::Activity;
use crate::places::Place;
use crate::replay::Replay;

/// A connection that has sent its first bytes. Its place is given back when it is dropped.
#[derive(Debug)]
pub struct Connection<S> {
    stream: Replay<S>,
    place: Place,
}

impl<S> Connection<S> {
    /// Returns `stream` with the bytes that were read from it already.
    pub fn new(stream: S, first: Bytes, place: Place) -> Self {
        if !first.is_empty() {
            place.activity().note_read();
        }
        let stream = Replay::new(stream, first);
        Self { stream, place }
    }

    /// Returns what it is doing.
    pub fn activity(&self) -> &Arc<Activity> {
        self.place.activity()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.activity().note_read();
        }
        read
    }
}

impl<S> Connection<S> {
    fn noted(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Pending => self.activity().note_unread(),
            Poll::Ready(Ok(num_bytes)) => self.activity().note_written(*num_bytes),
            Poll::Ready(Err(_)) => {}
        }
        written
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.noted(written)
    }

    /// Called once all that was to be written has been taken, by the stream at least: one that encrypts keeps some.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        match flushed {
            Poll::Pending => self.activity().note_unread(),
            Poll::Ready(_) => self.activity().note_flushed(),
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.noted(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

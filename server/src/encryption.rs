//! The way of an encrypted connection, from its first record to its first request.
//!
//! The edge waits for the first record, so who sends none, or half of one, never reaches the runtime. The handshake is
//! made there, as its signature takes the time of many requests.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use gleaner_listener::Replay;
use gleaner_tls::{Acceptor, TlsStream};
use parking_lot::Mutex;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::client::Encryption;

/// Time for a handshake, waiting for its turn included.
const WITHIN: Duration = Duration::from_secs(5);

/// Handshakes at once for each processor.
const PER_PROCESSOR: usize = 4;

/// Type of the record that a handshake begins with (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;

/// Bytes of the head of a record: its type, its version and its length.
const RECORD_HEAD: usize = 5;

/// Bytes of the longest record that is not encrypted.
const LONGEST_RECORD: usize = 1 << 14;

/// How long a client that was refused may go on sending, so that it comes to read why.
const GOODBYE: Duration = Duration::from_secs(1);

/// Bytes that it may send meanwhile.
const GOODBYE_BYTES: u64 = 64 << 10;

/// What a connection to a port for TLS begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FirstRecord {
    /// A whole record of a handshake.
    Handshake,
    /// A plain request.
    Plain,
}

/// Returns what `first` begins with; `None` while a part of the record is missing.
///
/// # Errors
/// When it is neither.
pub(crate) fn first_record(first: &[u8]) -> io::Result<Option<FirstRecord>> {
    let garbage = || io::Error::new(io::ErrorKind::InvalidData, "neither TLS nor HTTP");
    match first {
        [] => Ok(None),
        // The method of a request, or HTTP/2's `PRI`.
        [b'A'..=b'Z', ..] => Ok(Some(FirstRecord::Plain)),
        [HANDSHAKE] => Ok(None),
        [HANDSHAKE, 3, rest @ ..] => {
            let [_, high, low, ..] = rest else {
                return Ok(None);
            };
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            if length == 0 || length > LONGEST_RECORD {
                return Err(garbage());
            }
            let is_whole = first.len() >= RECORD_HEAD + length;
            Ok(is_whole.then_some(FirstRecord::Handshake))
        }
        _ => Err(garbage()),
    }
}

/// Tells a client that speaks plainly to use https, and waits a little until it has heard.
pub(crate) async fn refuse_plain(mut stream: TcpStream) -> io::Result<()> {
    let reason = "this port speaks TLS: use https";
    let error = json!({"type": "security_exception", "reason": reason});
    let body = json!({"error": error, "status": 400}).to_string();
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let telling = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        // Closed with bytes unread, the connection would be reset, and the answer lost.
        let mut rest = (&mut stream).take(GOODBYE_BYTES);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
    };
    timeout(GOODBYE, telling).await??;
    Ok(())
}

/// Makes the handshakes of a server, so many at once.
#[derive(Debug)]
pub(crate) struct Handshakes {
    acceptor: Acceptor,
    turns: Arc<Semaphore>,
}

impl Handshakes {
    pub(crate) fn new(acceptor: Acceptor) -> Self {
        let num_processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            acceptor,
            turns: Arc::new(Semaphore::new(PER_PROCESSOR * num_processors)),
        }
    }

    /// Makes the handshake over `stream`, which has sent `first` already.
    pub(crate) async fn make<S>(
        &self,
        stream: S,
        first: Bytes,
    ) -> io::Result<TlsStream<HelloStream<S>>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let making = async {
            let turn = Arc::clone(&self.turns).acquire_owned().await;
            let stream = HelloStream {
                stream: Replay::new(stream, first),
                turn: Mutex::new(Some(turn.map_err(io::Error::other)?)),
            };
            let accepted = self.acceptor.accept(stream).await?;
            // A client that was never waited for has its turn still.
            drop(accepted.get_ref().turn.lock().take());
            Ok(accepted)
        };
        timeout(WITHIN, making).await?
    }
}

/// Returns what the handshake of `stream` told.
pub(crate) fn told_by<S>(stream: &TlsStream<S>) -> Encryption {
    Encryption {
        server_name: stream.server_name().map(Arc::from),
        identity: stream.identity().map(Arc::new),
    }
}

/// A stream that keeps its turn among handshakes until it waits for its client.
///
/// The first record is there when the turn begins, so the server has worked out and sent its part of the handshake
/// by then. What follows costs little, and a client that stalls keeps no turn from others.
#[derive(Debug)]
pub(crate) struct HelloStream<S> {
    stream: Replay<S>,
    turn: Mutex<Option<OwnedSemaphorePermit>>,
}

impl<S: AsyncRead + Unpin> AsyncRead for HelloStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_pending() {
            *self.turn.get_mut() = None;
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HelloStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if written.is_pending() {
            *self.turn.get_mut() = None;
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
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
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests;

//! The first bytes of a connection: awaited with a deadline, and enough of them to tell what it speaks.
//!
//! `hyper_util::server::conn::auto` waits for them without one, and the timers of hyper begin only after it.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::late;
use crate::places::Place;

/// What a client that speaks HTTP/2 without being asked to sends first (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes read at once: the head of most requests.
const FIRST_READ: usize = 4 << 10;

/// What a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Anything that does not begin as HTTP/2 does.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
}

impl Protocol {
    /// Returns what a connection speaks that begins with `first`; `None` while that may be either.
    pub fn of(first: &[u8]) -> Option<Self> {
        let compared = first.len().min(PREFACE.len());
        if first[..compared] != PREFACE[..compared] {
            return Some(Self::Http1);
        }
        (compared == PREFACE.len()).then_some(Self::Http2)
    }
}

/// A connection whose first bytes are being read.
#[derive(Debug)]
pub struct Beginning<S> {
    /// The rest.
    pub stream: S,
    /// The bytes that were read, apart from such as have been taken out.
    pub first: BytesMut,
    /// Its place.
    pub place: Place,
}

impl<S: AsyncRead + Unpin> Beginning<S> {
    /// Returns a connection of which nothing was read.
    pub fn new(stream: S, place: Place) -> Self {
        Self {
            stream,
            first: BytesMut::new(),
            place,
        }
    }

    /// Reads until `tell` makes something of the first bytes, which it is shown whenever more have come. They stay.
    ///
    /// # Errors
    /// What `tell` fails with; when it takes longer than `within`, the connection ends before, or it must make room
    /// for another.
    pub async fn read<T>(
        &mut self,
        within: Duration,
        tell: impl FnMut(&[u8]) -> io::Result<Option<T>>,
    ) -> io::Result<T> {
        let reading = read_until(&mut self.stream, &mut self.first, tell);
        let told = tokio::select! {
            told = tokio::time::timeout(within, reading) => told.unwrap_or_else(|_| Err(late())),
            () = self.place.activity().closed() => Err(io::ErrorKind::ConnectionAborted.into()),
        };
        if let Err(error) = &told
            && error.kind() == io::ErrorKind::TimedOut
        {
            self.place.count("silent");
        }
        told
    }

    /// As [`open`], with what was read already.
    ///
    /// # Errors
    /// As [`open`].
    pub async fn open(mut self, within: Duration) -> io::Result<OpenConnection<S>> {
        let protocol = self.read(within, |first| Ok(Protocol::of(first))).await?;
        Ok(OpenConnection {
            protocol,
            first: self.first.freeze(),
            stream: self.stream,
            place: self.place,
        })
    }
}

async fn read_until<T>(
    stream: &mut (impl AsyncRead + Unpin),
    first: &mut BytesMut,
    mut tell: impl FnMut(&[u8]) -> io::Result<Option<T>>,
) -> io::Result<T> {
    loop {
        if !first.is_empty()
            && let Some(told) = tell(first)?
        {
            return Ok(told);
        }
        first.reserve(FIRST_READ);
        if stream.read_buf(first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// A connection that has begun to speak.
#[derive(Debug)]
pub struct OpenConnection<S> {
    /// What it speaks.
    pub protocol: Protocol,
    /// The bytes that tell so, and others that came with them.
    pub first: Bytes,
    /// The rest.
    pub stream: S,
    /// Its place.
    pub place: Place,
}

/// Waits until `stream` has sent enough to tell what it speaks.
///
/// # Errors
/// When that takes longer than `within`, the connection ends before, or it must make room for another.
pub async fn open<S>(stream: S, place: Place, within: Duration) -> io::Result<OpenConnection<S>>
where
    S: AsyncRead + Unpin,
{
    Beginning::new(stream, place).open(within).await
}

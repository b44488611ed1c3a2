//! The first bytes of a connection: awaited with a deadline, and enough of them to tell the protocol.
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
pub async fn open<S>(mut stream: S, place: Place, within: Duration) -> io::Result<OpenConnection<S>>
where
    S: AsyncRead + Unpin,
{
    let told = tokio::select! {
        told = tokio::time::timeout(within, first_bytes(&mut stream)) => {
            told.unwrap_or_else(|_| Err(late()))
        }
        () = place.activity().closed() => Err(io::ErrorKind::ConnectionAborted.into()),
    };
    let (protocol, first) = match told {
        Ok(told) => told,
        Err(error) => {
            if error.kind() == io::ErrorKind::TimedOut {
                place.count("silent");
            }
            return Err(error);
        }
    };
    Ok(OpenConnection {
        protocol,
        first,
        stream,
        place,
    })
}

async fn first_bytes(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(Protocol, Bytes)> {
    let mut first = BytesMut::new();
    loop {
        first.reserve(FIRST_READ);
        if stream.read_buf(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let compared = first.len().min(PREFACE.len());
        if first[..compared] != PREFACE[..compared] {
            return Ok((Protocol::Http1, first.freeze()));
        }
        if compared == PREFACE.len() {
            return Ok((Protocol::Http2, first.freeze()));
        }
    }
}

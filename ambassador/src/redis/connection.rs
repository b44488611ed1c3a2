//! A connection to a Redis server that many callers share: requests are written in the order in which they are
//! asked, and answers come in that order.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use redis_protocol::resp2::decode::decode_bytes_mut;
use redis_protocol::resp2::types::BytesFrame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::request::Request;

/// Requests that wait for a connection to take them; callers beyond wait for a place.
const QUEUE: usize = 4_096;

/// Longest line of an answer where only flat ones are taken.
const MAX_LINE_BYTES: usize = 64 << 10;

/// Requests that are written at once.
const BATCH: usize = 128;

/// An answer as it came, and what it says.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The bytes of it.
    pub(crate) raw: Bytes,
    /// The same, read.
    pub(crate) frame: BytesFrame,
}

impl Answer {
    /// Is it an error of the server?
    pub(crate) fn is_error(&self) -> bool {
        matches!(self.frame, BytesFrame::Error(_))
    }
}

/// Which answers a connection takes: one that brings others ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answers {
    /// Those of a server that is trusted.
    Any,
    /// Only texts, numbers and errors, of so many bytes with their frame: a list in a list could lead the reader to the
    /// end of its stack.
    Flat {
        /// Largest answer.
        max_bytes: usize,
    },
}

impl Answers {
    /// Checks the answer that `buffer` begins with, as far as it has come.
    fn check(self, buffer: &[u8]) -> io::Result<()> {
        let Self::Flat { max_bytes } = self else {
            return Ok(());
        };
        let line = &buffer[..buffer.len().min(MAX_LINE_BYTES)];
        // As the reader has it: a line goes on behind a return that stands alone.
        let end = line.windows(2).position(|bytes| bytes == b"\r\n");
        if end.is_none() && buffer.len() >= MAX_LINE_BYTES {
            return Err(io::Error::other("the answer has no end"));
        }
        let too_large = |digits: &[u8]| {
            let length = std::str::from_utf8(digits).ok();
            let length = length.and_then(|text| text.parse::<i64>().ok());
            length
                .is_none_or(|length| usize::try_from(length).is_ok_and(|length| length > max_bytes))
        };
        match (buffer.first(), end) {
            (None | Some(b'+' | b'-' | b':' | b'$'), None) => Ok(()),
            (Some(b'+' | b'-' | b':'), Some(_)) => Ok(()),
            (Some(b'$'), Some(end)) if !too_large(&line[1..end]) => Ok(()),
            (Some(b'$'), Some(_)) => Err(io::Error::other("the answer is too large")),
            _ => Err(io::Error::other(
                "an answer of a kind that nobody asked for",
            )),
        }
    }
}

/// The connection ended before the answer came. Whether the server did what was asked is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection was lost before the answer")]
pub(crate) struct Lost;

/// An answer that comes.
pub(crate) type Coming = oneshot::Receiver<Answer>;

/// Why a server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// It cannot be reached, or a connection to it broke.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It did not answer within this time.
    #[error("no answer within {0:?}")]
    Silent(Duration),
    /// It refused what the ambassador asks of every server.
    #[error("it answered {0:?}")]
    Refused(String),
    /// The connection ended.
    #[error("the connection was lost")]
    Lost,
}

#[derive(Debug)]
struct Call {
    request: Bytes,
    answer: oneshot::Sender<Answer>,
}

/// A connection to a server.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    calls: mpsc::Sender<Call>,
    /// Closed when the connection ended.
    lives: watch::Receiver<()>,
    reading: AbortHandle,
}

impl Connection {
    /// Connects to `address`, and logs in where there is a password.
    pub(crate) async fn open(
        address: &str,
        password: Option<&str>,
        answers: Answers,
        within: Duration,
    ) -> Result<Self, ServerError> {
        let opened = async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let connection = Self::over(stream, answers);
            if let Some(password) = password {
                let answer = connection.ask(&Request::of(["AUTH", password])).await;
                expect_ok(&answer.map_err(|_| ServerError::Lost)?)?;
            }
            Ok(connection)
        };
        let opened = timeout(within, opened).await;
        opened.unwrap_or(Err(ServerError::Silent(within)))
    }

    fn over(stream: TcpStream, kinds: Answers) -> Self {
        let (read, write) = stream.into_split();
        let (calls, taken) = mpsc::channel(QUEUE);
        let (waiting, answers) = mpsc::unbounded_channel();
        let (living, lives) = watch::channel(());
        let reading = tokio::spawn(async move {
            let _living = living;
            let ended = read_answers(read, answers, kinds).await;
            tracing::debug!(?ended, "a connection to a Redis server ended");
        });
        let handle = reading.abort_handle();
        tokio::spawn(async move {
            // With its last caller gone this half closes, and the server then ends the connection.
            let ended = reading.abort_handle();
            tokio::select! {
                written = write_requests(write, taken, waiting) => if written.is_err() {
                    ended.abort();
                },
                // Nobody would read what is answered.
                _ = reading => {}
            }
        });
        Self {
            calls,
            lives,
            reading: handle,
        }
    }

    /// Sends a request, and returns what its answer will come by.
    pub(crate) async fn send(&self, request: Bytes) -> Coming {
        let (answer, coming) = oneshot::channel();
        // Where the connection has ended, the sender of the answer is dropped, which says so.
        drop(self.calls.send(Call { request, answer }).await);
        coming
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn ask(&self, request: &Request) -> Result<Answer, Lost> {
        let coming = self.send(request.raw.clone()).await;
        coming.await.map_err(|_| Lost)
    }

    /// Ends the connection now: whatever is under way is lost.
    pub(crate) fn close(&self) {
        self.reading.abort();
    }

    /// Returns when the connection has ended.
    pub(crate) async fn ended(&self) {
        let mut lives = self.lives.clone();
        while lives.changed().await.is_ok() {}
    }
}

/// Reads a simple answer that is no error.
fn expect_ok(answer: &Answer) -> Result<(), ServerError> {
    match &answer.frame {
        BytesFrame::Error(message) => Err(ServerError::Refused(message.to_string())),
        _ => Ok(()),
    }
}

async fn write_requests(
    mut write: OwnedWriteHalf,
    mut taken: mpsc::Receiver<Call>,
    waiting: mpsc::UnboundedSender<oneshot::Sender<Answer>>,
) -> io::Result<()> {
    let mut calls = Vec::with_capacity(BATCH);
    let mut bytes = BytesMut::new();
    while taken.recv_many(&mut calls, BATCH).await > 0 {
        bytes.clear();
        for call in calls.drain(..) {
            bytes.extend_from_slice(&call.request);
            if waiting.send(call.answer).is_err() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
        write.write_all(&bytes).await?;
        if bytes.capacity() > 1 << 20 {
            bytes = BytesMut::new();
        }
    }
    Ok(())
}

async fn read_answers(
    mut read: OwnedReadHalf,
    mut answers: mpsc::UnboundedReceiver<oneshot::Sender<Answer>>,
    kinds: Answers,
) -> io::Result<()> {
    let mut buffer = BytesMut::with_capacity(16 << 10);
    loop {
        loop {
            kinds.check(&buffer)?;
            let decoded = decode_bytes_mut(&mut buffer);
            let decoded = decoded.map_err(|error| io::Error::other(error.to_string()))?;
            let Some((frame, _, raw)) = decoded else {
                break;
            };
            let Some(caller) = answers.recv().await else {
                return Ok(());
            };
            // A caller that went away wants no answer.
            drop(caller.send(Answer { raw, frame }));
        }
        buffer.reserve(16 << 10);
        if read.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_with_a_return_and_a_new_line() {
        let flat = Answers::Flat { max_bytes: 10 };
        let endless = |start: &[u8]| [start, &[b'x'; MAX_LINE_BYTES]].concat();
        for (buffer, is_taken) in [
            (b"+OK\r\n".to_vec(), true),
            (b"+a\rb\r\n".to_vec(), true),
            (b"$10\r\n".to_vec(), true),
            (b"$10\r".to_vec(), true),
            (b"$11\r\n".to_vec(), false),
            (b"*1\r\n".to_vec(), false),
            (endless(b"+"), false),
            (endless(b"+a\r"), false),
            (endless(b"$1\r"), false),
        ] {
            let checked = flat.check(&buffer);
            assert_eq!(checked.is_ok(), is_taken, "{buffer:.20?}");
        }
    }
}

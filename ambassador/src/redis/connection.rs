//! A connection to a Redis server that many callers share: requests are written in the order in which they are
//! asked, and answers come in that order.

use std::io;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use redis_protocol::resp2::types::BytesFrame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::budget::PIECE;
use super::received::{Answer, Reader};
use super::request::Request;

/// Requests that wait for a connection to take them; callers beyond wait for a place.
const QUEUE: usize = 4_096;

/// Time for a connection.
const CONNECTS_WITHIN: Duration = Duration::from_secs(1);

/// Requests that are written at once.
const BATCH: usize = 128;

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
    /// Connects to `address`, and logs in where there is a password. `reader` takes the answers.
    pub(crate) async fn open(
        address: &str,
        password: Option<&str>,
        reader: Reader,
        within: Duration,
    ) -> Result<Self, ServerError> {
        let opened = async {
            // The first packet of a connection that takes longer was lost, or met nobody: a new one is sent sooner than
            // the system would.
            let connected = timeout(CONNECTS_WITHIN, TcpStream::connect(address)).await;
            let stream = connected.map_err(|_| ServerError::Silent(CONNECTS_WITHIN))??;
            stream.set_nodelay(true)?;
            let connection = Self::over(stream, reader);
            if let Some(password) = password {
                let answer = connection.ask(&Request::of(["AUTH", password])).await;
                expect_ok(&answer.map_err(|_| ServerError::Lost)?)?;
            }
            Ok(connection)
        };
        let opened = timeout(within, opened).await;
        opened.unwrap_or(Err(ServerError::Silent(within)))
    }

    fn over(stream: TcpStream, reader: Reader) -> Self {
        let (read, write) = stream.into_split();
        let (calls, taken) = mpsc::channel(QUEUE);
        let (waiting, asked) = mpsc::unbounded_channel();
        let (living, lives) = watch::channel(());
        let reading = tokio::spawn(async move {
            let _living = living;
            let ended = read_answers(read, asked, reader).await;
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
    match answer.frame() {
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
        for call in calls.drain(..) {
            if waiting.send(call.answer).is_err() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            // Small requests go together, large ones are not copied.
            if bytes.len() + call.request.len() > PIECE {
                write.write_all(&bytes).await?;
                bytes.clear();
            }
            if call.request.len() > PIECE {
                write.write_all(&call.request).await?;
            } else {
                bytes.extend_from_slice(&call.request);
            }
        }
        write.write_all(&bytes).await?;
        bytes.clear();
    }
    Ok(())
}

async fn read_answers(
    mut read: OwnedReadHalf,
    mut answers: mpsc::UnboundedReceiver<oneshot::Sender<Answer>>,
    mut reader: Reader,
) -> io::Result<()> {
    loop {
        while let Some(answer) = reader.next().await? {
            let Some(caller) = answers.recv().await else {
                return Ok(());
            };
            // A caller that went away wants no answer.
            drop(caller.send(answer));
        }
        let room = reader.room().await;
        if read.read_buf(&mut room.limit(PIECE)).await? == 0 {
            return Ok(());
        }
    }
}

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

/// Most lists in one another that an answer may have. `COMMAND` of Redis 7 has some ten; the reader calls itself for
/// each.
const MAX_DEPTH: usize = 128;

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
    /// All kinds, with up to [`MAX_DEPTH`] lists in one another.
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
    pub(super) fn check(self, buffer: &[u8]) -> io::Result<()> {
        self.check_piece(buffer, &mut CountedLists::default())
    }

    /// As [`Self::check`], with what `counted` knows of the same answer from when less of it had come.
    fn check_piece(self, buffer: &[u8], counted: &mut CountedLists) -> io::Result<()> {
        let Self::Flat { max_bytes } = self else {
            return counted.check_depth(buffer);
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

/// The lists of an answer, as far as it has come: what was counted is not read again with the next piece.
#[derive(Debug, Default)]
struct CountedLists {
    /// Elements that each open list lacks.
    open: Vec<i64>,
    /// Where the first line begins that was not counted.
    line: usize,
    /// Up to here that line has no end.
    searched: usize,
    /// Whether the answer was counted to its end.
    is_whole: bool,
}

impl CountedLists {
    /// Checks that the answer which `buffer` begins with has no more than [`MAX_DEPTH`] lists in one another, as far as
    /// it has come. Anything else that is wrong with it is for the reader to find.
    fn check_depth(&mut self, buffer: &[u8]) -> io::Result<()> {
        while !self.is_whole {
            // The return may have been the last byte.
            let from = self.line.max(self.searched.saturating_sub(1));
            let rest = buffer.get(from..).unwrap_or_default();
            let Some(end) = rest.windows(2).position(|bytes| bytes == b"\r\n") else {
                self.searched = buffer.len();
                return Ok(());
            };
            let end = from + end;
            let line = &buffer[self.line..end];
            let digits = std::str::from_utf8(line.get(1..).unwrap_or_default());
            let number = digits.ok().and_then(|digits| digits.parse::<i64>().ok());
            match (line.first(), number) {
                (Some(b'*'), Some(length @ 1..)) => {
                    self.open.push(length);
                    if self.open.len() > MAX_DEPTH {
                        return Err(io::Error::other("the answer has too many lists in lists"));
                    }
                    self.line = end + 2;
                }
                (Some(b'$'), Some(length @ 0..)) => {
                    let length = usize::try_from(length).unwrap_or(usize::MAX);
                    let behind = (end + 4).saturating_add(length);
                    if behind > buffer.len() {
                        return Ok(());
                    }
                    self.line = behind;
                    self.close();
                }
                _ => {
                    self.line = end + 2;
                    self.close();
                }
            }
        }
        Ok(())
    }

    /// Counts an element, and the lists that end with it.
    fn close(&mut self) {
        while let Some(lacks) = self.open.last_mut() {
            *lacks -= 1;
            if *lacks > 0 {
                return;
            }
            self.open.pop();
        }
        self.is_whole = true;
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
    let mut counted = CountedLists::default();
    loop {
        loop {
            kinds.check_piece(&buffer, &mut counted)?;
            let decoded = decode_bytes_mut(&mut buffer);
            let decoded = decoded.map_err(|error| io::Error::other(error.to_string()))?;
            let Some((frame, _, raw)) = decoded else {
                break;
            };
            counted = CountedLists::default();
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
    fn lists_in_lists_are_read_up_to_a_depth() {
        let nested = |depth: usize| "*1\r\n".repeat(depth).into_bytes();
        assert!(Answers::Any.check(&nested(MAX_DEPTH)).is_ok());
        assert!(Answers::Any.check(&nested(MAX_DEPTH + 1)).is_err());
        // Lists behind one another, a list of no elements, a text with the bytes of one.
        let flat = "*2\r\n*0\r\n$4\r\n*1\r\n\r\n".repeat(MAX_DEPTH + 1);
        assert!(Answers::Any.check(flat.as_bytes()).is_ok());
        let behind = ["*200\r\n", &"*1\r\n:1\r\n".repeat(200)].concat();
        assert!(Answers::Any.check(behind.as_bytes()).is_ok());
    }

    #[test]
    fn an_answer_in_pieces_is_counted_as_the_whole_is() {
        let nested = |depth: usize| {
            let lists = "*2\r\n$6\r\n*1\r\n*1\r\n".repeat(depth);
            [lists.as_str(), "+a\rb\r\n"].concat().into_bytes()
        };
        for (answer, is_taken) in [(nested(MAX_DEPTH), true), (nested(MAX_DEPTH + 1), false)] {
            for piece in [1, 2, 3, 7, 1_000] {
                let mut counted = CountedLists::default();
                let mut ends = (0..=answer.len()).step_by(piece).chain([answer.len()]);
                let checked = ends.try_for_each(|end| {
                    let before = counted.line;
                    let checked = counted.check_depth(&answer[..end]);
                    assert!(counted.line >= before, "nothing is counted again");
                    checked
                });
                assert_eq!(checked.is_ok(), is_taken, "pieces of {piece}");
                assert_eq!(counted.is_whole, is_taken);
            }
        }
    }

    #[test]
    fn what_was_counted_is_not_read_again() {
        let mut counted = CountedLists::default();
        let begun = b"*2\r\n:1\r\n+abc";
        counted.check_depth(begun).expect("a list");
        // Bytes that no check looks at again may say anything.
        let hidden = vec![b'*'; begun.len() - 1];
        let piece = [&hidden[..], b"c", b"d\r\n"].concat();
        counted.check_depth(&piece).expect("the same list");
        assert!(counted.is_whole);
        assert_eq!(counted.line, piece.len());
    }

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

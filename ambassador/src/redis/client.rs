//! One client of the ambassador: its requests in order, its answers in the same order.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use gleaner_model::metric;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

use super::answer;
use super::pool::Pool;
use super::reply;
use super::request::{Decoder, Request};
use super::route::{self, Pending};

/// Requests of one client that are under way at once; it is read on when there is a place again.
const PIPELINED: usize = 512;

/// Answers are written at the latest when they have that many bytes.
const WRITTEN_AT: usize = 64 << 10;

/// What a client has to show before it is answered.
#[derive(Debug, Clone)]
pub(crate) struct Lock(pub(crate) Option<Arc<str>>);

/// Serves one client until it goes.
pub(crate) async fn serve(stream: TcpStream, pool: Arc<Pool>, lock: Lock) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, write) = stream.into_split();
    let (ordered, answered) = mpsc::channel(PIPELINED);
    let reading = read_requests(read, &pool, lock, ordered);
    let writing = write_answers(write, &pool, answered);
    tokio::pin!(reading, writing);
    tokio::select! {
        written = &mut writing => written,
        read = &mut reading => {
            // What was asked is still answered.
            writing.await?;
            read
        }
    }
}

async fn read_requests(
    mut read: OwnedReadHalf,
    pool: &Pool,
    mut lock: Lock,
    ordered: mpsc::Sender<Pending>,
) -> io::Result<()> {
    let mut decoder = Decoder::default();
    let mut buffer = BytesMut::with_capacity(16 << 10);
    loop {
        buffer.reserve(16 << 10);
        if read.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        loop {
            let pending = match decoder.decode(&mut buffer) {
                Ok(None) => break,
                Ok(Some(request)) => match lock.answer(&request) {
                    Some(answer) => Pending::Ready(answer),
                    None => route::route(pool, request).await,
                },
                Err(bad) => {
                    let message = format!("Protocol error: {bad}");
                    Pending::Last(reply::coded_error("ERR", &message))
                }
            };
            let is_last = matches!(pending, Pending::Last(_));
            if ordered.send(pending).await.is_err() || is_last {
                return Ok(());
            }
        }
    }
}

async fn write_answers(
    mut write: OwnedWriteHalf,
    pool: &Pool,
    mut answered: mpsc::Receiver<Pending>,
) -> io::Result<()> {
    let mut bytes = BytesMut::with_capacity(WRITTEN_AT);
    while let Some(pending) = answered.recv().await {
        let answer = answer::wait(pool, pending).await;
        count(&answer);
        bytes.extend_from_slice(&answer);
        if bytes.len() >= WRITTEN_AT || answered.is_empty() {
            write.write_all(&bytes).await?;
            bytes.clear();
        }
    }
    write.write_all(&bytes).await?;
    write.shutdown().await
}

fn count(answer: &[u8]) {
    let outcome = if answer.first() == Some(&b'-') {
        "error"
    } else {
        "answer"
    };
    metrics::counter!(metric::AMBASSADOR_REQUESTS.name, "outcome" => outcome).increment(1);
}

impl Lock {
    /// Answers `AUTH`, and everything else while a password is still to be shown.
    fn answer(&mut self, request: &Request) -> Option<Bytes> {
        let name = request.name();
        if name == "auth" {
            return Some(self.open(request));
        }
        let is_closed = self.0.is_some() && name != "quit";
        is_closed.then(|| reply::coded_error("NOAUTH", "Authentication required."))
    }

    fn open(&mut self, request: &Request) -> Bytes {
        let Some(wanted) = &self.0 else {
            return reply::error("AUTH is answered where the ambassador has a password, and once");
        };
        // With a user's name in front only the default user is known.
        let shown = match request.arguments.as_slice() {
            [_, password] => Some(password),
            [_, user, password] if &user[..] == b"default" => Some(password),
            _ => None,
        };
        let is_right = shown.is_some_and(|shown| is_same(shown, wanted.as_bytes()));
        if !is_right {
            return reply::coded_error(
                "WRONGPASS",
                "invalid username-password pair or user is disabled.",
            );
        }
        self.0 = None;
        reply::status("OK")
    }
}

/// Compares without telling by its time where two values differ.
fn is_same(left: &[u8], right: &[u8]) -> bool {
    let differing = left
        .iter()
        .zip(right)
        .fold(0, |seen, (a, b)| seen | (a ^ b));
    left.len() == right.len() && differing == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_opens_once_it_is_right() {
        let mut lock = Lock(Some("secret".into()));
        let ask = |lock: &mut Lock, words: &[&str]| {
            let answer = lock.answer(&Request::of(words));
            answer.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        assert!(ask(&mut lock, &["GET", "a"]).is_some_and(|answer| answer.starts_with("-NOAUTH")));
        assert!(
            ask(&mut lock, &["AUTH", "secre"])
                .is_some_and(|answer| answer.starts_with("-WRONGPASS"))
        );
        assert_eq!(
            ask(&mut lock, &["AUTH", "default", "secret"]).as_deref(),
            Some("+OK\r\n")
        );
        assert_eq!(ask(&mut lock, &["GET", "a"]), None);
    }
}

//! One client of the ambassador: its requests in order, its answers in the same order.

use std::io;
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use gleaner_model::metric;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::answer;
use super::budget::{Budget, Lease, PIECE, STANDS_STILL_FOR, make_room};
use super::pool::Pool;
use super::reply;
use super::request::{Decoder, Request};
use super::route::{self, Pending};

/// Requests of one client that are under way at once; it is read on when there is a place again.
const PIPELINED: usize = 512;

/// Answers are written at the latest when they have that many bytes.
const WRITTEN_AT: usize = PIECE;

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
    let mut decoder = lock.decoder();
    let mut buffer = BytesMut::with_capacity(PIECE);
    let mut lease = pool.budget.lease();
    loop {
        let (wanted, beside) = (decoder.num_bytes(), decoder.num_bytes_beside());
        if let Err(short) = make_room(&mut buffer, &mut lease, wanted, beside).await {
            // The rest of its request comes all the same, so nothing more can be read of it.
            let last = Pending::Last(reply::error(&short.to_string()));
            drop(ordered.send(last).await);
            return Ok(());
        }
        if read_piece(&mut read, &mut buffer, &lease, &pool.budget).await? == 0 {
            return Ok(());
        }
        loop {
            let pending = match decoder.decode(&mut buffer) {
                Ok(None) => break,
                Ok(Some(request)) => match lock.answer(&request) {
                    Some(answer) => Pending::Ready(answer),
                    None => take(pool, request, &mut lease).await,
                },
                Err(bad) => {
                    let message = format!("Protocol error: {bad}");
                    Pending::Last(reply::coded_error("ERR", &message))
                }
            };
            if lock.0.is_none() {
                decoder.unlock();
            }
            lease.shrink_to(0);
            let is_last = matches!(pending, Pending::Last(_));
            if ordered.send(pending).await.is_err() || is_last {
                return Ok(());
            }
        }
    }
}

/// Counts a request, and sends it on its way. `lease` is on what was counted of it while it came.
async fn take(pool: &Pool, request: Request, lease: &mut Lease) -> Pending {
    let cost = request.cost();
    match lease.grow_to(cost).await {
        Ok(()) => route::route(pool, request.holding(lease.split(cost))).await,
        Err(short) => Pending::Ready(reply::error(&short.to_string())),
    }
}

/// Reads what comes, up to a piece. A client that stands still while it holds memory that others wait for is given up.
async fn read_piece(
    read: &mut OwnedReadHalf,
    buffer: &mut BytesMut,
    lease: &Lease,
    budget: &Budget,
) -> io::Result<usize> {
    let mut piece = buffer.limit(PIECE);
    if lease.is_empty() {
        return read.read_buf(&mut piece).await;
    }
    loop {
        match timeout(STANDS_STILL_FOR, read.read_buf(&mut piece)).await {
            Ok(read) => return read,
            Err(_) if budget.is_short() => return Err(stands_still()),
            Err(_) => {}
        }
    }
}

fn stands_still() -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        "the client stands still while others wait for memory",
    )
}

async fn write_answers(
    mut write: OwnedWriteHalf,
    pool: &Pool,
    mut answered: mpsc::Receiver<Pending>,
) -> io::Result<()> {
    let mut bytes = BytesMut::new();
    while let Some(pending) = answered.recv().await {
        let answer = answer::wait(pool, pending).await;
        count(&answer);
        // Small answers go together, large ones are not copied.
        if bytes.len() + answer.len() > WRITTEN_AT {
            write_all(&mut write, &bytes, &pool.budget).await?;
            bytes.clear();
        }
        if answer.len() > WRITTEN_AT {
            write_all(&mut write, &answer, &pool.budget).await?;
        } else {
            bytes.extend_from_slice(&answer);
        }
        if answered.is_empty() {
            write_all(&mut write, &bytes, &pool.budget).await?;
            bytes.clear();
        }
    }
    write_all(&mut write, &bytes, &pool.budget).await?;
    write.shutdown().await
}

/// Writes all of it. A client that takes nothing while others wait for memory is given up.
async fn write_all(
    write: &mut OwnedWriteHalf,
    mut bytes: &[u8],
    budget: &Budget,
) -> io::Result<()> {
    while !bytes.is_empty() {
        match timeout(STANDS_STILL_FOR, write.write(bytes)).await {
            Ok(written) => match written? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => bytes = &bytes[written..],
            },
            Err(_) if budget.is_short() => return Err(stands_still()),
            Err(_) => {}
        }
    }
    Ok(())
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
    /// Returns what reads the requests of a client that comes.
    fn decoder(&self) -> Decoder {
        match self.0 {
            Some(_) => Decoder::locked(),
            None => Decoder::default(),
        }
    }

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

//! A backend of raw sockets: it reads requests as strictly as a proxy must write them, and keeps what it saw.

use super::*;

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::sync::{Notify, watch};

use super::client::field;

/// What arrived at a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arrived {
    /// Which of the backend's connections it came over.
    pub(super) connection: usize,
    /// Method and path.
    pub(super) line: String,
    /// The head, in small letters.
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Arrived {
    /// Returns the value of a field, where the head has exactly one.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }
}

/// What a backend does with a request.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// 200 with the method and path, so that an answer shows whose it is.
    Echo,
    /// These bytes.
    Bytes(Vec<u8>),
    /// These bytes, and the end of the connection.
    Last(Vec<u8>),
    /// These bytes, and then nothing.
    Silence(Vec<u8>),
    /// These bytes, once the head has arrived, without reading the body first.
    Early(Vec<u8>),
    /// The end of the backend: it listens no more, and all of its connections are closed.
    Death,
}

type Answering = Arc<dyn Fn(&Arrived) -> Reply + Send + Sync>;

/// What a backend saw.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) arrived: Vec<Arrived>,
    /// What was no request, or one that could be read in two ways.
    pub(super) breaches: Vec<String>,
    pub(super) num_connections: usize,
    /// Connections that the other side ended.
    pub(super) num_ended: usize,
}

/// A backend; it ends when this is dropped.
pub(super) struct Recorder {
    pub(super) address: SocketAddr,
    seen: Arc<watch::Sender<Seen>>,
    accepting: JoinHandle<()>,
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Recorder {
    /// Starts a backend that echoes.
    pub(super) async fn start() -> Self {
        Self::replying(|_| Reply::Echo).await
    }

    pub(super) async fn replying(
        reply: impl Fn(&Arrived) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(watch::Sender::default());
        let (to, answering) = (Arc::clone(&seen), Arc::new(reply) as Answering);
        let accepting = tokio::spawn(async move {
            // They end with this task.
            let mut connections = tokio::task::JoinSet::new();
            let dying = Arc::<Notify>::default();
            for connection in 0.. {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = dying.notified() => break,
                };
                let Ok((stream, _)) = accepted else {
                    break;
                };
                to.send_modify(|seen: &mut Seen| seen.num_connections += 1);
                let reading = Reading {
                    stream: BufReader::new(stream),
                    connection,
                    seen: Arc::clone(&to),
                    dying: Arc::clone(&dying),
                };
                connections.spawn(reading.run(Arc::clone(&answering)));
            }
            // Who sees a connection end can make no other one.
            drop(listener);
        });
        Self {
            address,
            seen,
            accepting,
        }
    }

    /// Returns what was seen so far.
    pub(super) fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Returns what was seen so far, and forgets it.
    pub(super) fn take(&self) -> Seen {
        let mut taken = Seen::default();
        self.seen.send_modify(|seen| {
            taken.arrived = std::mem::take(&mut seen.arrived);
            taken.breaches = std::mem::take(&mut seen.breaches);
        });
        taken
    }

    /// Returns how many requests arrived.
    pub(super) fn num_arrived(&self) -> usize {
        self.seen.borrow().arrived.len()
    }

    /// Waits until what was seen is as wanted.
    pub(super) async fn until(&self, what: &str, is_wanted: impl FnMut(&Seen) -> bool) {
        let mut seen = self.seen.subscribe();
        soon(what, seen.wait_for(is_wanted))
            .await
            .expect("it lives");
    }
}

/// A connection to a backend.
struct Reading {
    stream: BufReader<TcpStream>,
    connection: usize,
    seen: Arc<watch::Sender<Seen>>,
    dying: Arc<Notify>,
}

impl Reading {
    async fn run(mut self, answering: Answering) {
        loop {
            match self.exchange(&answering).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(breach) => {
                    self.seen.send_modify(|seen| seen.breaches.push(breach));
                    break;
                }
            }
        }
        self.seen.send_modify(|seen| seen.num_ended += 1);
    }

    /// Reads a request and replies; returns whether another one may follow.
    async fn exchange(&mut self, answering: &Answering) -> Result<bool, String> {
        let Some(head) = self.head().await? else {
            return Ok(false);
        };
        let line = head.lines().next().unwrap_or_default();
        let line = line
            .strip_suffix(" HTTP/1.1")
            .ok_or_else(|| format!("no version: {head:?}"))?;
        let mut arrived = Arrived {
            connection: self.connection,
            line: line.to_owned(),
            head: head.to_ascii_lowercase(),
            body: Vec::new(),
        };
        if let Reply::Early(bytes) = answering(&arrived) {
            self.note(arrived);
            self.write(&bytes).await;
            // The rest is taken, so that the answer is not lost with the connection.
            tokio::io::copy(&mut self.stream, &mut tokio::io::sink())
                .await
                .ok();
            return Ok(false);
        }
        let Some(body) = self.body(&arrived.head).await? else {
            return Ok(false);
        };
        arrived.body = body;
        let reply = answering(&arrived);
        let echo = echo(&arrived);
        self.note(arrived);
        match reply {
            Reply::Echo => self.write(echo.as_bytes()).await,
            Reply::Bytes(bytes) => self.write(&bytes).await,
            Reply::Last(bytes) => {
                self.write(&bytes).await;
                return Ok(false);
            }
            Reply::Death => {
                self.dying.notify_one();
                pending::<()>().await;
            }
            Reply::Silence(bytes) | Reply::Early(bytes) => {
                self.write(&bytes).await;
                // Nothing is read but the end.
                self.stream.read_u8().await.ok();
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn note(&self, arrived: Arrived) {
        self.seen.send_modify(|seen| seen.arrived.push(arrived));
    }

    async fn write(&mut self, bytes: &[u8]) {
        // The other side may be gone; what arrived is what counts.
        self.stream.write_all(bytes).await.ok();
    }

    /// Reads a head; `None` at the end of the connection.
    async fn head(&mut self) -> Result<Option<String>, String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match self.stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) if head.is_empty() => return Ok(None),
                Err(_) => return Err(format!("half a head: {:?}", String::from_utf8_lossy(&head))),
            }
        }
        let head: String = head.into_iter().map(char::from).collect();
        let is_control = |text: char| text.is_ascii_control() && text != '\t';
        let is_plain = !head.replace("\r\n", "").contains(is_control);
        match is_plain {
            true => Ok(Some(head)),
            false => Err(format!("bytes that no head has: {head:?}")),
        }
    }

    /// Reads the body that a head tells; `None` when the connection ends before it does.
    async fn body(&mut self, head: &str) -> Result<Option<Vec<u8>>, String> {
        let is_told = |name: &str| head.contains(&format!("\r\n{name}:"));
        match (is_told("content-length"), is_told("transfer-encoding")) {
            (true, true) => Err(format!("told in two ways: {head:?}")),
            (false, false) => Ok(Some(Vec::new())),
            (true, false) => {
                let length = field(head, "content-length").and_then(|text| text.parse().ok());
                let mut body = vec![0; length.ok_or(format!("two lengths: {head:?}"))?];
                Ok(self.stream.read_exact(&mut body).await.ok().map(|_| body))
            }
            (false, true) if field(head, "transfer-encoding") == Some("chunked") => {
                self.chunks().await
            }
            (false, true) => Err(format!("no coding: {head:?}")),
        }
    }

    async fn chunks(&mut self) -> Result<Option<Vec<u8>>, String> {
        let mut body = Vec::new();
        loop {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                let Ok(byte) = self.stream.read_u8().await else {
                    return Ok(None);
                };
                line.push(byte);
            }
            let line = String::from_utf8_lossy(&line[..line.len() - 2]).into_owned();
            let size =
                usize::from_str_radix(&line, 16).map_err(|_| format!("no size: {line:?}"))?;
            let mut chunk = vec![0; size + 2];
            if self.stream.read_exact(&mut chunk).await.is_err() {
                return Ok(None);
            }
            if !chunk.ends_with(b"\r\n") {
                return Err(format!("behind a chunk: {chunk:?}"));
            }
            if size == 0 {
                return Ok(Some(body));
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }
}

/// Returns the answer that shows what was asked.
fn echo(arrived: &Arrived) -> String {
    let body = if arrived.line.starts_with("HEAD ") {
        ""
    } else {
        &*arrived.line
    };
    let length = arrived.line.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// Returns a plain answer.
pub(super) fn plain(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

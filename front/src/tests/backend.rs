//! A backend of raw sockets: it notes each request as it reads it, and answers as a test says.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::BackendUrl;

/// A request as a backend read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Seen {
    pub(super) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }
}

/// What a backend does with a request that it has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// Answers 200 with its name.
    Answer,
    /// Answers with this status.
    Status(u16),
    /// Closes the connection.
    Close,
    /// Never answers.
    Silence,
}

/// How a backend finds the end of a body that is framed in two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Length,
    Chunks,
}

/// The backend; it ends when this is dropped.
pub(super) struct Backend {
    pub(super) address: SocketAddr,
    pub(super) seen: Arc<Mutex<Vec<Seen>>>,
    pub(super) behaviour: Arc<Mutex<Behaviour>>,
    /// How many requests were left by the front before they were answered.
    pub(super) num_left: watch::Receiver<usize>,
    accepting: JoinHandle<()>,
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

struct Serving {
    seen: Arc<Mutex<Vec<Seen>>>,
    behaviour: Arc<Mutex<Behaviour>>,
    num_left: watch::Sender<usize>,
    framing: Framing,
    name: String,
}

impl Backend {
    pub(super) async fn start() -> Self {
        Self::framed(Framing::Length).await
    }

    pub(super) async fn framed(framing: Framing) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (left, num_left) = watch::channel(0);
        let serving = Arc::new(Serving {
            seen: Arc::default(),
            behaviour: Arc::new(Mutex::new(Behaviour::Answer)),
            num_left: left,
            framing,
            name: address.to_string(),
        });
        let (seen, behaviour) = (Arc::clone(&serving.seen), Arc::clone(&serving.behaviour));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = Arc::clone(&serving);
                tokio::spawn(async move { serving.connection(stream).await });
            }
        });
        Self {
            address,
            seen,
            behaviour,
            num_left,
            accepting,
        }
    }

    pub(super) fn url(&self) -> BackendUrl {
        format!("http://{}", self.address)
            .parse()
            .expect("an address")
    }

    pub(super) fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock() = behaviour;
    }

    /// Returns the paths that were asked for since the last time.
    pub(super) fn take_paths(&self) -> Vec<String> {
        let seen = std::mem::take(&mut *self.seen.lock());
        seen.iter().map(|seen| seen.path().to_owned()).collect()
    }
}

impl Serving {
    async fn connection(&self, mut stream: TcpStream) {
        let mut bytes = Vec::new();
        loop {
            let Some(seen) = read_request(&mut stream, &mut bytes, self.framing).await else {
                return;
            };
            self.seen.lock().push(seen);
            let behaviour = *self.behaviour.lock();
            let status = match behaviour {
                Behaviour::Answer => 200,
                Behaviour::Status(status) => status,
                Behaviour::Close => return,
                Behaviour::Silence => {
                    // The end of the connection is what is waited for; what else comes is no matter.
                    let mut rest = [0; 1_024];
                    while matches!(stream.read(&mut rest).await, Ok(1..)) {}
                    self.num_left.send_modify(|number| *number += 1);
                    return;
                }
            };
            let answer = format!(
                "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nx-gleaner-inner: 1\r\nconnection: keep-alive\r\n\r\n{}",
                self.name.len(),
                self.name
            );
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

/// Reads a request as a lenient server does; `None` at the end of the connection.
async fn read_request(
    stream: &mut TcpStream,
    bytes: &mut Vec<u8>,
    framing: Framing,
) -> Option<Seen> {
    let end = loop {
        if let Some(at) = find(bytes, b"\r\n\r\n") {
            break at + 4;
        }
        fill(stream, bytes).await?;
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    bytes.drain(..end);
    let field = |name: &str| {
        let lines = head.lines();
        let mut found = lines.filter_map(|line| line.split_once(':'));
        let found = found.find(|(own, _)| own.trim().eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim().to_ascii_lowercase())
    };
    let length = field("content-length").and_then(|text| text.parse::<usize>().ok());
    let is_chunked = field("transfer-encoding").is_some_and(|text| text.contains("chunked"));
    let by_chunks = is_chunked && (framing == Framing::Chunks || length.is_none());
    let mut body = Vec::new();
    if by_chunks {
        loop {
            let line = read_line(stream, bytes).await?;
            let size = line.split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(size.trim(), 16).ok()?;
            if size == 0 {
                while !read_line(stream, bytes).await?.is_empty() {}
                break;
            }
            body.extend(read_exact(stream, bytes, size).await?);
            read_line(stream, bytes).await?;
        }
    } else if let Some(length) = length {
        body = read_exact(stream, bytes, length).await?;
    }
    Some(Seen { head, body })
}

async fn read_line(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(at) = find(bytes, b"\r\n") {
            let line = String::from_utf8_lossy(&bytes[..at]).into_owned();
            bytes.drain(..at + 2);
            return Some(line);
        }
        fill(stream, bytes).await?;
    }
}

async fn read_exact(stream: &mut TcpStream, bytes: &mut Vec<u8>, size: usize) -> Option<Vec<u8>> {
    while bytes.len() < size {
        fill(stream, bytes).await?;
    }
    Some(bytes.drain(..size).collect())
}

async fn fill(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    let mut piece = [0; 4_096];
    match stream.read(&mut piece).await {
        Ok(number @ 1..) => {
            bytes.extend_from_slice(&piece[..number]);
            Some(())
        }
        _ => None,
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

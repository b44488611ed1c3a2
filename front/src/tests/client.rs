//! A client that sends bytes as they are given, and reads answers strictly.

use super::*;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The head as text, in small letters.
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    /// Returns the value of a field, where the head has exactly one.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }

    /// Does the connection end with it?
    pub(super) fn is_last(&self) -> bool {
        self.field("connection") == Some("close")
    }
}

/// Returns the value of a field of a head, where it has exactly one.
pub(super) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let mut values = lines.filter(|(found, _)| *found == name);
    match (values.next(), values.next()) {
        (Some((_, value)), None) => Some(value.trim()),
        _ => None,
    }
}

/// A connection of a client.
pub(super) struct Client(BufReader<TcpStream>);

impl Client {
    pub(super) async fn connect(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).await.expect("taken");
        stream.set_nodelay(true).expect("an option of TCP");
        Self(BufReader::new(stream))
    }

    /// Sends bytes; that the front closes meanwhile is no failure.
    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // An answer may have been given already, and the connection be closed.
        self.0.write_all(bytes.as_ref()).await.ok();
    }

    /// Says that nothing more is sent.
    pub(super) async fn end(&mut self) {
        self.0.shutdown().await.ok();
    }

    /// Sends a GET, and reads its answer.
    pub(super) async fn get(&mut self, path: &str) -> Option<Answer> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: search.example\r\n\r\n");
        self.send(request).await;
        self.answer().await
    }

    /// Sends a request that has a body, and reads its answer.
    pub(super) async fn post(&mut self, path: &str, body: &str) -> Option<Answer> {
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n");
        self.send(head + body).await;
        self.answer().await
    }

    /// Reads an answer; `None` when the connection ends before it is complete.
    pub(super) async fn answer(&mut self) -> Option<Answer> {
        soon("an answer", self.read_answer()).await
    }

    async fn read_answer(&mut self) -> Option<Answer> {
        let head = loop {
            let head = self.head().await?;
            // Those that only say "go on" come before the answer.
            if !head.starts_with("http/1.1 100") {
                break head;
            }
        };
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let mut body = Vec::new();
        if head.contains("\r\ntransfer-encoding: chunked\r\n") {
            loop {
                let chunk = self.chunk().await?;
                if chunk.is_empty() {
                    break;
                }
                body.extend(chunk);
            }
        } else {
            let length =
                field(&head, "content-length").map_or(0, |text| text.parse().expect("a number"));
            body.resize(length, 0);
            self.0.read_exact(&mut body).await.ok()?;
        }
        let body = String::from_utf8(body).expect("text");
        Some(Answer { status, head, body })
    }

    /// Reads a head, in small letters.
    pub(super) async fn head(&mut self) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.ok()?);
        }
        Some(String::from_utf8(head).expect("text").to_ascii_lowercase())
    }

    /// Reads a chunk of a body; an empty one is the last.
    pub(super) async fn chunk(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(self.0.read_u8().await.ok()?);
        }
        let size = String::from_utf8(line).expect("text");
        let size = usize::from_str_radix(size.trim_end(), 16).expect("a size");
        let mut chunk = vec![0; size + 2];
        self.0.read_exact(&mut chunk).await.ok()?;
        assert!(chunk.ends_with(b"\r\n"), "a chunk ends");
        chunk.truncate(size);
        Some(chunk)
    }
}

//! One kept connection over HTTP/1.1, as plain as can be: what is counted is the server.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, ensure};

/// Longest wait for a piece of an answer: under callgrind everything takes fifty times as long.
const PATIENCE: Duration = Duration::from_secs(120);

/// A request, as it is sent.
pub(super) struct Request {
    bytes: Vec<u8>,
    line: String,
}

impl Request {
    /// Returns the request of `line`, as `GET /books/_search`, with `body`.
    pub(super) fn new(line: &str, body: &str) -> Self {
        Self::with_header(line, "", body)
    }

    /// Returns one with a header more, as `name: value`.
    pub(super) fn with_header(line: &str, header: &str, body: &str) -> Self {
        let kind = match body.contains('\n') {
            true => "application/x-ndjson",
            false => "application/json",
        };
        let content = match body.len() {
            0 => String::new(),
            length => format!("content-type: {kind}\r\ncontent-length: {length}\r\n"),
        };
        let header = match header {
            "" => String::new(),
            header => format!("{header}\r\n"),
        };
        let head = format!("{line} HTTP/1.1\r\nhost: localhost\r\n{header}{content}\r\n");
        Self {
            bytes: [head.as_bytes(), body.as_bytes()].concat(),
            line: line.to_owned(),
        }
    }
}

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    /// Its status line and headers, in lower case.
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        let prefix = format!("{name}:");
        lines.find_map(|line| line.strip_prefix(&prefix).map(str::trim))
    }

    /// Returns whether it was kept, where the route keeps answers.
    pub(super) fn is_kept(&self) -> Option<bool> {
        self.header("x-cache").map(|value| value.starts_with("hit"))
    }
}

/// A connection.
pub(super) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(super) fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a request and waits for its answer, which is to be a success.
    pub(super) fn ask(&mut self, request: &Request) -> anyhow::Result<Answer> {
        self.0.get_mut().write_all(&request.bytes)?;
        let answer = self.read(request.line.starts_with("HEAD "));
        let answer = answer.with_context(|| request.line.clone())?;
        ensure!(
            (200..300).contains(&answer.status),
            "{} was answered with {}: {}",
            request.line,
            answer.status,
            String::from_utf8_lossy(&answer.body)
        );
        Ok(answer)
    }

    fn read(&mut self, is_head: bool) -> anyhow::Result<Answer> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let length = self.0.read_line(&mut head)?;
            ensure!(length > 0, "the connection ended");
        }
        let mut answer = Answer {
            status: head
                .split(' ')
                .nth(1)
                .context("no status")?
                .parse()
                .context("the status is no number")?,
            head: head.to_ascii_lowercase(),
            body: Vec::new(),
        };
        if is_head {
            return Ok(answer);
        }
        let is_chunked = answer.header("transfer-encoding") == Some("chunked");
        let length = answer.header("content-length");
        let length = length.map_or(Ok(0), str::parse::<usize>)?;
        answer.body = match is_chunked {
            true => self.chunks()?,
            false => self.exactly(length)?,
        };
        Ok(answer)
    }

    fn chunks(&mut self) -> anyhow::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let mut size = String::new();
            self.0.read_line(&mut size)?;
            let size = usize::from_str_radix(size.trim(), 16)?;
            let chunk = self.exactly(size + "\r\n".len())?;
            if size == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }

    fn exactly(&mut self, length: usize) -> anyhow::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

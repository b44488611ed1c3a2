//! A small HTTP/1.1 client that sends exactly what it is given, right or wrong.
//!
//! Does: one request a connection, whole answers, bodies by length, in chunks or to the end.
//! Does not: correct paths, headers or bodies, follow redirects, decompress, retry.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::server::{POLL, READY_WITHIN};

/// Longest wait for an answer; bulk bodies of many MiB on a busy machine take a while.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(180);

/// A request as it goes over the wire.
#[derive(Debug, Clone)]
pub struct Request {
    /// Method.
    pub method: String,
    /// Path and query, sent as they are.
    pub path: String,
    /// Names and values beside `host` and `content-length`; [`Request::send`] adds `connection: close`.
    pub headers: Vec<(String, String)>,
    /// Body; no `content-length` is sent without one.
    pub body: Option<Vec<u8>>,
}

/// An answer, whole.
#[derive(Debug, Clone)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// Body without its framing.
    pub body: Vec<u8>,
}

impl Request {
    /// Returns a request without body.
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: None,
        }
    }

    /// Returns a request with a JSON body.
    pub fn json(method: &str, path: &str, body: &Value) -> Self {
        Self::new(method, path).with_body("application/json", body.to_string())
    }

    /// Returns a request with a body of newline-delimited JSON.
    pub fn ndjson(method: &str, path: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new(method, path).with_body("application/x-ndjson", body)
    }

    /// Returns the request with this body.
    #[must_use]
    pub fn with_body(self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            body: Some(body.into()),
            ..self.with_header("content-type", content_type)
        }
    }

    /// Returns the request with one header more.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Returns the request as it goes over the wire to `address`: its head, then its body.
    pub fn bytes(&self, address: SocketAddr) -> Vec<u8> {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nhost: {address}\r\n",
            self.method, self.path
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = &self.body {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        [head.as_bytes(), self.body.as_deref().unwrap_or_default()].concat()
    }

    /// Sends the request and reads the answer.
    ///
    /// # Errors
    /// When there is no connection, no answer in time, or the answer is cut short. After an error a
    /// write may or may not have happened.
    pub async fn send(&self, address: SocketAddr) -> Result<Response> {
        timeout(ANSWER_WITHIN, self.exchange(address))
            .await
            .with_context(|| format!("{} {}: no answer", self.method, self.path))?
    }

    /// Sends the request to `address`, again and again until its answer is as wanted.
    ///
    /// # Errors
    /// When that takes too long; with the last answer.
    pub async fn until(
        &self,
        address: SocketAddr,
        is_wanted: impl Fn(&Response) -> bool,
    ) -> Result<Response> {
        let began = Instant::now();
        loop {
            let answer = self.send(address).await?;
            if is_wanted(&answer) {
                return Ok(answer);
            }
            let is_early = began.elapsed() < READY_WITHIN;
            ensure!(is_early, "not as wanted in time: {}", answer.shown());
            sleep(POLL).await;
        }
    }

    /// Sends the request over a connection to `address` that was made before, and encrypted.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn send_over<S>(&self, stream: S, address: SocketAddr) -> Result<Response>
    where
        S: AsyncRead + AsyncWrite,
    {
        timeout(ANSWER_WITHIN, self.exchange_over(stream, address))
            .await
            .with_context(|| format!("{} {}: no answer", self.method, self.path))?
    }

    async fn exchange(&self, address: SocketAddr) -> Result<Response> {
        let stream = TcpStream::connect(address).await.context("no connection")?;
        stream.set_nodelay(true)?;
        self.exchange_over(stream, address).await
    }

    async fn exchange_over<S>(&self, stream: S, address: SocketAddr) -> Result<Response>
    where
        S: AsyncRead + AsyncWrite,
    {
        let (mut input, mut output) = tokio::io::split(stream);
        let request = self.clone().with_header("connection", "close");
        let bytes = request.bytes(address);
        let send = async {
            output.write_all(&bytes).await?;
            output.flush().await
        };
        let mut received = Vec::new();
        // A server may answer and close before it has read everything: keep what it said.
        let (sent, read) = tokio::join!(send, input.read_to_end(&mut received));
        match Response::parse(&received) {
            Ok(response) => Ok(response),
            Err(error) => Err(error.context(describe(&sent, &read))),
        }
    }
}

fn describe(sent: &io::Result<()>, read: &io::Result<usize>) -> String {
    format!("no whole answer (sending: {sent:?}, reading: {read:?})")
}

impl Response {
    /// Returns a header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns the body as JSON.
    ///
    /// # Errors
    /// When it is not.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| self.shown())
    }

    /// Returns the body as JSON of an answer that must be a success.
    ///
    /// # Errors
    /// When the status is not 2xx, or the body is not JSON.
    pub fn ok(&self) -> Result<Value> {
        ensure!((200..300).contains(&self.status), "{}", self.shown());
        self.json()
    }

    /// Returns status and the beginning of the body, for messages.
    pub fn shown(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let text: String = text.chars().take(600).collect();
        format!("{} {text}", self.status)
    }

    fn parse(received: &[u8]) -> Result<Self> {
        let end = received
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .with_context(|| format!("{} bytes without a head", received.len()))?;
        let head = std::str::from_utf8(&received[..end]).context("a head that is no text")?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let status = status
            .and_then(|code| code.parse().ok())
            .context("no status")?;
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
        let mut response = Self {
            status,
            headers: headers.collect(),
            body: Vec::new(),
        };
        response.body = response.unframed(&received[end + 4..])?;
        Ok(response)
    }

    fn unframed(&self, rest: &[u8]) -> Result<Vec<u8>> {
        if self.header("transfer-encoding") == Some("chunked") {
            return unchunked(rest);
        }
        let Some(length) = self.header("content-length") else {
            return Ok(rest.to_vec());
        };
        let length: usize = length.parse().context("a length that is no number")?;
        // An answer to HEAD names a length and sends nothing.
        ensure!(
            rest.len() == length || rest.is_empty(),
            "{} of {length} bytes",
            rest.len()
        );
        Ok(rest.to_vec())
    }
}

fn unchunked(mut rest: &[u8]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n");
        let Some(line) = line else {
            bail!("cut between two chunks");
        };
        let size = std::str::from_utf8(&rest[..line]).context("a chunk without size")?;
        let size = usize::from_str_radix(size.trim(), 16).context("a chunk without size")?;
        rest = &rest[line + 2..];
        if size == 0 {
            return Ok(body);
        }
        ensure!(rest.len() >= size + 2, "cut within a chunk");
        body.extend_from_slice(&rest[..size]);
        rest = &rest[size + 2..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_read_by_length_and_in_chunks() {
        let plain =
            Response::parse(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").expect("whole");
        assert_eq!((plain.status, plain.body.as_slice()), (200, &b"{}"[..]));
        let chunked =
            b"HTTP/1.1 404 x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n";
        let chunked = Response::parse(chunked).expect("whole");
        assert_eq!(
            (chunked.status, chunked.body.as_slice()),
            (404, &b"abcd"[..])
        );
    }

    #[test]
    fn an_answer_that_is_cut_is_no_answer() {
        for cut in [
            &b"HTTP/1.1 200 OK\r\n"[..],
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n{}",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
        ] {
            assert!(Response::parse(cut).is_err());
        }
    }
}

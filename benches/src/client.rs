//! A client of one keep-alive connection that adds as little as can be to what is measured.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// Longest a server may be silent.
const PATIENCE: Duration = Duration::from_secs(300);

/// One connection; requests go one after the other.
pub struct Client {
    stream: BufReader<TcpStream>,
    /// Headers that each request has beside those of its body, as lines.
    headers: String,
    request: Vec<u8>,
    body: Vec<u8>,
}

impl Client {
    /// Connects to `address`, `HOST:PORT`.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn connect(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| address.to_owned())?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream: BufReader::new(stream),
            headers: String::new(),
            request: Vec::new(),
            body: Vec::new(),
        })
    }

    /// Returns it so that it sends one header more with each request.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// Sends a request and returns status and body of the answer.
    ///
    /// # Errors
    /// When the connection breaks or the answer is not HTTP/1.1.
    pub fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> Result<(u16, &[u8])> {
        let media = if path.contains("_bulk") {
            "x-ndjson"
        } else {
            "json"
        };
        self.request.clear();
        write!(
            self.request,
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/{media}\r\n\
             content-length: {}\r\n{}\r\n",
            body.len(),
            self.headers
        )?;
        let stream = self.stream.get_mut();
        // One segment for small requests; large bodies are not copied.
        if body.len() <= 65_536 {
            self.request.extend_from_slice(body);
            stream.write_all(&self.request)?;
        } else {
            stream.write_all(&self.request)?;
            stream.write_all(body)?;
        }
        let (status, length) = self.head()?;
        self.read_body(length)?;
        Ok((status, &self.body))
    }

    /// As [`Client::ask`]; anything but a 2xx is an error.
    ///
    /// # Errors
    /// Also when the server refuses, with what it says.
    pub fn expect(&mut self, method: &str, path: &str, body: &[u8]) -> Result<&[u8]> {
        let (status, answer) = self.ask(method, path, body)?;
        if !(200..300).contains(&status) {
            let text = String::from_utf8_lossy(&answer[..answer.len().min(500)]);
            bail!("{method} {path}: {status} {text}");
        }
        Ok(answer)
    }

    /// Returns the status and the body's length; `None` when it comes in chunks.
    fn head(&mut self) -> Result<(u16, Option<usize>)> {
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.context("no status line")?;
        let mut length = Some(0);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            match line.split_once(':') {
                None => return Ok((status, length)),
                Some(("content-length", value)) => length = Some(value.trim().parse()?),
                Some(("transfer-encoding", _)) => length = None,
                Some(_) => {}
            }
        }
    }

    fn read_body(&mut self, length: Option<usize>) -> Result<()> {
        self.body.clear();
        if let Some(length) = length {
            return self.read_exact(length);
        }
        loop {
            let size = usize::from_str_radix(&self.line()?, 16)?;
            self.read_exact(size)?;
            self.line()?;
            if size == 0 {
                return Ok(());
            }
        }
    }

    fn read_exact(&mut self, length: usize) -> Result<()> {
        let start = self.body.len();
        self.body.resize(start + length, 0);
        Ok(self.stream.read_exact(&mut self.body[start..])?)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(
            self.stream.read_line(&mut line)? > 0,
            "the server closed the connection"
        );
        Ok(line.trim_end().to_owned())
    }
}

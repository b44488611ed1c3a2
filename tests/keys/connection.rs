//! Connections to a process that are used again and again: thousands of requests need no handshake each.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use gleaner_testkit::http::{ANSWER_WITHIN, Request, Response};
use gleaner_tls::TlsStream;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::processes::Processes;

type Stream = BufReader<TlsStream<TcpStream>>;

/// A connection to one process, made when it is needed.
pub(crate) struct Connection<'a> {
    processes: &'a Processes,
    address: SocketAddr,
    stream: Option<Stream>,
}

impl<'a> Connection<'a> {
    /// Returns one to `address` that is not made yet.
    pub(crate) fn to(processes: &'a Processes, address: SocketAddr) -> Self {
        Self {
            processes,
            address,
            stream: None,
        }
    }

    /// Sends a request with a key. Where the process has closed the connection meanwhile, it is sent once more: it must
    /// be one that may come twice.
    ///
    /// # Errors
    /// When there is no connection, or no whole answer in time.
    pub(crate) async fn send(&mut self, key: &str, request: &Request) -> Result<Response> {
        if let Some(stream) = self.stream.take()
            && let Ok(answer) = self.exchange(stream, key, request).await
        {
            return Ok(answer);
        }
        let stream = BufReader::new(self.processes.connect(self.address).await?);
        self.exchange(stream, key, request).await
    }

    async fn exchange(
        &mut self,
        mut stream: Stream,
        key: &str,
        request: &Request,
    ) -> Result<Response> {
        let authorization = format!("ApiKey {key}");
        let authorized = request.clone().with_header("authorization", &authorization);
        let bytes = authorized.bytes(self.address);
        let exchanged = timeout(ANSWER_WITHIN, async {
            stream.write_all(&bytes).await?;
            stream.flush().await?;
            read(&mut stream, &request.method).await
        });
        let answer = exchanged
            .await
            .with_context(|| format!("no answer to {request:?}"))??;
        if answer.header("connection") != Some("close") {
            self.stream = Some(stream);
        }
        Ok(answer)
    }
}

async fn read(stream: &mut Stream, method: &str) -> Result<Response> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let status = line.split(' ').nth(1).context("no status")?;
    let mut answer = Response {
        status: status.parse()?,
        headers: Vec::new(),
        body: Vec::new(),
    };
    loop {
        line.clear();
        let num_bytes = stream.read_line(&mut line).await?;
        ensure!(num_bytes > 0, "a head that is cut");
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        let value = value.trim().to_owned();
        answer.headers.push((name.to_lowercase(), value));
    }
    if method == "HEAD" || matches!(answer.status, 204 | 304) {
        return Ok(answer);
    }
    answer.body = match answer.header("transfer-encoding") {
        Some("chunked") => chunks(stream).await?,
        _ => {
            let length = answer.header("content-length").context("no length")?;
            let mut body = vec![0_u8; length.parse()?];
            stream.read_exact(&mut body).await?;
            body
        }
    };
    Ok(answer)
}

async fn chunks(stream: &mut Stream) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let size = usize::from_str_radix(line.trim(), 16).context("a chunk without size")?;
        let mut chunk = vec![0_u8; size + 2];
        stream.read_exact(&mut chunk).await?;
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

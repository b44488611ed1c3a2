//! Kept connections to one server, as many as there are requests at the same time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Pause after which a connection is not used again: a server closes those that are silent for long.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Connections to one server. A request takes one that is idle, or opens another.
pub(super) struct Connections {
    address: String,
    /// With when each was used last; the last used at the end.
    idle: Mutex<Vec<(Instant, BufReader<TcpStream>)>>,
}

impl Connections {
    /// Returns none yet to `address`, `HOST:PORT`.
    pub(super) fn to(address: &str) -> Arc<Self> {
        Arc::new(Self {
            address: address.to_owned(),
            idle: Mutex::default(),
        })
    }

    /// Sends a whole request and returns status and body of the answer.
    ///
    /// # Errors
    /// When the connection breaks or the answer is not HTTP/1.1 with a length.
    ///
    /// # Cancel safety
    /// Dropping the future closes its connection.
    pub(super) async fn ask(&self, request: &[u8]) -> Result<(u16, Vec<u8>)> {
        let idle = self.idle.lock().pop();
        let mut connection = match idle {
            Some((used, connection)) if used.elapsed() < LONGEST_PAUSE => connection,
            _ => {
                let stream = TcpStream::connect(&self.address).await?;
                stream.set_nodelay(true)?;
                BufReader::with_capacity(32 << 10, stream)
            }
        };
        connection.write_all(request).await?;
        let (status, length) = head(&mut connection).await?;
        let mut body = vec![0; length];
        connection.read_exact(&mut body).await?;
        self.idle.lock().push((Instant::now(), connection));
        Ok((status, body))
    }
}

async fn head(connection: &mut BufReader<TcpStream>) -> Result<(u16, usize)> {
    let mut line = String::new();
    let read = connection.read_line(&mut line).await?;
    ensure!(read > 0, "the server closed the connection");
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.context("no status line")?;
    let mut length = None;
    loop {
        line.clear();
        let read = connection.read_line(&mut line).await?;
        ensure!(read > 0, "the server closed the connection");
        match line.trim_end().split_once(':') {
            None => return Ok((status, length.context("an answer without a length")?)),
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = Some(value.trim().parse()?);
            }
            Some(_) => {}
        }
    }
}

/// Returns a request with a JSON body, as it goes over the wire.
pub(super) fn post(path: &str, body: &[u8]) -> Bytes {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request.into()
}

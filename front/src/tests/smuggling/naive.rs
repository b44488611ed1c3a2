//! A forwarder as one must not be: it passes on what came as it came, and believes the first length alone.

use super::*;

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Mutex;

/// Starts it; all its clients share one connection to the backend.
pub(super) async fn start(backend: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let upstream = TcpStream::connect(backend).await.expect("taken");
    let upstream = Arc::new(Mutex::new(upstream));
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let upstream = Arc::clone(&upstream);
            // A fault ends the client's connection.
            tokio::spawn(async move { while exchange(&mut client, &upstream).await.is_ok() {} });
        }
    });
    address
}

async fn exchange(client: &mut TcpStream, upstream: &Mutex<TcpStream>) -> std::io::Result<()> {
    let request = message(client).await?;
    let mut upstream = upstream.lock().await;
    upstream.write_all(&request).await?;
    let answer = message(&mut upstream).await?;
    client.write_all(&answer).await
}

/// Reads a head, and as much behind it as its first length says.
async fn message(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
    let told = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    let length = told.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    bytes.extend(body);
    Ok(bytes)
}

//! A forwarder as one must not be: it passes on what came as it came, and believes the first length alone.

use super::*;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Starts it; all its clients share one connection to the backend.
pub(super) async fn start(backend: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut upstream = TcpStream::connect(backend).await.expect("taken");
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            // One client at a time, as the verdict has them; a fault ends it.
            while exchange(&mut client, &mut upstream).await.is_ok() {
                if client
                    .peek(&mut [0])
                    .await
                    .is_ok_and(|num_read| num_read == 0)
                {
                    break;
                }
            }
        }
    });
    address
}

async fn exchange(client: &mut TcpStream, upstream: &mut TcpStream) -> std::io::Result<()> {
    let request = message(client).await?;
    upstream.write_all(&request).await?;
    let answer = message(upstream).await?;
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

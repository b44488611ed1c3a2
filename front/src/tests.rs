//! Fronts over real sockets, ahead of backends that note what comes in.

mod backend;
mod forwarding;
mod sessions;
mod smuggling;
mod tls;

use std::net::SocketAddr;
use std::time::Duration;

use gleaner_server::ServerOptions;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::{Front, FrontOptions};
use backend::Backend;

/// Longest time that anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A front that listens.
struct Listening {
    address: SocketAddr,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn listening_with(options: FrontOptions, server: ServerOptions) -> Listening {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let front = Front::start(options);
    let serving = tokio::spawn(async move {
        gleaner_server::serve(listener, front, &server, std::future::pending()).await
    });
    Listening { address, serving }
}

async fn listening(options: FrontOptions) -> Listening {
    let server = ServerOptions {
        answers_probes: false,
        ..ServerOptions::default()
    };
    listening_with(options, server).await
}

fn ahead_of(backends: &[&Backend]) -> FrontOptions {
    FrontOptions {
        backends: backends.iter().map(|backend| backend.url()).collect(),
        ..FrontOptions::default()
    }
}

/// Sends `request` on a connection of its own and returns all that comes until the end of the answer.
async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connects");
    stream.write_all(request.as_bytes()).await.expect("sent");
    answer(&mut stream).await
}

/// Reads the head of an answer and the body whose length it says, or to the end of the connection.
async fn answer(stream: &mut TcpStream) -> String {
    timeout(PATIENCE, read_answer(stream))
        .await
        .expect("an answer in time")
}

async fn read_answer(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    while !all.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte).await {
            Ok(1) => all.push(byte[0]),
            _ => return String::from_utf8_lossy(&all).into_owned(),
        }
    }
    let head = String::from_utf8_lossy(&all).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length = length.map_or(0, |length| length.trim().parse().expect("a length"));
    let mut body = vec![0; length];
    if stream.read_exact(&mut body).await.is_ok() {
        all.extend(body);
    }
    String::from_utf8_lossy(&all).into_owned()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: search.example\r\n\r\n")
}

fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: search.example\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn status(answer: &str) -> u16 {
    let status = answer.split(' ').nth(1).unwrap_or_default();
    status.parse().unwrap_or_default()
}

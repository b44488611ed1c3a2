//! `redis-server`s and ambassadors that end with the test that started them, and a client that speaks RESP2.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use gleaner_ambassador::{RedisAmbassador, RedisOptions};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(60);

/// A `redis-server` of this test.
pub(crate) struct Redis {
    child: Child,
    pub(crate) port: u16,
}

impl Redis {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        Self::start_at(port).await
    }

    pub(crate) async fn start_at(port: u16) -> Self {
        let child = Command::new("redis-server")
            .args([
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
                "--port",
            ])
            .arg(port.to_string())
            .current_dir(std::env::temp_dir())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed (`cargo xtask setup`)");
        let server = Self { child, port };
        let answered = async {
            while TcpStream::connect(server.address()).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, answered)
            .await
            .expect("it starts");
        server
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(&self.address()).await
    }

    pub(crate) fn stop(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .arg(signal)
            .arg(self.child.id().to_string())
            .status();
        assert!(status.expect("kill").success());
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An ambassador in this process.
pub(crate) struct Ambassador {
    address: String,
    ambassador: Arc<RedisAmbassador>,
    serving: JoinHandle<()>,
}

impl Ambassador {
    pub(crate) async fn start(servers: &[Redis], copies: usize) -> Self {
        let started = Self::start_with(servers, |options| options.copies = copies).await;
        for server in servers {
            started.until_in(&server.address()).await;
        }
        started
    }

    pub(crate) async fn start_with(servers: &[Redis], set: impl FnOnce(&mut RedisOptions)) -> Self {
        let mut options = RedisOptions {
            servers: servers.iter().map(Redis::address).collect(),
            copies: 1,
            timeout: Duration::from_secs(1),
            password: None,
            server_password: None,
            max_clients: 64,
            memory_bytes: 256 << 20,
        };
        set(&mut options);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let ambassador = Arc::new(RedisAmbassador::new(options));
        let serving = {
            let ambassador = Arc::clone(&ambassador);
            tokio::spawn(async move {
                ambassador
                    .serve(listener, std::future::pending(), Duration::ZERO)
                    .await;
            })
        };
        let started = Self {
            address,
            ambassador,
            serving,
        };
        if let Some(server) = servers.first() {
            started.until_in(&server.address()).await;
        }
        started
    }

    /// Waits until a server is in.
    pub(crate) async fn until_in(&self, server: &str) {
        let is_in = async {
            while !self.ambassador.servers_in().contains(&server.to_owned()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, is_in)
            .await
            .expect("it comes in");
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(&self.address).await
    }
}

impl Drop for Ambassador {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A client that shows answers as text: `(nil)`, `[a,b]`, errors with their dash.
pub(crate) struct Client {
    stream: BufStream<TcpStream>,
}

impl Client {
    pub(crate) async fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("a server");
        Self {
            stream: BufStream::new(stream),
        }
    }

    pub(crate) async fn ask(&mut self, words: &[&str]) -> String {
        self.send(words).await;
        self.answer().await
    }

    pub(crate) async fn send(&mut self, words: &[&str]) {
        let mut bytes = format!("*{}\r\n", words.len());
        for word in words {
            bytes += &format!("${}\r\n{word}\r\n", word.len());
        }
        self.send_raw(bytes.as_bytes()).await;
    }

    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("sent");
    }

    /// Sends what the other side may not take any more.
    pub(crate) async fn try_send_raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    pub(crate) async fn flush(&mut self) {
        self.stream.flush().await.expect("sent");
    }

    pub(crate) async fn answer(&mut self) -> String {
        self.stream.flush().await.expect("sent");
        let answer = tokio::time::timeout(PATIENCE, self.read()).await;
        answer.expect("an answer comes")
    }

    async fn read(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).await.expect("an answer");
        let line = line.trim_end();
        let (kind, rest) = line.split_at(1.min(line.len()));
        match kind {
            "+" | ":" => rest.to_owned(),
            "$" => match rest.parse::<usize>() {
                Err(_) => "(nil)".to_owned(),
                Ok(length) => {
                    let mut bytes = vec![0; length + 2];
                    self.stream.read_exact(&mut bytes).await.expect("all of it");
                    String::from_utf8_lossy(&bytes[..length]).into_owned()
                }
            },
            "*" => {
                let mut parts = Vec::new();
                for _ in 0..rest.parse::<usize>().unwrap_or(0) {
                    parts.push(Box::pin(self.read()).await);
                }
                format!("[{}]", parts.join(","))
            }
            _ => line.to_owned(),
        }
    }
}

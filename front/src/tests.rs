//! Fronts over real sockets, ahead of backends that are raw sockets themselves.

mod answers;
mod balancing;
mod bodies;
mod client;
mod encrypted;
mod floods;
mod gathered;
mod http2;
mod kept;
mod limits;
mod lost;
mod recorder;
mod retries;
mod sessions;
mod slow;
mod smuggling;
mod split;

use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use gleaner_server::{ServerOptions, serve};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::{Front, FrontOptions};

use client::Client;
use recorder::{Recorder, Reply};

/// What is short in these tests.
const SHORT: Duration = Duration::from_millis(200);

/// How long a test waits for what must come, before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A front of these tests; it ends when this is dropped.
struct Running {
    address: SocketAddr,
    front: Front,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Running {
    /// Starts a front ahead of the backends at these addresses.
    async fn ahead_of(backends: &[SocketAddr], options: FrontOptions) -> Self {
        let backends = backends.iter().map(|address| format!("http://{address}"));
        let backends = backends.map(|url| url.parse().expect("an address"));
        Self::start(FrontOptions {
            backends: backends.collect(),
            ..options
        })
        .await
    }

    async fn start(options: FrontOptions) -> Self {
        Self::served(options, ServerOptions::default()).await
    }

    async fn served(options: FrontOptions, server: ServerOptions) -> Self {
        let front = Front::start(options);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let service = front.clone();
        let serving =
            tokio::spawn(async move { serve(listener, service, &server, pending()).await });
        Self {
            address,
            front,
            serving,
        }
    }

    async fn client(&self) -> Client {
        Client::connect(self.address).await
    }
}

/// Options under which backends are looked at once, so that tests know what is sent.
fn unprobed() -> FrontOptions {
    FrontOptions {
        probe_every: PATIENCE * 60,
        ..FrontOptions::default()
    }
}

/// Returns an address at which nobody listens.
async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address")
}

/// Waits for what must come.
async fn soon<T>(what: &str, waited: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(PATIENCE, waited).await;
    waited.unwrap_or_else(|_| panic!("it did not come: {what}"))
}

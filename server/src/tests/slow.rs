//! Clients that read slowly, in time that passes only while everybody waits.

use gleaner_listener::{Bounds, Connection, Listener, Protocol};
use tokio::io::DuplexStream;
use tokio::sync::watch;

use super::*;
use crate::client::Client;
use crate::connection::{Drive, Limits};

/// Bytes that the client and the server hold between them.
const BETWEEN: usize = 4 << 10;

/// Bytes that a client reads at once, which is enough to count as progress.
const READ: usize = 16 << 10;

/// A connection whose client reads as slowly as a test likes.
struct Slow {
    client: DuplexStream,
    driving: JoinHandle<()>,
    /// The server goes on while this is there.
    _stop: watch::Sender<bool>,
}

/// Returns a connection on which requests for whatever are answered with [`SOME`] bytes at once.
async fn slow(protocol: Protocol, options: &ServerOptions) -> Slow {
    let bound = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = bound.local_addr().expect("an address");
    let bounds = Bounds {
        total: 1,
        per_address: 1,
    };
    let listener = Listener::new(bound, bounds, "test");
    let _accepted = connected(address, b"").await;
    let (_, place) = listener.accept().await;
    let (client, server) = tokio::io::duplex(BETWEEN);
    let stop = watch::Sender::new(false);
    let drive = Drive {
        protocol,
        client: Client {
            address: PeerAddress(address),
            encryption: None,
        },
        limits: Limits::of(options),
        port: "test",
        stop: stop.subscribe(),
    };
    let connection = Connection::new(server, Bytes::new(), place);
    let answer = |_| {
        let response = Response::new(Body::from(vec![b'x'; SOME]));
        std::future::ready(response.into())
    };
    Slow {
        client,
        driving: tokio::spawn(drive.run(connection, answer)),
        _stop: stop,
    }
}

impl Slow {
    /// Asks over HTTP/1.1 and reads the answer with a pause after each 16 KiB; returns how many bytes came.
    async fn read(&mut self, pause: Duration) -> usize {
        let request = b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n";
        self.client.write_all(request).await.expect("taken");
        let mut num_read = 0;
        let mut read = Vec::with_capacity(READ);
        loop {
            read.clear();
            let mut some = (&mut self.client).take(READ as u64);
            if some.read_to_end(&mut read).await.expect("a pipe") == 0 {
                return num_read;
            }
            num_read += read.len();
            tokio::time::sleep(pause).await;
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_being_read_is_not_idle() {
    let options = ServerOptions {
        idle_timeout: Duration::from_secs(1),
        ..patient()
    };
    let mut slow = slow(Protocol::Http1, &options).await;
    tokio::time::pause();
    assert!(slow.read(Duration::from_secs(1)).await > SOME);
    slow.driving.await.expect("it has ended");
}

#[tokio::test]
async fn a_client_that_falls_too_far_behind_is_cut_off() {
    let options = ServerOptions {
        write_timeout: Duration::from_secs(30),
        ..patient()
    };
    let mut behind = slow(Protocol::Http1, &options).await;
    let mut in_time = slow(Protocol::Http1, &options).await;
    tokio::time::pause();
    assert!(behind.read(Duration::from_secs(2)).await < SOME);
    behind.driving.await.expect("it has ended");
    let sixty_four_kib_a_second = Duration::from_millis(250);
    assert!(in_time.read(sixty_four_kib_a_second).await > SOME);
    in_time.driving.await.expect("it has ended");
}

#[tokio::test]
async fn a_client_that_opens_windows_too_slowly_is_cut_off() {
    let options = ServerOptions {
        write_timeout: Duration::from_secs(30),
        ..patient()
    };
    let mut opened = http2::preface();
    opened.extend(http2::get("/", 1));
    for (pause_ms, is_whole) in [(2_000, false), (250, true)] {
        let mut slow = slow(Protocol::Http2, &options).await;
        tokio::time::pause();
        slow.client.write_all(&opened).await.expect("taken");
        let pause = Duration::from_millis(pause_ms);
        let num_read = http2::read_body_slowly(&mut slow.client, pause).await;
        assert_eq!(num_read == SOME, is_whole, "{num_read} bytes");
        drop(slow.client);
        slow.driving.await.expect("it has ended");
        tokio::time::resume();
    }
}

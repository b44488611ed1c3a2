//! Connections over real sockets: what is silent, slow or unread ends, and probes are answered meanwhile.

mod accessed;
pub(crate) mod encrypted;
mod http2;
mod proxied;
mod slow;

use std::convert::Infallible;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream as PlainStream};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use super::*;

/// What is short in these tests.
const SHORT: Duration = Duration::from_millis(200);

/// Bytes of an answer that no socket buffers.
const LARGE: usize = 64 << 20;

/// Bytes of an answer that is one piece, and does not fit into the window that an HTTP/2 stream begins with.
const PIECE: usize = 64 << 10;

/// Bytes of an answer of many pieces, and one that is not full.
const SOME: usize = (2 << 20) + 1;

/// A server of these tests; it ends when this is dropped.
struct Running {
    address: SocketAddr,
    serving: JoinHandle<io::Result<()>>,
    /// One message for each large body that was dropped.
    dropped: UnboundedReceiver<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Options with which only what a test is about is short.
fn patient() -> ServerOptions {
    let long = Duration::from_secs(600);
    ServerOptions {
        head_read_timeout: long,
        idle_timeout: long,
        write_timeout: long,
        ..ServerOptions::default()
    }
}

async fn running(options: ServerOptions) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (tell, dropped) = unbounded_channel();
    let service = tower::service_fn(move |request: Request<Incoming>| {
        std::future::ready(Ok::<_, Infallible>(answered(&request, &tell)))
    });
    let never = std::future::pending();
    let serving = tokio::spawn(async move { serve(listener, service, &options, never).await });
    Running {
        address,
        serving,
        dropped,
    }
}

fn answered(request: &Request<Incoming>, tell: &UnboundedSender<()>) -> Response<Body> {
    match request.uri().path() {
        "/large" => owned(LARGE, tell),
        "/piece" => owned(PIECE, tell),
        "/some" => Response::new(Body::from(vec![b'x'; SOME])),
        "/who" => Response::new(Body::from(description(request))),
        "/panic" => panic!("as a test asks"),
        _ => Response::new(Body::from("small")),
    }
}

/// Returns what a request knows of its connection.
fn description(request: &Request<Incoming>) -> String {
    let PeerAddress(address) = request.extensions().get().expect("each has one");
    let encryption = request.extensions().get::<Encryption>();
    let name = encryption.map(|told| told.server_name.as_deref().unwrap_or("no name"));
    format!(
        "{address} {} {:?}",
        name.unwrap_or("plain"),
        request.version()
    )
}

fn owned(num_bytes: usize, tell: &UnboundedSender<()>) -> Response<Body> {
    let whole = Owned(vec![b'x'; num_bytes], tell.clone());
    Response::new(Body::from(Bytes::from_owner(whole)))
}

/// Bytes that say when nobody holds them any more.
struct Owned(Vec<u8>, UnboundedSender<()>);

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // The test may be over.
        self.1.send(()).ok();
    }
}

async fn connected(to: SocketAddr, first: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(to).await.expect("taken");
    stream.set_nodelay(true).expect("an option of TCP");
    stream.write_all(first).await.expect("taken");
    stream
}

/// Waits until the server has closed the connection; returns what it sent.
async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut rest = Vec::new();
    // A reset is an end too.
    drop(stream.read_to_end(&mut rest).await);
    rest
}

#[tokio::test]
async fn connections_that_do_not_come_to_a_request_end() {
    let server = running(ServerOptions {
        head_read_timeout: SHORT,
        ..patient()
    })
    .await;
    for begun in [
        &b""[..],
        b"PRI * HT",
        b"G",
        b"POST /large HTTP/1.1\r\nhost: 127.0.0.1\r\n",
    ] {
        let mut stream = connected(server.address, begun).await;
        assert!(rest(&mut stream).await.is_empty(), "{begun:?}");
    }
    let request = b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
    let mut second = connected(server.address, request).await;
    let mut answer = Vec::new();
    while !answer.ends_with(b"small") {
        answer.push(second.read_u8().await.expect("an answer"));
    }
    second.write_all(b"GET / HT").await.expect("taken");
    assert!(rest(&mut second).await.is_empty(), "the head of the second");
}

#[tokio::test]
async fn a_head_that_drips_ends_and_one_that_is_slow_is_read() {
    let server = running(ServerOptions {
        head_read_timeout: SHORT * 5,
        ..patient()
    })
    .await;
    let mut drips = connected(server.address, b"GET / HTTP/1.1\r\nx: ").await;
    while drips.write_all(b"x").await.is_ok() {
        let closed = tokio::time::timeout(SHORT / 20, drips.read_u8()).await;
        if closed.is_ok() {
            break;
        }
    }
    let mut slow = connected(server.address, b"").await;
    for byte in b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n" {
        slow.write_all(&[*byte]).await.expect("it is in time");
        tokio::task::yield_now().await;
    }
    assert!(rest(&mut slow).await.ends_with(b"small"));
}

#[tokio::test]
async fn kept_connections_end_when_they_are_idle() {
    let server = running(ServerOptions {
        idle_timeout: SHORT,
        ..patient()
    })
    .await;
    let request = b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
    let mut stream = connected(server.address, request).await;
    assert!(rest(&mut stream).await.ends_with(b"small"));
    let mut stream = connected(server.address, &http2::preface()).await;
    http2::answer_pings(&mut stream).await;
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_let_go() {
    let mut server = running(ServerOptions {
        write_timeout: SHORT,
        ..patient()
    })
    .await;
    let request = b"GET /large HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
    let _plain = connected(server.address, request).await;
    server.dropped.recv().await.expect("it is dropped");
    // Frames are read, and no stream is given a window; answers that are read keep nothing alive.
    let mut opened = http2::preface();
    for number in 0..4 {
        opened.extend(http2::get("/large", 1 + 2 * number));
    }
    let mut stream = connected(server.address, &opened).await;
    http2::answer_pings(&mut stream).await;
    for _ in 0..4 {
        server.dropped.recv().await.expect("it is dropped");
    }
}

#[tokio::test]
async fn the_last_bytes_of_an_answer_that_nobody_reads_are_let_go() {
    let mut server = running(ServerOptions {
        write_timeout: SHORT,
        ..patient()
    })
    .await;
    let mut opened = http2::preface();
    opened.extend(http2::get("/piece", 1));
    let mut stream = connected(server.address, &opened).await;
    http2::answer_pings(&mut stream).await;
    server.dropped.recv().await.expect("it is dropped");
}

#[tokio::test]
async fn an_http2_connection_whose_answers_were_taken_ends_when_it_is_idle() {
    let server = running(ServerOptions {
        idle_timeout: SHORT,
        ..patient()
    })
    .await;
    let mut opened = http2::preface();
    opened.extend(http2::get("/some", 1));
    let mut stream = connected(server.address, &opened).await;
    assert_eq!(http2::read_body(&mut stream).await, SOME);
    http2::answer_pings(&mut stream).await;
}

#[tokio::test]
async fn a_large_answer_over_http2_arrives_whole() {
    let server = running(patient()).await;
    let mut opened = http2::preface();
    opened.extend(http2::get("/some", 1));
    let mut stream = connected(server.address, &opened).await;
    assert_eq!(http2::read_body(&mut stream).await, SOME);
}

#[tokio::test]
async fn a_panic_of_the_service_is_answered_and_the_connection_stays() {
    let server = running(patient()).await;
    let requests = b"GET /panic HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n\
        GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n";
    let mut stream = connected(server.address, requests).await;
    let answers = String::from_utf8(rest(&mut stream).await).expect("text");
    assert!(answers.starts_with("HTTP/1.1 500 "), "{answers}");
    assert!(answers.ends_with("small"), "{answers}");
}

#[tokio::test]
async fn a_request_knows_where_its_connection_comes_from() {
    let server = running(patient()).await;
    let request = b"GET /who HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n";
    let mut stream = connected(server.address, request).await;
    let own = stream.local_addr().expect("an address");
    let answer = String::from_utf8(rest(&mut stream).await).expect("text");
    assert!(
        answer.ends_with(&format!("{own} plain HTTP/1.1")),
        "{answer}"
    );
}

#[tokio::test]
async fn probes_are_requests_like_others_where_the_options_say_so() {
    let server = running(ServerOptions {
        answers_probes: false,
        ..patient()
    })
    .await;
    let request = b"GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n";
    let mut stream = connected(server.address, request).await;
    assert!(rest(&mut stream).await.ends_with(b"small"));
}

/// Sends a request without tokio, and returns the status and all that was answered.
fn asked(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = PlainStream::connect(address).expect("taken");
    let request = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status = answer.get(9..12).and_then(|code| code.parse().ok());
    (status.expect("a status"), answer)
}

#[test]
fn probes_are_answered_while_the_runtime_does_something_else() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let (entered, has_entered) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Arc::new(parking_lot::Mutex::new(released));
    let service = tower::service_fn(move |request: Request<Incoming>| {
        let (entered, released) = (entered.clone(), Arc::clone(&released));
        async move {
            if request.uri().path() == "/work" {
                entered.send(()).ok();
                released.lock().recv().ok();
            }
            Ok::<_, Infallible>(Response::new(Body::from("done")))
        }
    });
    let (bound, probes) = runtime.block_on(async {
        let bind = || TcpListener::bind("127.0.0.1:0");
        (bind().await.expect("a port"), bind().await.expect("a port"))
    });
    let address = bound.local_addr().expect("an address");
    let probed = probes.local_addr().expect("an address");
    let options = patient();
    let (other, others) = (service.clone(), options.clone());
    let pending = std::future::pending;
    runtime.spawn(async move { serve(bound, service, &options, pending()).await });
    runtime.spawn(async move { serve_probes(probes, other, &others, pending()).await });
    assert_eq!(asked(address, "/_health/ready").0, 200);
    assert_eq!(asked(probed, "/work").0, 404);
    let working = std::thread::spawn(move || asked(address, "/work"));
    has_entered.recv().expect("the only worker is busy");
    for address in [address, probed] {
        assert_eq!(asked(address, "/_health/live").0, 200);
        assert_eq!(asked(address, "/metrics").0, 200);
    }
    let (status, answer) = asked(address, "/_health/ready");
    assert_eq!(status, 200, "what was known last: {answer}");
    let (status, answer) = asked(probed, "/_health/ready");
    let busy = StatusCode::SERVICE_UNAVAILABLE.as_u16();
    assert_eq!(status, busy, "nothing was known: {answer}");
    release.send(()).expect("it waits");
    assert_eq!(working.join().expect("no panic").0, 200);
}

#[tokio::test]
async fn a_request_that_follows_a_probe_ends_when_its_client_leaves() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (tell, mut told) = unbounded_channel();
    let service = tower::service_fn(move |request: Request<Incoming>| {
        let tell = tell.clone();
        async move {
            if request.uri().path() == "/work" {
                tell.send(()).ok();
                let _dropped = Owned(Vec::new(), tell);
                std::future::pending::<()>().await;
            }
            Ok::<_, Infallible>(Response::new(Body::from("done")))
        }
    });
    let options = patient();
    let never = std::future::pending();
    let serving = tokio::spawn(async move { serve(listener, service, &options, never).await });
    let requests = b"GET /_health/live HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n\
        GET /work HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
    let client = connected(address, requests).await;
    told.recv().await.expect("the work has begun");
    drop(client);
    told.recv().await.expect("the work is dropped");
    serving.abort();
}

#[tokio::test]
async fn a_stop_ends_silent_connections_and_answers_open_ones() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (open, opened) = tokio::sync::oneshot::channel::<()>();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let opened = Arc::new(tokio::sync::Mutex::new(Some(opened)));
    let (entered, mut has_entered) = unbounded_channel();
    let service = tower::service_fn(move |_: Request<Incoming>| {
        let (opened, entered) = (Arc::clone(&opened), entered.clone());
        async move {
            entered.send(()).ok();
            if let Some(opened) = opened.lock().await.take() {
                drop(opened.await);
            }
            Ok::<_, Infallible>(Response::new(Body::from("done")))
        }
    });
    let options = patient();
    let serving = tokio::spawn(async move {
        let shutdown = async { drop(stopped.await) };
        serve(listener, service, &options, shutdown).await
    });
    let mut silent = connected(address, b"").await;
    let request = b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
    let mut busy = connected(address, request).await;
    has_entered.recv().await.expect("it has begun");
    stop.send(()).expect("it waits");
    // Nobody can connect any more once the listener is gone.
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    open.send(()).expect("it waits");
    assert!(rest(&mut busy).await.ends_with(b"done"));
    assert!(rest(&mut silent).await.is_empty());
    serving.await.expect("no panic").expect("it ends in order");
}

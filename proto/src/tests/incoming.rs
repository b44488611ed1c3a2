//! Connections of other nodes: what does not begin as they do is closed, and holds up nobody.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::samples::{self, shard};
use super::stub::StubLeaf;
use super::{services, soon};
use crate::server::incoming;
use crate::{Admission, GrpcLeaf, LeafClient as _, Peer, serve_admitted};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame of HTTP/2 that says nothing of settings.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// Lets enough time pass for a connection that does nothing to be a quiet one.
async fn become_quiet() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(2)).await;
    tokio::time::resume();
}

/// Returns what comes until the connection ends.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    // A reset is an end too.
    drop(soon(stream.read_to_end(&mut rest)).await);
    rest
}

#[tokio::test]
async fn silent_connections_end_and_a_node_that_comes_after_them_is_answered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut incoming = Box::pin(incoming::plain(listener, 8, Duration::from_millis(200)));
    let mut hostile = Vec::new();
    for begun in [&b""[..], &PREFACE[..10], b"GET / HTTP/1.1\r\n\r\n"] {
        let mut stream = TcpStream::connect(address).await.expect("taken");
        stream.write_all(begun).await.expect("taken");
        hostile.push(stream);
    }
    let mut node = TcpStream::connect(address).await.expect("taken");
    node.write_all(PREFACE).await.expect("taken");
    let opened = incoming.next().await.expect("a connection");
    let mut opened = opened.expect("it has begun");
    let mut read = vec![0; PREFACE.len()];
    opened.read_exact(&mut read).await.expect("the preface");
    assert_eq!(read, PREFACE);
    let ended = async {
        for stream in &mut hostile {
            let mut rest = Vec::new();
            // A reset is an end too.
            drop(stream.read_to_end(&mut rest).await);
            assert!(rest.is_empty());
        }
    };
    tokio::select! {
        () = ended => {}
        _ = incoming.next() => panic!("no other has begun as a node does"),
    }
}

#[tokio::test]
async fn a_connection_has_its_place_for_good_once_it_made_a_call() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let stub = Arc::new(StubLeaf::default());
    let never = std::future::pending();
    // One place for each address.
    let serving = tokio::spawn(serve_admitted(
        listener,
        Admission::plain(2),
        services(Some(&stub)),
        never,
    ));
    let mut silent = TcpStream::connect(address).await.expect("taken");
    let opened = [PREFACE, SETTINGS].concat();
    silent.write_all(&opened).await.expect("taken");
    let mut settings = [0; SETTINGS.len()];
    silent.read_exact(&mut settings).await.expect("settings");
    become_quiet().await;
    let leaf = GrpcLeaf::new(Peer::new(&address.to_string()).expect("an address"));
    let called = soon(leaf.refresh(shard(0))).await;
    assert_eq!(called, Ok(samples::generation()), "it takes the place");
    rest(&mut silent).await;
    become_quiet().await;
    let mut other = TcpStream::connect(address).await.expect("taken");
    let refused = rest(&mut other).await;
    assert!(refused.starts_with(b"HTTP/1.1 429 "), "{refused:?}");
    let called = soon(leaf.refresh(shard(0))).await;
    assert_eq!(called, Ok(samples::generation()));
    assert_eq!(leaf.peer().num_connections(), 1);
    serving.abort();
}

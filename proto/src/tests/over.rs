//! Both ends over streams of bytes that are no sockets.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use futures::channel::mpsc;
use tokio::io::DuplexStream;
use tokio::sync::oneshot;

use super::samples::{self, shard};
use super::stub::{Conduct, Event, StubLeaf};
use super::{services, soon};
use crate::{GrpcLeaf, LeafClient, LeafFault, Peer, serve_on};

/// The way to a server: every connection is a pipe whose other end it is handed.
struct Way {
    handed: mpsc::UnboundedSender<io::Result<DuplexStream>>,
    num_asked: AtomicUsize,
}

impl Way {
    fn connect(&self) -> io::Result<DuplexStream> {
        self.num_asked.fetch_add(1, Ordering::Relaxed);
        let (here, there) = tokio::io::duplex(1 << 16);
        let handed = self.handed.unbounded_send(Ok(there));
        handed.map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
        Ok(here)
    }
}

/// Returns the way to a server and a client over it; the server ends when the sender is dropped.
fn way() -> (
    Arc<Way>,
    mpsc::UnboundedReceiver<io::Result<DuplexStream>>,
    GrpcLeaf,
) {
    let (handed, incoming) = mpsc::unbounded();
    let num_asked = AtomicUsize::new(0);
    let way = Arc::new(Way { handed, num_asked });
    let connecting = Arc::clone(&way);
    let peer = Peer::over("leaf-1:7000", move || {
        let connected = connecting.connect();
        async move { connected }
    });
    (way, incoming, GrpcLeaf::new(peer.expect("an address")))
}

#[tokio::test]
async fn calls_go_over_any_stream_and_share_it() {
    let (way, incoming, leaf) = way();
    let stub = Arc::new(StubLeaf::default());
    let (stop, stopped) = oneshot::channel::<()>();
    let stopping = async { stopped.await.unwrap_or_default() };
    let served = tokio::spawn(serve_on(incoming, services(Some(&stub)), stopping));
    for _ in 0..3 {
        assert_eq!(soon(leaf.force_merge(shard(0), 1)).await, Ok(()));
    }
    assert_eq!(way.num_asked.load(Ordering::Relaxed), 1);
    assert_eq!(leaf.peer().num_connections(), 1);
    stop.send(()).expect("it runs");
    soon(served).await.expect("no panic").expect("no fault");
}

#[tokio::test]
async fn a_connection_that_fails_costs_the_others_nothing() {
    let (way, incoming, leaf) = way();
    let failed = futures::stream::iter([Err(io::ErrorKind::ConnectionAborted.into())]);
    let incoming = failed.chain(incoming);
    let stub = Arc::new(StubLeaf::default());
    let never = std::future::pending();
    let served = tokio::spawn(serve_on(incoming, services(Some(&stub)), never));
    assert_eq!(soon(leaf.force_merge(shard(0), 1)).await, Ok(()));
    assert!(!served.is_finished());
    drop((leaf, way));
    served.abort();
}

#[tokio::test]
async fn a_dropped_call_is_dropped_at_the_other_end() {
    let (_way, incoming, leaf) = way();
    let stub = Arc::new(StubLeaf::default());
    let never = std::future::pending();
    let served = tokio::spawn(serve_on(incoming, services(Some(&stub)), never));
    let mut events = stub.events();
    stub.conduct(Conduct::Stall);
    let mut call = Box::pin(leaf.search(samples::search_call()));
    soon(async {
        tokio::select! {
            answer = &mut call => panic!("it stalls: {answer:?}"),
            event = events.recv() => assert_eq!(event, Some(Event::Began)),
        }
    })
    .await;
    drop(call);
    assert_eq!(soon(events.recv()).await, Some(Event::Dropped));
    served.abort();
}

#[tokio::test]
async fn a_refused_connection_is_unreachable_and_asked_for_again_later() {
    let (way, incoming, leaf) = way();
    drop(incoming);
    soon(async {
        while way.num_asked.load(Ordering::Relaxed) < 2 {
            let answer = leaf.refresh(shard(0)).await;
            assert!(
                matches!(answer, Err(LeafFault::Unreachable { .. })),
                "{answer:?}"
            );
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Returns a client whose first connection fails after `delay`, the later ones not, and how often one
/// was asked for.
fn failing_once(delay: Duration) -> (Arc<AtomicUsize>, GrpcLeaf) {
    let (handed, incoming) = mpsc::unbounded::<io::Result<DuplexStream>>();
    let never = std::future::pending();
    let stub = Arc::new(StubLeaf::default());
    tokio::spawn(serve_on(incoming, services(Some(&stub)), never));
    let asked = Arc::new(AtomicUsize::new(0));
    let num_asked = Arc::clone(&asked);
    let peer = Peer::over("leaf-1:7000", move || {
        let (is_first, handed) = (
            num_asked.fetch_add(1, Ordering::Relaxed) == 0,
            handed.clone(),
        );
        async move {
            if is_first {
                tokio::time::sleep(delay).await;
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let (here, there) = tokio::io::duplex(1 << 16);
            handed.unbounded_send(Ok(there)).expect("it is served");
            Ok(here)
        }
    });
    (asked, GrpcLeaf::new(peer.expect("an address")))
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_refused_at_once_is_asked_again_at_once() {
    let (asked, leaf) = failing_once(Duration::ZERO);
    assert!(leaf.refresh(shard(0)).await.is_err());
    assert!(leaf.refresh(shard(0)).await.is_ok());
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_took_long_to_fail_is_held_off_for_as_long() {
    let (asked, leaf) = failing_once(Duration::from_millis(100));
    assert!(leaf.refresh(shard(0)).await.is_err());
    tokio::time::sleep(Duration::from_millis(90)).await;
    assert!(leaf.refresh(shard(0)).await.is_err());
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(leaf.refresh(shard(0)).await.is_ok());
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn what_is_no_address_is_refused() {
    let connect = || async { Err::<DuplexStream, _>(io::ErrorKind::NotFound.into()) };
    let refused = Peer::over("leaf-1", connect);
    assert!(refused.is_err());
}

//! Both ends over a real socket.

mod calls;
mod faults;
mod follow;
mod incoming;
mod lifetime;
mod over;
mod roles;
pub(crate) mod samples;
pub(crate) mod stub;

use std::sync::Arc;
use std::time::Duration;

use gleaner_model::{NodeId, Role};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::node::{LocalNode, Readiness};
use crate::server::{ServeError, serve_draining};
use crate::{GrpcLeaf, Peer, Services};
use stub::StubLeaf;

/// A server on a port of its own.
struct Served {
    address: String,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), ServeError>>,
}

impl Served {
    /// Stops the server and waits until it has ended.
    async fn end(self) {
        self.stop.send(()).expect("it runs");
        soon(self.ended).await.expect("no panic").expect("no fault");
    }
}

fn services(leaf: Option<&Arc<StubLeaf>>) -> Services {
    let (_ready, readiness) = watch::channel(Readiness::Ready);
    Services {
        node: Arc::new(LocalNode::new(
            NodeId("leaf-1".into()),
            Role::Leaf,
            "1.2.3",
            readiness,
        )),
        leaf: leaf.map(|leaf| Arc::clone(leaf) as Arc<_>),
        replication: leaf.map(|leaf| Arc::clone(leaf) as Arc<_>),
        leases: leaf.map(|leaf| Arc::clone(leaf) as Arc<_>),
    }
}

async fn serve_at(address: &str, services: Services) -> Served {
    let listener = TcpListener::bind(address).await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let (stop, stopped) = oneshot::channel();
    let stop_or_gone = async { stopped.await.unwrap_or_default() };
    let drain = Duration::from_millis(200);
    let ended = tokio::spawn(serve_draining(listener, services, stop_or_gone, drain));
    Served {
        address,
        stop,
        ended,
    }
}

/// Serves a stub and returns a client of it.
async fn stub_leaf() -> (Arc<StubLeaf>, Served, GrpcLeaf) {
    let stub = Arc::new(StubLeaf::default());
    let served = serve_at("127.0.0.1:0", services(Some(&stub))).await;
    let peer = Peer::new(&served.address).expect("an address");
    (stub, served, GrpcLeaf::new(peer))
}

/// Waits for what must come.
async fn soon<T>(event: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), event)
        .await
        .expect("it comes in time")
}

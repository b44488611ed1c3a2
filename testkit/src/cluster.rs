//! Roots and leaves in one process, talking over real sockets, each leaf behind a network that
//! misbehaves as told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gleaner_coordinator::entries::EntryTable;
use gleaner_coordinator::marks::MarksInMemory;
use gleaner_coordinator::{Coordinator, CoordinatorError, CopyMarks, Embedded, update};
use gleaner_leaf::{Leaf, LeafOptions, NodeIdentity, Peers};
use gleaner_log::{LocalLog, LogOptions};
use gleaner_model::{ClusterState, Incarnation, NodeId, NodeMeta, NodeUuid, Role};
use gleaner_proto::node::{LocalNode, Readiness};
use gleaner_proto::{GrpcGrantor, GrpcLeaf, Peer, ReplicationClient, Services};
use gleaner_query::limits::Limits;
use gleaner_query::settings::parse_create_index;
use gleaner_root::leaves::Members;
use gleaner_root::{Root, RootOptions, SearchResponse};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::node::{self, NOW_MS};
use crate::proxy::Proxy;
use crate::slow::Slow;

/// How long copies may take until they serve, on a busy machine.
const WHOLE_WITHIN: Duration = Duration::from_secs(60);

fn clock() -> i64 {
    NOW_MS
}

/// A root and leaves.
pub struct Cluster {
    folder: tempfile::TempDir,
    coordinator: Arc<Embedded>,
    /// The leaves, in the order of their names: `leaf-1`, `leaf-2` …
    pub leaves: Vec<LeafNode>,
    /// What requests go to.
    pub root: Arc<Root>,
}

/// A leaf, what is between it and everybody else, and how slow it is.
pub struct LeafNode {
    /// Its name.
    pub id: NodeId,
    /// The network in front of it.
    pub proxy: Proxy,
    /// Its pace.
    pub slow: Arc<Slow>,
    /// Clients of its proxy and of itself, each with one connection.
    clients: Clients,
    leaf: Arc<Leaf>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

/// How a root reaches the leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Through their proxies, which count bytes and misbehave as told.
    Proxied,
    /// Straight to their sockets, where nothing is lost to a proxy.
    Direct,
}

#[derive(Clone)]
struct Clients {
    proxied: Client,
    direct: Client,
}

#[derive(Clone)]
struct Client {
    leaf: Arc<GrpcLeaf>,
    grantor: GrpcGrantor,
}

impl Clients {
    fn of(&self, way: Way) -> &Client {
        match way {
            Way::Proxied => &self.proxied,
            Way::Direct => &self.direct,
        }
    }
}

impl Cluster {
    /// Starts `num_leaves` leaves and a root with `options` on an empty folder.
    ///
    /// # Errors
    /// When a folder or a port cannot be had.
    pub async fn start(num_leaves: usize, options: RootOptions) -> Result<Self> {
        Self::start_with(num_leaves, options, |_| {}).await
    }

    /// As [`Cluster::start`], with leaves' options changed by `change`.
    ///
    /// # Errors
    /// When a folder or a port cannot be had.
    pub async fn start_with(
        num_leaves: usize,
        options: RootOptions,
        change: impl Fn(&mut LeafOptions),
    ) -> Result<Self> {
        let marks = Arc::<MarksInMemory>::default();
        Self::start_all(num_leaves, options, change, marks).await
    }

    /// As [`Cluster::start`], with leaves that note there what their copies hold.
    ///
    /// # Errors
    /// When a folder or a port cannot be had.
    pub async fn start_noting(
        num_leaves: usize,
        options: RootOptions,
        marks: Arc<dyn CopyMarks>,
    ) -> Result<Self> {
        Self::start_all(num_leaves, options, |_| {}, marks).await
    }

    async fn start_all(
        num_leaves: usize,
        options: RootOptions,
        change: impl Fn(&mut LeafOptions),
        marks: Arc<dyn CopyMarks>,
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let initial = ClusterState {
            cluster_name: "test".to_owned(),
            ..ClusterState::default()
        };
        let coordinator = Embedded::open(folder.path(), initial)?;
        let coordinator = coordinator.with_entries_and_marks(marks)?;
        let coordinator = Arc::new(coordinator);
        let mut leaves = Vec::with_capacity(num_leaves);
        for number in 1..=num_leaves {
            let id = NodeId(format!("leaf-{number}").into());
            let own = folder.path().join(&*id.0);
            let identity = joined(&coordinator, &id, number)?;
            let mut options = LeafOptions {
                node: Some(id.clone()),
                identity: Some(identity),
                ..LeafOptions::new(own.join("indices"), clock)
            };
            change(&mut options);
            leaves.push(LeafNode::start(&own, options, &coordinator).await?);
        }
        enrol(&*coordinator, &leaves).await?;
        let root = root(&coordinator, &leaves, Way::Proxied, options);
        Ok(Self {
            folder,
            coordinator,
            leaves,
            root: Arc::new(root),
        })
    }

    /// Returns another root, which has seen nothing yet, on the connections that are open.
    pub fn another_root(&self, way: Way, options: RootOptions) -> Root {
        root(&self.coordinator, &self.leaves, way, options)
    }

    /// Creates an index from a body of the dialect and waits until all its copies serve.
    ///
    /// # Errors
    /// When the body is refused, or a copy does not come.
    pub async fn create(&self, name: &str, body: &Value) -> Result<()> {
        let new = parse_create_index(body, &Limits::default())?;
        self.root.admin().create_index(name, new).await?;
        self.whole().await
    }

    /// Puts documents and makes them visible on every copy; every one must be taken.
    ///
    /// # Errors
    /// The first refusal.
    pub async fn put(&self, index: &str, documents: &[(String, Value)]) -> Result<()> {
        node::put(&self.root, index, documents).await
    }

    /// Answers a search given as a body of the dialect.
    ///
    /// # Errors
    /// When the search is refused.
    pub async fn search(&self, index: &str, body: &Value) -> Result<SearchResponse> {
        node::search(&self.root, index, body).await
    }

    /// Waits until every copy that the cluster state names serves, is in sync and knows that it shows all.
    ///
    /// # Errors
    /// When that takes too long; says which do not.
    pub async fn whole(&self) -> Result<()> {
        let started = tokio::time::Instant::now();
        loop {
            let missing: Vec<_> = self
                .leaves
                .iter()
                .map(|node| (node.id.clone(), node.leaf.readiness()))
                .filter(|(_, readiness)| !readiness.is_ready() || !readiness.cut_off.is_empty())
                .collect();
            if missing.is_empty() && self.are_in_sync()? {
                return Ok(());
            }
            ensure!(started.elapsed() < WHOLE_WITHIN, "not whole: {missing:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn are_in_sync(&self) -> Result<bool> {
        let table = self.entries()?;
        let mut shards = table.shards.values();
        Ok(shards.all(|stored| stored.entry.in_sync.len() == stored.entry.copies.len()))
    }

    /// Returns the entries of shards.
    ///
    /// # Errors
    /// None in truth: they are kept from the start.
    pub fn entries(&self) -> Result<Arc<EntryTable>> {
        let entries = self.coordinator.embedded_entries();
        Ok(entries.context("no entries are kept")?.table())
    }

    /// Returns the cluster state.
    pub fn state(&self) -> Arc<ClusterState> {
        self.coordinator.state()
    }

    /// Returns the leaf named by `id`.
    ///
    /// # Errors
    /// When there is none.
    pub fn leaf(&self, id: &NodeId) -> Result<&LeafNode> {
        let found = self.leaves.iter().find(|node| node.id == *id);
        found.with_context(|| format!("there is no leaf {id}"))
    }

    /// Returns the folder of all nodes.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl LeafNode {
    async fn start(own: &Path, options: LeafOptions, state: &Arc<Embedded>) -> Result<Self> {
        let id = options.node.clone().context("a leaf has a name")?;
        let (log, _) = LocalLog::open(&own.join("log"), LogOptions::default())?;
        std::fs::create_dir_all(&options.folder)?;
        let peers = Arc::new(Others(state.watch()));
        let leaf = Leaf::start_with(options, Arc::clone(state) as _, Arc::new(log), peers)?;
        let slow = Arc::new(Slow::new(&leaf));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let proxy = Proxy::before(address).await?;
        let client = |address: SocketAddr| -> Result<_> {
            let peer = Peer::new(&address.to_string())?;
            Ok(Client {
                leaf: Arc::new(GrpcLeaf::new(peer.clone())),
                grantor: GrpcGrantor::new(peer),
            })
        };
        let clients = Clients {
            proxied: client(proxy.address())?,
            direct: client(address)?,
        };
        let (stop, stopping) = watch::channel(false);
        let (_, readiness) = watch::channel(Readiness::Ready);
        let node = LocalNode::new(id.clone(), Role::Leaf, "test", readiness);
        let services = Services {
            node: Arc::new(node),
            leaf: Some(Arc::clone(&slow) as _),
            replication: Some(Arc::clone(&leaf) as _),
            leases: Some(Arc::clone(&slow) as _),
        };
        let serving = tokio::spawn(async move {
            let mut stopping = stopping;
            let stop = async move {
                // An error means that the node was dropped.
                drop(stopping.wait_for(|is_asked| *is_asked).await);
            };
            if let Err(error) = gleaner_proto::serve(listener, services, stop).await {
                tracing::error!(%error, "a leaf of a test does not serve any more");
            }
        });
        Ok(Self {
            id,
            proxy,
            slow,
            clients,
            leaf,
            stop,
            serving,
        })
    }
}

impl LeafNode {
    /// Ends the leaf as a crash would; it counts as alive.
    pub async fn crash(&self) {
        self.stop.send_replace(true);
        self.leaf.abandon().await;
    }
}

impl Drop for LeafNode {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.serving.abort();
    }
}

/// Says that a leaf is alive, and returns who it is.
fn joined(coordinator: &Embedded, id: &NodeId, number: usize) -> Result<NodeIdentity> {
    let entries = coordinator
        .embedded_entries()
        .context("no entries are kept")?;
    let identity = NodeIdentity {
        node: NodeUuid((number as u128).to_be_bytes()),
        incarnation: Incarnation([1; 16]),
    };
    entries.set_alive(id, identity.node, Some(identity.incarnation));
    Ok(identity)
}

/// Makes a root that knows the leaves.
fn root(coordinator: &Arc<Embedded>, leaves: &[LeafNode], way: Way, options: RootOptions) -> Root {
    let clients: BTreeMap<NodeId, Clients> = leaves
        .iter()
        .map(|node| (node.id.clone(), node.clients.clone()))
        .collect();
    let leaves = clients.clone();
    let leaf = move |node: &NodeId, _: &str| Arc::clone(&leaves[node].of(way).leaf) as _;
    let members = Members::new(&**coordinator, leaf);
    let coordinator = Arc::clone(coordinator) as _;
    let root = Root::new(coordinator, Arc::new(members), options, clock);
    for (node, clients) in clients {
        let (following, grantor) = (root.following(node), clients.of(way).grantor.clone());
        // It ends with the test.
        tokio::spawn(async move { gleaner_leases::follow(&following, &grantor).await });
    }
    root
}

/// The other leaves, through their proxies.
struct Others(watch::Receiver<Arc<ClusterState>>);

impl Peers for Others {
    fn replication(&self, node: &NodeId) -> Option<Arc<dyn ReplicationClient>> {
        let state = self.0.borrow();
        let peer = Peer::new(&state.nodes.get(node)?.address).ok()?;
        Some(Arc::new(GrpcLeaf::new(peer)))
    }
}

/// Notes the leaves, at the addresses of their proxies.
async fn enrol(coordinator: &dyn Coordinator, leaves: &[LeafNode]) -> Result<()> {
    let meta = |node: &LeafNode| NodeMeta {
        role: Role::Leaf,
        address: node.proxy.address().to_string(),
        http_address: None,
        weight: 1.0,
        zone: None,
    };
    update::<CoordinatorError, _>(coordinator, |state| {
        let mut next = state.clone();
        next.nodes = leaves
            .iter()
            .map(|node| (node.id.clone(), meta(node)))
            .collect();
        Ok(Some(next))
    })
    .await?;
    Ok(())
}

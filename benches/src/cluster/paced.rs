//! A leaf in a process of its own that is as slow as it is told, line by line, while it runs.
//!
//! ```text
//! normal              as it is
//! times 100           every reading call takes 100 times as long as it took
//! sometimes 100 50    one reading call in 100 takes 50 times as long
//! never               reading calls never answer
//! ```
//!
//! It answers `ok` to each line, `ready` once it serves, and ends when its standard input does: with
//! whoever holds the other end, however that one ends.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use gleaner_coordinator::Coordinator;
use gleaner_etcd::{Client, EtcdCoordinator, IfAbsent, Keys, NodeEntry, Session};
use gleaner_leaf::{Leaf, LeafOptions, NodeIdentity, Peers};
use gleaner_log::{LocalLog, LogOptions};
use gleaner_model::{ClusterState, NodeId, NodeMeta, NodeUuid, Role};
use gleaner_proto::node::{LocalNode, Readiness};
use gleaner_proto::{Connect, GrpcLeaf, Peer, ReplicationClient, Services, Versions};
use gleaner_testkit::slow::{Pace, Slow};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

/// Name of the cluster, as nodes have it by default.
const CLUSTER: &str = "gleaner";

/// How long the leaf counts as alive after etcd last heard of it.
const LEASE: Duration = Duration::from_secs(3);

/// Which leaf of which cluster a process is to be.
#[derive(Debug, Clone, clap::Args)]
pub struct PacedLeaf {
    /// Be the leaf of this name, behind a pace.
    #[arg(long, hide = true, requires_all = ["etcd", "rpc", "folder"])]
    pub paced_leaf: Option<String>,
    /// Where the etcd is called that has the cluster state.
    #[arg(long, hide = true)]
    pub etcd: Option<String>,
    /// Where other nodes call the leaf.
    #[arg(long, hide = true)]
    pub rpc: Option<String>,
    /// The leaf's folder.
    #[arg(long, hide = true)]
    pub folder: Option<PathBuf>,
}

/// Is the leaf `name` until standard input ends.
///
/// # Errors
/// When the leaf cannot be started.
pub fn serve(name: &str, place: &PacedLeaf) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(run(name, place));
    runtime.shutdown_background();
    served
}

async fn run(name: &str, place: &PacedLeaf) -> Result<()> {
    let id = NodeId(name.into());
    let etcd = place.etcd.clone().context("no etcd is named")?;
    let rpc = place.rpc.as_deref().context("no address is named")?;
    let folder = place.folder.as_deref().context("no folder is named")?;
    let listener = TcpListener::bind(rpc).await.context(rpc.to_owned())?;
    let client = Client::new(&Connect::default(), &[etcd])?;
    let keys = Keys::of(CLUSTER)?;
    let opened = EtcdCoordinator::open(client.clone(), keys.clone(), IfAbsent::Wait).await?;
    let coordinator: Arc<dyn Coordinator> = Arc::new(opened);
    let entry = NodeEntry {
        uuid: NodeUuid(rand::random()),
        name: id.clone(),
        meta: NodeMeta {
            role: Role::Leaf,
            address: rpc.to_owned(),
            http_address: None,
            weight: 1.0,
            zone: None,
        },
        build: "paced".to_owned(),
        wire: Versions::OURS,
        features: Vec::new(),
    };
    let session = Session::start(&client, keys, &entry, LEASE).await?;
    let (log, _) = LocalLog::open(&folder.join("log"), LogOptions::default())?;
    let options = LeafOptions {
        node: Some(id.clone()),
        identity: Some(NodeIdentity {
            node: entry.uuid,
            incarnation: session.incarnation(),
        }),
        ..LeafOptions::new(folder.join("indices"), now_ms)
    };
    std::fs::create_dir_all(&options.folder)?;
    let peers = Arc::new(Others {
        state: coordinator.watch(),
        known: Mutex::default(),
    });
    let leaf = Leaf::start_with(options, coordinator, Arc::new(log), peers)?;
    let slow = Arc::new(Slow::new(&leaf));
    let (_tell, readiness) = watch::channel(Readiness::Ready);
    let services = Services {
        node: Arc::new(LocalNode::new(id, Role::Leaf, "paced", readiness)),
        leaf: Some(Arc::clone(&slow) as _),
        replication: Some(leaf as _),
        leases: None,
    };
    let (ended, has_ended) = oneshot::channel();
    std::thread::spawn(move || {
        // An error to read or to answer is an end too.
        drop(ended.send(obey(&slow)));
    });
    let stop = async {
        drop(has_ended.await);
    };
    gleaner_proto::serve(listener, services, stop).await?;
    session.end().await?;
    Ok(())
}

/// Sets the pace as standard input says, until that ends.
fn obey(slow: &Slow) -> Result<()> {
    let mut answers = std::io::stdout();
    writeln!(answers, "ready")?;
    for line in std::io::stdin().lock().lines() {
        slow.set(parse(&line?)?);
        writeln!(answers, "ok")?;
    }
    Ok(())
}

/// Returns the line that sets `pace`.
pub(super) fn line(pace: Pace) -> String {
    match pace {
        Pace::Normal => "normal".to_owned(),
        Pace::Times(times) => format!("times {times}"),
        Pace::Sometimes { one_in, times } => format!("sometimes {one_in} {times}"),
        Pace::Never => "never".to_owned(),
    }
}

fn parse(line: &str) -> Result<Pace> {
    let words: Vec<&str> = line.split_whitespace().collect();
    Ok(match words[..] {
        ["normal"] => Pace::Normal,
        ["times", times] => Pace::Times(times.parse()?),
        ["sometimes", one_in, times] => Pace::Sometimes {
            one_in: one_in.parse()?,
            times: times.parse()?,
        },
        ["never"] => Pace::Never,
        _ => bail!("`{line}` is no pace"),
    })
}

/// The other leaves, by the addresses in the cluster state, with one connection each.
struct Others {
    state: watch::Receiver<Arc<ClusterState>>,
    known: Mutex<BTreeMap<String, Arc<dyn ReplicationClient>>>,
}

impl Peers for Others {
    fn replication(&self, node: &NodeId) -> Option<Arc<dyn ReplicationClient>> {
        let address = self.state.borrow().nodes.get(node)?.address.clone();
        let mut known = self.known.lock();
        if let Some(client) = known.get(&address) {
            return Some(Arc::clone(client));
        }
        let client: Arc<dyn ReplicationClient> = Arc::new(GrpcLeaf::new(Peer::new(&address).ok()?));
        known.insert(address, Arc::clone(&client));
        Some(client)
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_read_back_from_its_line() {
        let sometimes = Pace::Sometimes {
            one_in: 100,
            times: 50,
        };
        for pace in [Pace::Normal, Pace::Times(100), sometimes, Pace::Never] {
            assert_eq!(parse(&line(pace)).expect("a pace"), pace);
        }
        assert!(parse("times").is_err());
        assert!(parse("faster").is_err());
    }
}

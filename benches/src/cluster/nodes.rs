//! A cluster of processes on this machine: some roots over the same leaves.

#![expect(
    clippy::disallowed_methods,
    reason = "other processes are looked at from outside: they tell no events"
)]

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gleaner_machine::ports;
use gleaner_testkit::etcd::Etcd;
use gleaner_testkit::slow::Pace;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::node::Node;
use crate::client::Client;
use crate::corpus::Corpus;
use crate::ours;
use crate::report::loading;

/// The index that is searched.
pub(super) const INDEX: &str = "articles";
/// Leaves of every cluster here.
pub(super) const NUM_LEAVES: usize = 4;
/// Shards of the index.
pub(super) const NUM_SHARDS: u32 = 8;
/// Without more than this in half a second, background work has ended: timers take a tick now and then.
const QUIET: Duration = Duration::from_millis(40);

/// What a root is told beside its membership: `hedge_share` and `choose_copies`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Means {
    /// Share of shard requests that may go to a second copy.
    pub(super) hedge_share: f64,
    /// Whether the copy to ask is chosen.
    pub(super) choose_copies: bool,
}

impl Means {
    /// As roots are by default.
    pub(super) const ALL: Self = Self {
        hedge_share: 0.05,
        choose_copies: true,
    };
}

/// What leaves are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaves {
    /// `gleaner leaf`.
    Real,
    /// The same leaf, behind a pace.
    Paced,
}

/// Processes; all are killed when it is dropped.
pub(super) struct Nodes {
    /// In the order of the means they were started with.
    pub(super) roots: Vec<Node>,
    /// `leaf-1`, `leaf-2` …
    pub(super) leaves: Vec<Node>,
    _folder: TempDir,
    _etcd: Etcd,
}

/// What a cluster is started from.
#[derive(Debug, Clone)]
pub(super) struct Start<'a> {
    /// The program `gleaner`.
    pub(super) binary: &'a Path,
    /// A root for each.
    pub(super) roots: &'a [Means],
    /// What the leaves are.
    pub(super) leaves: Leaves,
    /// Settings of real leaves beside the defaults, as lines of their files.
    pub(super) leaf_settings: &'a str,
}

impl Nodes {
    /// Starts all processes and waits until they serve.
    ///
    /// # Errors
    /// When one does not.
    pub(super) fn start(start: &Start<'_>) -> Result<Self> {
        let plan = Plan::new(start)?;
        let roots = start.roots.iter().enumerate();
        let mut roots: Vec<Node> = roots
            .map(|(at, means)| plan.start_root(at, *means))
            .collect::<Result<_>>()?;
        let mut leaves: Vec<Node> = (0..NUM_LEAVES)
            .map(|at| plan.start_leaf(start, at))
            .collect::<Result<_>>()?;
        for node in roots.iter_mut().chain(&mut leaves) {
            let log = plan.path(&node.name, "log");
            node.wait_until_ready().with_context(|| last_line(&log))?;
        }
        Ok(Self {
            roots,
            leaves,
            _folder: plan.folder,
            _etcd: plan.etcd,
        })
    }

    /// Opens a connection to the first root.
    ///
    /// # Errors
    /// When it does not take it.
    pub(super) fn client(&self) -> Result<Client> {
        Client::connect(&self.roots[0].http)
    }

    /// Makes the index with `num_copies` of each shard, puts `corpus` into it, merges and waits until all
    /// copies serve and background work has ended.
    ///
    /// # Errors
    /// When a request is refused or a copy does not come.
    pub(super) fn load(&self, corpus: &Corpus, num_copies: u32) -> Result<()> {
        let mut client = self.client()?;
        load(&mut client, corpus, num_copies)?;
        for root in &self.roots {
            // Each root has to have heard of the index.
            let mut client = Client::connect(&root.http)?;
            wait_until_green(&mut client)?;
        }
        settle(|| self.cpu())
    }

    /// Returns the CPU time of all processes that are left.
    ///
    /// # Errors
    /// When none is.
    pub(super) fn cpu(&self) -> Result<Duration> {
        let nodes = self.roots.iter().chain(&self.leaves);
        let times: Vec<Duration> = nodes.filter_map(|node| node.cpu().ok()).collect();
        ensure!(!times.is_empty(), "all processes have ended");
        Ok(times.into_iter().sum())
    }

    /// Sets the pace of all leaves.
    ///
    /// # Errors
    /// When one has ended.
    pub(super) fn set_paces(&mut self, pace: impl Fn(usize) -> Pace) -> Result<()> {
        let mut leaves = self.leaves.iter_mut().enumerate();
        leaves.try_for_each(|(at, leaf)| leaf.set_pace(pace(at)))
    }

    /// Returns the shards of which each leaf holds a copy, leaf by leaf.
    ///
    /// # Errors
    /// When the root does not say.
    pub(super) fn holdings(&self) -> Result<Vec<BTreeSet<u32>>> {
        let mut client = self.client()?;
        let path = format!("/_cat/shards/{INDEX}?format=json&h=shard,node");
        let rows: Vec<Value> = serde_json::from_slice(client.expect("GET", &path, b"")?)?;
        let held_by = |leaf: &Node| -> BTreeSet<u32> {
            let rows = rows.iter().filter(|row| row["node"] == leaf.name.as_str());
            rows.filter_map(|row| row["shard"].as_str()?.parse().ok())
                .collect()
        };
        let held: Vec<BTreeSet<u32>> = self.leaves.iter().map(held_by).collect();
        let all: BTreeSet<u32> = held.iter().flatten().copied().collect();
        ensure!(
            all.len() == NUM_SHARDS as usize,
            "`_cat/shards` names {all:?}"
        );
        Ok(held)
    }
}

/// Makes the index behind `client` and fills it.
///
/// # Errors
/// When a request is refused or a copy does not come.
pub(super) fn load(client: &mut Client, corpus: &Corpus, num_copies: u32) -> Result<()> {
    let body = json!({
        "settings": {
            "number_of_shards": NUM_SHARDS,
            "number_of_replicas": num_copies - 1,
            "refresh_interval": "-1",
        },
        "mappings": ours::declared_mapping(),
    });
    client.expect("PUT", &format!("/{INDEX}"), body.to_string().as_bytes())?;
    wait_until_green(client)?;
    for bulk in loading::bulks(corpus, 5 << 20) {
        loading::send(client, INDEX, &bulk)?;
    }
    let merge = format!("/{INDEX}/_forcemerge?max_num_segments=1");
    client.expect("POST", &merge, b"")?;
    client.expect("POST", &format!("/{INDEX}/_refresh"), b"")?;
    client.expect("POST", &format!("/{INDEX}/_flush"), b"")?;
    let count = client.expect("GET", &format!("/{INDEX}/_count"), b"")?;
    let count: Value = serde_json::from_slice(count)?;
    let wanted = corpus.sources.len();
    ensure!(
        count["count"] == wanted,
        "{wanted} documents were put, the index says {count}"
    );
    Ok(())
}

fn wait_until_green(client: &mut Client) -> Result<()> {
    let path = format!("/_cluster/health/{INDEX}?wait_for_status=green&timeout=120s");
    client.expect("GET", &path, b"")?;
    Ok(())
}

/// Waits until what `cpu` tells has stopped to grow.
///
/// # Errors
/// Those of `cpu`.
pub(super) fn settle(cpu: impl Fn() -> Result<Duration>) -> Result<()> {
    let mut last = cpu()?;
    // A minute at most: what goes on then does not end by itself.
    for _ in 0..120 {
        std::thread::sleep(Duration::from_millis(500));
        let now = cpu()?;
        if now.saturating_sub(last) <= QUIET {
            break;
        }
        last = now;
    }
    Ok(())
}

/// Where everything is to be.
struct Plan<'a> {
    /// The program `gleaner`.
    binary: &'a Path,
    folder: TempDir,
    etcd: Etcd,
    /// Of each root: for nodes, for clients.
    roots: Vec<[String; 2]>,
    /// Of each leaf, likewise.
    leaves: Vec<[String; 2]>,
}

impl<'a> Plan<'a> {
    fn new(start: &Start<'a>) -> Result<Self> {
        // All at once, so that no port is found twice.
        let num_ports = 2 * (start.roots.len() + NUM_LEAVES);
        let free: Vec<TcpListener> = (0..num_ports)
            .map(|_| ports::held())
            .collect::<Result<_, _>>()?;
        let addresses = free.iter().map(|free| Ok(free.local_addr()?.to_string()));
        let addresses: Vec<String> = addresses.collect::<Result<_>>()?;
        let mut pairs = addresses
            .chunks_exact(2)
            .map(|pair| [pair[0].clone(), pair[1].clone()]);
        Ok(Self {
            binary: start.binary,
            folder: TempDir::new()?,
            etcd: Etcd::start()?,
            roots: pairs.by_ref().take(start.roots.len()).collect(),
            leaves: pairs.collect(),
        })
    }

    fn path(&self, name: &str, kind: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.{kind}"))
    }

    fn start_root(&self, at: usize, means: Means) -> Result<Node> {
        let name = format!("root-{}", at + 1);
        let settings = format!(
            "hedge_share = {:?}\nchoose_copies = {}\n",
            means.hedge_share, means.choose_copies
        );
        let http = &self.roots[at][1];
        self.start_node(&name, "root", http, &settings)
    }

    fn start_leaf(&self, start: &Start<'_>, at: usize) -> Result<Node> {
        let name = format!("leaf-{}", at + 1);
        let [rpc, http] = &self.leaves[at];
        match start.leaves {
            Leaves::Real => self.start_node(&name, "leaf", http, start.leaf_settings),
            Leaves::Paced => {
                let (folder, log) = (self.path(&name, "data"), self.path(&name, "log"));
                let etcd = self.etcd.address();
                Node::start_paced(&name, &etcd, rpc, &folder, &log)
            }
        }
    }

    /// Starts `gleaner ROLE` with these lines in its configuration.
    fn start_node(&self, name: &str, role: &str, http: &str, settings: &str) -> Result<Node> {
        let config = self.path(name, "toml");
        let data = self.path(name, "data");
        let own = format!(
            "node_name = \"{name}\"\ndata = \"{}\"\nlisten = \"{http}\"\n{settings}\n",
            data.display()
        );
        std::fs::write(&config, own + &self.membership()?)?;
        let mut command = Command::new(self.binary);
        command
            .args([role, "--stop-with-input", "--config"])
            .arg(&config);
        Node::start(name, http, command, &self.path(name, "log"))
    }

    fn membership(&self) -> Result<String> {
        let mut text = format!("[cluster]\netcd = [\"http://{}\"]\n", self.etcd.address());
        for (role, nodes) in [("root", &self.roots), ("leaf", &self.leaves)] {
            for (at, [rpc, http]) in nodes.iter().enumerate() {
                write!(
                    text,
                    "[[cluster.nodes]]\nname = \"{role}-{}\"\nrole = \"{role}\"\n\
                     address = \"{rpc}\"\nhttp_address = \"{http}\"\n",
                    at + 1
                )?;
            }
        }
        Ok(text)
    }
}

fn last_line(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    format!("its log ends: {}", last.unwrap_or("it said nothing"))
}

//! A cluster whose processes each have a network of their own: three members of an etcd, a root, three leaves.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use gleaner_testkit::http::Request;
use gleaner_testkit::namespaces::Namespaces;
use tokio::time::{Instant, sleep};

use super::{Cluster, LEAVES, PATIENCE, POLL};

const ROOT: &str = "root-1";

/// The members of the etcd.
const MEMBERS: [&str; 3] = ["etcd-1", "etcd-2", "etcd-3"];

/// Where nodes call a member of the etcd, and where the other members do.
const ETCD_PORTS: [u16; 2] = [2379, 2380];

/// Where clients call a root, or a leaf answers probes.
const HTTP_PORT: u16 = 9200;

/// Where other nodes call a node.
const RPC_PORT: u16 = 9300;

impl Cluster {
    /// Starts three leaves and a root with an etcd, each process in a network namespace.
    pub(crate) async fn start_apart() -> Result<Self> {
        let names: Vec<&str> = [ROOT].into_iter().chain(MEMBERS).chain(LEAVES).collect();
        let namespaces = Namespaces::lay(&names)?;
        let root = (namespaces.address(ROOT)?, HTTP_PORT).into();
        let mut cluster = Self {
            up: None,
            pids: BTreeMap::new(),
            own: BTreeMap::new(),
            namespaces: Some(namespaces),
            listens: BTreeMap::new(),
            root,
            folder: tempfile::tempdir()?,
        };
        fs::create_dir(cluster.data())?;
        cluster.start_members()?;
        cluster.start_nodes()?;
        let began = Instant::now();
        while cluster.num_leaves().await != Some(LEAVES.len() as u64) {
            ensure!(began.elapsed() < PATIENCE, "not all leaves are up");
            sleep(POLL).await;
        }
        Ok(cluster)
    }

    /// Returns how many leaves are alive, as the root says.
    async fn num_leaves(&self) -> Option<u64> {
        let health = Request::new("GET", "/_cluster/health");
        let health = self.send(&health).await.ok()?.ok().ok()?;
        health["number_of_data_nodes"].as_u64()
    }

    /// Returns `HOST:PORT` of a node.
    fn at(&self, name: &str, port: u16) -> Result<String> {
        let namespaces = self.namespaces.as_ref().expect("each node has its own");
        Ok(format!("{}:{port}", namespaces.address(name)?))
    }

    fn start_members(&mut self) -> Result<()> {
        let [clients, peers] = ETCD_PORTS;
        let mut noted = String::new();
        let mut all = Vec::new();
        for member in MEMBERS {
            let (clients, peers) = (self.at(member, clients)?, self.at(member, peers)?);
            write!(
                noted,
                "[[members]]\nname = \"{member}\"\nclients = \"{clients}\"\n"
            )?;
            all.push(format!("{member}=http://{peers}"));
        }
        fs::write(self.data().join("etcd.toml"), noted)?;
        for member in MEMBERS {
            let (clients, peers) = (self.at(member, clients)?, self.at(member, peers)?);
            let data = self.data().join(member);
            let command = [
                "etcd".to_owned(),
                format!("--name={member}"),
                format!("--data-dir={}", data.display()),
                format!("--listen-client-urls=http://{clients}"),
                format!("--advertise-client-urls=http://{clients}"),
                format!("--listen-peer-urls=http://{peers}"),
                format!("--initial-advertise-peer-urls=http://{peers}"),
                format!("--initial-cluster={}", all.join(",")),
                "--auto-compaction-mode=revision".to_owned(),
                "--auto-compaction-retention=1000".to_owned(),
                "--log-level=error".to_owned(),
            ];
            self.start_as_before(member, &command)?;
        }
        Ok(())
    }

    fn start_nodes(&mut self) -> Result<()> {
        let mut members = Vec::new();
        for member in MEMBERS {
            members.push(format!("\"http://{}\"", self.at(member, ETCD_PORTS[0])?));
        }
        let mut cluster = format!("[cluster]\netcd = [{}]\n", members.join(", "));
        let leaves = LEAVES.map(|leaf| (leaf, "leaf"));
        let nodes: Vec<_> = [(ROOT, "root")].into_iter().chain(leaves).collect();
        for (name, role) in &nodes {
            let (rpc, http) = (self.at(name, RPC_PORT)?, self.at(name, HTTP_PORT)?);
            write!(
                cluster,
                "[[cluster.nodes]]\nname = \"{name}\"\nrole = \"{role}\"\naddress = \"{rpc}\"\nhttp_address = \"{http}\"\n"
            )?;
        }
        for (name, role) in nodes {
            let config = self.config_of(name, &self.data(), &cluster)?;
            fs::write(self.config(name), config)?;
            self.start_node(name, role)?;
        }
        Ok(())
    }

    fn config_of(&self, name: &str, data: &Path, cluster: &str) -> Result<String> {
        let (data, http) = (data.join(name), self.at(name, HTTP_PORT)?);
        Ok(format!(
            "node_name = \"{name}\"\ndata = \"{}\"\nlisten = \"{http}\"\ninsecure = true\ndefault_replicas = 1\n{cluster}",
            data.display()
        ))
    }
}

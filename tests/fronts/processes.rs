//! A cluster of processes, as `gleaner cluster up` starts it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use gleaner_testkit::http::Request;
use gleaner_testkit::server::binary;
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

/// How long the cluster may take until it serves.
const STARTS_WITHIN: Duration = Duration::from_secs(120);

/// One process.
pub(crate) struct Process {
    pid: u64,
    role: String,
    /// Where it takes the dialect; leaves do not.
    pub(crate) http: Option<SocketAddr>,
}

impl Process {
    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: &str) -> Result<()> {
        let sent = Command::new("kill")
            .args([signal, &self.pid.to_string()])
            .status();
        let sent = sent.context("`kill` does not run")?;
        ensure!(sent.success(), "process {} is gone", self.pid);
        Ok(())
    }
}

/// The cluster; it is stopped when this is dropped.
pub(crate) struct Processes {
    up: Child,
    all: Vec<Process>,
    pub(crate) fronts: Vec<SocketAddr>,
    folder: tempfile::TempDir,
}

impl Processes {
    /// Starts two leaves, two roots and three fronts, with an index `things` of three shards, two copies of each.
    pub(crate) async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        let counts = [
            "--leaves", "2", "--copies", "2", "--roots", "2", "--fronts", "3",
        ];
        let up = Command::new(binary()?)
            .args(["cluster", "up", "--listen", "127.0.0.1:0", "--data"])
            .arg(&data)
            .args(counts)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join("up.log"))?)
            .spawn()
            .context("the cluster does not start")?;
        let mut processes = Self {
            up,
            all: Vec::new(),
            fronts: Vec::new(),
            folder,
        };
        let map = data.join("processes.json");
        let started = timeout(STARTS_WITHIN, async {
            loop {
                if let Ok(text) = std::fs::read_to_string(&map) {
                    return text;
                }
                sleep(Duration::from_millis(50)).await;
            }
        });
        let Ok(map) = started.await else {
            let said = std::fs::read_to_string(processes.folder.path().join("up.log"))?;
            bail!("the cluster is not up: {said}");
        };
        let map: Value = serde_json::from_str(&map)?;
        for node in map["nodes"].as_array().context("nodes")? {
            let pid = node["pid"].as_u64().context("a process")?;
            let role = node["role"].as_str().context("a role")?.to_owned();
            let http = node["http_address"].as_str().map(str::parse).transpose()?;
            if role == "front" {
                processes.fronts.push(http.context("an address")?);
            }
            processes.all.push(Process { pid, role, http });
        }
        ensure!(processes.fronts.len() == 3, "there are three fronts: {map}");
        let index = json!({
            "settings": {"number_of_shards": 3, "number_of_replicas": 1, "refresh_interval": "200ms"},
            "mappings": {"properties": {"owner": {"type": "keyword"}, "n": {"type": "long"}}},
        });
        let create = Request::json("PUT", "/things", &index);
        create.send(processes.fronts[0]).await?.ok()?;
        Ok(processes)
    }

    /// Returns the file of the cluster's members.
    pub(crate) fn members(&self) -> PathBuf {
        self.folder.path().join("data/cluster.toml")
    }

    /// Returns the roots.
    pub(crate) fn roots(&self) -> impl Iterator<Item = &Process> {
        let all = self.all.iter();
        all.filter(|process| process.role == "root")
    }

    /// Ends a root as `kill -9` does.
    pub(crate) fn kill_root(&self) -> Result<()> {
        self.roots().next().context("a root")?.signal("-KILL")
    }

    /// Returns any process.
    pub(crate) fn any(&self, random: &mut StdRng) -> &Process {
        &self.all[random.random_range(0..self.all.len())]
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for process in &self.all {
            // One that stands still cannot end in order.
            drop(process.signal("-CONT"));
        }
        let asked = Command::new("kill").arg(self.up.id().to_string()).status();
        if asked.is_ok() {
            drop(self.up.wait());
        }
    }
}

//! A cluster on an etcd, as `gleaner cluster up` starts it or with a network of its own for each process, and leaves that are
//! killed and started by hand.

mod apart;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gleaner_model::IndexUuid;
use gleaner_testkit::folder::copied;
use gleaner_testkit::http::{Request, Response};
use gleaner_testkit::namespaces::Namespaces;
use gleaner_testkit::server::binary;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// The longest that anything is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Which copies are in sync.
const IN_SYNC: &str = "/_cluster/state/metadata?filter_path=**.in_sync_allocations";

/// How often it is looked for.
pub(crate) const POLL: Duration = Duration::from_millis(50);

/// Runs a program until standard input ends, by the shell that becomes it.
const UNTIL_INPUT_ENDS: &str =
    r#"exec 3<&0; (cat <&3 >/dev/null; kill -TERM $$) & exec "$@" 3<&- </dev/null"#;

/// The leaves of a cluster.
pub(crate) const LEAVES: [&str; 3] = ["leaf-1", "leaf-2", "leaf-3"];

/// Which copy of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copy {
    Primary,
    Replica,
}

/// The cluster; it is stopped when this is dropped.
pub(crate) struct Cluster {
    /// `None` where each process was started by hand.
    up: Option<Child>,
    /// By name.
    pids: BTreeMap<String, u32>,
    /// Processes that were started by hand.
    own: BTreeMap<String, Child>,
    /// Those that processes are in, where each has one of its own.
    namespaces: Option<Namespaces>,
    /// Where leaves listen for other nodes, if not at the address of their entry.
    listens: BTreeMap<String, SocketAddr>,
    root: SocketAddr,
    folder: tempfile::TempDir,
}

impl Cluster {
    /// Starts three leaves and a root with an etcd.
    pub(crate) async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        let up = Command::new(binary()?)
            .args(["cluster", "up", "--leaves", "3", "--copies", "2"])
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("the cluster does not start")?;
        let mut cluster = Self {
            up: Some(up),
            pids: BTreeMap::new(),
            own: BTreeMap::new(),
            namespaces: None,
            listens: BTreeMap::new(),
            root: ([127, 0, 0, 1], 0).into(),
            folder,
        };
        let map = data.join("processes.json");
        let began = Instant::now();
        let map = loop {
            if let Ok(text) = fs::read_to_string(&map) {
                break serde_json::from_str::<Value>(&text)?;
            }
            ensure!(began.elapsed() < PATIENCE, "the cluster is not up");
            sleep(POLL).await;
        };
        for node in map["nodes"].as_array().context("nodes")? {
            let pid = node["pid"].as_u64().context("a process")?;
            let name = node["name"].as_str().context("a name")?.to_owned();
            if node["role"] == "root" {
                let address = node["http_address"].as_str().context("an address")?;
                cluster.root = address.parse()?;
            }
            cluster.pids.insert(name, pid.try_into()?);
        }
        Ok(cluster)
    }

    /// Returns where clients call the cluster.
    pub(crate) fn root(&self) -> SocketAddr {
        self.root
    }

    pub(crate) async fn send(&self, request: &Request) -> Result<Response> {
        request.send(self.root).await
    }

    /// Returns the process of a node.
    pub(crate) fn pid(&self, name: &str) -> Result<u32> {
        self.pids.get(name).copied().context("no such process")
    }

    /// Sends a signal to a leaf.
    pub(crate) fn signal(&self, leaf: &str, signal: &str) -> Result<()> {
        let pid = self.pid(leaf)?.to_string();
        let sent = Command::new("kill").args([signal, &pid]).status()?;
        ensure!(sent.success(), "process {pid} is gone");
        Ok(())
    }

    /// Sends a signal to all members of the etcd.
    pub(crate) fn signal_etcd(&self, signal: &str) -> Result<()> {
        let members = self.pids.keys().filter(|name| name.starts_with("etcd-"));
        let mut num = 0;
        for member in members {
            self.signal(member, signal)?;
            num += 1;
        }
        ensure!(num > 0, "no etcd");
        Ok(())
    }

    /// Ends a process as `kill -9` does; it is gone then, and what it held is free.
    pub(crate) async fn kill(&mut self, name: &str) -> Result<()> {
        self.signal(name, "-KILL")?;
        self.until_gone(name).await
    }

    /// Waits until a process has ended.
    async fn until_gone(&mut self, name: &str) -> Result<()> {
        let pid = self.pid(name)?;
        let began = Instant::now();
        while is_running(pid) {
            ensure!(began.elapsed() < PATIENCE, "`{name}` does not end");
            sleep(POLL).await;
        }
        if let Some(mut child) = self.own.remove(name) {
            child.wait()?;
        }
        Ok(())
    }

    /// Is this the only member of the etcd that was not started by hand?
    pub(crate) fn is_last_etcd(&self, name: &str) -> bool {
        let mut members = self.pids.keys().filter(|name| name.starts_with("etcd-"));
        members.all(|member| member == name || self.own.contains_key(member))
            && !self.own.contains_key(name)
    }

    /// Returns the command line of a process that runs.
    pub(crate) fn command_of(&self, name: &str) -> Result<Vec<String>> {
        let pid = self.pids.get(name).context("no such process")?;
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline"))?;
        Ok(line.split_terminator('\0').map(str::to_owned).collect())
    }

    /// Starts a process that has ended by the command line that it had.
    pub(crate) fn start_as_before(&mut self, name: &str, command: &[String]) -> Result<()> {
        let child = self
            .program(name, "sh")
            .args(["-c", UNTIL_INPUT_ENDS, "sh"])
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        self.pids.insert(name.to_owned(), child.id());
        self.own.insert(name.to_owned(), child);
        Ok(())
    }

    /// Returns a command that runs a program where the process of that name is.
    fn program(&self, name: &str, program: impl AsRef<OsStr>) -> Command {
        match &self.namespaces {
            Some(namespaces) => namespaces.command(name, program),
            None => Command::new(program),
        }
    }

    /// Returns the namespaces that processes are in, where each has one of its own.
    pub(crate) fn namespaces(&self) -> Option<&Namespaces> {
        self.namespaces.as_ref()
    }

    /// Returns the folder of all that is kept.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Returns the configuration of a leaf.
    pub(crate) fn config(&self, leaf: &str) -> PathBuf {
        self.data().join(format!("{leaf}.toml"))
    }

    /// Asks a leaf to stop, and waits until it has.
    pub(crate) async fn stop(&mut self, leaf: &str) -> Result<()> {
        self.signal(leaf, "-TERM")?;
        self.until_gone(leaf).await
    }

    /// Has a leaf listen for other nodes there, and not at the address of its entry, when it is started again.
    pub(crate) fn listen_at(&mut self, leaf: &str, address: SocketAddr) {
        self.listens.insert(leaf.to_owned(), address);
    }

    /// Starts a leaf that has ended on the folder that it had.
    pub(crate) fn start_again(&mut self, leaf: &str) -> Result<()> {
        self.start_node(leaf, "leaf")
    }

    fn start_node(&mut self, name: &str, role: &str) -> Result<()> {
        let listen = self.listens.get(name);
        let data = self.data();
        let log = File::options()
            .append(true)
            .create(true)
            .open(data.join(format!("{name}.again.log")))?;
        let child = self
            .program(name, binary()?)
            .args([role, "--stop-with-input", "--config"])
            .arg(self.config(name))
            .args(listen.map(|address| format!("--rpc-listen={address}")))
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.pids.insert(name.to_owned(), child.id());
        self.own.insert(name.to_owned(), child);
        Ok(())
    }

    /// Waits until a leaf that was started has ended by itself; returns the last line of what it said.
    pub(crate) async fn until_ended(&mut self, leaf: &str) -> Result<String> {
        let began = Instant::now();
        loop {
            // Not by its command line: a process that has just begun has none yet.
            let child = self.own.get_mut(leaf).context("it does not run")?;
            if child.try_wait()?.is_some() {
                break;
            }
            ensure!(began.elapsed() < PATIENCE, "`{leaf}` goes on");
            sleep(POLL).await;
        }
        self.own.remove(leaf);
        let log = fs::read_to_string(self.data().join(format!("{leaf}.again.log")))?;
        Ok(log.lines().last().unwrap_or_default().to_owned())
    }

    /// Copies a leaf's data folder to `to` while the leaf is stopped; an earlier copy there is replaced.
    pub(crate) fn keep(&self, leaf: &str, to: &Path) -> Result<()> {
        if to.exists() {
            fs::remove_dir_all(to)?;
        }
        self.signal(leaf, "-STOP")?;
        let kept = copied(&self.data().join(leaf), to);
        self.signal(leaf, "-CONT")?;
        kept
    }

    /// Returns the uuid of an index.
    pub(crate) async fn uuid(&self, index: &str) -> Result<IndexUuid> {
        let settings = Request::new("GET", &format!("/{index}/_settings"));
        let settings = self.send(&settings).await?.ok()?;
        let uuid = &settings[index]["settings"]["index"]["uuid"];
        let uuid = URL_SAFE_NO_PAD.decode(uuid.as_str().context("a uuid")?)?;
        let uuid = <[u8; 16]>::try_from(uuid).map(IndexUuid);
        uuid.map_err(|found| anyhow!("{} bytes", found.len()))
    }

    /// Returns the leaf that holds a copy of a shard of the index, once one serves.
    pub(crate) async fn holder(&self, shard: u32, copy: Copy) -> Result<String> {
        let began = Instant::now();
        loop {
            if let Some(leaf) = self.holder_now(shard, copy).await? {
                return Ok(leaf);
            }
            ensure!(
                began.elapsed() < PATIENCE,
                "no {copy:?} of shard {shard} serves"
            );
            sleep(POLL).await;
        }
    }

    async fn holder_now(&self, shard: u32, copy: Copy) -> Result<Option<String>> {
        let ask = Request::new("GET", "/_cat/shards/things?format=json");
        let rows = self.send(&ask).await?.ok()?;
        let kind = match copy {
            Copy::Primary => "p",
            Copy::Replica => "r",
        };
        let number = shard.to_string();
        let is_asked = |row: &&Value| {
            row["shard"] == number.as_str() && row["prirep"] == kind && row["state"] == "STARTED"
        };
        let row = rows.as_array().context("rows")?.iter().find(is_asked);
        Ok(row.and_then(|row| row["node"].as_str()).map(str::to_owned))
    }

    /// Waits until another leaf than `leaf` holds the primary of a shard.
    pub(crate) async fn until_primary_is_not(&self, shard: u32, leaf: &str) -> Result<()> {
        let began = Instant::now();
        loop {
            let holder = self.holder_now(shard, Copy::Primary).await?;
            if holder.is_some_and(|holder| holder != leaf) {
                return Ok(());
            }
            ensure!(
                began.elapsed() < PATIENCE,
                "`{leaf}` is the primary's still"
            );
            sleep(POLL).await;
        }
    }

    /// Returns whether a leaf's copy of some shard is the only one in sync.
    pub(crate) async fn is_alone_in_sync(&self, leaf: &str) -> Result<bool> {
        let state = self.send(&Request::new("GET", IN_SYNC)).await?.ok()?;
        let indices = state["metadata"]["indices"]
            .as_object()
            .context("indices")?;
        let of_index = |index: &Value| index["in_sync_allocations"].as_object().cloned();
        let mut shards = indices.values().filter_map(of_index).flatten();
        Ok(shards.any(|(_, in_sync)| in_sync == json!([leaf])))
    }

    /// Keeps the folder with the logs of all nodes; returns `error` with where it is and how the copies stand.
    pub(crate) async fn keep_with(&mut self, error: anyhow::Error) -> anyhow::Error {
        self.folder.disable_cleanup(true);
        let folder = self.folder.path().display();
        let mut told = format!("{error:#}; its folder {folder} is kept");
        for path in ["/_cat/shards/things", IN_SYNC] {
            let answer = self.send(&Request::new("GET", path)).await;
            let shown = answer.map_or_else(|error| format!("{error:#}"), |answer| answer.shown());
            told.push('\n');
            told.push_str(&shown);
        }
        anyhow::Error::msg(told)
    }

    /// Waits until all copies serve, and are in sync.
    pub(crate) async fn until_green(&self) -> Result<()> {
        let began = Instant::now();
        loop {
            let health = self.send(&Request::new("GET", "/_cluster/health")).await?;
            let health = health.ok()?;
            if health["status"] == "green" {
                return Ok(());
            }
            ensure!(began.elapsed() < PATIENCE, "not green: {health}");
            sleep(POLL).await;
        }
    }

    /// Waits until a refresh reaches all copies.
    pub(crate) async fn until_refreshed(&self) -> Result<()> {
        let began = Instant::now();
        loop {
            let answer = self.send(&Request::new("POST", "/things/_refresh")).await?;
            let answer = answer.ok()?;
            if answer["_shards"]["failed"] == 0 {
                return Ok(());
            }
            ensure!(began.elapsed() < PATIENCE, "not shown: {answer}");
            sleep(POLL).await;
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.own.values_mut() {
            // It may have ended.
            drop(child.kill());
            drop(child.wait());
        }
        if let Some(up) = &mut self.up {
            let asked = Command::new("kill").arg(up.id().to_string()).status();
            if asked.is_ok() {
                drop(up.wait());
            }
        }
    }
}

/// Returns whether any thread of a process runs: the last one lets go of its files.
fn is_running(pid: u32) -> bool {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let threads = fs::read_dir(process.join("task"));
    let num_threads = threads.map_or(0, Iterator::count);
    // One that has ended and that nobody has waited for has no command line.
    let has_command = fs::read(process.join("cmdline")).is_ok_and(|line| !line.is_empty());
    has_command || num_threads > 1
}

//! An etcd, a root and four leaves, each in a container, on a network of their own; gone when dropped.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use gleaner_testkit::http::{Request, Response};
use serde_json::Value;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

/// Holds the cluster state; its name in `cluster.toml`.
const ETCD: &str = "etcd";
/// The nodes of `cluster.toml`, beside this file.
pub(crate) const ROOT: &str = "root-1";
const LEAVES: [&str; 4] = ["leaf-1", "leaf-2", "leaf-3", "leaf-4"];

/// How long the root may take until it serves, on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long all copies may take until they serve, after a restart replayed its logs.
const WHOLE_WITHIN: &str = "60s";
/// Pause between two looks at a container that has just been started.
const POLL: Duration = Duration::from_millis(50);
/// Seconds that a command of Docker may take before it counts as stuck.
const DOCKER_WITHIN: &str = "60";
/// Where the nodes find their members.
const CLUSTER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/containers/cluster.toml:/etc/gleaner/cluster.toml:ro"
);
/// What all containers and networks of a run are marked with.
pub(crate) const LABEL: &str = "gleaner.drill";

/// What is done to a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process ends at once; mended by starting it again on its data.
    Kill,
    /// The process is stopped where it stands; its connections stay open.
    Pause,
    /// The container is taken off the network.
    Cut,
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::Cut => "cut",
        }
    }
}

/// The containers.
pub(crate) struct Fleet {
    /// What their names begin with; the network's name.
    name: String,
    root: SocketAddr,
}

impl Fleet {
    /// Starts all nodes from the image that `GLEANER_IMAGE` names, and waits until the root serves.
    pub(crate) async fn start(fault: Fault) -> Result<Self> {
        let image = std::env::var("GLEANER_IMAGE");
        let image = image.context("`GLEANER_IMAGE` names no image; see the head of this test")?;
        let run = std::env::var("GLEANER_DRILL");
        let run = run.unwrap_or_else(|_| std::process::id().to_string());
        let mut fleet = Self {
            name: format!("gleaner-drill-{run}-{}", fault.name()),
            root: ([127, 0, 0, 1], 0).into(),
        };
        let label = format!("{LABEL}={run}");
        docker(&["network", "create", "--label", &label, &fleet.name])?;
        fleet.run_etcd(&label)?;
        fleet.run(ROOT, &image, &label)?;
        for leaf in LEAVES {
            fleet.run(leaf, &image, &label)?;
        }
        let published = docker(&["port", &fleet.container(ROOT), "9200/tcp"])?;
        let published = published.lines().next().unwrap_or_default();
        fleet.root = published.parse().context(published.to_owned())?;
        match fleet.ready().await {
            Ok(()) => Ok(fleet),
            Err(error) => Err(error.context(fleet.logs())),
        }
    }

    /// Starts an etcd of one member, without certificates.
    fn run_etcd(&self, label: &str) -> Result<()> {
        let image = std::env::var("GLEANER_ETCD_IMAGE");
        let image = image.context("`GLEANER_ETCD_IMAGE` names no image of etcd")?;
        let container = self.container(ETCD);
        let mut words = vec!["run", "--detach", "--name", &container, "--label", label];
        words.extend([
            "--network",
            &self.name,
            "--network-alias",
            ETCD,
            "--no-healthcheck",
        ]);
        words.extend([&*image, "etcd", "--data-dir", "/var/lib/etcd"]);
        words.extend(["--listen-client-urls", "http://0.0.0.0:2379"]);
        words.extend(["--advertise-client-urls", "http://etcd:2379"]);
        docker(&words)?;
        Ok(())
    }

    fn run(&self, node: &str, image: &str, label: &str) -> Result<()> {
        let container = self.container(node);
        let named = format!("GLEANER_NODE_NAME={node}");
        let mut words = vec!["run", "--detach", "--name", &container, "--label", label];
        words.extend(["--network", &self.name, "--network-alias", node]);
        words.extend(["--env", &named, "--env", "GLEANER_INSECURE=true"]);
        words.extend(["--volume", CLUSTER]);
        let role = if node == ROOT {
            words.extend(["--publish", "127.0.0.1::9200"]);
            "root"
        } else {
            "leaf"
        };
        words.extend([image, role, "--config", "/etc/gleaner/cluster.toml"]);
        words.extend(["--rpc-listen", "0.0.0.0:9300"]);
        docker(&words)?;
        Ok(())
    }

    fn container(&self, node: &str) -> String {
        format!("{}-{node}", self.name)
    }

    /// Does `fault` to a leaf.
    pub(crate) fn strike(&self, fault: Fault, node: &str) -> Result<()> {
        let container = self.container(node);
        block_in_place(|| match fault {
            Fault::Kill => docker(&["kill", &container]),
            Fault::Pause => docker(&["pause", &container]),
            Fault::Cut => docker(&["network", "disconnect", &self.name, &container]),
        })?;
        Ok(())
    }

    /// Takes `fault` from a leaf.
    pub(crate) fn mend(&self, fault: Fault, node: &str) -> Result<()> {
        let container = self.container(node);
        block_in_place(|| match fault {
            Fault::Kill => docker(&["start", &container]),
            Fault::Pause => docker(&["unpause", &container]),
            Fault::Cut => docker(&[
                "network", "connect", "--alias", node, &self.name, &container,
            ]),
        })?;
        Ok(())
    }

    /// Where the root listens.
    pub(crate) fn root(&self) -> SocketAddr {
        self.root
    }

    /// Sends a request to the root.
    pub(crate) async fn send(&self, request: &Request) -> Result<Response> {
        request.send(self.root).await
    }

    /// Waits until every copy of every index serves.
    pub(crate) async fn whole(&self) -> Result<()> {
        let path = format!("/_cluster/health?wait_for_status=green&timeout={WHOLE_WITHIN}");
        let health = self.send(&Request::new("GET", &path)).await?;
        if health.status != 200 {
            let copies = self.send(&Request::new("GET", "/_cat/shards?v")).await?;
            bail!("not whole: {}\n{}", health.shown(), copies.shown());
        }
        Ok(())
    }

    /// Returns the leaves that hold copies of each shard of `index`, by number, the primary first.
    pub(crate) async fn copies(&self, index: &str) -> Result<Vec<Vec<String>>> {
        let path = format!("/_cat/shards/{index}?format=json&h=shard,prirep,node");
        let rows = self.send(&Request::new("GET", &path)).await?.ok()?;
        let mut copies: Vec<Vec<String>> = Vec::new();
        for row in rows.as_array().context("no list")? {
            let text = |name: &str| row[name].as_str().unwrap_or_default();
            let number: usize = text("shard").parse().context(row.to_string())?;
            copies.resize_with(copies.len().max(number + 1), Vec::new);
            let at = if text("prirep") == "p" {
                0
            } else {
                copies[number].len()
            };
            copies[number].insert(at, text("node").to_owned());
        }
        ensure!(!copies.is_empty(), "{index} has no shards: {rows}");
        Ok(copies)
    }

    async fn ready(&self) -> Result<()> {
        let ready = Request::new("GET", "/_health/ready");
        let began = Instant::now();
        while began.elapsed() < READY_WITHIN {
            let answer = self.send(&ready).await;
            if answer.is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            sleep(POLL).await;
        }
        bail!("the root was not ready within {READY_WITHIN:?}")
    }

    /// Returns the end of what each container has printed, for messages.
    pub(crate) fn logs(&self) -> String {
        let of = |node: &str| {
            let container = self.container(node);
            let printed = docker_output(&["logs", "--tail", "15", &container]);
            let printed = printed.map_or_else(
                |error| format!("{error:#}"),
                |output| {
                    let both = [output.stdout, output.stderr].concat();
                    String::from_utf8_lossy(&both).into_owned()
                },
            );
            format!("--- {container}\n{printed}")
        };
        let all = [ETCD, ROOT].into_iter().chain(LEAVES).map(of);
        all.collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for node in [ETCD, ROOT].into_iter().chain(LEAVES) {
            let container = self.container(node);
            // What is not there, or not paused, is no trouble here.
            drop(docker_output(&["unpause", &container]));
            drop(docker_output(&["rm", "--force", "--volumes", &container]));
        }
        drop(docker_output(&["network", "rm", &self.name]));
    }
}

/// Returns the documents of a judged collection as bulk lines.
pub(crate) fn bulk(documents: impl Iterator<Item = (String, Value)>) -> String {
    let lines = documents.map(|(id, source)| {
        let action = serde_json::json!({"index": {"_id": id}});
        format!("{action}\n{source}\n")
    });
    lines.collect()
}

/// Runs Docker; returns what it printed.
pub(crate) fn docker(words: &[&str]) -> Result<String> {
    let output = docker_output(words)?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "docker {words:?}: {told}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs Docker; returns how it ended, whatever that is.
pub(crate) fn docker_output(words: &[&str]) -> Result<std::process::Output> {
    let mut command = Command::new("timeout");
    command.args([DOCKER_WITHIN, "docker"]).args(words);
    command.output().context("cannot start Docker")
}

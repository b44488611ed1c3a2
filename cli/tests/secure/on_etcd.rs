//! A cluster whose state lies in an etcd, as users run it: one command, members that are killed, a restart.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use gleaner_testkit::skipped;
use serde_json::Value;

use crate::running::{Running, curl, gleaner, signal, told};

/// What a test finds of a cluster that runs.
struct Cluster {
    running: Running,
    map: Value,
    ca: PathBuf,
}

impl Cluster {
    /// Starts the cluster in `data`, or starts it again.
    fn up(data: &Path) -> Self {
        let running = Running::start(&[
            "cluster",
            "up",
            "--secure",
            "--leaves",
            "2",
            "--copies",
            "2",
            "--roots",
            "2",
            "--fronts",
            "1",
            "--listen",
            "127.0.0.1:0",
            "--data",
            data.to_str().expect("a path of text"),
        ]);
        running.until("Its processes and shards");
        let map = fs::read_to_string(data.join("processes.json")).expect("the map");
        Self {
            running,
            map: serde_json::from_str(&map).expect("JSON"),
            ca: data.join("ca.pem"),
        }
    }

    /// Returns the processes whose role is `role`.
    fn processes(&self, role: &str) -> Vec<u32> {
        let nodes = self.map["nodes"].as_array().expect("nodes").iter();
        let nodes = nodes.filter(|node| node["role"] == role);
        let pid = |node: &Value| node["pid"].as_u64().and_then(|pid| pid.try_into().ok());
        nodes.map(|node| pid(node).expect("a process")).collect()
    }

    /// Asks, and returns head and body of the answer.
    fn ask(&self, words: &[&str], path: &str) -> String {
        let url = format!("{}{path}", self.map["url"].as_str().expect("a URL"));
        let (code, answer) = curl(&self.ca, &[words, &[&url]].concat());
        assert_eq!(code, 0, "{answer}");
        answer
    }

    fn write(&self, path: &str, document: &str) {
        let answer = self.ask(&["-X", "PUT", "-d", document], path);
        assert!(answer.contains("\"created\""), "{answer}");
    }

    fn finds(&self, index: &str, count: u64) {
        let answer = self.ask(&[], &format!("/{index}/_search?q=tea"));
        let wanted = format!("\"total\":{{\"value\":{count},");
        assert!(answer.contains(&wanted), "{answer}");
    }
}

fn is_alive(process: u32) -> bool {
    Path::new(&format!("/proc/{process}")).exists()
}

#[test]
fn a_cluster_on_etcd_outlives_a_member_and_a_leaf_and_comes_back_with_its_state() -> Result<()> {
    let etcd = Command::new("etcd").arg("--version").output();
    if !etcd.is_ok_and(|version| version.status.success()) {
        return skipped(
            "secure::a_cluster_on_etcd_outlives_a_member_and_a_leaf_and_comes_back_with_its_state",
            "no `etcd` is installed here (`apt-get install etcd-server`)",
        );
    }
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("D");
    let cluster = Cluster::up(&data);
    cluster.write("/notes/_doc/1?refresh=true", "{\"text\": \"green tea\"}");
    cluster.finds("notes", 1);
    let members = cluster.processes("etcd");
    assert_eq!(members.len(), 3, "{}", cluster.map);
    signal(members[0], "-KILL");
    cluster.write(
        "/others/_doc/1?refresh=true",
        "{\"text\": \"black tea\", \"year\": 1999}",
    );
    cluster.finds("others", 1);
    // Each leaf is primary of some of the shards: with one of them gone, all take writes again.
    let health = cluster.ask(&[], "/_cluster/health?wait_for_status=green&timeout=60s");
    assert!(health.contains("\"green\""), "{health}");
    signal(cluster.processes("leaf")[0], "-KILL");
    for id in 2..10 {
        let document = format!("{{\"text\": \"tea number {id}\"}}");
        cluster.write(&format!("/notes/_doc/{id}?refresh=true"), &document);
    }
    cluster.finds("notes", 9);
    assert_eq!(cluster.running.stop(), 0);
    let left: Vec<&u32> = members.iter().filter(|pid| is_alive(**pid)).collect();
    assert!(left.is_empty(), "members of etcd are left: {left:?}");

    let cluster = Cluster::up(&data);
    cluster.finds("notes", 9);
    cluster.finds("others", 1);
    cluster.write("/later/_doc/1?refresh=true", "{\"text\": \"white tea\"}");
    cluster.finds("later", 1);
    assert_eq!(cluster.running.stop(), 0);

    // As a cluster lies there that was begun without one.
    fs::remove_file(data.join("etcd.toml"))?;
    let data = data.to_str().expect("text");
    let (code, said) = told(&gleaner().args(["cluster", "up", "--data", data]).output()?);
    assert!(
        code == 1 && said.contains("was begun without an etcd"),
        "{said}"
    );
    Ok(())
}

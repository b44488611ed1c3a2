//! A cluster whose state lies in an etcd, as users run it: one command, members that are killed, a restart.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::Result;
use gleaner_testkit::{etcd, skipped};
use serde_json::Value;

use crate::companions::until;
use crate::running::{PATIENCE, Running, curl, gleaner, signal, told};
use crate::word;

/// What a test finds of a cluster that runs.
struct Cluster {
    running: Running,
    map: Value,
    ca: PathBuf,
}

impl Cluster {
    /// Starts the cluster in `data` without keys, or starts it again.
    fn up(data: &Path) -> Self {
        Self::up_with(data, &["--no-keys"])
    }

    /// As [`Self::up`], with keys, unless further flags say otherwise.
    fn up_with(data: &Path, flags: &[&str]) -> Self {
        let words = [
            "--secure", "--leaves", "2", "--copies", "2", "--roots", "2", "--fronts", "1",
        ];
        Self::up_by_default(data, &[&words[..], flags].concat())
    }

    /// Starts a cluster as it is without flags, but for `flags`.
    fn up_by_default(data: &Path, flags: &[&str]) -> Self {
        let listen = ["--listen", "127.0.0.1:0", "--data", word(data)];
        let running = Running::start(&[&["cluster", "up"], &listen[..], flags].concat());
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

    /// Writes a new document. While the members of etcd have no leader, nothing is changed, and it is asked again.
    fn write(&self, path: &str, document: &str) {
        assert!(self.is_written(path, document), "its outcome is unknown");
    }

    /// Returns whether a new document was written; `false` where the outcome is unknown.
    fn is_written(&self, path: &str, document: &str) -> bool {
        let until = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask(&["-X", "PUT", "-d", document], path);
            if answer.contains("\"created\"") {
                return true;
            }
            if answer.contains("outcome of the write is unknown") {
                return false;
            }
            let is_without_leader = answer.contains("master_not_discovered_exception");
            assert!(is_without_leader && Instant::now() < until, "{answer}");
        }
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
            etcd::NO_ETCD,
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
    let mut num_unknown = 0;
    for id in 2..10 {
        let (path, document) = (
            format!("/notes/_doc/{id}?refresh=true"),
            format!("{{\"text\": \"tea number {id}\"}}"),
        );
        if !cluster.is_written(&path, &document) {
            num_unknown += 1;
            let answer = cluster.ask(&["-X", "PUT", "-d", &document], &path);
            let is_there = ["created", "updated"].map(|result| answer.contains(result));
            assert!(is_there.contains(&true), "{answer}");
        }
    }
    // The connection to the leaf breaks once: whether that has what was sent over it, nobody may know.
    assert!(
        num_unknown <= 1,
        "{num_unknown} writes have an unknown outcome"
    );
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

/// Accepts the loss of a shard at the command line; returns the exit code and what it says.
fn accept_loss(cluster: &Cluster, shard: u64, flags: &[&str]) -> (i32, String) {
    let url = cluster.map["url"].as_str().expect("a URL");
    let mut command = gleaner();
    command.args(["cluster", "accept-loss", "notes", &shard.to_string()]);
    told(
        &command
            .args(["--url", url])
            .args(flags)
            .output()
            .expect("it runs"),
    )
}

#[test]
fn a_leaf_whose_only_folder_is_lost_begins_empty_by_the_steps_that_are_said() -> Result<()> {
    if !etcd::is_installed() {
        return skipped(
            "secure::a_leaf_whose_only_folder_is_lost_begins_empty_by_the_steps_that_are_said",
            etcd::NO_ETCD,
        );
    }
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("D");
    let cluster = Cluster::up_by_default(&data, &[]);
    for id in 0..20 {
        cluster.write(
            &format!("/notes/_doc/{id}?refresh=true"),
            "{\"text\": \"tea\"}",
        );
    }
    assert_eq!(cluster.running.stop(), 0);
    fs::remove_dir_all(data.join("leaf-1"))?;

    // It is said what to do, and what is left is served.
    let cluster = Cluster::up_by_default(&data, &[]);
    let said = cluster
        .running
        .until("The data folder of `leaf-1` is missing");
    assert!(
        said.contains("leaf-1.toml` to have the leaf start empty"),
        "{said}"
    );
    assert_eq!(cluster.running.stop(), 0);
    fs::remove_file(data.join("leaf-1.toml"))?;

    let cluster = Cluster::up_by_default(&data, &[]);
    let copies = cluster.ask(&[], "/_cat/shards/notes?h=shard,state");
    let lost = copies.lines().filter_map(|line| {
        let (shard, state) = line.trim().split_once(' ')?;
        (state.trim() == "UNASSIGNED").then(|| shard.parse().expect("a number"))
    });
    let lost: Vec<u64> = lost.collect();
    assert!(!lost.is_empty(), "{copies}");
    for shard in lost {
        let (code, said) = accept_loss(&cluster, shard, &["--yes"]);
        assert!(code == 1 && said.contains("`--empty`"), "{said}");
        let (code, said) = accept_loss(&cluster, shard, &["--empty", "--yes"]);
        assert!(code == 0 && said.contains("serves again"), "{said}");
    }
    let health = cluster.ask(&[], "/_cluster/health?wait_for_status=green&timeout=60s");
    assert!(health.contains("\"green\""), "{health}");
    for id in 100..110 {
        cluster.write(
            &format!("/notes/_doc/{id}?refresh=true"),
            "{\"text\": \"milk\"}",
        );
    }
    let left = cluster.ask(&[], "/notes/_count?q=milk");
    assert!(left.contains("\"count\":10,"), "{left}");
    assert_eq!(cluster.running.stop(), 0);
    Ok(())
}

/// Processes that stand still until this is dropped.
struct Paused(Vec<u32>);

impl Paused {
    fn all(processes: Vec<u32>) -> Self {
        for process in &processes {
            signal(*process, "-STOP");
        }
        Self(processes)
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        for process in &self.0 {
            signal(*process, "-CONT");
        }
    }
}

/// Longer than an etcd that is well is silent, and shorter than the patience of tests.
const MAX_AGE: [&str; 2] = ["--security-max-age", "8s"];

/// Starts a second process of `front-1`, which takes keys for [`MAX_AGE`]; returns it and its URL.
fn short_lived_front(cluster: &Cluster, data: &Path) -> (Running, String) {
    let (members, certificate) = (data.join("cluster.toml"), data.join("certs/front-1.pem"));
    let key = certificate.with_extension("key");
    let words = [
        "front",
        "--cluster",
        word(&members),
        "--node-name",
        "front-1",
        "--cert",
        word(&certificate),
        "--key",
        word(&key),
        "--ca",
        word(&cluster.ca),
        "--listen",
        "127.0.0.1:0",
    ];
    let front = Running::start(&[&words[..], &MAX_AGE].concat());
    let url = format!("https://{}", front.address_in("front serving"));
    (front, url)
}

/// Ends `root-1` and starts it again as one that takes keys for [`MAX_AGE`]; returns it and its URL.
fn short_lived_root(cluster: &Cluster, data: &Path) -> (Running, String) {
    let nodes = cluster.map["nodes"].as_array().expect("nodes");
    let mut nodes = nodes.iter();
    let root = nodes.find(|node| node["name"] == "root-1").expect("a root");
    let process = root["pid"].as_u64().and_then(|pid| pid.try_into().ok());
    let process = process.expect("a process");
    signal(process, "-TERM");
    until("the end of the first root", || {
        (!is_alive(process)).then_some(())
    });
    let config = data.join("root-1.toml");
    let words = ["root", "--config", word(&config)];
    let running = Running::start(&[&words[..], &MAX_AGE].concat());
    let address = root["address"].as_str().expect("an address");
    (running, format!("https://{address}"))
}

/// Says that a test is over when it is dropped, be it by a panic: what runs beside the test ends then too.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn nodes_that_hear_nothing_of_the_cluster_state_take_none_of_its_keys() -> Result<()> {
    if !etcd::is_installed() {
        return skipped(
            "secure::nodes_that_hear_nothing_of_the_cluster_state_take_none_of_its_keys",
            etcd::NO_ETCD,
        );
    }
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("D");
    let cluster = Cluster::up_with(&data, &[]);
    let keys = ["root-1", "root-2"].map(|root| data.join(root).join("admin.key"));
    let key = keys.iter().find_map(|key| fs::read_to_string(key).ok());
    let key = key.expect("one of the roots made the first key");
    let as_admin = format!("Authorization: ApiKey {}", key.trim());
    let document = ["-H", &as_admin, "-X", "PUT", "-d", "{\"text\": \"tea\"}"];
    let written = cluster.ask(&document, "/notes/_doc/1?refresh=true");
    assert!(written.contains("\"created\""), "{written}");
    let (front, front_url) = short_lived_front(&cluster, &data);
    let (root, root_url) = short_lived_root(&cluster, &data);
    let ask = |words: &[&str], url: &str| curl(&cluster.ca, &[words, &[url]].concat()).1;
    let search = |url: &str| {
        let url = format!("{url}/notes/_search?q=tea");
        ask(&["-H", &as_admin], &url).to_ascii_lowercase()
    };
    let is_found = |answer: String| answer.contains("\"value\":1,").then_some(());
    let is_kept = || search(&front_url).contains("x-cache: hit").then_some(());
    until("an answer that is kept", is_kept);
    until("an answer of the root", || is_found(search(&root_url)));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _over = Over(&is_over);
        scope.spawn(|| {
            let begun = Instant::now();
            while !is_over.load(Ordering::Relaxed) && begun.elapsed() < PATIENCE * 2 {
                search(&front_url);
            }
        });
        let paused = Paused::all(cluster.processes("etcd"));
        front.until("no kept answer is served by its keys");
        until("a refusal of the key", || {
            let answer = search(&root_url);
            let is_refused = answer.contains("cluster_block_exception");
            is_refused.then(|| assert!(answer.contains("503"), "{answer}"))
        });
        root.until("requests are refused");
        let without_key = ask(&[], &format!("{root_url}/notes/_search"));
        assert!(
            without_key.contains("cluster_block_exception"),
            "{without_key}"
        );
        let probed = ask(&[], &format!("{root_url}/_health/live"));
        assert!(probed.contains("\"live\""), "{probed}");
        drop(paused);
        // What is logged may be of an earlier silence: answers show that this one is over.
        until("an answer that is kept again", is_kept);
        front.until("the cluster state is heard of again");
        until("an answer of the root", || is_found(search(&root_url)));
        root.until("the cluster state is heard of again");
    });
    assert_eq!((front.stop(), root.stop()), (0, 0));
    Ok(())
}

//! What promtool finds on the pages of metrics of each role; that of `gleaner serve` is held against it in
//! `tests/serve/watching.rs`.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;
use gleaner_testkit::{etcd, skipped};
use serde_json::Value;

use crate::companions::{Killed, free_port, get, until};
use crate::running::{Running, told};
use crate::word;

const NO_PROMTOOL: &str = "no `promtool` is installed here: apt-get install prometheus";

/// Exit code of promtool where it could read a page, and a name on it is against its rules.
const AGAINST_RULES: i32 = 3;

fn is_installed() -> bool {
    Command::new("promtool").arg("--version").output().is_ok()
}

/// Has promtool read the metrics at an address; returns its exit code and what it said.
fn check(address: &str) -> (i32, String) {
    let url = format!("http://{address}/metrics");
    let page = until("a page of metrics", || get(&url));
    assert!(page.contains("# TYPE "), "{url}: {page}");
    let mut checking = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut input = checking.stdin.take().expect("it is piped");
    input.write_all(page.as_bytes()).expect("it reads");
    drop(input);
    told(&checking.wait_with_output().expect("it ends"))
}

fn assert_clean(role: &str, address: &str) {
    let (code, said) = check(address);
    assert_eq!(code, 0, "{role}: {said}");
}

/// Starts a command that listens on two free ports, one for its probes.
fn start(words: &[&str]) -> Running {
    let listen = ["--listen", "127.0.0.1:0", "--probe-listen", "127.0.0.1:0"];
    Running::start(&[words, &listen[..]].concat())
}

/// Has promtool read a configuration of Prometheus; returns its exit code and what it said.
fn check_config(file: &Path) -> (i32, String) {
    let checked = Command::new("promtool")
        .args(["check", "config"])
        .arg(file)
        .output();
    told(&checked.expect("it runs"))
}

#[test]
fn promtool_takes_the_configuration_for_operators() -> Result<()> {
    if !is_installed() {
        let test = "secure::promtool_takes_the_configuration_for_operators";
        return skipped(test, NO_PROMTOOL);
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/prometheus.yml");
    let (code, said) = check_config(Path::new(path));
    assert_eq!(code, 0, "{said}");
    // And the job that is to be uncommented.
    let text = fs::read_to_string(path)?;
    let (before, job) = text.split_once("  # - job_name: ").expect("a job");
    let job = job.replace("\n  # ", "\n  ");
    let folder = tempfile::tempdir()?;
    let alerts = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/alerts.yml");
    fs::copy(alerts, folder.path().join("alerts.yml"))?;
    for name in ["ca.pem", "prometheus.key"] {
        fs::write(folder.path().join(name), "")?;
    }
    let file = folder.path().join("prometheus.yml");
    fs::write(&file, format!("{before}  - job_name: {job}"))?;
    let (code, said) = check_config(&file);
    assert_eq!(code, 0, "{said}");
    Ok(())
}

#[test]
fn promtool_finds_nothing_wrong_with_the_metrics_of_a_cluster() -> Result<()> {
    const TEST: &str = "secure::promtool_finds_nothing_wrong_with_the_metrics_of_a_cluster";
    if !is_installed() {
        return skipped(TEST, NO_PROMTOOL);
    }
    if !etcd::is_installed() {
        return skipped(TEST, etcd::NO_ETCD);
    }
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("cluster");
    let up = ["cluster", "up", "--leaves", "1", "--roots", "1", "--listen"];
    let place = ["127.0.0.1:0", "--data", word(&data)];
    let cluster = Running::start(&[&up[..], &place[..]].concat());
    cluster.until("Its processes and shards");
    let map: Value = serde_json::from_slice(&fs::read(data.join("processes.json"))?)?;
    // A histogram is there from its first value on.
    let search = format!("{}/_search", map["url"].as_str().expect("a URL"));
    until("an answer", || get(&search));
    let nodes = map["nodes"].as_array().expect("nodes");
    for role in ["root", "leaf"] {
        let node = nodes.iter().find(|node| node["role"] == role);
        let address = node.and_then(|node| node["http_address"].as_str());
        assert_clean(role, address.expect("an address"));
    }
    assert_eq!(cluster.stop(), 0);
    Ok(())
}

#[test]
fn promtool_finds_nothing_wrong_with_the_metrics_of_fronts_and_companions() -> Result<()> {
    const TEST: &str =
        "secure::promtool_finds_nothing_wrong_with_the_metrics_of_fronts_and_companions";
    if !is_installed() {
        return skipped(TEST, NO_PROMTOOL);
    }
    let port = free_port().to_string();
    let redis = format!("127.0.0.1:{port}");
    let Some(_redis) = Killed::start("redis-server", &["--port", &port, "--save", ""]) else {
        return skipped(TEST, "no `redis-server` is installed here");
    };
    until("redis-server", || TcpStream::connect(&redis).ok());
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let served = Running::start(&["serve", "--listen", "127.0.0.1:0", "--data", word(&data)]);
    let backend = format!("http://{}", served.address());
    let front = start(&["front", "--backend", &backend]);
    let ambassador = start(&["ambassador", "redis", "--server", &redis]);
    let adapter = start(&["adapter", "redis", "--redis", &redis]);
    let through_front = format!("http://{}/", front.address_in("front serving"));
    until("an answer", || get(&through_front));
    for (role, running) in [
        ("front", &front),
        ("ambassador", &ambassador),
        ("adapter", &adapter),
    ] {
        assert_clean(role, &running.address_in("answering probes"));
    }
    // It names what Redis measures as redis_exporter does, whose names are not all by the rules.
    let (code, said) = check(&adapter.address_in("metrics of a Redis server serving"));
    assert!([0, AGAINST_RULES].contains(&code), "{code}: {said}");
    Ok(())
}

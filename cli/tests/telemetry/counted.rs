//! What a front and a leaf of a cluster count of requests and refreshes, on their pages of metrics.

use std::path::Path;

use anyhow::Result;
use gleaner_testkit::{etcd, skipped};
use serde_json::Value;

use crate::running::Running;
use crate::{curl, text, until, url_in};

/// Returns a field of a member in the map of the cluster in `data`.
fn field_of(data: &Path, member: &str, field: &str) -> Result<String> {
    let map: Value = serde_json::from_slice(&std::fs::read(data.join("processes.json"))?)?;
    let mut nodes = map["nodes"].as_array().into_iter().flatten();
    let found = nodes.find(|node| node["name"] == member);
    let value = found.and_then(|node| node[field].as_str());
    Ok(value.expect("it is in the map").to_owned())
}

/// Returns the value of a metric, with its labels, on the page at `address`.
fn value_of(address: &str, metric: &str) -> Option<f64> {
    let page = curl(&[&format!("http://{address}/metrics")]);
    let mut values = page.lines().filter_map(|line| line.strip_prefix(metric));
    values.find_map(|value| value.trim().parse().ok())
}

#[test]
fn counts_of_fronts_and_leaves_are_on_their_pages() -> Result<()> {
    const TEST: &str = "telemetry::counts_of_fronts_and_leaves_are_on_their_pages";
    if !etcd::is_installed() {
        return skipped(TEST, etcd::NO_ETCD);
    }
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("cluster");
    let members = ["--fronts", "1", "--leaves", "2", "--copies", "2"];
    let place = ["--listen", "127.0.0.1:0", "--data", text(&data)];
    let up = [&["cluster", "up"][..], &members[..], &place[..]].concat();
    let cluster = Running::start(&up);
    let url = url_in(&cluster.until("gleaner top"));
    let front = field_of(&data, "front-1", "probe_address")?;

    let waiting = r#"gleaner_front_waiting{class="scan"}"#;
    assert_eq!(value_of(&front, waiting), Some(0.0));
    let writes = r#"gleaner_front_requests_total{class="write",outcome="forwarded"}"#;
    assert_eq!(value_of(&front, writes), Some(0.0));
    let document = format!("{url}/notes/_doc/1?refresh=true");
    let written = curl(&["-X", "PUT", "-d", r#"{"a":"tea"}"#, &document]);
    assert!(written.contains("created"), "{written}");
    assert_eq!(value_of(&front, writes), Some(1.0));

    let hits = r#"gleaner_front_seconds_count{cache="hit",outcome="forwarded"}"#;
    until("an answer that was kept", || {
        let found = curl(&[&format!("{url}/notes/_search?q=tea")]);
        assert!(found.contains("\"hits\""), "{found}");
        value_of(&front, hits)
    });
    until("leases of the front", || {
        value_of(&front, "gleaner_front_leases_held").filter(|held| *held >= 1.0)
    });
    let waited = until("a refresh that waited", || {
        let leaves = ["leaf-1", "leaf-2"].map(|leaf| field_of(&data, leaf, "http_address"));
        let mut leaves = leaves.into_iter().flatten();
        leaves.find_map(|leaf| value_of(&leaf, "gleaner_refresh_waited_seconds_count"))
    });
    assert!(waited >= 1.0, "{waited}");
    assert_eq!(cluster.stop(), 0);
    Ok(())
}

//! What tools read of copies that no node holds, of nodes, and of the limits of disks.

use anyhow::{Context, Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

use super::asking::{answered, asked};

#[tokio::test(flavor = "multi_thread")]
async fn copies_that_no_node_holds_are_in_the_routing_table() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    let settings = json!({"settings": {"number_of_shards": 2, "number_of_replicas": 2}});
    asked(&server, ("PUT", "/books"), &settings).await?;
    let path = "/_cluster/state/routing_table,routing_nodes";
    let state = asked(&server, ("GET", path), &Value::Null).await?;
    for shard in ["0", "1"] {
        let copies = state["routing_table"]["indices"]["books"]["shards"][shard].as_array();
        let copies = copies.with_context(|| state.to_string())?;
        let places: Vec<_> = copies
            .iter()
            .map(|copy| (&copy["state"], copy["node"].is_null(), &copy["primary"]))
            .collect();
        let (started, unassigned) = (json!("STARTED"), json!("UNASSIGNED"));
        let (yes, no) = (json!(true), json!(false));
        let wanted = [
            (&started, false, &yes),
            (&unassigned, true, &no),
            (&unassigned, true, &no),
        ];
        ensure!(places == wanted, "{state}");
    }
    let unassigned = &state["routing_nodes"]["unassigned"];
    ensure!(unassigned.as_array().map(Vec::len) == Some(4), "{state}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn allocation_is_of_the_nodes_that_a_filter_names() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    let all = asked(
        &server,
        ("GET", "/_cat/allocation?format=json"),
        &Value::Null,
    )
    .await?;
    let node = all[0]["node"].as_str().context("a node")?.to_owned();
    let start: String = node.chars().take(3).collect();
    for (filter, num_rows) in [
        ("_local", 1),
        ("_all", 1),
        (&*node, 1),
        (&*format!("{start}*"), 1),
        ("data:true", 1),
        ("none", 0),
    ] {
        let path = format!("/_cat/allocation/{filter}?format=json");
        let rows = asked(&server, ("GET", &path), &Value::Null).await?;
        let rows_of_nodes = rows.as_array().context("rows")?.iter();
        let rows_of_nodes = rows_of_nodes.filter(|row| row["node"] == node.as_str());
        ensure!(rows_of_nodes.count() == num_rows, "{filter}: {rows}");
    }
    let refused = answered(
        &server,
        ("GET", "/_cat/allocation/data:maybe"),
        &Value::Null,
    )
    .await?;
    ensure!(refused.status == 400, "{}", refused.shown());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_disks_are_those_of_the_node() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let start = Start {
        arguments: vec![
            "--high-watermark=0.8".to_owned(),
            "--flood-stage=0.925".to_owned(),
        ],
        ..Start::on(&folder.path().join("data"))
    };
    let server: Server = start.spawn().await?;
    let path = "/_cluster/settings?include_defaults=true&flat_settings=true";
    let settings = asked(&server, ("GET", path), &Value::Null).await?;
    let disk = |name: &str| {
        let key = format!("cluster.routing.allocation.disk.{name}");
        settings["defaults"][key].as_str()
    };
    ensure!(
        disk("watermark.high") == Some("80%")
            && disk("watermark.flood_stage") == Some("92.5%")
            && disk("threshold_enabled") == Some("true"),
        "{settings}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_tells_its_processors() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    let nodes = asked(&server, ("GET", "/_nodes/os"), &Value::Null).await?;
    let nodes = nodes["nodes"].as_object().context("nodes")?;
    let (_, node) = nodes.iter().next().context("a node")?;
    let num = std::thread::available_parallelism()?.get();
    ensure!(node["os"]["available_processors"] == num, "{node}");
    ensure!(node["os"]["version"].is_string(), "{node}");
    Ok(())
}

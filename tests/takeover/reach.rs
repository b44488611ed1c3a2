//! Leaves that are alive and not where others look for them, or that nobody reaches.

use std::fs;
use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use gleaner_machine::ports;
use gleaner_testkit::http::{Request, Response};
use gleaner_testkit::proxy::Fault;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::clients::Clients;
use super::cluster::{Cluster, Copy, LEAVES, PATIENCE, POLL};
use super::links::Links;
use super::{is_without_etcd, started};

/// Returns the address at which a leaf's own file says that it is called.
fn address_of(cluster: &Cluster, leaf: &str) -> Result<SocketAddr> {
    let table: toml::Table = fs::read_to_string(cluster.config(leaf))?.parse()?;
    let nodes = table["cluster"]["nodes"].as_array().context("nodes")?;
    let is_own = |node: &&toml::Value| node["name"].as_str() == Some(leaf);
    let own = nodes.iter().find(is_own).context("its entry")?;
    Ok(own["address"].as_str().context("an address")?.parse()?)
}

/// Writes another address of a leaf into its own file, and no other.
fn readdress(cluster: &Cluster, leaf: &str, from: SocketAddr, to: SocketAddr) -> Result<()> {
    let config = cluster.config(leaf);
    let text = fs::read_to_string(&config)?;
    let moved = text.replace(&format!("\"{from}\""), &format!("\"{to}\""));
    ensure!(moved != text, "its file does not name `{from}`");
    Ok(fs::write(&config, moved)?)
}

/// Asks the leaf itself whether it is ready.
async fn ready(cluster: &Cluster, leaf: &str) -> Result<Response> {
    let table: toml::Table = fs::read_to_string(cluster.config(leaf))?.parse()?;
    let listen: SocketAddr = table["listen"]
        .as_str()
        .context("where it listens")?
        .parse()?;
    Request::new("GET", "/_health/ready").send(listen).await
}

/// Waits until a leaf says of itself what `is_wanted`.
async fn until_ready(
    cluster: &Cluster,
    leaf: &str,
    is_wanted: impl Fn(&Response) -> bool,
) -> Result<()> {
    let began = Instant::now();
    loop {
        let answer = ready(cluster, leaf).await?;
        if is_wanted(&answer) {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "{}", answer.shown());
        sleep(POLL).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaf_that_moves_to_another_port_is_reached_there() -> Result<()> {
    if is_without_etcd("a_leaf_that_moves_to_another_port_is_reached_there")? {
        return Ok(());
    }
    let mut cluster = started(3).await?;
    let clients = Clients::start(cluster.root());
    clients.until_acknowledged(100).await?;
    let leaf = cluster.holder(0, Copy::Primary).await?;
    cluster.stop(&leaf).await?;
    let (from, to) = (address_of(&cluster, &leaf)?, ports::held()?.local_addr()?);
    readdress(&cluster, &leaf, from, to)?;
    cluster.start_again(&leaf)?;
    cluster.until_green().await?;
    // The others stop, so that it has to lead: writes reach it.
    for other in LEAVES.into_iter().filter(|other| *other != leaf) {
        cluster.stop(other).await?;
        clients.until_all_acknowledge().await?;
        cluster.start_again(other)?;
        cluster.until_green().await?;
    }
    let rows = Request::new("GET", "/_cat/nodes?h=name,ip,port&format=json");
    let rows = cluster.send(&rows).await?.ok()?;
    ensure!(rows.to_string().contains(&leaf), "{rows}");
    clients.end(&cluster).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaf_that_nobody_reaches_is_taken_over_from_and_comes_back() -> Result<()> {
    if is_without_etcd("a_leaf_that_nobody_reaches_is_taken_over_from_and_comes_back")? {
        return Ok(());
    }
    let mut cluster = started(2).await?;
    let links = Links::lay(&mut cluster).await?;
    let clients = Clients::start(cluster.root());
    clients.until_acknowledged(100).await?;

    // It goes on to renew its lease, and reaches the others.
    let lost = cluster.holder(0, Copy::Primary).await?;
    links.set(Fault::Stall, |_, to| to == lost);
    let ids: Vec<String> = (0..40).map(|n| format!("{n}")).collect();
    let refused = async {
        for id in ids.iter().cycle() {
            let get = Request::new("GET", &format!("/things/_doc/{id}"));
            let answer = cluster.send(&get).await?;
            if answer.status == 503 {
                return Ok::<_, anyhow::Error>(answer);
            }
        }
        unreachable!("it goes on for ever")
    };
    // Before others take over: a read of its shards does not wait for that.
    let refused = refused.await?;
    ensure!(refused.shown().contains(&lost), "{}", refused.shown());

    cluster.until_primary_is_not(0, &lost).await?;
    clients.until_all_acknowledge().await?;
    until_ready(&cluster, &lost, |answer| {
        answer.status == 503 && answer.shown().contains("cannot reach this leaf")
    })
    .await?;
    // It does not come back while it is not reached.
    clients.until_all_acknowledge().await?;
    let health = cluster
        .send(&Request::new("GET", "/_cluster/health"))
        .await?
        .ok()?;
    ensure!(health["status"] != json!("green"), "{health}");

    links.set(Fault::None, |_, to| to == lost);
    cluster.until_green().await?;
    until_ready(&cluster, &lost, |answer| answer.status == 200).await?;
    clients.until_all_acknowledge().await?;
    clients.end(&cluster).await
}

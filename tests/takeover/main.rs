//! Copies that agree, as processes with a real etcd: whichever leaf is lost, writes go on, and nothing that was
//! acknowledged is.
//!
//! Clients write documents under ids of their own, each once. Meanwhile leaves are killed, started again and stopped in
//! their tracks. What was acknowledged is there afterwards, once; what was refused is not; what nobody knew of may be.

mod clients;
mod cluster;
mod disk;
mod etcd;
mod etcd_health;
mod faults;
mod links;
mod losses;
mod reach;
mod registers;
mod restored;
mod service;
mod walk;

use std::process::Command;
use std::sync::atomic::Ordering;

use anyhow::{Result, ensure};
use gleaner_datasets::Random;
use gleaner_testkit::etcd::NO_ETCD;
use gleaner_testkit::http::Request;
use gleaner_testkit::namespaces::Namespaces;
use gleaner_testkit::{run, skipped};
use serde_json::json;

use clients::{Clients, Load};
use cluster::{Cluster, Copy};
use disk::{can_trace, is_without_strace};
use faults::{Bag, Fault, LOSSES, SICK_DISKS};
use links::Links;
use registers::Registers;
use walk::{Noted, Walk};

/// Faults of a walk through proxies: reduced, and in full.
const NUM_FAULTS: (usize, usize) = (7, 300);

/// Faults of a walk with a network of its own for each process.
const NUM_REAL_FAULTS: (usize, usize) = (6, 308);

/// Faults of a walk with sick disks.
const NUM_SICK_DISKS: (usize, usize) = (4, 60);

/// Returns whether there is no etcd to run, which is told then.
fn is_without_etcd(test: &str) -> Result<bool> {
    let etcd = Command::new("etcd").arg("--version").output();
    let is_without = !etcd.is_ok_and(|version| version.status.success());
    if is_without {
        skipped(&format!("takeover::{test}"), NO_ETCD)?;
    }
    Ok(is_without)
}

async fn started(num_shards: u32) -> Result<Cluster> {
    with_index(Cluster::start().await?, num_shards).await
}

async fn with_index(cluster: Cluster, num_shards: u32) -> Result<Cluster> {
    let settings = json!({"number_of_shards": num_shards, "number_of_replicas": 1});
    let create = Request::json("PUT", "/things", &json!({"settings": settings}));
    cluster.send(&create).await?.ok()?;
    cluster.until_green().await?;
    Ok(cluster)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_takes_writes_again_when_the_leaf_of_its_primary_is_killed() -> Result<()> {
    if is_without_etcd("a_shard_takes_writes_again_when_the_leaf_of_its_primary_is_killed")? {
        return Ok(());
    }
    let mut cluster = started(2).await?;
    let clients = Clients::start(cluster.root());
    clients.until_acknowledged(100).await?;

    let lost = cluster.holder(0, Copy::Primary).await?;
    cluster.kill(&lost).await?;
    clients.until_all_acknowledge().await?;
    let heir = cluster.holder(0, Copy::Primary).await?;
    ensure!(heir != lost, "`{heir}` is dead");

    // It comes back with what nobody else has, and follows.
    cluster.start_again(&lost)?;
    cluster.until_green().await?;
    let still = cluster.holder(0, Copy::Primary).await?;
    ensure!(still == heir, "`{lost}` follows `{heir}`, not `{still}`");

    // It is in sync: it takes over in turn.
    cluster.kill(&heir).await?;
    clients.until_all_acknowledge().await?;
    cluster.start_again(&heir)?;
    cluster.until_green().await?;
    clients.end(&cluster).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_is_killed_and_a_primary_that_stands_still_lose_nothing() -> Result<()> {
    if is_without_etcd("a_follower_that_is_killed_and_a_primary_that_stands_still_lose_nothing")? {
        return Ok(());
    }
    let mut cluster = started(1).await?;
    let clients = Clients::start(cluster.root());
    clients.until_acknowledged(100).await?;

    let follower = cluster.holder(0, Copy::Replica).await?;
    cluster.kill(&follower).await?;
    clients.until_all_acknowledge().await?;
    cluster.start_again(&follower)?;
    cluster.until_green().await?;

    // It believes to be primary when it goes on, and has what no other copy confirmed.
    let still = cluster.holder(0, Copy::Primary).await?;
    cluster.signal(&still, "-STOP")?;
    cluster.until_primary_is_not(0, &still).await?;
    clients.until_all_acknowledge().await?;
    cluster.signal(&still, "-CONT")?;
    cluster.until_green().await?;
    clients.until_all_acknowledge().await?;
    clients.end(&cluster).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaf_that_stops_in_order_hands_its_shards_over() -> Result<()> {
    if is_without_etcd("a_leaf_that_stops_in_order_hands_its_shards_over")? {
        return Ok(());
    }
    let mut cluster = started(2).await?;
    let clients = Clients::start(cluster.root());
    clients.until_acknowledged(100).await?;
    for _ in 0..2 {
        let stopped = cluster.holder(0, Copy::Primary).await?;
        cluster.stop(&stopped).await?;
        clients.until_all_acknowledge().await?;
        cluster.start_again(&stopped)?;
        cluster.until_green().await?;
    }
    clients.check_certain()?;
    clients.end(&cluster).await
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_leaves_lose_nothing_and_serve_nothing_old() -> Result<()> {
    if is_without_etcd("failing_leaves_lose_nothing_and_serve_nothing_old")? {
        return Ok(());
    }
    let mut cluster = started(4).await?;
    let links = Links::lay(&mut cluster).await?;
    walk(
        Faults {
            tier: "faults",
            kinds: &LOSSES,
            links: Some(&links),
            num: run::sized(NUM_FAULTS.0, NUM_FAULTS.1),
            load: Load::Single,
        },
        cluster,
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_that_fail_are_cut_off_or_forget_lose_nothing() -> Result<()> {
    let test = "leaves_that_fail_are_cut_off_or_forget_lose_nothing";
    if is_without_etcd(test)? {
        return Ok(());
    }
    if let Some(obstacle) = Namespaces::obstacle() {
        return skipped(&format!("takeover::{test}"), &obstacle);
    }
    walk(
        Faults {
            tier: "real_faults",
            kinds: &faults::all(can_trace()),
            links: None,
            num: run::sized(NUM_REAL_FAULTS.0, NUM_REAL_FAULTS.1),
            load: Load::WithBulks,
        },
        with_index(Cluster::start_apart().await?, 4).await?,
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_disks_lose_nothing_and_hold_nothing_up() -> Result<()> {
    let test = "failing_disks_lose_nothing_and_hold_nothing_up";
    if is_without_etcd(test)? || is_without_strace(test)? {
        return Ok(());
    }
    walk(
        Faults {
            tier: "disks",
            kinds: &SICK_DISKS,
            links: None,
            num: run::sized(NUM_SICK_DISKS.0, NUM_SICK_DISKS.1),
            load: Load::Single,
        },
        started(4).await?,
    )
    .await
}

/// What is done to a cluster.
struct Faults<'a> {
    /// Names the report.
    tier: &'static str,
    kinds: &'a [Fault],
    links: Option<&'a Links>,
    num: usize,
    load: Load,
}

/// Walks through faults while clients write, read and search. What was acknowledged is there afterwards, once, and no answer was
/// old.
async fn walk(faults: Faults<'_>, mut cluster: Cluster) -> Result<()> {
    let mut random = Random::new(run::seed());
    let registers = Registers::start(&cluster).await?;
    let clients = Clients::start_with(cluster.root(), faults.load);
    clients.until_acknowledged(100).await?;
    let walk = Walk {
        cluster: &mut cluster,
        links: faults.links,
        clients: &clients,
        random: &mut random,
        bag: Bag::of(faults.kinds),
        noted: Noted::default(),
    };
    let figures = match walk.go(faults.num).await {
        Ok(figures) => figures,
        Err(error) => return Err(cluster.keep_with(error).await),
    };
    let readings = registers.end().await?;
    let (acknowledged, unknown) = (clients.num_acknowledged(), clients.num_unknown());
    // It fails where something that was acknowledged is lost or there twice.
    clients.end(&cluster).await?;
    let reads = readings.reads.load(Ordering::Relaxed);
    let searches = readings.searches.load(Ordering::Relaxed);
    ensure!(
        reads > 0 && searches > 0,
        "[{reads}] reads and [{searches}] unflagged searches prove nothing"
    );
    run::report(
        faults.tier,
        &json!({
            "faults": faults.num,
            "walk": figures,
            "acknowledged": acknowledged,
            "outcome_unknown": unknown,
            "reads": reads,
            "unflagged_searches": searches,
        }),
    )
}

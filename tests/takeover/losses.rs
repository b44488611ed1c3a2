//! A shard that has lost what was acknowledged serves again where an operator accepts that, and what returns later never
//! mixes with what has begun.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use gleaner_testkit::http::Request;
use gleaner_testkit::server::binary;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::cluster::{Cluster, Copy, PATIENCE, POLL};
use super::{is_without_etcd, started};

/// A cluster one of whose leaves is gone with what only it had.
struct Loss {
    cluster: Cluster,
    /// The leaf that is gone: it alone was in sync.
    lost: String,
    /// The leaf that lacks what was acknowledged last.
    stale: String,
}

impl Loss {
    /// Writes 20 documents to both copies, ten more to one of them, and takes that one away.
    async fn happened() -> Result<Self> {
        let mut cluster = started(1).await?;
        write(&cluster, 0..20).await?;
        let lost = cluster.holder(0, Copy::Primary).await?;
        let stale = cluster.holder(0, Copy::Replica).await?;
        cluster.kill(&stale).await?;
        write(&cluster, 20..30).await?;
        until(&cluster, &lost, |copy| {
            copy["mark"]["position"] == copy["holds"]["next"] && copy["in_sync"] == true
        })
        .await?;
        cluster.kill(&lost).await?;
        cluster.start_again(&stale)?;
        until(&cluster, &stale, |copy| {
            copy["alive"] == true && copy["holds"].is_object()
        })
        .await?;
        until(&cluster, &lost, |copy| copy["alive"] == false).await?;
        Ok(Self {
            cluster,
            lost,
            stale,
        })
    }

    /// Accepts the loss at the command line; returns what it says.
    async fn accept(&self, further: &[&str]) -> Result<(bool, String)> {
        let mut command = Command::new(binary()?);
        command
            .args(["cluster", "accept-loss", "things", "0", "--url"])
            .arg(format!("http://{}", self.cluster.root()))
            .args(further)
            .stdin(Stdio::null());
        let ended = tokio::task::spawn_blocking(move || command.output()).await??;
        let texts =
            [ended.stdout, ended.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        Ok((ended.status.success(), texts.concat()))
    }

    /// The leaf that was lost returns with its old folder, is made anew, and leads later what is left.
    async fn returns(mut self, num_documents: u64) -> Result<()> {
        self.cluster.start_again(&self.lost)?;
        self.cluster.until_green().await?;
        count(&self.cluster, num_documents).await?;
        self.cluster.stop(&self.stale).await?;
        self.cluster.until_primary_is_not(0, &self.stale).await?;
        count(&self.cluster, num_documents).await
    }
}

async fn write(cluster: &Cluster, numbers: std::ops::Range<u64>) -> Result<()> {
    for number in numbers {
        let document = json!({"number": number});
        let put = Request::json("PUT", &format!("/things/_doc/{number}"), &document);
        cluster.send(&put).await?.ok()?;
    }
    cluster.until_refreshed().await
}

async fn count(cluster: &Cluster, expected: u64) -> Result<()> {
    cluster.until_refreshed().await?;
    let began = Instant::now();
    loop {
        let counted = cluster
            .send(&Request::new("GET", "/things/_count"))
            .await?
            .ok()?;
        if counted["count"] == expected && counted["_shards"]["failed"] == 0 {
            return Ok(());
        }
        ensure!(
            began.elapsed() < PATIENCE,
            "not {expected} documents: {counted}"
        );
        sleep(POLL).await;
    }
}

/// Waits until a leaf's copy is as it should be.
async fn until(cluster: &Cluster, leaf: &str, is_so: impl Fn(&Value) -> bool) -> Result<()> {
    let asked = json!({"index": "things", "shard": 0, "primary": true});
    let explain = Request::json("POST", "/_cluster/allocation/explain", &asked);
    let began = Instant::now();
    loop {
        let told = cluster.send(&explain).await?.ok()?;
        let copies = told["copies"].as_array().context("copies")?;
        if copies
            .iter()
            .any(|copy| copy["node"] == leaf && is_so(copy))
        {
            return Ok(());
        }
        ensure!(
            began.elapsed() < PATIENCE,
            "the copy on `{leaf}` stays: {told}"
        );
        sleep(POLL).await;
    }
}

fn forced(command: &str, node: &str) -> Value {
    let fields = json!({"index": "things", "shard": 0, "node": node, "accept_data_loss": true});
    json!({"commands": [{command: fields}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_a_shard_serves_when_the_loss_is_accepted_and_the_rest_never_returns()
-> Result<()> {
    if is_without_etcd(
        "what_is_left_of_a_shard_serves_when_the_loss_is_accepted_and_the_rest_never_returns",
    )? {
        return Ok(());
    }
    let loss = Loss::happened().await?;
    let (is_done, told) = loss.accept(&[]).await?;
    ensure!(!is_done && told.contains("--yes"), "{told}");

    let dry = Request::json(
        "POST",
        "/_cluster/reroute?dry_run=true&explain=true",
        &forced("allocate_stale_primary", &loss.stale),
    );
    let explained = loss.cluster.send(&dry).await?.ok()?;
    let lost = explained["explanations"][0]["decisions"][0]["explanation"].to_string();
    ensure!(lost.contains("in all, acknowledged until"), "{explained}");
    let other = Request::json(
        "POST",
        "/_cluster/reroute",
        &forced("allocate_stale_primary", &loss.lost),
    );
    let refused = loss.cluster.send(&other).await?.shown();
    ensure!(refused.contains("is not alive"), "{refused}");

    let (is_done, told) = loss.accept(&["--yes"]).await?;
    ensure!(is_done && told.contains("serves again"), "{told}");
    ensure!(told.contains("in all, acknowledged until"), "{told}");
    count(&loss.cluster, 20).await?;
    let again = Request::json(
        "POST",
        "/_cluster/reroute",
        &forced("allocate_stale_primary", &loss.stale),
    );
    let refused = loss.cluster.send(&again).await?.shown();
    ensure!(refused.contains("is not lost"), "{refused}");
    write(&loss.cluster, 100..105).await?;
    loss.returns(25).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_begins_again_empty_when_that_is_accepted() -> Result<()> {
    if is_without_etcd("a_shard_begins_again_empty_when_that_is_accepted")? {
        return Ok(());
    }
    let loss = Loss::happened().await?;
    let (is_done, told) = loss
        .accept(&["--empty", "--yes", "--node", &loss.stale])
        .await?;
    ensure!(is_done && told.contains("serves again"), "{told}");
    count(&loss.cluster, 0).await?;
    write(&loss.cluster, 200..203).await?;
    loss.returns(3).await
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_that_come_back_with_empty_folders_begin_again_when_that_is_accepted() -> Result<()>
{
    if is_without_etcd(
        "leaves_that_come_back_with_empty_folders_begin_again_when_that_is_accepted",
    )? {
        return Ok(());
    }
    let mut cluster = started(1).await?;
    write(&cluster, 0..20).await?;
    let lost = cluster.holder(0, Copy::Primary).await?;
    let other = cluster.holder(0, Copy::Replica).await?;
    for leaf in [&lost, &other] {
        cluster.kill(leaf).await?;
        fs::remove_dir_all(cluster.data().join(leaf))?;
    }
    for leaf in [&lost, &other] {
        // While its lease lasts nobody else may have its name.
        until(&cluster, leaf, |copy| copy["alive"] == false).await?;
        cluster.start_again(leaf)?;
        // They are other nodes than those that the shard knows.
        until(&cluster, leaf, |copy| {
            copy["alive"] == true && copy["allocation_id"].is_null() && copy["reason"].is_null()
        })
        .await?;
    }
    let loss = Loss {
        cluster,
        lost,
        stale: other,
    };
    let (is_done, told) = loss.accept(&["--yes"]).await?;
    ensure!(!is_done && told.contains("`--empty`"), "{told}");
    let stale = Request::json(
        "POST",
        "/_cluster/reroute",
        &forced("allocate_stale_primary", &loss.lost),
    );
    let refused = loss.cluster.send(&stale).await?.shown();
    ensure!(refused.contains("No data for shard"), "{refused}");
    let (is_done, told) = loss.accept(&["--empty", "--yes"]).await?;
    ensure!(is_done && told.contains("serves again"), "{told}");
    count(&loss.cluster, 0).await?;
    write(&loss.cluster, 300..304).await?;
    loss.cluster.until_green().await?;
    count(&loss.cluster, 4).await
}

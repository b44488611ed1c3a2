//! What a cluster tells while its etcd has no majority or is full, and that one member which stands still holds little up.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use gleaner_testkit::http::{Request, Response};
use gleaner_testkit::server::binary;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::cluster::{Cluster, PATIENCE, POLL};
use super::etcd::{call, members};
use super::{is_without_etcd, started};

/// The quota of an etcd that is to be full, bytes.
const QUOTA: u64 = 2 << 20;

/// Exit code of `gleaner cluster status` for yellow.
const YELLOW: i32 = 3;

/// A document with a field that no other has.
fn with_new_field(number: u32) -> Request {
    let document = json!({format!("field_{number}"): number});
    let path = format!("/things/_doc/new-{number}?timeout=5s");
    Request::json("PUT", &path, &document)
}

fn swap(from: &str, to: &str) -> Request {
    let actions = json!({"actions": [
        {"remove": {"index": "things", "alias": from, "must_exist": false}},
        {"add": {"index": "things", "alias": to}},
    ]});
    Request::json("POST", "/_aliases", &actions)
}

async fn health(cluster: &Cluster) -> Result<Value> {
    let ask = Request::new("GET", "/_cluster/health");
    cluster.send(&ask).await?.ok()
}

/// Waits until the health is yellow with a reason that holds `words`.
async fn until_told(cluster: &Cluster, words: &str) -> Result<()> {
    let began = Instant::now();
    loop {
        let health = health(cluster).await?;
        let reasons = health["reasons"].to_string();
        if health["status"] == "yellow" && reasons.contains(words) {
            return Ok(());
        }
        ensure!(
            began.elapsed() < PATIENCE,
            "`{words}` is not told: {health}"
        );
        sleep(POLL).await;
    }
}

/// Sends a request again until its answer is good.
async fn until_good(cluster: &Cluster, request: &Request) -> Result<()> {
    let began = Instant::now();
    loop {
        let answer = cluster.send(request).await?;
        if answer.status < 300 {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "{}", answer.shown());
        sleep(POLL).await;
    }
}

#[track_caller]
fn check_refused(answer: &Response, words: &str) -> Result<()> {
    let shown = answer.shown();
    ensure!(answer.status == 503 && shown.contains(words), "{shown}");
    Ok(())
}

/// Checks that all places tell of an etcd that takes no changes, and that searches go on.
async fn check_told(cluster: &Cluster, words: &str) -> Result<()> {
    let ask = Request::new("GET", "/_health_report/master_is_stable");
    let report = cluster.send(&ask).await?.ok()?;
    let indicator = &report["indicators"]["master_is_stable"];
    ensure!(
        indicator["status"] == "yellow" && report["status"] == "yellow",
        "{report}"
    );
    let cause = indicator["diagnosis"][0]["cause"].as_str();
    ensure!(cause.is_some_and(|cause| cause.contains(words)), "{report}");
    let ready = cluster.send(&Request::new("GET", "/_health/ready")).await?;
    let told = ready.shown();
    ensure!(
        ready.status == 200 && told.contains(words),
        "a root that searches is ready: {told}"
    );
    let found = cluster
        .send(&Request::new("GET", "/things/_search"))
        .await?
        .ok()?;
    ensure!(found["_shards"]["failed"] == 0, "{found}");
    let url = format!("http://{}", cluster.root());
    let status = tokio::task::spawn_blocking(move || {
        let mut command = Command::new(binary()?);
        let status = command
            .args(["cluster", "status", "--url", &url])
            .output()?;
        anyhow::Ok(status)
    });
    let status = status.await??;
    let text = String::from_utf8_lossy(&status.stdout);
    ensure!(
        status.status.code() == Some(YELLOW) && text.contains(words),
        "{text}"
    );
    Ok(())
}

async fn metric(cluster: &Cluster, name: &str) -> Result<f64> {
    let page = cluster.send(&Request::new("GET", "/metrics")).await?;
    let page = String::from_utf8_lossy(&page.body).into_owned();
    let line = page.lines().find_map(|line| line.strip_prefix(name));
    let value = line.with_context(|| format!("`{name}` is not there"))?;
    Ok(value.trim().parse()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_without_a_majority_is_told_in_all_places() -> Result<()> {
    if is_without_etcd("an_etcd_without_a_majority_is_told_in_all_places")? {
        return Ok(());
    }
    let cluster = started(1).await?;
    ensure!(
        metric(&cluster, "gleaner_etcd_connected ").await? == 1.0,
        "it is"
    );
    // What is refused may be made all the same, once the members go on: each round asks for other changes.
    for (round, still) in (1..).zip([["etcd-1", "etcd-2"], ["etcd-2", "etcd-3"]]) {
        for member in still {
            cluster.signal(member, "-STOP")?;
        }
        let lost = "etcd has no majority (1 of 3 members answers)";
        until_told(&cluster, lost).await?;
        check_told(&cluster, lost).await?;
        ensure!(
            metric(&cluster, "gleaner_etcd_connected ").await? == 0.0,
            "it is not"
        );
        let creation = Request::new("PUT", &format!("/others-{round}"));
        check_refused(&cluster.send(&creation).await?, lost)?;
        let written = cluster.send(&with_new_field(round)).await?;
        check_refused(&written, "")?;
        ensure!(
            !written.shown().contains("is recovering"),
            "{}",
            written.shown()
        );
        for member in still {
            cluster.signal(member, "-CONT")?;
        }
        cluster.until_green().await?;
    }
    until_good(&cluster, &with_new_field(3)).await?;
    ensure!(
        metric(&cluster, "gleaner_etcd_connected ").await? == 1.0,
        "it is again"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_is_swapped_while_a_member_of_etcd_stands_still() -> Result<()> {
    if is_without_etcd("an_alias_is_swapped_while_a_member_of_etcd_stands_still")? {
        return Ok(());
    }
    let cluster = started(1).await?;
    // Whichever the root uses, and whichever leads, is among them.
    for number in 1..=3 {
        let member = format!("etcd-{number}");
        cluster.signal(&member, "-STOP")?;
        for (from, to) in [("now", "then"), ("then", "now")] {
            let began = Instant::now();
            cluster.send(&swap(from, to)).await?.ok()?;
            eprintln!("{member} stands still: swapped after {:?}", began.elapsed());
        }
        cluster.signal(&member, "-CONT")?;
    }
    Ok(())
}

/// Starts all members again with a small quota, and fills them.
async fn fill_up(cluster: &mut Cluster) -> Result<Vec<SocketAddr>> {
    let found = members(cluster)?;
    for (name, _) in &found {
        let mut command = cluster.command_of(name)?;
        command.retain(|word| !word.starts_with("--quota-backend-bytes="));
        command.push(format!("--quota-backend-bytes={QUOTA}"));
        // The last one that `cluster up` has started must live, as that ends without any.
        if !cluster.is_last_etcd(name) {
            cluster.kill(name).await?;
            cluster.start_as_before(name, &command)?;
            until_good(cluster, &swap("small", "small")).await?;
        }
    }
    let addresses: Vec<SocketAddr> = found.into_iter().map(|(_, address)| address).collect();
    // In the coding of JSON for bytes: `eHh4` are three of them.
    let filler = json!({"key": "eHh4", "value": "eHh4".repeat(16 << 10)});
    let began = Instant::now();
    while call(addresses[0], "kv/put", &filler).await.is_ok() {
        ensure!(began.elapsed() < PATIENCE, "it is not full");
    }
    Ok(addresses)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_is_full_is_told_in_all_places_until_a_person_makes_room() -> Result<()> {
    if is_without_etcd("an_etcd_that_is_full_is_told_in_all_places_until_a_person_makes_room")? {
        return Ok(());
    }
    let mut cluster = started(1).await?;
    let addresses = fill_up(&mut cluster).await?;
    let full = "etcd is out of its quota";
    until_told(&cluster, full).await?;
    check_told(&cluster, full).await?;
    check_refused(&cluster.send(&Request::new("PUT", "/others")).await?, full)?;
    check_refused(&cluster.send(&with_new_field(1)).await?, full)?;

    let status = call(addresses[0], "maintenance/status", &json!({})).await?;
    let revision = &status["header"]["revision"];
    let compaction = json!({"revision": revision, "physical": true});
    call(addresses[0], "kv/compaction", &compaction).await?;
    for address in &addresses {
        call(*address, "maintenance/defragment", &json!({})).await?;
    }
    let alarms = call(addresses[0], "maintenance/alarm", &json!({})).await?;
    for alarm in alarms["alarms"].as_array().context("alarms")? {
        let mut ending = alarm.clone();
        ending["action"] = "DEACTIVATE".into();
        call(addresses[0], "maintenance/alarm", &ending).await?;
    }
    cluster.until_green().await?;
    until_good(&cluster, &Request::new("PUT", "/others")).await?;
    until_good(&cluster, &with_new_field(2)).await
}

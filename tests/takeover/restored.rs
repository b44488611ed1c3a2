//! An etcd goes back to a snapshot from before writes, fail-overs and a new index: nothing that leaves hold is lost.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use gleaner_testkit::http::Request;
use gleaner_testkit::processes::Processes;
use gleaner_testkit::server::binary;
use gleaner_testkit::skipped;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::cluster::{LEAVES, PATIENCE, POLL};
use super::is_without_etcd;

/// Why the test is skipped.
const NO_ETCDCTL: &str = "no `etcdctl` is installed here (`apt-get install etcd-client`)";

async fn write(processes: &Processes, index: &str, numbers: std::ops::Range<u64>) -> Result<()> {
    for number in numbers {
        let path = format!("/{index}/_doc/{number}?timeout=60s");
        let put = Request::json("PUT", &path, &json!({"number": number}));
        processes.send(&put).await?.ok()?;
    }
    Ok(())
}

async fn until_green(processes: &Processes) -> Result<()> {
    let health = Request::new("GET", "/_cluster/health");
    let green = processes.until(&health, |answer| {
        answer.status == 200 && answer.shown().contains("\"status\":\"green\"")
    });
    green.await.map(drop)
}

async fn count(processes: &Processes, index: &str, expected: u64) -> Result<()> {
    let refresh = Request::new("POST", &format!("/{index}/_refresh"));
    processes.send(&refresh).await?.ok()?;
    let counted = processes
        .send(&Request::new("GET", &format!("/{index}/_count")))
        .await?;
    let counted = counted.ok()?;
    ensure!(counted["count"] == expected, "{index}: {counted}");
    Ok(())
}

async fn primary(processes: &Processes) -> Result<String> {
    let rows = Request::new("GET", "/_cat/shards/things?format=json");
    let rows: Value = processes.send(&rows).await?.ok()?;
    let mut rows = rows.as_array().context("rows")?.iter();
    let row = rows.find(|row| row["prirep"] == "p").context("a primary")?;
    Ok(row["node"].as_str().context("its node")?.to_owned())
}

/// Runs `gleaner cluster recover`; returns whether it did what it says.
async fn recover(root: SocketAddr, further: &'static [&str]) -> Result<(bool, String)> {
    let mut command = Command::new(binary()?);
    command
        .args(["cluster", "recover", "--url", &format!("http://{root}")])
        .args(further)
        .stdin(Stdio::null());
    let ended = tokio::task::spawn_blocking(move || command.output()).await??;
    let texts = [ended.stdout, ended.stderr];
    let texts = texts.map(|text| String::from_utf8_lossy(&text).into_owned());
    Ok((ended.status.success(), texts.concat()))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_restored_from_an_older_backup_gets_back_what_nodes_hold() -> Result<()> {
    let test = "an_etcd_restored_from_an_older_backup_gets_back_what_nodes_hold";
    if is_without_etcd(test)? {
        return Ok(());
    }
    if Command::new("etcdctl").arg("version").output().is_err() {
        return skipped(&format!("takeover::{test}"), NO_ETCDCTL);
    }
    let mut processes = Processes::start(3).await?;
    let settings = json!({"settings": {"number_of_shards": 1, "number_of_replicas": 1}});
    processes
        .send(&Request::json("PUT", "/things", &settings))
        .await?
        .ok()?;
    until_green(&processes).await?;
    write(&processes, "things", 0..10).await?;
    processes.etcd_mut().save_snapshot()?;

    // What the backup knows nothing of: another primary, its writes, an index.
    let before = primary(&processes).await?;
    processes.kill(&before)?;
    write(&processes, "things", 10..20).await?;
    processes.start_again(&before).await?;
    until_green(&processes).await?;
    processes
        .send(&Request::json("PUT", "/late", &settings))
        .await?
        .ok()?;
    write(&processes, "late", 0..3).await?;
    until_green(&processes).await?;

    for leaf in LEAVES {
        processes.kill(leaf)?;
    }
    processes.etcd_mut().restore_snapshot()?;
    for leaf in LEAVES {
        processes.spawn_again(leaf)?;
    }
    let (root, began) = (processes.root(), Instant::now());
    loop {
        let (_, told) = recover(root, &[]).await?;
        // All have told, and there is nobody to ask.
        if told.contains("--yes") && !told.contains("does not tell") {
            ensure!(told.contains("indices that differ: late"), "{told}");
            ensure!(told.contains("[things][0]: version"), "{told}");
            break;
        }
        ensure!(began.elapsed() < PATIENCE, "leaves do not tell: {told}");
        sleep(POLL).await;
    }
    let (is_done, told) = recover(root, &["--yes"]).await?;
    ensure!(is_done, "{told}");
    until_green(&processes).await?;
    count(&processes, "things", 20).await?;
    count(&processes, "late", 3).await?;
    write(&processes, "things", 20..25).await?;

    // A root that knows only what etcd has finds all of it.
    processes.kill("root-1")?;
    processes.start_again("root-1").await?;
    until_green(&processes).await?;
    count(&processes, "things", 25).await?;
    count(&processes, "late", 3).await?;
    let (is_done, told) = recover(processes.root(), &["--yes"]).await?;
    ensure!(is_done && told.contains("lost nothing"), "{told}");
    Ok(())
}

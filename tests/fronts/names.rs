//! What one root has acknowledged of names and metadata holds through the other, at once.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use gleaner_testkit::http::Request;
use gleaner_testkit::{etcd, skipped};
use serde_json::{Value, json};

use super::processes::Processes;

/// Times that an alias goes on to another index.
const NUM_ROUNDS: usize = 30;

/// Writes through an alias after each, each through another front than the one before.
const NUM_WRITES: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_of_names_holds_through_every_front() -> Result<()> {
    if !etcd::is_installed() {
        let test = "fronts::what_was_acknowledged_of_names_holds_through_every_front";
        return skipped(test, etcd::NO_ETCD);
    }
    let processes = Processes::start().await?;
    let mut fronts = processes.fronts.iter().copied().cycle();
    let mut next = || fronts.next().expect("a cycle has no end");
    // A process that does not come to work for a second is not waited for.
    let is_in_time = |begun: Instant| begun.elapsed() < Duration::from_millis(900);
    let settings = json!({"settings": {"number_of_shards": 1, "number_of_replicas": 0}});
    let mut num_written = 0_usize;
    for round in 0..NUM_ROUNDS {
        let index = format!("swap-{round}");
        let begun = Instant::now();
        let create = Request::json("PUT", &format!("/{index}"), &settings);
        create.send(next()).await?.ok()?;
        let actions = json!({"actions": [
            {"remove": {"index": "swap-*", "alias": "current", "must_exist": false}},
            {"add": {"index": index, "alias": "current"}}]});
        let swap = Request::json("POST", "/_aliases", &actions);
        swap.send(next()).await?.ok()?;
        if !is_in_time(begun) {
            continue;
        }
        for _ in 0..NUM_WRITES {
            let write = Request::json("POST", "/current/_doc?refresh=true", &json!({"n": round}));
            let written: Value = write.send(next()).await?.ok()?;
            ensure!(written["_index"] == index.as_str(), "{round}: {written}");
            num_written += 1;
            let count = Request::new("GET", "/swap-*/_count").send(next()).await?;
            let counted: Value = count.ok()?;
            ensure!(counted["count"] == num_written, "{round}: {counted}");
        }
        let begun = Instant::now();
        let policy = format!("/_ilm/policy/{index}");
        let phases = json!({"policy": {"phases": {"hot": {"actions": {}}}}});
        Request::json("PUT", &policy, &phases)
            .send(next())
            .await?
            .ok()?;
        let block = Request::new("PUT", &format!("/{index}/_block/write"));
        block.send(next()).await?.ok()?;
        let shown = Request::new("GET", &policy).send(next()).await?;
        let path = format!("/{index}/_doc?refresh=true");
        let refused = Request::json("POST", &path, &json!({}))
            .send(next())
            .await?;
        num_written += usize::from(refused.status == 201);
        if is_in_time(begun) {
            ensure!(shown.status == 200, "{policy}: {}", shown.shown());
            ensure!(refused.status == 403, "{round}: {}", refused.shown());
        }
    }
    Ok(())
}

/// How long a root stands still while an alias goes on, less than it is waited for.
const STILL: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_acknowledged_once_a_root_that_stood_still_shows_it() -> Result<()> {
    if !etcd::is_installed() {
        let test = "fronts::a_change_is_acknowledged_once_a_root_that_stood_still_shows_it";
        return skipped(test, etcd::NO_ETCD);
    }
    let processes = Processes::start().await?;
    let roots: Vec<_> = processes.roots().collect();
    let (one, still) = (roots[0].http.context("one")?, roots[1].http.context("two")?);
    for name in ["even", "odd"] {
        Request::json("PUT", &format!("/{name}"), &json!({}))
            .send(one)
            .await?
            .ok()?;
    }
    let mut num_seen = 0;
    for round in 0..20 {
        let (old, new) = match round % 2 {
            0 => ("odd", "even"),
            _ => ("even", "odd"),
        };
        let actions = json!({"actions": [
            {"remove": {"index": old, "alias": "current", "must_exist": false}},
            {"add": {"index": new, "alias": "current"}}]});
        let swap = Request::json("POST", "/_aliases", &actions);
        let begun = Instant::now();
        roots[1].signal("-STOP")?;
        let going_on = async {
            tokio::time::sleep(STILL).await;
            roots[1].signal("-CONT")
        };
        let writing = async {
            swap.send(one).await?.ok()?;
            let is_seen = begun.elapsed() < Duration::from_millis(900);
            let write = Request::json("POST", "/current/_doc", &json!({"n": round}));
            let written: Value = write.send(still).await?.ok()?;
            Ok::<_, anyhow::Error>((is_seen, written))
        };
        let (going_on, written) = tokio::join!(going_on, writing);
        going_on?;
        let (is_seen, written) = written?;
        if is_seen {
            num_seen += 1;
            ensure!(written["_index"] == new, "{round}: {written}");
        }
    }
    ensure!(num_seen > 0, "the machine was too slow for each round");
    Ok(())
}

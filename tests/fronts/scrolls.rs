//! A client that keeps to the first id of its scroll, through any front to two roots.

use anyhow::{Context, Result, ensure};
use gleaner_testkit::http::Request;
use gleaner_testkit::{etcd, skipped};
use serde_json::{Value, json};

use super::processes::Processes;

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_scroll_go_to_the_root_that_knows_its_first_id() -> Result<()> {
    if !etcd::is_installed() {
        let test = "fronts::pages_of_a_scroll_go_to_the_root_that_knows_its_first_id";
        return skipped(test, etcd::NO_ETCD);
    }
    const NUM_DOCUMENTS: usize = 40;
    let processes = Processes::start().await?;
    let lines = (0..NUM_DOCUMENTS).map(|n| format!("{{\"index\":{{}}}}\n{{\"n\":{n}}}\n"));
    let bulk = Request::ndjson(
        "POST",
        "/things/_bulk?refresh=true",
        lines.collect::<String>(),
    );
    bulk.send(processes.fronts[0]).await?.ok()?;
    // Through each front, so that both roots begin some.
    for round in 0..6 {
        let mut fronts = processes.fronts.iter().cycle().skip(round);
        let mut next = || fronts.next().copied().context("a front");
        let begin = Request::json("POST", "/things/_search?scroll=1m&size=4", &json!({}));
        let mut page: Value = begin.send(next()?).await?.ok()?;
        let first = page["_scroll_id"].clone();
        let mut found = Vec::new();
        loop {
            let hits = page["hits"]["hits"].as_array().context("hits")?;
            if hits.is_empty() {
                break;
            }
            found.extend(hits.iter().filter_map(|hit| hit["_source"]["n"].as_u64()));
            let more = json!({"scroll": "1m", "scroll_id": first});
            let more = Request::json("POST", "/_search/scroll", &more);
            page = more.send(next()?).await?.ok()?;
        }
        found.sort_unstable();
        let all: Vec<u64> = (0..NUM_DOCUMENTS as u64).collect();
        ensure!(found == all, "round {round}: {found:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_scrolls_are_those_of_all_roots() -> Result<()> {
    if !etcd::is_installed() {
        let test = "fronts::all_scrolls_are_those_of_all_roots";
        return skipped(test, etcd::NO_ETCD);
    }
    const NUM_SCROLLS: usize = 12;
    let processes = Processes::start().await?;
    let bulk = "{\"index\":{}}\n{\"n\":1}\n{\"index\":{}}\n{\"n\":2}\n";
    let bulk = Request::ndjson("POST", "/things/_bulk?refresh=true", bulk);
    bulk.send(processes.fronts[0]).await?.ok()?;
    let fronts = processes.fronts.iter().cycle();
    for front in fronts.take(NUM_SCROLLS) {
        let begin = Request::json("POST", "/things/_search?scroll=1m&size=1", &json!({}));
        begin.send(*front).await?.ok()?;
        let begin = Request::new("POST", "/things/_pit?keep_alive=1m");
        begin.send(*front).await?.ok()?;
    }
    let [first, second, ..] = processes.fronts[..] else {
        anyhow::bail!("too few fronts");
    };
    let end = Request::new("DELETE", "/_search/scroll/_all");
    let ended: Value = end.send(first).await?.ok()?;
    ensure!(ended["num_freed"] == NUM_SCROLLS, "{ended}");
    let again: Value = end.send(second).await?.ok()?;
    ensure!(again["num_freed"] == 0, "{again}");
    let tasks: Value = Request::new("GET", "/_tasks").send(first).await?.ok()?;
    ensure!(tasks["node_failures"].is_null(), "{tasks}");

    // Each waits for minutes after its first document, which others have changed before it.
    const NUM_TASKS: usize = 6;
    let slow = "/things/_update_by_query?wait_for_completion=false&requests_per_second=0.01&scroll_size=1\
                &conflicts=proceed";
    for front in processes.fronts.iter().cycle().take(NUM_TASKS) {
        let begin = Request::json("POST", slow, &json!({}));
        begin.send(*front).await?.ok()?;
    }
    let table = "/_cat/tasks?h=task_id&s=task_id&actions=*byquery";
    let mut tables = Vec::new();
    for front in [first, second] {
        let answer = Request::new("GET", table).send(front).await?;
        ensure!(answer.status == 200, "{}", answer.shown());
        tables.push(String::from_utf8_lossy(&answer.body).into_owned());
    }
    ensure!(tables[0] == tables[1], "{tables:?}");
    ensure!(tables[0].lines().count() == NUM_TASKS, "{tables:?}");

    // A root that cannot be reached keeps what it has: that all is ended is not said then.
    processes.kill_root()?;
    let ended = end.send(first).await?;
    ensure!(ended.status == 503, "{}", ended.shown());
    let tasks: Value = Request::new("GET", "/_tasks").send(second).await?.ok()?;
    let failures = tasks["node_failures"].as_array().context("failures")?;
    ensure!(failures.len() == 1, "{tasks}");
    Ok(())
}

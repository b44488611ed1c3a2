//! Readers: each answer holds what had been acknowledged when its request was sent.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, ensure};
use gleaner_testkit::http::{Request, Response};
use rand::Rng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::{NUM_WRITERS, Run};

/// Asks for the newest document of a writer, in one of several spellings; returns the request and where the number is.
fn question(random: &mut StdRng, writer: usize) -> (Request, &'static str) {
    let owner = format!("w{writer}");
    let query = match random.random_bool(0.5) {
        true => json!({"term": {"owner": owner}}),
        false => json!({"term": {"owner": {"value": owner}}}),
    };
    let newest = json!({"query": query, "sort": [{"n": "desc"}], "size": 1});
    match random.random_range(0..3) {
        0 => {
            let request = Request::json("POST", "/things/_search", &newest);
            (request, "/hits/hits/0/_source/n")
        }
        1 => {
            let request = Request::json("POST", "/things/_count", &json!({"query": query}));
            (request, "/count")
        }
        _ => {
            // Some other search of few, so that one is kept more often than the other.
            let size = random.random_range(2..5);
            let lines = format!("{{}}\n{{\"size\":{size}}}\n{{}}\n{newest}\n");
            let request = Request::ndjson("POST", "/things/_msearch", lines);
            (request, "/responses/1/hits/hits/0/_source/n")
        }
    }
}

/// Is it the whole answer, and the newest as far as it says? While a leaf stands still a search may have a part of it
/// alone, or be of a copy that does not know whether it has all, and says so.
fn is_whole(response: &Response, body: &Value) -> bool {
    let is_whole_part = |part: &Value| {
        let shards = &part["_shards"];
        let is_stale = shards["stale"].as_u64().is_some_and(|stale| stale > 0);
        shards["failed"] == 0 && !is_stale && part["timed_out"] != true
    };
    let is_every_part_whole = match body["responses"].as_array() {
        Some(parts) => parts.iter().all(is_whole_part),
        None => is_whole_part(body),
    };
    response.status == 200 && is_every_part_whole
}

/// Asks until the run is over.
pub(crate) async fn read(run: Arc<Run>, reader: usize, mut random: StdRng) -> Result<()> {
    let fronts = &run.processes.fronts;
    while !run.is_over() {
        let writer = random.random_range(0..NUM_WRITERS);
        let front = fronts[(reader + random.random_range(0..2)) % fronts.len()];
        let (request, place) = question(&mut random, writer);
        let least = run.acknowledged[writer].load(Ordering::SeqCst);
        let Ok(response) = request.send(front).await else {
            run.num_failed.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let is_hit = response.header("x-cache") == Some("hit");
        let body: Value = serde_json::from_slice(&response.body).context("an answer is JSON")?;
        if !is_whole(&response, &body) {
            ensure!(!is_hit, "what is not whole was kept: {body}");
            run.num_failed.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let shown = body.pointer(place).and_then(Value::as_u64).unwrap_or(0);
        ensure!(
            shown >= least,
            "stale: writer {writer} had {least} acknowledged, front {front} answered {shown} (hit: {is_hit}): {} {body}",
            request.path
        );
        run.num_reads.fetch_add(1, Ordering::Relaxed);
        run.num_hits.fetch_add(u64::from(is_hit), Ordering::Relaxed);
    }
    Ok(())
}

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
    match random.random_bool(0.5) {
        true => {
            let body = json!({"query": query, "sort": [{"n": "desc"}], "size": 1});
            let request = Request::json("POST", "/things/_search", &body);
            (request, "/hits/hits/0/_source/n")
        }
        false => {
            let request = Request::json("POST", "/things/_count", &json!({"query": query}));
            (request, "/count")
        }
    }
}

/// Is it the whole answer? While a leaf stands still a search may have a part of it alone, and says so.
fn is_whole(response: &Response, body: &Value) -> bool {
    response.status == 200 && body["_shards"]["failed"] == 0 && body["timed_out"] != true
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
            "stale: writer {writer} had {least} acknowledged, front {front} answered {shown} (hit: {is_hit})"
        );
        run.num_reads.fetch_add(1, Ordering::Relaxed);
        run.num_hits.fetch_add(u64::from(is_hit), Ordering::Relaxed);
    }
    Ok(())
}

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

/// What an answer says of itself. While a leaf stands still a search may have a part of it alone, or be of a copy that does
/// not know whether it has all.
struct Told {
    is_whole: bool,
    /// Of a copy that may be old.
    is_flagged: bool,
}

impl Told {
    fn of(response: &Response, body: &Value) -> Self {
        let parts = match body["responses"].as_array() {
            Some(parts) => parts.as_slice(),
            None => std::slice::from_ref(body),
        };
        let is_whole = |part: &Value| part["_shards"]["failed"] == 0 && part["timed_out"] != true;
        let num_stale = |part: &Value| part["_shards"]["stale"].as_u64();
        Self {
            is_whole: response.status == 200 && parts.iter().all(is_whole),
            is_flagged: parts.iter().filter_map(num_stale).any(|num| num > 0),
        }
    }
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
        let told = Told::of(&response, &body);
        let shown = body.pointer(place).and_then(Value::as_u64).unwrap_or(0);
        if !told.is_whole || told.is_flagged {
            ensure!(!is_hit, "what is not whole was kept: {body}");
            let is_old = told.is_whole && shown < least;
            run.num_flagged_old
                .fetch_add(u64::from(is_old), Ordering::Relaxed);
            run.num_failed.fetch_add(1, Ordering::Relaxed);
            continue;
        }
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

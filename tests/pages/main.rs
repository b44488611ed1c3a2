//! Pages of `composite` while documents are written: none comes twice, and none is missed of those that are there
//! throughout.
//!
//! Half of the documents stay, and are written anew with the same content meanwhile; the other half comes and goes. Each
//! page is a search of its own, so it sees what is shown when it is asked. Reduced to 4,000 documents; 1,000,000 with
//! `GLEANER_PROVE`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use gleaner_testkit::http::Request;
use gleaner_testkit::{Server, run};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

/// Documents of one bulk.
const BULK: usize = 1_000;

/// Names of keys in their order: even ones stay, odd ones come and go.
fn key(number: usize) -> String {
    format!("k{number:07}")
}

fn line(lines: &mut String, number: usize) {
    let name = key(number);
    let source = json!({"key": name, "n": number % 97});
    writeln!(lines, "{{\"index\":{{\"_id\":\"{name}\"}}}}\n{source}").expect("a string takes all");
}

async fn bulk(server: &Server, lines: String) -> Result<()> {
    let request = Request::ndjson("POST", "/paged/_bulk", lines);
    let answer = server.send(&request).await?.ok()?;
    ensure!(answer["errors"] == false, "a write was refused");
    Ok(())
}

async fn load(server: &Server, num_documents: usize) -> Result<()> {
    let index = json!({
        "settings": {"number_of_shards": 3, "refresh_interval": "50ms"},
        "mappings": {"properties": {"key": {"type": "keyword"}, "n": {"type": "integer"}}},
    });
    server
        .send(&Request::json("PUT", "/paged", &index))
        .await?
        .ok()?;
    let staying: Vec<usize> = (0..num_documents).step_by(2).collect();
    for part in staying.chunks(BULK) {
        let mut lines = String::new();
        part.iter().for_each(|number| line(&mut lines, *number));
        bulk(server, lines).await?;
    }
    server
        .send(&Request::new("POST", "/paged/_refresh"))
        .await?
        .ok()?;
    Ok(())
}

/// Writes documents anew, brings others and takes them away, until it is told to stop.
async fn write(
    server: Arc<Server>,
    num_documents: usize,
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
) -> Result<()> {
    let mut random = StdRng::seed_from_u64(run::seed());
    while !stop.load(Ordering::Relaxed) {
        let mut lines = String::new();
        for _ in 0..BULK / 10 {
            let number = random.random_range(0..num_documents);
            let is_gone = number % 2 == 1 && random.random_bool(0.5);
            match is_gone {
                true => {
                    let name = key(number);
                    writeln!(lines, "{{\"delete\":{{\"_id\":\"{name}\"}}}}")
                        .expect("a string takes all");
                }
                false => line(&mut lines, number),
            }
        }
        bulk(&server, lines).await?;
        written.fetch_add((BULK / 10) as u64, Ordering::Relaxed);
    }
    Ok(())
}

/// Returns the keys of all pages, in the order in which they came.
async fn all_pages(server: &Server, size: usize) -> Result<Vec<String>> {
    let mut after = Value::Null;
    let mut keys = Vec::new();
    loop {
        let mut composite =
            json!({"size": size, "sources": [{"key": {"terms": {"field": "key"}}}]});
        if !after.is_null() {
            composite["after"] = after;
        }
        let body = json!({"size": 0, "aggs": {"pages": {"composite": composite}}});
        let request = Request::json("POST", "/paged/_search", &body);
        let mut answer = server.send(&request).await?.ok()?;
        let page = answer["aggregations"]["pages"].take();
        let buckets = page["buckets"].as_array().context("buckets")?;
        for bucket in buckets {
            ensure!(bucket["doc_count"] == 1, "two of one id: {bucket}");
            let key = bucket["key"]["key"].as_str().context("a key")?;
            keys.push(key.to_owned());
        }
        if buckets.is_empty() {
            return Ok(keys);
        }
        after = page["after_key"].clone();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_comes_twice_and_none_that_stays_is_missed() -> Result<()> {
    let num_documents = run::sized(4_000, 1_000_000);
    let folder = tempfile::tempdir()?;
    let server = Arc::new(Server::start(&folder.path().join("data")).await?);
    load(&server, num_documents).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let written = Arc::new(AtomicU64::new(0));
    let writing = tokio::spawn(write(
        Arc::clone(&server),
        num_documents,
        Arc::clone(&stop),
        Arc::clone(&written),
    ));
    let (mut num_rounds, mut num_keys, mut num_passing) = (0, 0, 0);
    // At least one round is begun after writes have come.
    while num_rounds < 3 || written.load(Ordering::Relaxed) < BULK as u64 {
        let keys = all_pages(&server, run::sized(150, 10_000)).await?;
        ensure!(
            keys.is_sorted_by(|one, next| one < next),
            "a key came again"
        );
        let found: BTreeSet<&str> = keys.iter().map(String::as_str).collect();
        let missed = (0..num_documents)
            .step_by(2)
            .map(key)
            .find(|key| !found.contains(key.as_str()));
        ensure!(missed.is_none(), "missed: {missed:?}");
        num_rounds += 1;
        num_keys = keys.len();
        num_passing = keys.len() - num_documents.div_ceil(2);
        ensure!(!writing.is_finished(), "the writer stopped");
    }
    stop.store(true, Ordering::Relaxed);
    writing.await??;
    ensure!(num_passing > 0, "nothing came meanwhile");
    let figures = json!({
        "documents": num_documents,
        "rounds": num_rounds,
        "keys_of_the_last_round": num_keys,
        "written_meanwhile": written.load(Ordering::Relaxed),
    });
    run::report("pages", &figures)
}

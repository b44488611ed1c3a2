//! Memory does not grow with the body: bulk requests stream, whatever their size; and no single request takes more than
//! its share, whatever it makes of what it reads ([`requests`]).

mod cgroup;
mod requests;

use std::time::Duration;

use anyhow::{Result, ensure};
use gleaner_testkit::http::Request;
use gleaner_testkit::{Server, run};
use serde_json::{Map, Value, json};
use tokio::time::sleep;

/// The default of `indexing_memory`, whatever the number of shards.
const INDEXING_BUDGET_BYTES: u64 = 128 << 20;
/// What everything else may take: 150 MiB.
const REST_BYTES: u64 = 150 << 20;
/// Bodies sent, in MiB, in this order.
const BODIES_MIB: [usize; 3] = [1, 10, 60];
/// Pause between two looks at the server's memory.
const SAMPLED_EVERY: Duration = Duration::from_millis(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_body_of_any_size_stays_within_the_indexing_budget_and_150_mib() -> Result<()> {
    let one = measure(1).await?;
    let four = measure(4).await?;
    let limit = INDEXING_BUDGET_BYTES + REST_BYTES;
    let figures = json!({"limit_mib": limit >> 20, "one_shard": one.1, "four_shards": four.1});
    run::report("memory", &figures)?;
    let worst = one.0.max(four.0);
    ensure!(
        worst <= limit,
        "{} MiB of at most {} MiB",
        worst >> 20,
        limit >> 20
    );
    Ok(())
}

/// Loads an index of so many shards; returns the most memory held, and all figures.
async fn measure(num_shards: u64) -> Result<(u64, Value)> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(&folder.path().join("data")).await?;
    let settings = json!({
        "settings": {"number_of_shards": num_shards},
        "mappings": {"properties": {"text": {"type": "text"}}},
    });
    server
        .send(&Request::json("PUT", "/bulk", &settings))
        .await?
        .ok()?;
    let mut figures = Map::new();
    figures.insert(
        "idle_mib".to_owned(),
        json!(server.anonymous_bytes()? >> 20),
    );
    let mut worst = 0;
    for mib in BODIES_MIB {
        let (body, num_documents) = bulk_body(mib << 20);
        let request = Request::ndjson("POST", "/bulk/_bulk", body);
        let (answer, peak) = peak_during(&server, &request).await?;
        ensure!(answer["errors"] == false, "{mib} MiB: a write was refused");
        figures.insert(format!("peak_mib_of_{mib}_mib_body"), json!(peak >> 20));
        figures.insert(format!("documents_of_{mib}_mib_body"), json!(num_documents));
        worst = worst.max(peak);
    }
    server.stop().await?;
    Ok((worst, Value::Object(figures)))
}

/// Sends a request and returns the most memory that the server held meanwhile.
async fn peak_during(server: &Server, request: &Request) -> Result<(Value, u64)> {
    let answer = server.send(request);
    tokio::pin!(answer);
    let mut peak = 0;
    loop {
        peak = peak.max(server.anonymous_bytes()?);
        tokio::select! {
            answer = &mut answer => return Ok((answer?.ok()?, peak)),
            () = sleep(SAMPLED_EVERY) => {}
        }
    }
}

/// Returns bulk lines of about `num_bytes` bytes, and how many documents they are.
fn bulk_body(num_bytes: usize) -> (String, usize) {
    let mut body = String::with_capacity(num_bytes + 2_000);
    let mut number = 0;
    while body.len() < num_bytes {
        let words: Vec<String> = (0..100)
            .map(|n| format!("word{}", (number * n) % 5_000))
            .collect();
        let source = json!({"text": words.join(" "), "number": number});
        body.push_str(&format!("{{\"index\":{{}}}}\n{source}\n"));
        number += 1;
    }
    (body, number)
}

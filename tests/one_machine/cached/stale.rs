//! The checker: an answer to a request that was sent after a write was acknowledged as visible shows that write.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use gleaner_testkit::http::Request;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Site, origin};

const NUM_WRITERS: usize = 2;
const NUM_READERS: usize = 6;
const NUM_WRITES: u64 = 25;

/// Reads between two writes of a writer.
const READS_BETWEEN: u64 = 60;

struct Run {
    site: Site,
    /// Documents of each writer that were acknowledged as visible.
    acknowledged: [AtomicU64; NUM_WRITERS],
    num_reads: watch::Sender<u64>,
    num_hits: AtomicU64,
    is_over: AtomicBool,
}

/// Writes documents `1`, `2`, …, each visible before the next.
async fn write(run: Arc<Run>, writer: usize) -> Result<()> {
    let mut random = StdRng::seed_from_u64(writer as u64);
    let mut num_reads = run.num_reads.subscribe();
    for n in 1..=NUM_WRITES {
        let document = json!({"owner": format!("w{writer}"), "n": n});
        let path = format!("/things/_doc/{writer}-{n}");
        match random.random_range(0..3) {
            0 => drop(
                run.site
                    .done("PUT", &format!("{path}?refresh=true"), &document)
                    .await?,
            ),
            1 => drop(
                run.site
                    .done("PUT", &format!("{path}?refresh=wait_for"), &document)
                    .await?,
            ),
            _ => {
                run.site.done("PUT", &path, &document).await?;
                run.site
                    .done("POST", "/things/_refresh", &json!({}))
                    .await?;
            }
        }
        run.acknowledged[writer].store(n, Ordering::SeqCst);
        let until = *num_reads.borrow() + READS_BETWEEN;
        num_reads.wait_for(|reads| *reads >= until).await?;
    }
    Ok(())
}

/// Asks for the newest document of a writer in one of many ways; returns the request and where the number is.
fn question(random: &mut StdRng, owner: &str) -> (Request, &'static str) {
    let spaces = " ".repeat(random.random_range(0..3));
    let term = match random.random_range(0..3) {
        0 => format!(r#"{{"term":{spaces}{{"owner":"{owner}"}}}}"#),
        1 => format!(r#"{{"term":{{"owner":{{"value":{spaces}"{owner}"}}}}}}"#),
        _ => format!(r#"{{{spaces}"term":{{"owner":{{"boost":1.0,"value":"{owner}"}}}}}}"#),
    };
    let is_first = random.random_bool(0.5);
    let both = |one: String, other: &str| match is_first {
        true => format!("{{{one},{spaces}{other}}}"),
        false => format!("{{{other},{one}{spaces}}}"),
    };
    let query = format!(r#""query":{term}"#);
    let (path, body, place) = match random.random_range(0..3) {
        0 => {
            let sorted = r#""sort":[{"n":"desc"}],"size":1"#;
            (
                "/things/_search",
                both(query, sorted),
                "/hits/hits/0/_source/n",
            )
        }
        1 => {
            let max = r#""size":0,"aggs":{"newest":{"max":{"field":"n"}}}"#;
            (
                "/things/_search",
                both(query, max),
                "/aggregations/newest/value",
            )
        }
        _ => ("/things/_count", format!("{{{query}}}"), "/count"),
    };
    let method = if random.random_bool(0.5) {
        "GET"
    } else {
        "POST"
    };
    let request = Request::new(method, path).with_body("application/json", body);
    (request, place)
}

async fn read(run: Arc<Run>, reader: usize) -> Result<()> {
    let mut random = StdRng::seed_from_u64(100 + reader as u64);
    while !run.is_over.load(Ordering::Relaxed) {
        let writer = random.random_range(0..NUM_WRITERS);
        let (request, place) = question(&mut random, &format!("w{writer}"));
        let acknowledged = run.acknowledged[writer].load(Ordering::SeqCst);
        let response = run.site.send(request.clone()).await?;
        let from = origin(&response)?;
        let answer = response.ok()?;
        let shown = answer.pointer(place).and_then(Value::as_f64);
        let shown = shown.unwrap_or_default() as u64;
        ensure!(
            shown >= acknowledged,
            "{from}: {shown} of writer {writer}, {acknowledged} were acknowledged: {request:?}"
        );
        run.num_hits
            .fetch_add(u64::from(from == "hit"), Ordering::Relaxed);
        run.num_reads.send_modify(|reads| *reads += 1);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_from_before_what_was_acknowledged() -> Result<()> {
    let site = Site::start().await?;
    let body = json!({
        "settings": {"number_of_shards": 2, "refresh_interval": "100ms"},
        "mappings": {"properties": {"owner": {"type": "keyword"}, "n": {"type": "long"}}},
    });
    site.done("PUT", "/things", &body).await?;
    let run = Arc::new(Run {
        site,
        acknowledged: Default::default(),
        num_reads: watch::Sender::new(0),
        num_hits: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
    });
    let (mut readers, mut writers) = (JoinSet::new(), JoinSet::new());
    for reader in 0..NUM_READERS {
        readers.spawn(read(Arc::clone(&run), reader));
    }
    for writer in 0..NUM_WRITERS {
        writers.spawn(write(Arc::clone(&run), writer));
    }
    let written = async {
        while let Some(ended) = writers.join_next().await {
            ended.context("a writer ends")??;
        }
        anyhow::Ok(())
    };
    // A reader that ends has found a fault.
    tokio::select! {
        written = written => written?,
        Some(ended) = readers.join_next() => ended.context("a reader ends")??,
    }
    run.is_over.store(true, Ordering::Relaxed);
    while let Some(ended) = readers.join_next().await {
        ended.context("a reader ends")??;
    }
    let (num_reads, num_hits) = (
        *run.num_reads.borrow(),
        run.num_hits.load(Ordering::Relaxed),
    );
    // A cache that is off is never stale.
    ensure!(
        num_hits * 2 >= num_reads,
        "{num_hits} hits of {num_reads} reads"
    );
    Ok(())
}

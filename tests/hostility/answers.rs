//! Small requests whose answers would be gigabytes: each is answered or refused within the memory that
//! answers may take, and the server answers others meanwhile.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use gleaner_testkit::http::Request;
use gleaner_testkit::{Server, run};
use serde_json::{Map, Value, json};
use tokio::time::{sleep, timeout};

/// Most anonymous memory at any time: half of a gigabyte more than queries and answers together may hold.
const MAX_ANONYMOUS_BYTES: u64 = 1_536 << 20;
/// Pause between two looks at the server's memory.
const SAMPLED_EVERY: Duration = Duration::from_millis(10);
/// Longest wait for an answer: a search gives up after a minute by itself.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);
/// Bytes of the large document: reduced, and in full.
const DOCUMENT_BYTES: (usize, usize) = (2 << 20, 20 << 20);
/// Small documents: reduced, and in full.
const NUM_SMALL: (usize, usize) = (2_000, 10_000);

/// Hits that are explained: reduced, and in full.
const NUM_EXPLAINED: (usize, usize) = (100, 10_000);

/// A request, and the statuses that it may have.
struct Small {
    name: &'static str,
    request: Request,
    statuses: &'static [u16],
}

#[tokio::test(flavor = "multi_thread")]
async fn no_small_request_has_an_answer_that_takes_all_memory() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = Server::start(&folder.path().join("data")).await?;
    prepare(server.address()).await?;
    let mut figures = Map::new();
    for small in requests() {
        let name = small.name;
        let (status, figure) = watched(&mut server, small).await?;
        figures.insert(name.to_owned(), figure);
        ensure!(status.0, "{name}: {}", status.1);
    }
    run::report("answers", &Value::Object(figures))?;
    let search = Request::new("GET", "/small/_search?q=word1&size=1");
    let answer = server.send(&search).await?.ok()?;
    ensure!(answer["hits"]["hits"][0]["_id"].is_string(), "{answer}");
    server.stop().await
}

/// Sends a request while others look at the server; returns whether it went well, or how it did not.
async fn watched(server: &mut Server, small: Small) -> Result<((bool, String), Value)> {
    let Small {
        name,
        request,
        statuses,
    } = small;
    let address = server.address();
    let answer = tokio::spawn(timeout(ANSWER_WITHIN, async move {
        request.send(address).await
    }));
    let began = Instant::now();
    let (mut peak, mut slowest_probe) = (0, Duration::ZERO);
    while !answer.is_finished() {
        let probed = Instant::now();
        Request::new("GET", "/_health/live")
            .send(address)
            .await?
            .ok()?;
        slowest_probe = slowest_probe.max(probed.elapsed());
        ensure!(server.is_alive()?, "{name}: the process has ended");
        peak = peak.max(server.anonymous_bytes()?);
        sleep(SAMPLED_EVERY).await;
    }
    let response = answer.await???;
    let figure = json!({
        "status": response.status,
        "mib_answered": response.body.len() >> 20,
        "ms": began.elapsed().as_millis() as u64,
        "peak_mib": peak >> 20,
        "slowest_probe_ms": slowest_probe.as_millis() as u64,
    });
    let is_well = statuses.contains(&response.status) && peak <= MAX_ANONYMOUS_BYTES;
    let shown: String = response.shown().chars().take(500).collect();
    Ok(((is_well, format!("{figure} {shown}")), figure))
}

/// A large document, and many small ones.
async fn prepare(address: SocketAddr) -> Result<()> {
    let text = "word ".repeat(run::sized(DOCUMENT_BYTES.0, DOCUMENT_BYTES.1) / 5);
    let large = json!({ "text": text });
    let settings = json!({"mappings": {"properties": {"text": {"type": "text"}}}});
    Request::json("PUT", "/large", &settings)
        .send(address)
        .await?
        .ok()?;
    let put = Request::json("PUT", "/large/_doc/1?refresh=true", &large);
    put.send(address).await?.ok()?;
    let mut bulk = String::new();
    for number in 0..run::sized(NUM_SMALL.0, NUM_SMALL.1) {
        let source =
            json!({"t": format!("word{number} all"), "n": number, "k": format!("key{number}")});
        bulk.push_str(&format!(
            "{{\"index\":{{\"_id\":\"{number}\"}}}}\n{source}\n"
        ));
    }
    let bulk = Request::ndjson("POST", "/small/_bulk?refresh=true", bulk);
    let answer = bulk.send(address).await?.ok()?;
    ensure!(answer["errors"] == false, "{answer}");
    Ok(())
}

/// Returns the requests, each of which took four gigabytes or a minute once.
fn requests() -> Vec<Small> {
    [of_patterns(), of_answers(), of_buckets()]
        .into_iter()
        .flatten()
        .collect()
}

fn small(name: &'static str, statuses: &'static [u16], request: Request) -> Small {
    Small {
        name,
        request,
        statuses,
    }
}

fn search(body: &Value) -> Request {
    Request::json("POST", "/small/_search", body)
}

fn get(path: &str) -> Request {
    Request::new("GET", path)
}

/// A text of a megabyte.
fn long() -> String {
    "x".repeat(1 << 20)
}

/// Patterns of many stars, and very many patterns.
fn of_patterns() -> Vec<Small> {
    let size = run::sized(NUM_SMALL.0, NUM_SMALL.1);
    let stars = "**.".repeat(85);
    let patterns: Vec<String> = (0..100_000).map(|n| format!("*field{n}")).collect();
    vec![
        small(
            "filter_path_of_a_document",
            &[200],
            get(&format!("/small/_doc/1?filter_path={stars}x")),
        ),
        small(
            "filter_path_of_statistics",
            &[200],
            get(&format!("/_nodes/stats?filter_path={stars}{stars}x")),
        ),
        small(
            "source_patterns",
            &[400],
            search(&json!({"_source": patterns, "size": size})),
        ),
        small(
            "stars_in_source_patterns",
            &[200],
            get(&format!(
                "/large/_doc/1?_source_includes={}",
                "*a*a".repeat(950)
            )),
        ),
    ]
}

/// Much of documents, and much beside them.
fn of_answers() -> Vec<Small> {
    let size = run::sized(NUM_SMALL.0, NUM_SMALL.1);
    let num_explained = run::sized(NUM_EXPLAINED.0, NUM_EXPLAINED.1);
    let long = long();
    let clauses: Vec<Value> = (0..1_000)
        .map(|n| json!({"term": {"t": {"value": "all", "boost": 1 + n}}}))
        .collect();
    let many_values = format!(
        r#"{{"query":{{"terms":{{"n":[{}1]}}}}}}"#,
        "1,".repeat(5 << 20)
    );
    let one = "{}\n{\"size\":1}\n".repeat(10_000);
    vec![
        small(
            "mget",
            &[429],
            Request::json("POST", "/large/_mget", &json!({"ids": vec!["1"; 10_000]})),
        ),
        small(
            "msearch",
            &[200, 429],
            Request::ndjson("POST", "/large/_msearch", one),
        ),
        small(
            "explain",
            &[200, 429],
            search(&json!({"explain": true, "size": num_explained,
            "query": {"bool": {"should": clauses}}})),
        ),
        small(
            "highlight_tags",
            &[400],
            search(&json!({"query": {"match": {"t": "all"}}, "size": size,
            "highlight": {"fields": {"t": {}}, "pre_tags": [long], "post_tags": [long]}})),
        ),
        small(
            "highlight_all_of_a_document",
            &[200, 429],
            Request::json(
                "POST",
                "/large/_search",
                &json!({"query": {"match": {"text": "word"}}, "highlight": {"max_analyzed_offset": 1_000_000,
                "fields": {"text": {"number_of_fragments": 0}},
                "pre_tags": [&long[..1_024]], "post_tags": [&long[..1_024]]}}),
            ),
        ),
        small(
            "body_of_many_values",
            &[400, 429],
            Request::new("POST", "/small/_search").with_body("application/json", many_values),
        ),
    ]
}

/// What is repeated in each bucket.
fn of_buckets() -> Vec<Small> {
    let long = long();
    let under_terms = |sub: Value| {
        search(
            &json!({"size": 0, "aggs": {"t": {"terms": {"field": "k.keyword", "size": 10_000}, "aggs": sub}}}),
        )
    };
    vec![
        small(
            "aggregation_name",
            &[400],
            under_terms(json!({long.as_str(): {"max": {"field": "n"}}})),
        ),
        small(
            "aggregation_meta",
            &[400],
            under_terms(json!({"m": {"max": {"field": "n"}, "meta": {"m": long}}})),
        ),
        small(
            "range_key",
            &[400],
            under_terms(
                json!({"r": {"range": {"field": "n", "ranges": [{"key": long, "to": 1}]}}}),
            ),
        ),
        small(
            "largest_meta",
            &[200, 429],
            under_terms(json!({"m": {"max": {"field": "n"},
            "meta": {"m": &long[..16_000]}}})),
        ),
    ]
}

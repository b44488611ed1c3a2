//! Mutated requests of all routes of the running binary, while fields are added to the indices that they ask.
//!
//! Requests that mean something, from the documentation and from the tables of routes, changed at some places: so that most
//! of them come further than to a parser. Whatever is sent: no panic, no 5xx, no answer that does not come.

mod change;
mod seeds;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use gleaner_datasets::Random;
use gleaner_testkit::http::{Request, Response};
use gleaner_testkit::{Server, run};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::requests::pick;
use seeds::Seed;

/// Requests: reduced, and in full.
const NUM_REQUESTS: (usize, usize) = (3_000, 300_000);

/// Clients that send at once.
const NUM_CLIENTS: usize = 4;

/// Longest time for one request: what waits for shards or searches gives up after 60 s by itself.
const ANSWER_WITHIN: Duration = Duration::from_secs(90);

/// Findings that are told; more would be the same.
const MAX_TOLD: usize = 20;

/// Fields of an index, after which it is made anew.
const MAX_FIELDS: u64 = 400;

/// What looks at all there is, as an operator's monitor does.
const LOOKED_AT: [&str; 8] = [
    "/_cat/indices?format=json",
    "/_cat/shards",
    "/_stats",
    "/_cat/segments",
    "/stable,growing/_segments",
    "/_cluster/stats",
    "/growing/_field_caps?fields=*",
    "/growing/_search?q=word",
];

#[tokio::test(flavor = "multi_thread")]
async fn no_mutated_request_hurts_the_server_while_fields_are_added() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = Server::start(&folder.path().join("data")).await?;
    let address = server.address();
    let is_over = Arc::new(AtomicBool::new(false));
    let growing = tokio::spawn(grow(address, Arc::clone(&is_over)));
    let seeds: Arc<Vec<Seed>> = Arc::new(seeds::all()?);
    let per_client = run::sized(NUM_REQUESTS.0, NUM_REQUESTS.1).div_ceil(NUM_CLIENTS);
    let statuses: Arc<[AtomicU64; 6]> = Arc::default();
    let mut clients = JoinSet::new();
    for client in 0..NUM_CLIENTS as u64 {
        let (seeds, statuses) = (Arc::clone(&seeds), Arc::clone(&statuses));
        clients.spawn(attack(address, client, per_client, seeds, statuses));
    }
    let mut findings = Vec::new();
    while let Some(found) = clients.join_next().await {
        findings.extend(found?);
    }
    is_over.store(true, Ordering::Relaxed);
    let num_fields = growing.await??;
    let count = |class: usize| statuses[class].load(Ordering::Relaxed);
    let figures = json!({
        "requests": per_client * NUM_CLIENTS, "fields_added": num_fields, "findings": findings.len(),
        "2xx": count(2), "4xx": count(4), "5xx": count(5), "unanswered": count(0),
    });
    run::report("mutated", &figures)?;
    let told: Vec<String> = findings.into_iter().take(MAX_TOLD).collect();
    let seed = run::seed();
    ensure!(told.is_empty(), "seed {seed}:\n{}", told.join("\n\n"));
    ensure!(server.is_alive()?, "seed {seed}: the server has ended");
    let printed = server.printed()?;
    let panics: Vec<&str> = printed
        .lines()
        .filter(|line| line.contains("panicked"))
        .collect();
    ensure!(panics.is_empty(), "seed {seed}: {panics:#?}");
    ensure!(
        num_fields > 5,
        "only {num_fields} fields were added meanwhile"
    );
    // Many reach what they ask for, many are refused.
    let total = (per_client * NUM_CLIENTS) as u64;
    ensure!(count(2) * 10 > total && count(4) * 10 > total, "{figures}");
    server.stop().await
}

/// Adds text fields to indices, and looks at all there is after each; returns how many were added. Indices that were
/// deleted meanwhile are made again.
async fn grow(address: SocketAddr, is_over: Arc<AtomicBool>) -> Result<u64> {
    let mut added = 0_u64;
    while !is_over.load(Ordering::Relaxed) {
        if added.is_multiple_of(50) {
            // What is there already is refused; so is what an alias that was made meanwhile takes the name of.
            Request::json("PUT", "/stable", &seeds::index())
                .send(address)
                .await?;
            let bulk = Request::ndjson("POST", "/stable/_bulk?refresh=true", seeds::documents());
            bulk.send(address).await?;
        }
        if added.is_multiple_of(MAX_FIELDS) {
            Request::new("DELETE", "/growing").send(address).await?;
        }
        let name = format!("f{}", added % MAX_FIELDS);
        let document = json!({name: "some word", "kept": {"n": added}});
        let put = Request::json("PUT", &format!("/growing/_doc/{}", added % 7), &document);
        put.send(address).await?;
        for path in [
            LOOKED_AT[added as usize % LOOKED_AT.len()],
            LOOKED_AT[0],
            LOOKED_AT[2],
        ] {
            let look = Request::new("GET", path);
            let answer = look.send(address).await;
            let finding = judge(&look, &answer, Duration::ZERO);
            ensure!(finding.is_none(), "{path}: {finding:?}");
        }
        if added.is_multiple_of(3) {
            Request::new("POST", "/growing/_refresh")
                .send(address)
                .await?;
        }
        added += 1;
    }
    Ok(added)
}

/// Sends mutated requests; returns what must not be.
async fn attack(
    address: SocketAddr,
    client: u64,
    num_requests: usize,
    seeds: Arc<Vec<Seed>>,
    statuses: Arc<[AtomicU64; 6]>,
) -> Vec<String> {
    let mut random = Random::stream(run::seed(), 1_000 + client);
    let mut findings = Vec::new();
    for number in 0..num_requests {
        let request = draw(&mut random, &seeds);
        let began = Instant::now();
        let answer = request.send(address).await;
        let class = answer
            .as_ref()
            .map_or(0, |answer| usize::from(answer.status / 100).min(5));
        statuses[class].fetch_add(1, Ordering::Relaxed);
        if let Some(finding) = judge(&request, &answer, began.elapsed()) {
            findings.push(format!(
                "client {client} request {number}: {finding}\n{}",
                shown(&request)
            ));
        }
    }
    findings
}

fn judge(request: &Request, answer: &Result<Response>, took: Duration) -> Option<String> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Some(format!("no answer: {error:#}")),
    };
    if answer.status >= 500 && !is_of_the_moment(request, answer) {
        return Some(answer.shown());
    }
    (took > ANSWER_WITHIN).then(|| format!("answered after {took:?}"))
}

/// Kinds of errors that say what a shard does at the moment.
const OF_THE_MOMENT: [&str; 3] = [
    "no_shard_available_action_exception",
    "timeout_exception",
    "unavailable_shards_exception",
];

/// Returns whether an answer says that a shard does not answer now or in the time that was asked for: indices are made and
/// deleted meanwhile.
fn is_of_the_moment(request: &Request, answer: &Response) -> bool {
    let told = String::from_utf8_lossy(&answer.body);
    let is_told = OF_THE_MOMENT.iter().any(|kind| told.contains(kind));
    let is_asked = request.path.starts_with("/_health/") || request.method == "HEAD";
    answer.status == 503 && (is_told || is_asked)
}

/// Draws a request and changes it.
fn draw(random: &mut Random, seeds: &[Seed]) -> Request {
    let seed = &seeds[random.below(seeds.len() as u64) as usize];
    let mut path = seeds::filled_in(random, &seed.path);
    if random.chance(1, 4) {
        let mark = if path.contains('?') { '&' } else { '?' };
        path.push(mark);
        path.push_str(&change::parameter(random, &seed.parameters));
    }
    let method = match random.chance(1, 40) {
        true => pick(random, &["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"]),
        false => seed.method,
    };
    let request = Request::new(method, &path);
    // The body of another request, at times.
    let lines = match random.chance(1, 25) {
        true => &seeds[random.below(seeds.len() as u64) as usize].lines,
        false => &seed.lines,
    };
    if lines.is_empty() {
        return request;
    }
    let mut changed: Vec<Value> = lines.clone();
    for _ in 0..random.below(4) {
        let at = random.below(changed.len() as u64) as usize;
        let other = &seeds[random.below(seeds.len() as u64) as usize].lines;
        change::value(random, &mut changed[at], other.first());
    }
    let mut body: Vec<String> = changed.iter().map(Value::to_string).collect();
    if lines.len() > 1 {
        body.push(String::new());
    }
    let mut body = body.join("\n").into_bytes();
    if random.chance(1, 10) {
        change::bytes(random, &mut body);
    }
    let content_type = if lines.len() > 1 {
        "application/x-ndjson"
    } else {
        "application/json"
    };
    request.with_body(content_type, body)
}

/// Returns a request for a message.
fn shown(request: &Request) -> String {
    let body = request.body.as_deref().unwrap_or_default();
    let start = String::from_utf8_lossy(&body[..body.len().min(1_500)]);
    format!("{} {}\n{start}", request.method, request.path)
}

//! Random hostile requests over all endpoints of the running binary, half of them through a front ahead of it.
//!
//! Whatever is sent: no panic, no fault of ours as a 5xx, an error in the dialect's shape, the memory of both processes
//! within its limit, and afterwards both still answer what they did before.

mod answers;
mod bodies;
mod connections;
mod explosions;
mod mutated;
mod numbers;
mod requests;
mod starving;
mod verdict;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use gleaner_datasets::Random;
use gleaner_testkit::http::Request;
use gleaner_testkit::{Server, run};
use serde_json::json;
use tokio::task::JoinSet;

use requests::Hostile;
use verdict::{Finding, judge};

/// Requests: reduced, and in full.
const NUM_REQUESTS: (usize, usize) = (1_200, 10_000);
/// Clients that send at once; those of odd numbers send to the front.
const NUM_CLIENTS: usize = 4;
/// Most anonymous memory of the server at any time, in bytes. Its own accounts: 1 GiB for queries, of
/// which one may hold 256 MiB; 32 MB to index in; bodies of four clients; the process itself.
const MAX_ANONYMOUS_BYTES: u64 = 1 << 30;
/// The same of the front, which keeps no answers here: bodies of two clients on their way; the process itself.
const MAX_FRONT_BYTES: u64 = 256 << 20;
/// Longest time for one request: what waits for shards (`_cluster/health`) gives up after 30 s, a search
/// after 60 s by itself.
const ANSWER_WITHIN: Duration = Duration::from_secs(35);

/// A process under attack.
struct Attackee {
    name: &'static str,
    process: Server,
    /// Most anonymous memory that it was seen with, in bytes.
    peak_bytes: u64,
    max_bytes: u64,
}

impl Attackee {
    fn new(name: &'static str, process: Server, max_bytes: u64) -> Self {
        Self {
            name,
            process,
            peak_bytes: 0,
            max_bytes,
        }
    }

    /// Looks whether it is alive, and at its memory.
    fn look(&mut self) -> Result<()> {
        let (name, process) = (self.name, &mut self.process);
        let is_alive = process.is_alive()?;
        ensure!(is_alive, "the {name} has ended: {}", tail(process)?);
        self.peak_bytes = self.peak_bytes.max(process.anonymous_bytes()?);
        Ok(())
    }

    /// Checks that nothing panicked in it, that it kept to its memory, and that it still serves.
    async fn check(&self) -> Result<()> {
        let printed = self.process.printed()?;
        let panics: Vec<&str> = printed
            .lines()
            .filter(|line| line.contains("panicked"))
            .collect();
        let (name, seed) = (self.name, run::seed());
        ensure!(panics.is_empty(), "{name}, seed {seed}: {panics:#?}");
        let peak_mib = self.peak_bytes >> 20;
        let is_within = self.peak_bytes <= self.max_bytes;
        ensure!(is_within, "{peak_mib} MiB of memory in the {name}");
        let served = still_serves(&self.process).await;
        served.with_context(|| format!("the {name}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_a_stranger_sends_hurts_the_server_or_a_front() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(&folder.path().join("data")).await?;
    prepare(server.address()).await?;
    let front = Server::start_front(server.address(), &folder.path().join("front.log")).await?;
    let mut attackees = [
        Attackee::new("server", server, MAX_ANONYMOUS_BYTES),
        Attackee::new("front", front, MAX_FRONT_BYTES),
    ];
    let per_client = run::sized(NUM_REQUESTS.0, NUM_REQUESTS.1).div_ceil(NUM_CLIENTS);
    let mut clients = JoinSet::new();
    for number in 0..NUM_CLIENTS {
        let address = attackees[number % attackees.len()].process.address();
        clients.spawn(attack(address, number as u64, per_client));
    }
    let (mut findings, mut slowest) = (Vec::new(), Slowest::default());
    while !clients.is_empty() {
        // Looks at the memory at least every 50 ms, until all clients are done.
        let next = tokio::time::timeout(Duration::from_millis(50), clients.join_next());
        if let Ok(Some(done)) = next.await {
            let attacked = done?;
            findings.extend(attacked.findings);
            slowest = slowest.max(attacked.slowest);
        }
        for attackee in &mut attackees {
            attackee.look()?;
        }
    }
    run::report(
        "hostility",
        &json!({
            "requests": per_client * NUM_CLIENTS,
            "faults": findings.len(),
            "slowest_ms": slowest.0.as_millis() as u64,
            "slowest": slowest.1,
            "peak_anonymous_mib": attackees[0].peak_bytes >> 20,
            "peak_front_mib": attackees[1].peak_bytes >> 20,
        }),
    )?;
    ensure!(
        findings.is_empty(),
        "seed {}:\n{}",
        run::seed(),
        findings.join("\n\n")
    );
    for attackee in &attackees {
        attackee.check().await?;
    }
    Ok(())
}

/// What one client met.
struct Attacked {
    findings: Vec<String>,
    slowest: Slowest,
}

/// How long the slowest request took, with its method and the start of its path.
type Slowest = (Duration, String);

async fn attack(address: SocketAddr, client: u64, num_requests: usize) -> Attacked {
    let mut random = Random::stream(run::seed(), client);
    let mut attacked = Attacked {
        findings: Vec::new(),
        slowest: Slowest::default(),
    };
    for number in 0..num_requests {
        let hostile = Hostile::draw(&mut random);
        let began = Instant::now();
        let answer = hostile.request.send(address).await;
        let took = began.elapsed();
        if took > attacked.slowest.0 {
            let (method, path) = (&hostile.request.method, &hostile.request.path);
            let path: String = path.chars().take(120).collect();
            attacked.slowest = (took, format!("{method} {path}"));
        }
        let finding = match judge(&hostile, answer) {
            Some(finding) => Some(finding),
            None if took > ANSWER_WITHIN => Some(Finding::Slow(took)),
            None => None,
        };
        if let Some(finding) = finding {
            let told = hostile.shown();
            attacked.findings.push(format!(
                "client {client} request {number}: {told}\n{finding}"
            ));
        }
    }
    attacked
}

/// An index with something to search in.
async fn prepare(address: SocketAddr) -> Result<()> {
    let body = json!({"settings": {"number_of_shards": 2}, "mappings": {"properties": {
        "title": {"type": "text"}, "tag": {"type": "keyword"},
        "n": {"type": "long"}, "at": {"type": "date"},
    }}});
    Request::json("PUT", "/stable", &body)
        .send(address)
        .await?
        .ok()?;
    let mut bulk = String::new();
    for n in 0..500 {
        let tag = "ab".repeat(1 + n % 40);
        let source = json!({"title": format!("word{n} aaaaaaaaaaaaaaaaaaaaaaaa"), "tag": tag,
            "n": n, "at": format!("20{:02}-01-01", n % 100)});
        bulk.push_str(&format!("{{\"index\":{{\"_id\":\"{n}\"}}}}\n{source}\n"));
    }
    let request = Request::ndjson("POST", "/stable/_bulk?refresh=true", bulk);
    let answer = request.send(address).await?.ok()?;
    ensure!(answer["errors"] == false, "{answer}");
    Ok(())
}

async fn still_serves(server: &Server) -> Result<()> {
    let id = Request::json(
        "PUT",
        "/after/_doc/1?refresh=true",
        &json!({"title": "still here"}),
    );
    server
        .send(&id)
        .await?
        .ok()
        .context("a write after the attack")?;
    let answer = server
        .send(&Request::new("GET", "/after/_search?q=here"))
        .await?
        .ok()?;
    ensure!(answer["hits"]["total"]["value"] == 1, "{answer}");
    Ok(())
}

fn tail(server: &Server) -> Result<String> {
    let printed = server.printed()?;
    let start = printed.len().saturating_sub(2_000);
    Ok(printed.get(start..).unwrap_or(&printed).to_owned())
}

//! How soon all leaves rest after a client has gone, or a task was cancelled: sockets, root and network
//! included.

#![expect(
    clippy::disallowed_methods,
    reason = "other processes are looked at from outside: they tell no events"
)]

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use gleaner_datasets::Random;
use serde_json::{Value, json};

use super::latency::{Latencies, ms};
use super::nodes::{INDEX, Leaves, Means, NUM_SHARDS, Nodes, Start};
use super::{Bench, connections, targets};
use crate::client::Client;
use crate::corpus::SEED;
use crate::queries::{Class, Set};
use crate::report::{Section, Table, tell};

/// Terms that the phrases are made of, the most frequent of those drawn.
const NUM_TERMS: usize = 16;
/// Searches given up on at most per one that is cancelled in time.
const TRIES: usize = 4;
/// Longest that leaves may go on.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a search is called off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Its client closes the connection.
    Closed,
    /// `POST /_tasks/_cancel`.
    Cancelled,
}

/// A cluster under one expensive search at a time.
struct Target {
    root: String,
    /// A connection to the root, and one to each leaf.
    tasks: Client,
    leaves: Vec<Client>,
    request: Bytes,
    whole: Duration,
}

/// Calls searches off at random moments, over HTTP.
///
/// # Errors
/// When a process fails, or a leaf goes on.
pub(super) fn measure(bench: &Bench) -> Result<Section> {
    tell("loading 4 leaves with one copy of 8 shards");
    let nodes = Nodes::start(&Start {
        binary: &bench.options.server,
        roots: &[Means::ALL],
        leaves: Leaves::Real,
        leaf_settings: "",
    })?;
    nodes.load(&bench.corpus, 1)?;
    let mut target = Target::new(bench, &nodes)?;
    let wanted = bench.options.sized(100, 500);
    let mut table = Table::new([
        "called off by",
        "searches",
        "p50 until all leaves rest, ms",
        "p99",
        "max",
    ]);
    let ways = [
        (Way::Closed, "closing the connection"),
        (Way::Cancelled, "`POST /_tasks/_cancel`"),
    ];
    for (way, name) in ways {
        tell(name);
        let stops = target.call_off(way, wanted)?;
        table.row([
            name.to_owned(),
            stops.number().to_string(),
            ms(stops.at(0.5)),
            targets::CANCELLED_MS.cell(stops.at(0.99)),
            ms(stops.max()),
        ]);
    }
    Ok(Section {
        title: "Searches that nobody waits for any more",
        method: format!(
            "Five processes, {NUM_SHARDS} shards of {}, one client; phrases of any two of {NUM_TERMS} \
             frequent terms with an exact total, which take {} ms alone. Each is called off at a random \
             moment of its first three quarters; what is told is the time from then until \
             `gleaner_searches_running` is 0 on every leaf. Those that were answered before do not \
             count. The leaves are asked one after the other all the while, which takes its time too.",
            bench.corpus.origin,
            ms(target.whole.as_secs_f64() * 1e3),
        ),
        tables: vec![table],
        remarks: Vec::new(),
    })
}

impl Target {
    fn new(bench: &Bench, nodes: &Nodes) -> Result<Self> {
        let path = format!("/{INDEX}/_search");
        let request = connections::post(&path, body(bench)?.to_string().as_bytes());
        let leaves = nodes.leaves.iter();
        let mut target = Self {
            root: nodes.roots[0].http.clone(),
            tasks: nodes.client()?,
            leaves: leaves
                .map(|leaf| Client::connect(&leaf.http))
                .collect::<Result<_>>()?,
            request,
            whole: Duration::MAX,
        };
        for _ in 0..3 {
            let start = Instant::now();
            let status = status(&mut BufReader::new(target.send()?))?;
            ensure!(status == 200, "the search was answered with {status}");
            target.whole = target.whole.min(start.elapsed());
        }
        Ok(target)
    }

    fn send(&self) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(&self.root)?;
        stream.set_nodelay(true)?;
        stream.write_all(&self.request)?;
        Ok(stream)
    }

    /// Calls `wanted` searches off; returns how long after it the leaves rested.
    fn call_off(&mut self, way: Way, wanted: usize) -> Result<Latencies> {
        let mut random = Random::stream(SEED, 6);
        let mut stops = Latencies::default();
        let span = self.whole.mul_f64(0.75).as_nanos() as u64;
        for _ in 0..wanted * TRIES {
            if stops.number() as usize == wanted {
                break;
            }
            let after = Duration::from_nanos(random.below(span.max(1)));
            if let Some(stop) = self.called_off_after(way, after)? {
                stops.add(stop);
            }
        }
        Ok(stops)
    }

    /// Calls one search off `after` it was sent; `None` when it was answered before.
    fn called_off_after(&mut self, way: Way, after: Duration) -> Result<Option<Duration>> {
        let stream = self.send()?;
        std::thread::sleep(after);
        let at = Instant::now();
        if has_answer(&stream)? {
            self.rest()?;
            return Ok(None);
        }
        match way {
            Way::Closed => drop(stream),
            Way::Cancelled => {
                let path = "/_tasks/_cancel?actions=indices:data/read/search";
                self.tasks.expect("POST", path, b"")?;
                let rested = self.rest()?;
                let is_whole = status(&mut BufReader::new(stream))? == 200;
                return Ok((!is_whole).then(|| rested - at));
            }
        }
        Ok(Some(self.rest()? - at))
    }

    /// Waits until no leaf evaluates anything; returns since when. Two looks in a row have to say so,
    /// as the leaves are not asked at the same moment.
    fn rest(&mut self) -> Result<Instant> {
        let start = Instant::now();
        let mut since: Option<Instant> = None;
        loop {
            let mut is_running = false;
            for leaf in &mut self.leaves {
                is_running |= running(leaf)? > 0.0;
            }
            let now = Instant::now();
            match since {
                Some(since) if !is_running => return Ok(since),
                _ => since = (!is_running).then_some(now),
            }
            ensure!(start.elapsed() < PATIENCE, "a leaf goes on");
        }
    }
}

/// Any two of the most frequent terms drawn from the documents, as phrases.
fn body(bench: &Bench) -> Result<Value> {
    let drawn = Set::Own.queries(bench.options.data.as_deref(), &bench.corpus, 100)?;
    // Single terms come from rare to frequent.
    let terms = drawn.into_iter().filter(|query| query.class == Class::Term);
    let mut terms: Vec<String> = terms.flat_map(|query| query.terms).collect();
    let terms = terms.split_off(terms.len().saturating_sub(NUM_TERMS));
    ensure!(terms.len() == NUM_TERMS, "too few terms were drawn");
    let phrases = terms.iter().enumerate().flat_map(|(at, first)| {
        let after = terms[at + 1..].iter();
        after.map(move |second| json!({"match_phrase": {"body": format!("{first} {second}")}}))
    });
    Ok(json!({
        "query": {"bool": {"should": phrases.collect::<Vec<Value>>()}},
        "track_total_hits": true,
        "_source": false,
    }))
}

/// Returns the evaluations under way on a leaf.
fn running(leaf: &mut Client) -> Result<f64> {
    let text = leaf.expect("GET", "/metrics", b"")?;
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines();
    match lines.find_map(|line| line.strip_prefix("gleaner_searches_running ")) {
        Some(value) => value.trim().parse().context("a gauge is a number"),
        None => bail!("the leaf does not tell `gleaner_searches_running`"),
    }
}

/// Returns whether an answer, or its beginning, is there.
fn has_answer(stream: &TcpStream) -> Result<bool> {
    stream.set_nonblocking(true)?;
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false)?;
    match peeked {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn status(stream: &mut BufReader<TcpStream>) -> Result<u16> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
    status.context("no status line")
}

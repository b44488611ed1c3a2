//! The page on roots and leaves: tails, deaths, deadlines and prices, measured in one run.
//!
//! Read [`write_page`] first: it measures part by part and writes what it found.

mod cancel;
mod connections;
mod counters;
mod deadline;
mod gone;
mod kill;
mod latency;
mod load;
mod network;
mod node;
mod nodes;
pub mod paced;
mod shards;
mod skipping;
mod stragglers;
mod targets;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use gleaner_datasets::Random;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::corpus::{Corpus, SEED, Size};
use crate::queries::{Query, Set};
use crate::report::{Section, machine, serving, tell};
use connections::Connections;
use load::{Throughput, closed_loop};

/// Names of the parts, in their order.
pub const PARTS: [&str; 6] = [
    "stragglers",
    "kill",
    "deadline",
    "network",
    "shards",
    "skipping",
];

/// Share of the measured capacity at which latencies are taken: beyond it they tell of queues.
const LOW_LOAD: f64 = 0.2;

/// Clients that find out how much a server can do.
const CLIENTS: usize = 8;

/// What is measured, and how thoroughly.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder of shared collections; `None` uses generated documents.
    pub data: Option<PathBuf>,
    /// Fewer documents, requests and rounds.
    pub is_quick: bool,
    /// Documents, instead of the size's own number.
    pub documents: Option<usize>,
    /// The program `gleaner`.
    pub server: PathBuf,
    /// Parts to measure, by name; empty is all of [`PARTS`].
    pub only: Vec<String>,
    /// How the report was started.
    pub command: String,
}

impl Options {
    /// Returns `full`, or `quick` when that was asked for.
    fn sized<T>(&self, quick: T, full: T) -> T {
        if self.is_quick { quick } else { full }
    }
}

/// What all parts share.
struct Bench {
    options: Options,
    corpus: Corpus,
    queries: Vec<Query>,
    runtime: Runtime,
}

/// Measures everything and writes the page to `path`.
///
/// # Errors
/// When something cannot be measured or written; nothing is written then.
pub fn write_page(path: &Path, options: &Options) -> Result<()> {
    let bench = Bench::new(options)?;
    let mut sections = Vec::new();
    for part in PARTS {
        if options.only.is_empty() || options.only.iter().any(|wanted| wanted == part) {
            tell(part);
            sections.extend(bench.measure(part).context(part)?);
        }
    }
    std::fs::write(path, bench.render(&sections)).with_context(|| path.display().to_string())
}

impl Bench {
    fn new(options: &Options) -> Result<Self> {
        tell("reading documents");
        let size = Size {
            articles: options.documents.unwrap_or(options.sized(20_000, 103_000)),
            notes: 0,
        };
        let data = options.data.as_deref();
        let corpus = Corpus::load(data, size)?;
        let mut queries = Vec::new();
        for set in Set::ALL {
            queries.extend(set.queries(data, &corpus, options.sized(40, 100))?);
        }
        shuffle(&mut queries);
        Ok(Self {
            options: options.clone(),
            corpus,
            queries,
            runtime: tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?,
        })
    }

    fn measure(&self, part: &str) -> Result<Vec<Section>> {
        Ok(match part {
            "stragglers" => vec![stragglers::measure(self)?],
            "kill" => vec![kill::measure(self)?],
            "deadline" => vec![
                deadline::measure(self)?,
                cancel::measure(self)?,
                gone::measure(self)?,
            ],
            "network" => vec![network::measure(self)?],
            "shards" => vec![shards::measure(self)?],
            _ => vec![skipping::measure(self)?],
        })
    }

    /// Returns all queries as requests: ten hits with their title, no total, and `parameters` on top.
    fn requests(&self, parameters: &str) -> Result<Arc<Vec<Bytes>>> {
        let path = format!("/{}/_search{parameters}", nodes::INDEX);
        let request = |query: &Query| -> Result<Bytes> {
            Ok(connections::post(
                &path,
                body(query)?.to_string().as_bytes(),
            ))
        };
        let requests = self.queries.iter().map(request);
        Ok(Arc::new(requests.collect::<Result<_>>()?))
    }

    /// Finds out how many searches per second the server at `address` answers, after a warm-up.
    fn capacity(&self, address: &str, requests: &Arc<Vec<Bytes>>) -> Result<Throughput> {
        let connections = Connections::to(address);
        let while_for = Duration::from_secs(self.options.sized(2, 5));
        self.runtime.block_on(async {
            closed_loop(&connections, requests, CLIENTS, while_for).await?;
            closed_loop(&connections, requests, CLIENTS, while_for).await
        })
    }

    fn render(&self, sections: &[Section]) -> String {
        let mut page = format!(
            "# 0003: roots and leaves\n\n\
             Written by `{}`; all figures are of that one run, so they may be compared with each other \
             and with nothing else. Targets stand beside the figures; a verdict is computed from the \
             figure it stands beside.\n\n{}\n\
             Documents: {}, {:.0} MB of JSON, shuffled with seed {SEED}. Queries: {}, of the \
             search-benchmark-game and drawn from the documents, five classes in equal shares, \
             shuffled; ten hits with their title, no total. All processes and the load generator share \
             the machine's cores. Open loop: a constant rate at most {:.0} % of what {CLIENTS} clients \
             got in a closed loop in the same run; latency counts from the moment a request was due.\n",
            self.options.command,
            machine::facts(),
            self.corpus.origin,
            self.corpus.num_bytes() as f64 / 1e6,
            self.queries.len(),
            LOW_LOAD * 100.0,
        );
        for section in sections {
            page += &section.to_string();
        }
        page
    }
}

/// Returns a search in the dialect.
fn body(query: &Query) -> Result<Value> {
    let mut body: Value = serde_json::from_slice(&serving::body(query, &json!(false)))?;
    body["_source"] = json!(["title"]);
    Ok(body)
}

/// Returns the rate of an open loop on a server of this capacity.
fn low_rate(capacity: &Throughput) -> f64 {
    (capacity.per_second() * LOW_LOAD).floor().max(1.0)
}

/// Fisher and Yates' shuffle, so that classes follow each other in no order.
fn shuffle(queries: &mut [Query]) {
    let mut random = Random::stream(SEED, 4);
    for last in (1..queries.len()).rev() {
        queries.swap(last, random.below(last as u64 + 1) as usize);
    }
}

//! What it costs that leaves note in etcd what their copies hold: single writes of 64 clients to two leaves with two copies, with
//! marks and without, in turns. Compared are writes a second, and the CPU time of a write (this process and the etcd), which other
//! work on the machine changes little.
//!
//! ```text
//! cargo bench -p gleaner-benches --bench marks
//! cargo bench -p gleaner-benches --bench marks -- 100      more turns, narrower bounds
//! ```

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use gleaner_benches::race::{geometric_mean, process_cpu};
use gleaner_coordinator::marks::{CopyMark, NodeMarks};
use gleaner_coordinator::{CoordinatorError, CopyMarks};
use gleaner_etcd::{Client, EtcdMarks, Keys};
use gleaner_model::{NodeUuid, ShardKey};
use gleaner_proto::Connect;
use gleaner_root::RootOptions;
use gleaner_root::ingest::IngestOptions;
use gleaner_testkit::Cluster;
use gleaner_testkit::etcd::Etcd;
use gleaner_testkit::node::item;
use serde_json::json;
use tokio::task::JoinSet;

const NUM_CLIENTS: usize = 64;

/// How long marks are kept or held back in one turn: some marks of each leaf.
const TURN: Duration = Duration::from_secs(6);

/// Turns with marks, and as many without.
const NUM_ROUNDS: usize = 40;

/// Clock ticks of a second of CPU time, as Linux counts that of other processes.
const TICKS: u64 = 100;

/// Marks in an etcd that can be held back.
struct HeldMarks {
    marks: EtcdMarks,
    is_held: AtomicBool,
    num_written: AtomicU64,
}

#[async_trait]
impl CopyMarks for HeldMarks {
    async fn of_node(&self, node: NodeUuid) -> Result<NodeMarks, CoordinatorError> {
        self.marks.of_node(node).await
    }

    async fn of_copy(
        &self,
        node: NodeUuid,
        shard: ShardKey,
    ) -> Result<Option<CopyMark>, CoordinatorError> {
        self.marks.of_copy(node, shard).await
    }

    async fn write(
        &self,
        node: NodeUuid,
        all: &NodeMarks,
        changed: &BTreeSet<ShardKey>,
    ) -> Result<(), CoordinatorError> {
        if self.is_held.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.num_written.fetch_add(1, Ordering::Relaxed);
        self.marks.write(node, all, changed).await
    }

    async fn num_starts(&self, node: NodeUuid) -> Result<u64, CoordinatorError> {
        self.marks.num_starts(node).await
    }

    async fn note_starts(&self, node: NodeUuid, num_starts: u64) -> Result<(), CoordinatorError> {
        self.marks.note_starts(node, num_starts).await
    }
}

/// What was done in a turn.
#[derive(Clone, Copy)]
struct Turn {
    writes: u64,
    wall: Duration,
    cpu: Duration,
}

impl Turn {
    fn per_second(&self) -> f64 {
        self.writes as f64 / self.wall.as_secs_f64()
    }

    fn cpu_of_write(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.writes as f64
    }
}

/// Returns the CPU time of another process.
fn cpu_of(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("a name")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = 0;
    for _ in 0..2 {
        ticks += fields.next().context("a time")?.parse::<u64>()?;
    }
    Ok(Duration::from_millis(ticks * 1_000 / TICKS))
}

async fn measured() -> Result<()> {
    let etcd = Etcd::start()?;
    let client = Client::new(&Connect::default(), &[etcd.address()])?;
    let marks = Arc::new(HeldMarks {
        marks: EtcdMarks::new(client, Keys::of("bench")?),
        is_held: AtomicBool::new(false),
        num_written: AtomicU64::new(0),
    });
    let kept = Arc::clone(&marks) as _;
    let cluster = Cluster::start_noting(2, RootOptions::default(), kept).await?;
    let settings = json!({"number_of_shards": 4, "number_of_replicas": 1});
    cluster
        .create("things", &json!({"settings": settings}))
        .await?;

    let (num_written, mut clients) = (Arc::<AtomicU64>::default(), JoinSet::new());
    for client in 0..NUM_CLIENTS {
        let (root, num_written) = (Arc::clone(&cluster.root), Arc::clone(&num_written));
        clients.spawn(async move {
            for number in 0_u64.. {
                // As many documents as one turn writes: the index stays as large.
                let id = format!("{client}-{}", number % 1_000);
                let item = item("things", &id, &json!({"client": client, "number": number}));
                let done = root
                    .ingester()
                    .ingest(vec![item], &IngestOptions::default())
                    .await;
                assert!(
                    done.iter().all(|done| done.outcome.is_ok()),
                    "a write fails"
                );
                num_written.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let turn = async |is_held: bool| -> Result<Turn> {
        marks.is_held.store(is_held, Ordering::Relaxed);
        let cpu = || Ok::<_, anyhow::Error>(process_cpu() + cpu_of(etcd.pid())?);
        let (began, before, cpu_before) =
            (Instant::now(), num_written.load(Ordering::Relaxed), cpu()?);
        tokio::time::sleep(TURN).await;
        Ok(Turn {
            writes: num_written.load(Ordering::Relaxed) - before,
            wall: began.elapsed(),
            cpu: cpu()? - cpu_before,
        })
    };
    // Until all is warm.
    for _ in 0..2 {
        turn(false).await?;
    }
    // Cargo adds a word of its own.
    let rounds = std::env::args().find_map(|word| word.parse().ok());
    let mut pairs = Vec::new();
    for round in 0..rounds.unwrap_or(NUM_ROUNDS) {
        let (first, second) = (turn(round % 2 == 0).await?, turn(round % 2 == 1).await?);
        pairs.push(match round % 2 == 0 {
            true => (second, first),
            false => (first, second),
        });
    }
    clients.abort_all();
    ensure!(
        marks.num_written.load(Ordering::Relaxed) > 0,
        "no mark was written"
    );
    told(&pairs, marks.num_written.load(Ordering::Relaxed));
    Ok(())
}

/// Tells the ratios with marks to without, and between which bounds 95 of 100 such means lie.
fn told(pairs: &[(Turn, Turn)], num_marks: u64) {
    let ratio = |of: fn(&Turn) -> f64| {
        let ratios = pairs.iter().map(|(with, without)| of(with) / of(without));
        let ratios: Vec<f64> = ratios.collect();
        let mean = geometric_mean(&ratios);
        let squares = ratios.iter().map(|ratio| (ratio.ln() - mean.ln()).powi(2));
        let num = ratios.len() as f64;
        let error = (squares.sum::<f64>() / (num - 1.0).max(1.0) / num).sqrt() * 1.96;
        (mean, mean * (-error).exp(), mean * error.exp())
    };
    let mean = |of: fn(&Turn) -> f64, with: bool| {
        let turns = pairs
            .iter()
            .map(|pair| if with { &pair.0 } else { &pair.1 });
        geometric_mean(&turns.map(of).collect::<Vec<_>>())
    };
    for (what, of) in [
        ("writes a second", Turn::per_second as fn(&Turn) -> f64),
        ("CPU time of a write, µs", Turn::cpu_of_write),
    ] {
        let (ratio, least, most) = ratio(of);
        let (with, without) = (mean(of, true), mean(of, false));
        eprintln!(
            "{what}: {with:.1} with marks, {without:.1} without: {ratio:.4} ({least:.4} to {most:.4})"
        );
    }
    eprintln!(
        "{} turns of each, {num_marks} times marks were written",
        pairs.len()
    );
}

fn main() -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(measured())
}

//! Fronts, roots and leaves as processes of their own, stopped at any moment: no answer that is kept is from before what
//! was acknowledged as visible when its request was sent.
//!
//! Writers show each document before the next; readers ask any front and hold each answer against what had been
//! acknowledged; meanwhile processes stand still (`SIGSTOP`) for as long as leases last, or shorter, or longer.
//! The long run is `cargo xtask prove --tier front --seed N`.

mod killed;
mod names;
mod processes;
mod readers;
mod rolling;
mod scrolls;
mod writers;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gleaner_testkit::{etcd, run, skipped};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use processes::Processes;

const NUM_WRITERS: usize = 2;
const NUM_READERS: usize = 6;

/// Longest run, in full and reduced.
const WITHIN: (Duration, Duration) = (Duration::from_secs(3_600), Duration::from_secs(180));

/// How much a run is to have seen.
struct Size {
    num_hits: u64,
    num_shown: u64,
    num_faults: u64,
}

/// A run, as all of its tasks see it.
struct Run {
    processes: Processes,
    /// Documents of each writer that were acknowledged as visible.
    acknowledged: [AtomicU64; NUM_WRITERS],
    num_shown: AtomicU64,
    num_reads: AtomicU64,
    num_hits: AtomicU64,
    /// Requests that had no whole answer, while a process stood still.
    num_failed: AtomicU64,
    /// Of those, answers that said that they may be old, and were.
    num_flagged_old: AtomicU64,
    num_faults: AtomicU64,
    is_over: AtomicBool,
}

impl Run {
    fn has_seen(&self, size: &Size) -> bool {
        let reached = |count: &AtomicU64, wanted| count.load(Ordering::Relaxed) >= wanted;
        reached(&self.num_hits, size.num_hits)
            && reached(&self.num_shown, size.num_shown)
            && reached(&self.num_faults, size.num_faults)
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

/// Has one process after another stand still.
async fn stop_processes(run: Arc<Run>, mut random: StdRng) -> Result<()> {
    while !run.is_over() {
        sleep(Duration::from_millis(random.random_range(50..400))).await;
        let process = run.processes.any(&mut random);
        process.signal("-STOP")?;
        sleep(Duration::from_millis(random.random_range(20..1_200))).await;
        process.signal("-CONT")?;
        run.num_faults.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

async fn ended(tasks: &mut JoinSet<Result<()>>) -> Result<()> {
    while let Some(ended) = tasks.join_next().await {
        ended.context("a task panicked")??;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_that_fronts_keep_is_from_before_what_was_acknowledged() -> Result<()> {
    if !etcd::is_installed() {
        let test = "fronts::no_answer_that_fronts_keep_is_from_before_what_was_acknowledged";
        return skipped(test, etcd::NO_ETCD);
    }
    let size = Size {
        num_hits: run::sized(3_000, 300_000) as u64,
        num_shown: run::sized(30, 3_000) as u64,
        num_faults: run::sized(8, 100) as u64,
    };
    let run = Arc::new(Run {
        processes: Processes::start().await?,
        acknowledged: Default::default(),
        num_shown: AtomicU64::new(0),
        num_reads: AtomicU64::new(0),
        num_hits: AtomicU64::new(0),
        num_failed: AtomicU64::new(0),
        num_flagged_old: AtomicU64::new(0),
        num_faults: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
    });
    let mut tasks = JoinSet::new();
    let mut random = StdRng::seed_from_u64(run::seed());
    for reader in 0..NUM_READERS {
        tasks.spawn(readers::read(
            Arc::clone(&run),
            reader,
            StdRng::from_rng(&mut random),
        ));
    }
    for writer in 0..NUM_WRITERS {
        tasks.spawn(writers::write(
            Arc::clone(&run),
            writer,
            StdRng::from_rng(&mut random),
        ));
    }
    tasks.spawn(stop_processes(Arc::clone(&run), random));
    let within = if run::is_full() { WITHIN.0 } else { WITHIN.1 };
    let seen = timeout(within, async {
        while !run.has_seen(&size) {
            sleep(Duration::from_millis(20)).await;
        }
    });
    // A task that ends before it is over has found a fault.
    tokio::select! {
        seen = seen => drop(seen),
        Some(ended) = tasks.join_next() => ended.context("a task panicked")??,
    }
    let has_seen = run.has_seen(&size);
    run.is_over.store(true, Ordering::Relaxed);
    ended(&mut tasks).await?;
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let figures = json!({
        "hits": read(&run.num_hits),
        "reads": read(&run.num_reads),
        "failed": read(&run.num_failed),
        "flagged_old": read(&run.num_flagged_old),
        "shown": read(&run.num_shown),
        "faults": read(&run.num_faults),
        "stale": 0,
    });
    run::report("front", &figures)?;
    ensure!(has_seen, "too little was seen in {within:?}: {figures}");
    ensure!(
        read(&run.num_hits) * 4 >= read(&run.num_reads),
        "too few hits to prove anything: {figures}"
    );
    Ok(())
}

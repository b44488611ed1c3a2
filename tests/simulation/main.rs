//! The real root over a simulated network, against leaves that are models: thousands of schedules of
//! faults, each decided by its seed (see `docs/decisions/0015-simulation.md`).
//!
//! ```text
//! cargo test -p gleaner-tests --test simulation                 the first seeds
//! cargo xtask prove --tier simulation                           1,000 of them
//! GLEANER_SIMULATE=17 cargo test -p gleaner-tests --test simulation one_seed -- --nocapture
//! ```

mod broken;
mod client;
mod cluster;
mod documents;
mod expected;
mod faults;
mod history;
mod invariants;
mod leaf;
mod network;
mod run;
mod schedule;
mod scoring;
mod signal;
mod truth;
mod watched;

use std::env;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Result, ensure};
use gleaner_testkit::run as sizes;
use parking_lot::Mutex;
use serde_json::json;

use invariants::Owed;
use run::Run;
use schedule::{MIN_FAULTS, Schedule};

/// Schedules: reduced, and in full.
const NUM_SCHEDULES: (usize, usize) = (60, 1_000);

/// One schedule in this many is run twice, and must be the same both times.
const REPEATED: usize = 10;

/// Names the one seed to be replayed by `one_seed`.
const REPLAYED: &str = "GLEANER_SIMULATE";

/// Lines of the trace that are printed with a replay.
const NUM_LINES: usize = 20_000;

/// What many runs add up to.
#[derive(Debug, Default)]
struct Figures {
    schedules: usize,
    faults: usize,
    searches: usize,
    whole: usize,
    owed_whole: usize,
    out_of_credit: usize,
    given_up: usize,
    with_skipped: usize,
    failed: usize,
    writes: usize,
    first: u64,
    second: u64,
    simulated_ms: u128,
    violations: Vec<String>,
}

#[test]
fn schedules_of_faults_break_no_invariant() -> Result<()> {
    let num_schedules = sizes::sized(NUM_SCHEDULES.0, NUM_SCHEDULES.1);
    let first = (sizes::seed() - 1).wrapping_mul(NUM_SCHEDULES.1 as u64);
    let (next, figures) = (AtomicUsize::new(0), Mutex::new(Figures::default()));
    let num_threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..num_threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= num_schedules {
                        break;
                    }
                    let seed = first.wrapping_add(number as u64);
                    judge(seed, number % REPEATED == 0, &figures);
                }
            });
        }
    });
    let figures = figures.into_inner();
    ensure!(
        figures.violations.is_empty(),
        "{} violations:\n{}",
        figures.violations.len(),
        figures.violations.join("\n")
    );
    ensure!(figures.faults >= num_schedules * MIN_FAULTS, "{figures:?}");
    ensure!(figures.owed_whole > num_schedules, "{figures:?}");
    ensure!(figures.with_skipped > num_schedules, "{figures:?}");
    report(&figures)
}

/// Runs the schedule that the environment names, and prints what happened.
#[test]
fn one_seed() -> Result<()> {
    let Some(seed) = env::var(REPLAYED).ok().and_then(|text| text.parse().ok()) else {
        return Ok(());
    };
    let run = Run::of(Schedule::draw(seed));
    println!("{:#?}", run.schedule());
    for line in run.cluster.history.lock().lines.iter().take(NUM_LINES) {
        println!("{line}");
    }
    let broken = invariants::broken(&run);
    println!("trace {:016x}", run.hash);
    ensure!(broken.is_empty(), "{}", told(seed, &broken));
    Ok(())
}

/// Runs the schedule of a seed and adds it to the figures.
fn judge(seed: u64, is_repeated: bool, figures: &Mutex<Figures>) {
    let run = Run::of(Schedule::draw(seed));
    let mut broken = invariants::broken(&run);
    if is_repeated {
        let again = Run::of(Schedule::draw(seed));
        let found = invariants::differences(&run, &again);
        if !found.is_empty() {
            broken.push(("the same seed is the same run", found));
        }
    }
    let mut figures = figures.lock();
    figures.add(&run);
    if !broken.is_empty() {
        figures.violations.push(told(seed, &broken));
    }
}

/// Says what was broken, and how to see it again.
fn told(seed: u64, broken: &[(&str, Vec<String>)]) -> String {
    let mut text = format!(
        "seed {seed}; replay: {REPLAYED}={seed} cargo test -p gleaner-tests --test simulation \
         one_seed -- --nocapture"
    );
    for (name, found) in broken {
        for what in found.iter().take(3) {
            text.push_str(&format!("\n  {name}: {what}"));
        }
    }
    text
}

impl Figures {
    fn add(&mut self, run: &Run) {
        let history = run.cluster.history.lock();
        self.schedules += 1;
        self.faults += run.schedule().faults.len();
        self.searches += history.searches.len();
        self.writes += history.writes.len();
        self.first += history.num_first;
        self.second += history.num_second;
        for search in &history.searches {
            match invariants::owed(run, &history, search) {
                Owed::Whole => self.owed_whole += 1,
                Owed::Credit => self.out_of_credit += 1,
                Owed::Nothing => {}
            }
            match search.ended.as_ref().map(|ended| &ended.outcome) {
                None => self.given_up += 1,
                Some(Err(_)) => self.failed += 1,
                Some(Ok(response)) => {
                    self.whole += usize::from(!response.coverage.is_partial());
                    self.with_skipped += usize::from(response.shards.skipped > 0);
                }
            }
        }
        let last = history.searches.last();
        self.simulated_ms += last.map_or(0, |search| search.begun.as_millis());
    }
}

fn report(figures: &Figures) -> Result<()> {
    sizes::report(
        "simulation",
        &json!({
            "schedules": figures.schedules,
            "faults": figures.faults,
            "simulated_seconds": figures.simulated_ms as u64 / 1_000,
            "searches": figures.searches,
            "answered_whole": figures.whole,
            "owed_whole": figures.owed_whole,
            "out_of_credit": figures.out_of_credit,
            "failed_by_name": figures.failed,
            "given_up": figures.given_up,
            "with_skipped_shards": figures.with_skipped,
            "writes": figures.writes,
            "first_requests": figures.first,
            "second_requests": figures.second,
            "violations": figures.violations.len(),
        }),
    )
}

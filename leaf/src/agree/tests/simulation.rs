//! Leaves as they are, but for their engines, under faults: the real driver, streams, log and write path, in time that is
//! simulated.
//!
//! ```text
//! cargo test -p gleaner-leaf --lib simulation                               the first seeds
//! cargo xtask prove --tier copies                                           thousands of them
//! GLEANER_SIMULATE=17 cargo test -p gleaner-leaf --lib simulation::one_seed -- --nocapture
//! ```
//!
//! What is real, what is a model, and what each run promises is in `docs/decisions/0056-simulated-leaves.md`. A run is
//! decided by its seed: each process is a runtime of one thread on a clock that only [`world`] moves.

mod client;
mod ending;
mod engine;
mod faults;
mod forgetting;
mod history;
mod links;
mod model;
mod operation;
mod process;
mod replay;
mod store;
mod world;

use std::env;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::agree::rules::Rule;
use history::Tally;
use world::{Outcome, Scenario, run};

/// How many seeds are run.
#[derive(Clone, Copy)]
struct NumSeeds {
    /// In the ordinary tests.
    reduced: u64,
    /// In `cargo xtask prove`.
    full: u64,
}

/// Seeds of runs with all faults but those of disks that are put back.
const NUM_SEEDS: NumSeeds = NumSeeds {
    reduced: 120,
    full: 6_000,
};

/// Seeds of runs in which disks are put back as they were.
const NUM_FORGETTING: NumSeeds = NumSeeds {
    reduced: 40,
    full: 10_000,
};

/// Seeds within which each planted error is found.
const NUM_PLANTED: u64 = 500;

/// One seed in this many is run twice.
const REPEATED: u64 = 25;

/// Names the one seed that [`one_seed`] replays.
const REPLAYED: &str = "GLEANER_SIMULATE";

#[test]
fn faults_break_no_promise() {
    let (num_seeds, tally) = tried(NUM_SEEDS, false);
    for (what, num) in [
        ("acknowledged", tally.num_acknowledged / 100),
        ("conflicts", tally.num_conflicts / 50),
        ("requests sent again", tally.num_again / 5),
        ("reads", tally.num_reads / 50),
        (
            "unflagged searches",
            (tally.num_searches - tally.num_flagged) / 50,
        ),
        ("refreshes", tally.num_refreshes / 10),
        ("terms", tally.num_terms / 2),
        ("lives", tally.num_lives / 3),
    ] {
        assert!(num >= num_seeds, "too few {what}: {tally:?}");
    }
}

/// A disk that an older one takes the place of: what it lacks is never served, and never lost.
#[test]
fn disks_that_forget_break_no_promise() {
    let (num_seeds, tally) = tried(NUM_FORGETTING, true);
    for (what, num) in [
        ("acknowledged", tally.num_acknowledged / 50),
        ("disks put back", tally.num_put_back * 2),
        ("copies made anew", tally.num_made_anew * 4),
        ("copies that stay closed", tally.num_closed * 4),
    ] {
        assert!(num >= num_seeds, "too few {what}: {tally:?}");
    }
}

/// Runs seeds, all promises kept, and returns how many, and what happened in them.
fn tried(seeds: NumSeeds, forgets: bool) -> (u64, Tally) {
    let is_full = env::var_os("GLEANER_PROVE").is_some();
    let num_seeds = if is_full { seeds.full } else { seeds.reduced };
    let first = first_seed(seeds.full);
    let (tally, broken) = (Mutex::new(Tally::default()), Mutex::new(Vec::new()));
    in_parallel(num_seeds, |number| {
        let scenario = Scenario {
            seed: first + number,
            forgets,
            ..Scenario::default()
        };
        let outcome = run(scenario);
        tally.lock().add(&outcome.tally);
        broken.lock().extend(told(scenario, &outcome));
        if number.is_multiple_of(REPEATED) && run(scenario).hash != outcome.hash {
            let seed = scenario.seed;
            broken
                .lock()
                .push(format!("seed {seed} is not the same run twice"));
        }
        true
    });
    let (tally, broken) = (tally.into_inner(), broken.into_inner());
    println!("{num_seeds} seeds from {first}: {tally:?}");
    assert!(
        broken.is_empty(),
        "{} runs:\n{}",
        broken.len(),
        broken.join("\n")
    );
    (num_seeds, tally)
}

/// Each rule of the driver is left out, and each time a promise is broken within so many seeds.
#[test]
fn every_planted_error_is_found() {
    let mut missed = Vec::new();
    for (rule, first) in PLANTED {
        let found = Mutex::new(None);
        in_parallel(NUM_PLANTED, |number| {
            let scenario = Scenario {
                seed: first + number,
                omitted: Some(rule),
                forgets: matches!(rule, Rule::MarkIsCompared | Rule::StartsAreCounted),
                ..Scenario::default()
            };
            if let Some(broken) = run(scenario).broken {
                found.lock().get_or_insert((scenario.seed, broken));
            }
            found.lock().is_none()
        });
        match found.into_inner() {
            Some((seed, broken)) => println!("{rule:?} is found by seed {seed}: {broken}"),
            None => missed.push(rule),
        }
    }
    assert!(
        missed.is_empty(),
        "left out, and nothing is found: {missed:?}"
    );
}

/// The rules that are left out, one at a time, and a seed that has found it: the first that is tried.
const PLANTED: [(Rule, u64); 14] = [
    (Rule::AnswerWhenAgreed, 2),
    (Rule::AgreedBeforeEnd, 2),
    (Rule::ApplyAgreed, 2),
    (Rule::TellByRight, 335),
    (Rule::ServeByRight, 3),
    (Rule::RefreshEverywhere, 3),
    (Rule::ShrinkByStore, 12),
    (Rule::ConfirmDurable, 85),
    (Rule::FenceDurable, 202),
    (Rule::HearJoinedStream, 126),
    (Rule::RememberOrdered, 1),
    (Rule::InheritVersions, 1),
    (Rule::MarkIsCompared, 1),
    (Rule::StartsAreCounted, 1),
];

/// Runs the seed that the environment names, and prints what happened. Disks are put back where an `f` follows it.
#[test]
fn one_seed() {
    let Ok(named) = env::var(REPLAYED) else {
        return;
    };
    let number = named.strip_suffix('f');
    let Ok(seed) = number.unwrap_or(&named).parse() else {
        return;
    };
    let scenario = Scenario {
        seed,
        omitted: None,
        forgets: number.is_some(),
        is_traced: true,
    };
    let outcome = run(scenario);
    for line in &outcome.lines {
        println!("{line}");
    }
    println!(
        "seed {seed}, hash {:016x}: {:?}",
        outcome.hash, outcome.tally
    );
    assert_eq!(told(scenario, &outcome), None);
}

/// Says what was broken, and how to see it again.
fn told(scenario: Scenario, outcome: &Outcome) -> Option<String> {
    let broken = outcome.broken.as_ref()?;
    let (seed, mark) = (scenario.seed, if scenario.forgets { "f" } else { "" });
    Some(format!(
        "seed {seed}: {broken}\n  replay: {REPLAYED}={seed}{mark} cargo test -p gleaner-leaf --lib \
         simulation::one_seed -- --nocapture"
    ))
}

fn first_seed(num_seeds: u64) -> u64 {
    let asked = env::var("GLEANER_SEED").ok();
    let asked: u64 = asked.and_then(|text| text.parse().ok()).unwrap_or(1);
    asked.wrapping_sub(1).wrapping_mul(num_seeds)
}

/// Does `work` for numbers from 0 on, on all processors, until it says that no more is to be done.
fn in_parallel(num: u64, work: impl Fn(u64) -> bool + Sync) {
    let next = AtomicU64::new(0);
    let num_threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..num_threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= num || !work(number) {
                        next.store(num, Ordering::Relaxed);
                        break;
                    }
                }
            });
        }
    });
}

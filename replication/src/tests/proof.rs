//! The invariants hold in every state that is explored, and in long random walks beyond.

use serde_json::json;

use super::explorer::{Exploration, explore};
use super::size::{report, seed, sized};
use super::walk::{Walks, walk};
use super::world::{Beginning, Budget, timeless};
use crate::settings::Settings;

/// Everything that may go wrong, twice where it matters.
const EVERYTHING: Budget = Budget {
    writes: 2,
    crashes: 2,
    losses: 2,
    unknowns: 1,
    doubles: 1,
    suspicions: 1,
    cuts: 1,
    hand_overs: 1,
    retries: 1,
    stale_reads: 1,
};

/// Few faults, so that all states there are can be explored.
const FEW: Budget = Budget {
    crashes: 0,
    losses: 0,
    doubles: 0,
    suspicions: 0,
    hand_overs: 0,
    stale_reads: 0,
    ..EVERYTHING
};

/// Crashes, with nothing that only makes more of the same.
const CRASHES: Budget = Budget {
    unknowns: 0,
    doubles: 0,
    suspicions: 0,
    cuts: 0,
    hand_overs: 0,
    retries: 0,
    stale_reads: 0,
    ..EVERYTHING
};

/// Much of everything, for walks.
const MUCH: Budget = Budget {
    writes: 12,
    crashes: 5,
    losses: 5,
    unknowns: 5,
    doubles: 3,
    suspicions: 5,
    cuts: 6,
    hand_overs: 3,
    retries: 8,
    stale_reads: 3,
};

fn beginning(min_in_sync: usize, sends_before_sync: bool, budget: Budget) -> Beginning {
    let settings = Settings {
        min_in_sync,
        sends_before_sync,
        ..timeless()
    };
    Beginning {
        settings,
        prelude: Vec::new(),
        budget,
    }
}

#[track_caller]
fn assert_holds(name: &str, beginning: &Beginning, max_states: usize) -> Exploration {
    let found = explore(beginning, max_states);
    let (states, depth, is_exhausted) = (found.num_states, found.depth, found.is_exhausted);
    let acknowledged = found.num_acknowledged;
    let figures = json!({ "states": states, "depth": depth, "exhausted": is_exhausted, "acknowledged": acknowledged });
    report(name, &figures);
    if let Some(example) = &found.counterexample {
        panic!("{example}");
    }
    found
}

#[test]
fn the_invariants_hold_whatever_goes_wrong() {
    let max_states = sized(120_000, 6_000_000);
    let found = assert_holds("everything", &beginning(1, false, EVERYTHING), max_states);
    assert!(found.num_states >= max_states);
    assert_holds(
        "everything-early",
        &beginning(2, true, EVERYTHING),
        max_states,
    );
}

#[test]
fn the_invariants_hold_in_all_states_with_few_faults() {
    let one_write = Budget { writes: 1, ..FEW };
    let found = assert_holds(
        "few",
        &beginning(1, true, one_write),
        sized(150_000, 10_000_000),
    );
    assert!(
        found.num_acknowledged > 0,
        "writes are acknowledged on the way"
    );
}

#[test]
fn the_invariants_hold_through_crashes() {
    let max_states = sized(120_000, 6_000_000);
    let found = assert_holds("crashes", &beginning(1, true, CRASHES), max_states);
    assert!(
        found.num_acknowledged > 0,
        "writes are acknowledged on the way"
    );
    assert_holds("crashes-two", &beginning(2, false, CRASHES), max_states);
}

#[test]
fn the_invariants_hold_on_long_walks() {
    let (num_walks, seed) = (sized(1_200, 150_000), seed());
    let mut total = Walks::default();
    for number in 0..num_walks {
        let start = beginning(1 + number % 2, number % 4 < 2, MUCH);
        let one_seed = seed.wrapping_mul(1_000_003).wrapping_add(number as u64);
        match walk(&start, one_seed, 500) {
            Ok(walked) => total.add(walked),
            Err(example) => panic!("seed {one_seed}: {example}"),
        }
    }
    let Walks {
        num_steps,
        num_acknowledged,
        num_terms,
    } = total;
    report(
        "walks",
        &json!({ "walks": num_walks, "steps": num_steps, "acknowledged": num_acknowledged, "terms": num_terms }),
    );
    assert!(
        num_acknowledged > num_walks && num_terms > num_walks,
        "much happens on a walk"
    );
}

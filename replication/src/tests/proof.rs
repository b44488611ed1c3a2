//! The invariants hold in every state that is explored, and in long random walks beyond.

use serde_json::json;

use super::explorer::{Exploration, explore};
use super::size::{report, seed, sized};
use super::walk::walk;
use super::world::{Beginning, Budget, Past, timeless};
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
    log_failures: 1,
    retries: 1,
    stale_reads: 1,
    forces: 1,
};

/// Few faults, so that all states there are can be explored.
const FEW: Budget = Budget {
    crashes: 0,
    losses: 0,
    doubles: 0,
    suspicions: 0,
    hand_overs: 0,
    log_failures: 0,
    stale_reads: 0,
    forces: 0,
    ..EVERYTHING
};

/// Crashes, with nothing that only makes more of the same.
const CRASHES: Budget = Budget {
    unknowns: 0,
    doubles: 0,
    suspicions: 0,
    cuts: 0,
    hand_overs: 0,
    log_failures: 0,
    retries: 0,
    stale_reads: 0,
    forces: 0,
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
    log_failures: 2,
    retries: 8,
    stale_reads: 3,
    forces: 2,
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
    let max_states = sized(120_000, 8_000_000);
    let found = assert_holds("everything", &beginning(1, false, EVERYTHING), max_states);
    assert!(found.num_states >= max_states);
    assert_holds(
        "everything-early",
        &beginning(2, true, EVERYTHING),
        max_states / 4,
    );
}

#[test]
fn the_invariants_hold_in_all_states_with_few_faults() {
    let one_write = Budget { writes: 1, ..FEW };
    let found = assert_holds(
        "few",
        &beginning(1, true, one_write),
        sized(60_000, 10_000_000),
    );
    assert!(
        found.num_acknowledged > 0,
        "writes are acknowledged on the way"
    );
}

#[test]
fn the_invariants_hold_through_crashes() {
    let max_states = sized(60_000, 8_000_000);
    let found = assert_holds("crashes", &beginning(1, true, CRASHES), max_states);
    assert!(
        found.num_acknowledged > 0,
        "writes are acknowledged on the way"
    );
    assert_holds("crashes-two", &beginning(2, false, CRASHES), max_states);
}

/// What follows after a walk, explored.
const A_LITTLE: Budget = Budget {
    writes: 1,
    hand_overs: 0,
    doubles: 0,
    ..EVERYTHING
};

#[test]
fn the_invariants_hold_on_long_walks_and_all_copies_agree_afterwards() {
    let (num_walks, seed) = (sized(600, 100_000), seed());
    let (mut num_steps, mut num_acknowledged, mut num_terms) = (0, 0, 0);
    for number in 0..num_walks {
        let start = beginning(1 + number % 2, number % 4 < 2, MUCH);
        let one_seed = seed.wrapping_mul(1_000_003).wrapping_add(number as u64);
        let mut walk = match walk(&start, one_seed, 500) {
            Ok(walk) => walk,
            Err(example) => panic!("seed {one_seed}: {example}"),
        };
        num_steps += walk.actions.len();
        num_acknowledged += walk.world.num_acknowledged();
        num_terms += walk.world.num_terms();
        if let Err(reason) = walk.world.converge() {
            panic!("seed {one_seed}: {reason}, after {:#?}", walk.actions);
        }
    }
    let figures = json!({
        "walks": num_walks,
        "steps": num_steps,
        "acknowledged": num_acknowledged,
        "terms": num_terms,
    });
    report("walks", &figures);
    assert!(
        num_acknowledged > num_walks && num_terms > num_walks,
        "much happens on a walk"
    );
}

#[test]
fn the_invariants_hold_around_where_walks_have_come() {
    let (num_walks, max_states) = (sized(8, 200), sized(8_000, 100_000));
    let (mut num_states, seed) = (0, seed());
    for number in 0..num_walks {
        let start = beginning(1 + number % 2, number % 4 < 2, MUCH);
        let one_seed = seed.wrapping_mul(2_000_003).wrapping_add(number as u64);
        let Ok(walk) = walk(&start, one_seed, 20 + 5 * (number % 50)) else {
            panic!("seed {one_seed} of a walk is violated");
        };
        let prelude = walk.actions.into_iter().map(Past::Did).collect();
        let start = Beginning {
            prelude,
            budget: A_LITTLE,
            ..start
        };
        let found = explore(&start, max_states);
        num_states += found.num_states;
        if let Some(example) = found.counterexample {
            panic!("seed {one_seed}: {example}");
        }
    }
    report(
        "around-walks",
        &json!({ "walks": num_walks, "states": num_states }),
    );
    assert!(
        num_states >= num_walks * max_states / 2,
        "states are explored: {num_states}"
    );
}

//! The checker: an answer to a request that was sent after a change was acknowledged shows that change.

use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::task::JoinSet;

use super::text;
use super::world::{Bug, Known, State, World, keep, wait};
use crate::rules::Rule;
use crate::{Cache, Served};

/// What is wrong in a run.
#[derive(Debug, Clone, Copy)]
enum Planted {
    Nothing,
    Bug(Bug),
    Without(Rule),
}

/// What readers saw.
#[derive(Debug, Default)]
struct Tally {
    num_reads: usize,
    num_hits: usize,
    /// Answers from before what had been acknowledged when they were asked for.
    num_stale: usize,
}

const NUM_READERS: usize = 24;
const READS: usize = 60;

/// Runs readers against a writer, all on one thread, whose turns `seed` decides.
async fn run(known: Known, planted: Planted, seed: u64) -> Tally {
    let (bug, omitted) = match planted {
        Planted::Nothing => (Bug::None, None),
        Planted::Bug(bug) => (bug, None),
        Planted::Without(rule) => (Bug::None, Some(rule)),
    };
    let world = World::known(known, bug);
    let cache = world.cache_without(omitted);
    let mut readers = JoinSet::new();
    for reader in 0..NUM_READERS {
        let (world, cache) = (Arc::clone(&world), Arc::clone(&cache));
        let random = StdRng::seed_from_u64(seed * 1_000 + reader as u64);
        readers.spawn(async move { read(&world, &cache, random).await });
    }
    let writer = tokio::spawn(async move {
        let mut random = StdRng::seed_from_u64(seed);
        for _ in 0..40 {
            wait(random.random_range(0..60)).await;
            match random.random_range(0..10) {
                0 => world.map(),
                1 => world.change(|state| state.term += 1),
                2 => world.change(|state| state.filter += 1),
                _ => world.write(),
            };
            if random.random_bool(0.3) {
                world.lease(random.random_bool(0.8));
            }
        }
        world.lease(true);
    });
    let mut sum = Tally::default();
    while let Some(tally) = readers.join_next().await {
        let tally = tally.expect("a reader ends");
        sum.num_reads += tally.num_reads;
        sum.num_hits += tally.num_hits;
        sum.num_stale += tally.num_stale;
    }
    writer.abort();
    sum
}

async fn read(world: &Arc<World>, cache: &Arc<Cache>, mut random: StdRng) -> Tally {
    let mut tally = Tally::default();
    for _ in 0..READS {
        wait(random.random_range(0..40)).await;
        let acknowledged = world.state();
        let turns = [random.random_range(0..6), random.random_range(0..6)];
        let world = Arc::clone(world);
        let keep = keep(random.random_range(0..6));
        let served = cache.answer(&keep, || world.evaluate(turns)).await;
        let served = served.expect("an answer");
        let shown = State::shown_in(text(&served));
        tally.num_reads += 1;
        tally.num_hits += usize::from(!matches!(served, Served::Evaluated(_)));
        tally.num_stale += usize::from(shown.is_behind(&acknowledged));
    }
    tally
}

async fn is_never_stale(known: Known) {
    for seed in 0..30 {
        let tally = run(known, Planted::Nothing, seed).await;
        assert_eq!(tally.num_stale, 0, "seed {seed}: {tally:?}");
        // A cache that is off is never stale.
        assert!(
            tally.num_hits * 3 >= tally.num_reads,
            "seed {seed}: {tally:?}"
        );
    }
}

#[tokio::test]
async fn no_answer_is_from_before_what_was_acknowledged() {
    is_never_stale(Known::Here).await;
}

#[tokio::test]
async fn no_answer_is_from_before_what_was_acknowledged_where_others_are_asked() {
    is_never_stale(Known::Elsewhere).await;
}

/// Runs with a planted error until the checker finds it.
async fn is_found(known: Known, planted: Planted) -> bool {
    for seed in 0..40 {
        if run(known, planted, seed).await.num_stale > 0 {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn the_checker_finds_faults_of_those_who_say_editions() {
    for (known, bug) in [
        (Known::Here, Bug::WithoutMapping),
        (Known::Here, Bug::WithoutTerm),
        (Known::Here, Bug::WithoutFilter),
        (Known::Here, Bug::OfNow),
        (Known::Here, Bug::JoinsAnother),
        (Known::Here, Bug::GoesByTheLast),
        (Known::Elsewhere, Bug::WithoutMapping),
        (Known::Elsewhere, Bug::OfNow),
        (Known::Elsewhere, Bug::AsksReplica),
    ] {
        let is_found = is_found(known, Planted::Bug(bug)).await;
        assert!(is_found, "{known:?}, {bug:?} was not found");
    }
}

#[tokio::test]
async fn the_checker_misses_each_rule_of_the_cache_that_is_left_out() {
    for rule in Rule::ALL {
        let mut is_missed = false;
        for known in [Known::Here, Known::Elsewhere] {
            is_missed |= is_found(known, Planted::Without(rule)).await;
        }
        assert!(is_missed, "without {rule:?} nothing was stale");
    }
}

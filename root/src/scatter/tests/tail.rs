//! What stragglers do to the slowest searches, in virtual time: four leaves, eight shards on two of
//! them each, searches at a constant rate, times drawn from one distribution by fixed seeds.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::Root;
use crate::testing::Draw;

const NUM_SEARCHES: usize = 3_000;

/// How slow leaf `n` is: the share of its calls that take a hundred times as long.
type Slowness = fn(usize) -> f64;

/// What a run showed.
#[derive(Debug)]
struct Seen {
    p50: Duration,
    p999: Duration,
    /// Second requests by first ones, in shards.
    repeated: f64,
}

/// Returns what draws a leaf's times: 3 ms and an exponential part of 1.5 ms, as queues make it.
fn draw(seed: u64, slow_share: f64) -> Draw {
    let mut random = StdRng::seed_from_u64(seed);
    Draw(Some(Box::new(move || {
        let ms = 3.0 - 1.5 * (1.0 - random.random::<f64>()).ln();
        let is_slow = random.random_bool(slow_share);
        Duration::from_secs_f64(if is_slow { ms / 10.0 } else { ms / 1e3 })
    })))
}

fn cluster(options: RootOptions) -> Cluster {
    let mut index = index(1, &json!({"properties": {"title": {"type": "text"}}}));
    index.settings.number_of_shards = 8;
    index.settings.routing_slots = gleaner_model::settings::routing_slots_for(8);
    let cluster = Cluster::with_copies(4, 2, [index], options);
    cluster.each(|leaf| {
        let hits = (0..8).map(|n| (shard(1, n), vec![(1.0, u64::from(n) + 1)]));
        leaf.hits.lock().extend(hits);
    });
    cluster
}

/// Searches once; returns its time and how many shards were asked first and again.
async fn search(root: &Root, n: usize) -> (Duration, usize, usize) {
    let word = format!("word{}", n % 50);
    let query = json!({"query": {"match": {"title": word}}, "profile": true});
    let request = parse_search(query.to_string().as_bytes(), &limits()).expect("a good search");
    let (target, options) = (Target::default(), SearchOptions::default());
    let response = root.search(&target, &request, &options).await;
    let response = response.expect("answered");
    let failures = &response.shards.failures;
    assert_eq!(
        (response.hits.len(), failures.len()),
        (8, 0),
        "{failures:?}"
    );
    let attempts = response.profile.expect("asked for").attempts;
    let asked = |kind| {
        let calls = attempts.iter().filter(move |call| call.kind == kind);
        calls.map(|call| call.shards.len()).sum()
    };
    let (first, again) = (asked(AttemptKind::First), asked(AttemptKind::Hedge));
    (response.took, first, again)
}

async fn run(options: RootOptions, slowness: Slowness) -> Seen {
    let cluster = cluster(options);
    let pace = |slowness: Slowness| {
        for (n, leaf) in cluster.leaves.iter().enumerate() {
            *leaf.draw.lock() = draw(n as u64, slowness(n));
        }
    };
    pace(|_| 0.0);
    for n in 0..200 {
        search(&cluster.root, n).await;
    }
    pace(slowness);
    let mut ticks = tokio::time::interval(millis(20));
    let mut searches = Vec::with_capacity(NUM_SEARCHES);
    for n in 0..NUM_SEARCHES {
        ticks.tick().await;
        let root = std::sync::Arc::clone(&cluster.root);
        searches.push(tokio::spawn(async move { search(&root, n).await }));
    }
    let mut times = Vec::with_capacity(NUM_SEARCHES);
    let (mut num_first, mut num_again) = (0, 0);
    for search in searches {
        let (took, first, again) = search.await.expect("it does not panic");
        times.push(took);
        num_first += first;
        num_again += again;
    }
    times.sort_unstable();
    Seen {
        p50: times[NUM_SEARCHES / 2],
        p999: times[NUM_SEARCHES - NUM_SEARCHES / 1_000],
        repeated: num_again as f64 / num_first as f64,
    }
}

/// Checks the promise: a straggler does not set the latency, for a bounded share of extra requests.
fn check(seen: &Seen, healthy: &Seen) {
    assert!(seen.p50 <= healthy.p50.mul_f64(1.1), "{seen:?} {healthy:?}");
    assert!(
        seen.p999 <= healthy.p999.mul_f64(1.5),
        "{seen:?} {healthy:?}"
    );
    assert!(seen.repeated <= 0.055, "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn one_slow_leaf_does_not_set_the_latency() {
    let healthy = run(RootOptions::default(), |_| 0.0).await;
    let slow = run(RootOptions::default(), |n| if n == 0 { 1.0 } else { 0.0 }).await;
    check(&slow, &healthy);
}

#[tokio::test(start_paused = true)]
async fn leaves_that_are_slow_at_times_do_not_set_the_latency() {
    let healthy = run(RootOptions::default(), |_| 0.0).await;
    let slow = run(RootOptions::default(), |_| 0.01).await;
    check(&slow, &healthy);
}

#[tokio::test(start_paused = true)]
async fn without_choice_and_second_requests_a_slow_leaf_sets_the_latency() {
    let bare = || RootOptions {
        hedge_share: 0.0,
        is_choosing_copies: false,
        ..RootOptions::default()
    };
    let healthy = run(bare(), |_| 0.0).await;
    let slow = run(bare(), |n| if n == 0 { 1.0 } else { 0.0 }).await;
    assert!(slow.p50 > healthy.p50 * 10, "{slow:?} {healthy:?}");
    assert_eq!(slow.repeated, 0.0);
}

//! Late, failing and miscounting leaves; second requests and their budget.

mod behind;
mod mixed;
mod tail;

use std::sync::atomic::Ordering;

use gleaner_model::{Generation, MappingVersion, SeqNo};
use gleaner_query::answer::{LeafTimes, ShardHits, ViewId};
use gleaner_query::search::{SearchRequest, parse_search};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::*;
use crate::Root;
use crate::RootOptions;
use crate::merge::HitMerger;
use crate::plan::Target;
use crate::planner::DatedRequest;
use crate::search::phase::CommonRequest;
use crate::search::{Page, SearchOptions};
use crate::testing::{Cluster, FakeLeaf, Fixture, NOW_MS, index, limits, shard};
use crate::waterfall::{AttemptKind, AttemptOutcome};

async fn searched(root: &Root, time: Duration) -> (RoundAnswers<ShardHits>, Waterfall) {
    searched_for(root, time, &json!({})).await
}

async fn searched_for(
    root: &Root,
    time: Duration,
    body: &Value,
) -> (RoundAnswers<ShardHits>, Waterfall) {
    let plans = root
        .planner()
        .targets(&Target::default())
        .expect("all indices");
    searched_in(root, time, plans, body).await
}

async fn searched_in(
    root: &Root,
    time: Duration,
    mut plans: Vec<IndexPlan>,
    body: &Value,
) -> (RoundAnswers<ShardHits>, Waterfall) {
    let request = parse_search(body.to_string().as_bytes(), &limits()).expect("a good search");
    let mut trip = Trip::new(Deadline::after(time));
    trip.waterfall = Some(Waterfall::default());
    resolve(root, &mut plans, &request, &mut trip).await;
    let options = SearchOptions::default();
    let asked = asked(&request, &options);
    let mut merged = HitMerger::of(&request);
    let gathered = root
        .searcher()
        .by_shards
        .ask(&plans, &asked, &mut trip, &mut merged);
    let gathered = gathered.await;
    (gathered, trip.waterfall.expect("profiled"))
}

fn asked<'a>(request: &'a SearchRequest, options: &'a SearchOptions) -> CommonRequest<'a> {
    CommonRequest {
        request,
        options,
        page: &Page {
            is_part: false,
            after: None,
        },
        statistics: Default::default(),
        now_ms: NOW_MS,
    }
}

async fn resolve(root: &Root, plans: &mut [IndexPlan], request: &SearchRequest, trip: &mut Trip) {
    let resolved = root
        .planner()
        .resolve_all(
            plans,
            DatedRequest {
                request,
                now_ms: NOW_MS,
            },
            trip,
        )
        .await;
    resolved.expect("resolves");
}

const MINUTE: Duration = Duration::from_secs(60);

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Two leaves that both hold one index of two shards; the first is asked first.
fn pair(hedge_share: f64) -> Cluster {
    let options = RootOptions {
        hedge_share,
        is_choosing_copies: false,
        ..RootOptions::default()
    };
    Cluster::new(2, [index(1, &json!({}))], options)
}

fn num_calls(cluster: &Cluster) -> [usize; 2] {
    [0, 1].map(|n| cluster.leaves[n].num_calls.load(Ordering::Relaxed))
}

fn num_dropped(cluster: &Cluster) -> [usize; 2] {
    [0, 1].map(|n| cluster.leaves[n].num_dropped.load(Ordering::Relaxed))
}

fn nodes(gathered: &RoundAnswers<ShardHits>) -> Vec<&str> {
    let answers = gathered.answers.iter().flatten();
    answers
        .map(|answer| answer.as_ref().map_or("none", |answer| &*answer.node.0))
        .collect()
}

#[tokio::test]
async fn each_index_is_one_call_and_answers_stand_beside_their_shards() {
    let fixture = Fixture::new([index(1, &json!({})), index(2, &json!({}))]);
    let (gathered, waterfall) = searched(&fixture.root, MINUTE).await;
    assert_eq!(waterfall.attempts.len(), 2);
    let attempts = waterfall.attempts.iter();
    let mut shards: Vec<_> = attempts.flat_map(|call| call.shards.clone()).collect();
    shards.sort_unstable();
    assert_eq!(shards, [shard(1, 0), shard(1, 1), shard(2, 0), shard(2, 1)]);
    assert!(gathered.answers.iter().flatten().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn a_late_leaf_is_reported_and_keeps_nobody_waiting() {
    let fixture = Fixture::new([index(1, &json!({})), index(2, &json!({}))]);
    fixture.leaf.hanging.lock().insert(shard(2, 1));
    let begun = Instant::now();
    let (gathered, _) = searched(&fixture.root, millis(50)).await;
    assert!(begun.elapsed() <= millis(50), "{:?}", begun.elapsed());
    assert!(gathered.answers[0].iter().all(Result::is_ok));
    for answer in &gathered.answers[1] {
        let failure = answer.as_ref().expect_err("one call was late");
        assert!(matches!(failure.fault, LeafFault::DeadlinePassed { .. }));
        assert_eq!(failure.index, "index-2");
    }
    assert_eq!(fixture.leaf.num_dropped.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn hits_are_merged_while_others_are_waited_for() {
    let fixture = Fixture::new([index(1, &json!({})), index(2, &json!({}))]);
    let hits = [
        (shard(1, 0), vec![(3.0, 10)]),
        (shard(1, 1), vec![(4.0, 20)]),
    ];
    *fixture.leaf.hits.lock() = hits.into();
    fixture.leaf.hanging.lock().insert(shard(2, 1));
    let request = parse_search(b"{}", &limits()).expect("a good search");
    let mut trip = Trip::new(Deadline::after(MINUTE));
    let mut plans = fixture
        .root
        .planner()
        .targets(&Target::default())
        .expect("all");
    resolve(&fixture.root, &mut plans, &request, &mut trip).await;
    let options = SearchOptions::default();
    let asked = asked(&request, &options);
    let mut merged = HitMerger::of(&request);
    let query = (fixture.root)
        .searcher()
        .by_shards
        .ask(&plans, &asked, &mut trip, &mut merged);
    timeout(millis(50), query).await.err().expect("one hangs");
    let page = merged.into_ranked();
    let places: Vec<u64> = page.iter().map(|ranked| ranked.hit.place).collect();
    assert_eq!(places, [20, 10]);
}

#[tokio::test]
async fn a_failing_shard_is_reported_beside_its_neighbour() {
    let fixture = Fixture::new([index(1, &json!({}))]);
    let fault = LeafFault::NotHere { shard: shard(1, 1) };
    let told = fault.clone();
    fixture.leaf.faults.lock().insert(shard(1, 1), told);
    let (gathered, _) = searched(&fixture.root, MINUTE).await;
    assert!(gathered.answers[0][0].is_ok());
    let failure = gathered.answers[0][1].as_ref().expect_err("a fault");
    assert_eq!(failure.fault, fault);
}

#[tokio::test]
async fn a_leaf_that_answers_for_fewer_shards_is_at_fault_for_the_rest() {
    let fixture = Fixture::new([index(1, &json!({}))]);
    *fixture.leaf.answers_at_most.lock() = Some(1);
    let (gathered, _) = searched(&fixture.root, MINUTE).await;
    let failure = gathered.answers[0][1].as_ref().expect_err("no answer");
    assert!(matches!(failure.fault, LeafFault::Internal { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_late_copy_is_hedged_in_one_call_and_the_loser_is_dropped() {
    let cluster = pair(0.05);
    *cluster.leaves[0].delay.lock() = MINUTE;
    let begun = Instant::now();
    let (gathered, waterfall) = searched(&cluster.root, MINUTE).await;
    assert_eq!(nodes(&gathered), ["leaf-1", "leaf-1"]);
    assert!(begun.elapsed() <= millis(30), "{:?}", begun.elapsed());
    assert_eq!(
        (num_calls(&cluster), num_dropped(&cluster)),
        ([1, 1], [1, 0])
    );
    let attempts: Vec<_> = waterfall
        .attempts
        .iter()
        .map(|call| (call.kind, call.outcome.clone(), call.is_straggler))
        .collect();
    let expected = [
        (AttemptKind::Hedge, AttemptOutcome::Won, false),
        (AttemptKind::First, AttemptOutcome::Lost, true),
    ];
    assert_eq!(attempts, expected);
}

/// Notes calls that the second leaf answered as if it had just been stopped for a while.
fn was_stopped(cluster: &Cluster, queue: Duration) {
    let node = &cluster.root.cluster.leaves.copies(shard(1, 0))[1].node;
    let times = LeafTimes {
        queue,
        evaluate: millis(1),
        ..LeafTimes::default()
    };
    for _ in 0..40 {
        let key = (shard(1, 0).index, Phase::Query);
        let mut book = cluster.root.reader.health.open();
        book.answered(node, key, Some(queue), Some(times));
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_copy_is_replaced_by_one_that_queues_or_was_slow() {
    for (queue, within) in [(millis(5), millis(110)), (millis(20_000), millis(1_010))] {
        let cluster = pair(0.05);
        was_stopped(&cluster, queue);
        *cluster.leaves[0].delay.lock() = MINUTE;
        let begun = Instant::now();
        let (gathered, _) = searched(&cluster.root, MINUTE).await;
        assert_eq!(nodes(&gathered), ["leaf-1", "leaf-1"]);
        let took = begun.elapsed();
        assert!(took >= millis(100) && took <= within, "{queue:?}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_late_copies_the_first_to_answer_wins() {
    let cluster = pair(0.05);
    *cluster.leaves[0].delay.lock() = millis(2_000);
    *cluster.leaves[1].delay.lock() = millis(3_000);
    let begun = Instant::now();
    let (gathered, _) = searched(&cluster.root, MINUTE).await;
    assert_eq!(nodes(&gathered), ["leaf-0", "leaf-0"]);
    assert_eq!(begun.elapsed(), millis(2_000));
    // A third attempt asked the first copy again.
    assert_eq!(num_dropped(&cluster), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_fails_is_replaced_at_once() {
    let cluster = pair(0.0);
    *cluster.leaves[0].is_gone.lock() = true;
    let begun = Instant::now();
    let (gathered, waterfall) = searched(&cluster.root, MINUTE).await;
    assert_eq!(nodes(&gathered), ["leaf-1", "leaf-1"]);
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(waterfall.attempts[1].kind, AttemptKind::Retry);
    let failed = &waterfall.attempts[0].outcome;
    assert!(matches!(
        failed,
        AttemptOutcome::Failed(LeafFault::Unreachable { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn one_shard_that_a_copy_cannot_serve_is_asked_of_the_other_alone() {
    let cluster = pair(0.0);
    let progress = "half".to_owned();
    let fault = LeafFault::Recovering {
        shard: shard(1, 1),
        progress,
    };
    cluster.leaves[0].faults.lock().insert(shard(1, 1), fault);
    let (gathered, _) = searched(&cluster.root, MINUTE).await;
    assert_eq!(nodes(&gathered), ["leaf-0", "leaf-1"]);
}

#[tokio::test(start_paused = true)]
async fn where_all_copies_fail_each_shard_says_so() {
    let cluster = pair(0.05);
    cluster.each(|leaf| *leaf.is_gone.lock() = true);
    let (gathered, _) = searched(&cluster.root, MINUTE).await;
    assert_eq!(num_calls(&cluster), [1, 1]);
    for answer in gathered.answers.iter().flatten() {
        let failure = answer.as_ref().expect_err("nobody is there");
        assert!(matches!(failure.fault, LeafFault::Unreachable { .. }));
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_query_is_not_asked_again() {
    let cluster = pair(0.05);
    let fault = LeafFault::BadQuery {
        kind: "query_shard_exception".into(),
        reason: "no such sort".to_owned(),
    };
    cluster.leaves[0].faults.lock().insert(shard(1, 0), fault);
    searched(&cluster.root, MINUTE).await;
    assert_eq!(num_calls(&cluster), [1, 0]);
}

#[tokio::test(start_paused = true)]
async fn without_a_budget_the_late_copy_is_waited_for() {
    let cluster = pair(0.0);
    *cluster.leaves[0].delay.lock() = millis(10_000);
    let begun = Instant::now();
    let (gathered, _) = searched(&cluster.root, MINUTE).await;
    assert_eq!(nodes(&gathered), ["leaf-0", "leaf-0"]);
    assert_eq!(
        (begun.elapsed(), num_calls(&cluster)),
        (millis(10_000), [1, 0])
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_stops_second_requests() {
    let cluster = pair(0.05);
    cluster.root.reader.health.open().rejected();
    *cluster.leaves[0].delay.lock() = millis(500);
    searched(&cluster.root, MINUTE).await;
    assert_eq!(num_calls(&cluster), [1, 0]);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_all_attempts() {
    let cluster = pair(0.05);
    cluster.each(|leaf| *leaf.delay.lock() = MINUTE);
    let begun = Instant::now();
    let (gathered, _) = searched(&cluster.root, millis(200)).await;
    assert!(begun.elapsed() <= millis(200), "{:?}", begun.elapsed());
    assert_eq!(nodes(&gathered), ["none", "none"]);
    assert_eq!(num_dropped(&cluster), [2, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_leaf_that_says_nothing_takes_its_own_shards_alone() {
    let mut index = index(1, &json!({"properties": {"title": {"type": "text"}}}));
    index.settings.number_of_shards = 2;
    let cluster = Cluster::with_copies(2, 1, [index], RootOptions::default());
    cluster.each(|leaf| {
        let hits = (0..2).map(|n| (shard(1, n), vec![(1.0, 1)]));
        leaf.hits.lock().extend(hits);
    });
    *cluster.leaves[1].delay.lock() = MINUTE;
    let body = json!({"query": {"match": {"title": "word"}}, "timeout": "50ms"});
    let request = parse_search(body.to_string().as_bytes(), &limits()).expect("a good search");
    let begun = Instant::now();
    let (target, options) = (Target::default(), SearchOptions::default());
    let response = cluster.root.search(&target, &request, &options).await;
    let response = response.expect("a partial answer");
    assert!(begun.elapsed() <= millis(50), "{:?}", begun.elapsed());
    let failed: Vec<_> = response.shards.failures.iter().map(|f| f.shard).collect();
    assert_eq!((response.hits.len(), failed.len()), (1, 1), "{failed:?}");
}

#[tokio::test(start_paused = true)]
async fn dropping_the_search_drops_every_attempt() {
    let cluster = pair(0.05);
    cluster.each(|leaf| *leaf.delay.lock() = MINUTE);
    let given_up = timeout(millis(100), searched(&cluster.root, MINUTE)).await;
    assert!(given_up.is_err());
    assert_eq!(num_dropped(&cluster), [2, 1]);
}

#[tokio::test(start_paused = true)]
async fn answers_that_left_out_hits_for_another_moments_sake_are_told() {
    let cluster = pair(0.05);
    let (slow, fast) = (&cluster.leaves[0], &cluster.leaves[1]);
    *slow.delay.lock() = millis(500);
    let progress = "half".to_owned();
    let fault = LeafFault::Recovering {
        shard: shard(1, 1),
        progress,
    };
    fast.faults.lock().insert(shard(1, 1), fault);
    let (gathered, _) = searched(&cluster.root, MINUTE).await;
    assert_eq!(nodes(&gathered), ["leaf-1", "leaf-0"]);
    assert!(!gathered.is_mixed, "the same generation on both");
    fast.views.lock().insert(shard(1, 0), 2);
    let (gathered, _) = searched(&cluster.root, MINUTE).await;
    assert!(gathered.is_mixed);
    assert_eq!(cut_short(&gathered), [false, true]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_an_unwanted_moment_was_in_the_threshold_too() {
    let cluster = pair(0.05);
    searched(&cluster.root, MINUTE).await;
    let (slow, fast) = (&cluster.leaves[0], &cluster.leaves[1]);
    *slow.delay.lock() = millis(500);
    fast.views.lock().insert(shard(1, 1), 2);
    let mut plans = cluster
        .root
        .planner()
        .targets(&Target::default())
        .expect("an index");
    let counted = Generation {
        mapping: MappingVersion(1),
        visible: SeqNo(1),
        history: gleaner_model::HistoryId::FIRST,
    };
    for planned in &mut plans[0].shards {
        planned.bind(&NodeId("leaf-0".into()), ViewId(1), counted);
    }
    let (gathered, _) = searched_in(&cluster.root, MINUTE, plans, &json!({})).await;
    assert_eq!(nodes(&gathered), ["leaf-1", "leaf-0"]);
    assert!(gathered.is_mixed);
    assert_eq!(cut_short(&gathered), [true, false]);
}

/// Returns which answers say that they may lack hits.
fn cut_short(gathered: &RoundAnswers<ShardHits>) -> Vec<bool> {
    let answers = gathered.answers.iter().flatten().flatten();
    answers.map(|answer| answer.value.timed_out).collect()
}

#[tokio::test(start_paused = true)]
async fn a_leaf_that_turns_slow_costs_a_few_requests() {
    let text = json!({"properties": {"n": {"type": "long"}}});
    let cluster = Cluster::new(2, [index(1, &text)], RootOptions::default());
    let slow: &FakeLeaf = &cluster.leaves[0];
    cluster.each(|leaf| *leaf.delay.lock() = millis(2));
    let mut slowest = Vec::new();
    for n in 0..600 {
        if n == 200 {
            *slow.delay.lock() = millis(200);
            slow.num_calls.store(0, Ordering::Relaxed);
        }
        let begun = Instant::now();
        let query = json!({"query": {"term": {"n": n}}});
        searched_for(&cluster.root, MINUTE, &query).await;
        slowest.push(begun.elapsed());
    }
    let num_slow = slow.num_calls.load(Ordering::Relaxed);
    assert!(num_slow <= 20, "{num_slow} of 400 searches asked it");
    let longest = slowest[200..].iter().max();
    assert!(longest < Some(&millis(20)), "{longest:?}");
}

//! Searches over several copies: the copy that ranked is the one that is fetched from.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::RootOptions;
use crate::testing::{Cluster, Draw, FakeLeaf};
use crate::token::{self, IndexViews, PointInTimeState};

/// Two leaves that hold one index of two shards, each with views of its own; the first leaf is asked
/// first.
fn cluster() -> Cluster {
    let mapping = json!({"properties": {"title": {"type": "text"}}});
    let options = RootOptions {
        is_choosing_copies: false,
        ..RootOptions::default()
    };
    let cluster = Cluster::new(2, [index(1, &mapping)], options);
    cluster.each(|leaf| {
        let hits = [
            (shard(1, 0), vec![(3.0, 10), (1.0, 40)]),
            (shard(1, 1), vec![(2.0, 20)]),
        ];
        leaf.hits.lock().extend(hits);
    });
    cluster
}

async fn found(cluster: &Cluster, body: Value) -> SearchResponse {
    let (target, request) = (Target::default(), request(&body));
    let options = SearchOptions::default();
    let answer = cluster.root.search(&target, &request, &options).await;
    answer.expect("answered")
}

fn places(response: &SearchResponse) -> Vec<&str> {
    response
        .hits
        .iter()
        .map(|hit| hit.content.id.as_str())
        .collect()
}

fn fetches(cluster: &Cluster) -> [usize; 2] {
    [0, 1].map(|n| cluster.leaves[n].num_fetches.load(Ordering::Relaxed))
}

#[tokio::test]
async fn hits_are_fetched_from_the_copy_that_ranked_them() {
    let cluster = cluster();
    let response = found(&cluster, matching()).await;
    assert_eq!(places(&response), ["10", "20", "40"]);
    assert_eq!(fetches(&cluster), [1, 0]);
}

#[tokio::test]
async fn hits_too_large_for_one_answer_are_fetched_shard_by_shard() {
    let cluster = cluster();
    cluster.leaves[0].most_fetched.store(1, Ordering::Relaxed);
    let response = found(&cluster, matching()).await;
    assert_eq!(places(&response), ["10", "20", "40"]);
    assert_eq!(response.shards.failures, []);
    assert_eq!(fetches(&cluster), [3, 0]);
}

#[tokio::test]
async fn a_copy_lost_at_fetch_time_is_replaced_by_one_that_looks_the_hits_up() {
    let cluster = cluster();
    let reason = "reset".to_owned();
    let fault = LeafFault::Unreachable {
        shard: shard(1, 0),
        reason,
    };
    let ranker = &cluster.leaves[0];
    ranker.fetch_faults.lock().insert(shard(1, 0), fault);
    let response = found(&cluster, matching()).await;
    assert_eq!(places(&response), ["10", "20", "40"]);
    assert_eq!(response.shards.failures, []);
    assert_eq!(fetches(&cluster), [1, 1]);
    let other = &cluster.leaves[1];
    assert_eq!(other.num_looked_up.load(Ordering::Relaxed), 1);
    assert_eq!(other.num_searches.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn where_a_hit_was_replaced_meanwhile_the_search_begins_again() {
    let cluster = cluster();
    let reason = "reset".to_owned();
    let fault = LeafFault::Unreachable {
        shard: shard(1, 0),
        reason,
    };
    let [ranker, other] = [&cluster.leaves[0], &cluster.leaves[1]];
    ranker.fetch_faults.lock().insert(shard(1, 0), fault);
    other.views.lock().insert(shard(1, 0), 2);
    other.hits.lock().insert(shard(1, 0), vec![(5.0, 50)]);
    // The leaf that lost what it had is asked last, also where no load decides.
    let response = found(&cluster, matching()).await;
    assert_eq!(response.shards.failures.len(), 0, "{:?}", response.shards);
    assert_eq!(places(&response), ["50", "20"]);
}

#[tokio::test(start_paused = true)]
async fn a_late_fetch_is_repeated_on_the_other_copy() {
    let cluster = cluster();
    *cluster.leaves[0].fetch_delay.lock() = Duration::from_secs(30);
    let begun = Instant::now();
    let response = found(&cluster, matching()).await;
    assert_eq!(places(&response), ["10", "20", "40"]);
    assert!(
        begun.elapsed() < Duration::from_millis(60),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn numbers_counted_on_one_copy_hold_on_another_at_the_same_generation() {
    let cluster = cluster();
    found(&cluster, matching()).await;
    // From here on the other copy answers.
    *cluster.leaves[0].is_gone.lock() = true;
    let response = found(&cluster, matching()).await;
    assert_eq!(places(&response), ["10", "20", "40"]);
    let counted = cluster.leaves[1].num_statistics.load(Ordering::Relaxed);
    assert_eq!(counted, 0, "the numbers were remembered");
}

#[tokio::test]
async fn a_point_in_time_is_searched_where_it_was_pinned() {
    let cluster = cluster();
    let minute = Duration::from_secs(60);
    let id = cluster
        .root
        .contexts()
        .open_pit(&Target::default(), minute)
        .await;
    let pit = json!({"pit": {"id": id.expect("pinned")}, "query": {MATCH: {"title": "fox"}}});
    let response = found(&cluster, pit.clone()).await;
    assert_eq!(places(&response), ["10", "20", "40"]);
    let renewed: Vec<usize> = cluster
        .leaves
        .iter()
        .map(|leaf| leaf.renewed.lock().len())
        .collect();
    assert_eq!(renewed, [2, 0]);
    *cluster.leaves[0].is_gone.lock() = true;
    let (target, request) = (Target::default(), request(&pit));
    let options = SearchOptions::default();
    let lost = cluster.root.search(&target, &request, &options).await;
    assert!(
        matches!(lost, Err(RootError::AllShardsFailed { .. })),
        "no other copy has the view"
    );
}

/// Opens a point in time; returns the copies that hold its shards, in their order.
async fn opened(cluster: &Cluster) -> Vec<String> {
    let (target, minute) = (Target::default(), Duration::from_secs(60));
    let id = cluster.root.contexts().open_pit(&target, minute).await;
    let state: PointInTimeState = token::decode(&id.expect("pinned")).expect("an id");
    let views = state.indices.iter().flat_map(|views| state.pinned(views));
    views
        .map(|(_, node, _)| node.expect("it is named").to_string())
        .collect()
}

/// Waits until a leaf was asked to let go of so many views; returns their shards.
async fn released(leaf: &FakeLeaf, number: usize) -> Vec<ShardKey> {
    while leaf.released.lock().len() < number {
        tokio::task::yield_now().await;
    }
    let released = leaf.released.lock();
    released.iter().map(|pinned| pinned.shard).collect()
}

#[tokio::test]
async fn a_view_that_may_lack_writes_is_pinned_only_where_no_copy_has_another() {
    let cluster = cluster();
    cluster.leaves[0].stale.lock().insert(shard(1, 1));
    assert_eq!(opened(&cluster).await, ["leaf-0", "leaf-1"]);
    assert_eq!(released(&cluster.leaves[0], 1).await, [shard(1, 1)]);
    assert_eq!(*cluster.leaves[1].released.lock(), []);
    // The first of those that may lack some is taken where all may, or where the other copy fails.
    cluster.leaves[1].stale.lock().insert(shard(1, 1));
    assert_eq!(opened(&cluster).await, ["leaf-0", "leaf-0"]);
    assert_eq!(released(&cluster.leaves[1], 1).await, [shard(1, 1)]);
    let acknowledged = crate::testing::shows(1);
    let state = cluster.root.cluster().state();
    let shown = &cluster.root.reader.shown;
    shown.acknowledge(shard(1, 1), acknowledged, &state);
    let fault = LeafFault::NotHere { shard: shard(1, 1) };
    cluster.leaves[1].faults.lock().insert(shard(1, 1), fault);
    assert_eq!(opened(&cluster).await, ["leaf-0", "leaf-0"]);
    assert_eq!(cluster.leaves[0].released.lock().len(), 1, "as before");
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_says_nothing_is_not_waited_for_where_another_has_a_view() {
    let cluster = cluster();
    cluster.leaves[0].stale.lock().insert(shard(1, 1));
    cluster.leaves[1].hanging.lock().insert(shard(1, 1));
    let begun = Instant::now();
    assert_eq!(opened(&cluster).await, ["leaf-0", "leaf-0"]);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
}

/// A write was acknowledged as visible in each shard; the second leaf alone shows it.
fn acknowledged() -> Cluster {
    let cluster = cluster();
    let state = cluster.root.cluster().state();
    for shard in [shard(1, 0), shard(1, 1)] {
        let acknowledged = crate::testing::shows(7);
        cluster
            .root
            .reader
            .shown
            .acknowledge(shard, acknowledged, &state);
        cluster.leaves[1].views.lock().insert(shard, 7);
    }
    cluster
}

#[tokio::test]
async fn a_point_in_time_shows_what_was_acknowledged_as_visible() {
    let cluster = acknowledged();
    let minute = Duration::from_secs(60);
    let id = cluster
        .root
        .contexts()
        .open_pit(&Target::default(), minute)
        .await;
    found(&cluster, json!({"pit": {"id": id.expect("pinned")}})).await;
    let renewed = cluster.leaves.iter().map(|leaf| leaf.renewed.lock().len());
    assert_eq!(renewed.collect::<Vec<_>>(), [0, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_leaf_that_says_nothing_when_views_are_wanted_has_not_answered() {
    let cluster = acknowledged();
    for shard in [shard(1, 0), shard(1, 1)] {
        let late = LeafFault::DeadlinePassed { shard };
        cluster.leaves[0].faults.lock().insert(shard, late);
    }
    let silent = gleaner_model::NodeId("leaf-0".into());
    for _ in 0..3 {
        cluster.root.reader.health.open().unreachable(&silent);
    }
    let minute = Duration::from_secs(60);
    let id = cluster
        .root
        .contexts()
        .open_pit(&Target::default(), minute)
        .await;
    id.expect("pinned on the other leaf");
    assert_eq!(
        *cluster.leaves[0].awaited.lock().first().expect("asked"),
        gleaner_model::SeqNo(6)
    );
    assert!(cluster.root.reader.health.open().is_silent(&silent));
}

#[tokio::test]
async fn a_view_on_a_copy_that_was_taken_away_is_gone() {
    let cluster = cluster();
    let mut state = PointInTimeState {
        keep_alive_ms: 60_000,
        holder: 7,
        ..PointInTimeState::default()
    };
    let node = state.number_of(&gleaner_model::NodeId("elsewhere".into()));
    state.indices.push(IndexViews {
        index: crate::testing::uuid(1).0,
        views: vec![(0, 1, node), (1, 1, node)],
        alias_filters: Vec::new(),
    });
    let id = token::encode(&state).expect("it has a form");
    let (target, request) = (Target::default(), request(&json!({"pit": {"id": id}})));
    let options = SearchOptions::default();
    let lost = cluster.root.search(&target, &request, &options).await;
    let lost = lost.expect_err("nobody has the views");
    let is_gone = |lost: &ShardFailure| matches!(lost.fault, LeafFault::ViewMissing { .. });
    assert_eq!(lost.failures().len(), 2);
    assert!(lost.failures().iter().all(is_gone), "{lost:?}");
}

#[tokio::test]
async fn an_answer_that_covers_too_little_is_refused() {
    let cluster = cluster();
    found(&cluster, json!({})).await;
    let fault = LeafFault::Memory {
        account: "request".into(),
        wanted_bytes: 2,
        limit_bytes: 1,
    };
    cluster.leaves[0].faults.lock().insert(shard(1, 1), fault);
    let response = found(&cluster, json!({})).await;
    assert_eq!(response.coverage.documents_total, Some(200), "as last seen");
    assert_eq!(response.coverage.share(), 0.5);
    for (floor, is_refused) in [(0.5, false), (0.51, true)] {
        let options = SearchOptions {
            min_coverage: Some(floor),
            ..SearchOptions::default()
        };
        let (target, request) = (Target::default(), SearchRequest::default());
        let answer = cluster.root.search(&target, &request, &options).await;
        let refused = matches!(answer, Err(RootError::CoverageTooLow { .. }));
        assert_eq!(refused, is_refused, "{floor}");
    }
}

#[tokio::test]
async fn the_waterfall_names_phases_steps_and_the_origin_of_numbers() {
    let cluster = cluster();
    let mut profiled = matching();
    profiled["profile"] = true.into();
    let profile = |response: SearchResponse| response.profile.expect("asked for");
    let first = profile(found(&cluster, profiled.clone()).await);
    let phases: Vec<_> = first.attempts.iter().map(|call| call.phase).collect();
    assert_eq!(phases, ["statistics", "query", "fetch"]);
    let steps: Vec<_> = first.steps.iter().map(|step| step.name).collect();
    assert_eq!(steps, ["plan", "cache", "merge"]);
    assert_eq!(first.statistics, crate::waterfall::Numbers::Counted);
    let second = profile(found(&cluster, profiled).await);
    assert_eq!(second.statistics, crate::waterfall::Numbers::Remembered);
    assert_eq!(second.attempts.len(), 2);
}

/// The first leaf takes `times` for its calls, one after the other; the second shows another moment.
fn with_another_moment(times: [u64; 2], is_lost: bool) -> Cluster {
    let cluster = cluster();
    let [ranker, other] = [&cluster.leaves[0], &cluster.leaves[1]];
    for number in [0, 1] {
        other.views.lock().insert(shard(1, number), 2);
    }
    other.hits.lock().insert(shard(1, 0), vec![(5.0, 50)]);
    let mut times = times.map(Duration::from_millis).into_iter();
    let of_ranker = Arc::clone(ranker);
    let draw = move || {
        let time = times.next();
        // After the numbers were told.
        *of_ranker.is_gone.lock() = is_lost && times.len() == 0;
        time.unwrap_or(Duration::from_secs(30))
    };
    *ranker.draw.lock() = Draw(Some(Box::new(draw)));
    cluster
}

#[tokio::test(start_paused = true)]
async fn where_the_copy_of_the_moment_is_silent_the_search_begins_again() {
    let cluster = with_another_moment([0, 30_000], false);
    let begun = Instant::now();
    let response = found(&cluster, matching()).await;
    assert_eq!(places(&response), ["50", "20"]);
    assert_eq!(response.shards.failures, []);
    let elapsed = begun.elapsed();
    assert!(elapsed < Duration::from_millis(300), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn where_the_copy_of_the_moment_is_lost_the_search_begins_again() {
    let cluster = with_another_moment([0, 60], true);
    let response = found(&cluster, matching()).await;
    assert_eq!(places(&response), ["50", "20"]);
    assert_eq!(response.shards.failures, []);
}

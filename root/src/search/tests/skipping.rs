//! Which shards are asked, and which are known to hold nothing.

use std::collections::BTreeSet;

use gleaner_model::{FieldPath, ShardKey};
use gleaner_query::resolved::{Extent, Scalar, Span, Unmatched};

use super::*;
use crate::testing::shows;

const LEASE: Duration = Duration::from_millis(500);

/// Two indices of two shards each; what `shard(1, 1)` and `shard(2, 1)` hold is below 100.
fn numbered() -> Fixture {
    let mapping = json!({"properties": {
        "title": {"type": "text"}, "n": {"type": "long"}, "day": {"type": "date"},
    }});
    let fixture = Fixture::new([index(1, &mapping), index(2, &mapping)]);
    *fixture.leaf.hits.lock() = [
        (shard(1, 0), vec![(3.0, 10)]),
        (shard(2, 0), vec![(2.0, 20)]),
    ]
    .into();
    let mut extent = Extent::default();
    let span = Span::Within(Scalar::I64(0), Scalar::I64(99));
    extent.note_span(FieldPath::new("n"), span);
    let unmatched = Unmatched {
        extent,
        lease: LEASE,
    };
    let mut said = fixture.leaf.unmatched.lock();
    said.insert(shard(1, 1), unmatched.clone());
    said.insert(shard(2, 1), unmatched);
    drop(said);
    fixture
}

fn above(least: i64) -> Value {
    json!({"query": {"range": {"n": {"gte": least}}}})
}

/// Returns the answer and the shards that were searched for it.
async fn searched(fixture: &Fixture, body: Value) -> (SearchResponse, BTreeSet<ShardKey>) {
    fixture.leaf.searched.lock().clear();
    let response = search(fixture, body).await.expect("answered");
    let searched = fixture.leaf.searched.lock().iter().copied().collect();
    (response, searched)
}

fn all() -> BTreeSet<ShardKey> {
    [shard(1, 0), shard(1, 1), shard(2, 0), shard(2, 1)].into()
}

#[tokio::test(start_paused = true)]
async fn what_a_shard_said_of_itself_holds_until_its_lease_runs_out() {
    let fixture = numbered();
    let (first, asked) = searched(&fixture, above(100)).await;
    assert_eq!((asked, first.shards.skipped), (all(), 0));
    let (again, asked) = searched(&fixture, above(100)).await;
    assert_eq!(asked, [shard(1, 0), shard(2, 0)].into());
    assert_eq!((again.shards.total, again.shards.successful), (4, 4));
    assert_eq!(again.shards.skipped, 2);
    assert_eq!((ids(&again), again.total), (ids(&first), first.total));
    assert_eq!(again.coverage.share(), 1.0);
    // It excludes other queries as well, not those that may match.
    let (_, asked) = searched(&fixture, above(5_000)).await;
    assert_eq!(asked.len(), 2);
    let (_, asked) = searched(&fixture, above(99)).await;
    assert_eq!(asked, all());
    tokio::time::advance(LEASE).await;
    let (late, asked) = searched(&fixture, above(100)).await;
    assert_eq!((asked, late.shards.skipped), (all(), 0));
}

#[tokio::test(start_paused = true)]
async fn a_lease_lasts_from_when_the_leaf_was_asked_not_from_its_answer() {
    let fixture = numbered();
    *fixture.leaf.delay.lock() = LEASE;
    let (_, asked) = searched(&fixture, above(100)).await;
    assert_eq!(asked, all());
    *fixture.leaf.delay.lock() = Duration::ZERO;
    let (_, asked) = searched(&fixture, above(100)).await;
    assert_eq!(asked, all(), "it may have run out");
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_has_shown_something_newer_is_asked() {
    let fixture = numbered();
    searched(&fixture, above(100)).await;
    fixture.leaf.views.lock().insert(shard(1, 1), 2);
    fixture.leaf.unmatched.lock().remove(&shard(1, 1));
    // Seen by another search, through a copy that gave no lease.
    searched(&fixture, above(0)).await;
    let (_, asked) = searched(&fixture, above(100)).await;
    assert_eq!(asked, [shard(1, 0), shard(1, 1), shard(2, 0)].into());
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_must_show_more_than_was_promised_is_asked() {
    let fixture = numbered();
    searched(&fixture, above(100)).await;
    let state = fixture.root.cluster().state();
    let (seen, more) = (shows(1), shows(2));
    fixture
        .root
        .reader
        .shown
        .acknowledge(shard(1, 1), seen, &state);
    fixture
        .root
        .reader
        .shown
        .acknowledge(shard(2, 1), more, &state);
    let (_, asked) = searched(&fixture, above(100)).await;
    assert_eq!(asked, [shard(1, 0), shard(2, 0), shard(2, 1)].into());
}

#[tokio::test(start_paused = true)]
async fn terms_that_a_shard_was_counted_to_lack_exclude_it_in_the_same_search() {
    let fixture = numbered();
    fixture.leaf.termless.lock().insert(shard(1, 0));
    fixture.leaf.termless.lock().insert(shard(2, 1));
    let (response, asked) = searched(&fixture, matching()).await;
    assert_eq!(asked, [shard(1, 1), shard(2, 0)].into());
    assert_eq!(response.shards.skipped, 2);
    // The numbers are remembered then, and nobody can say whether they still hold.
    let (_, asked) = searched(&fixture, matching()).await;
    assert_eq!(asked, all());
}

#[tokio::test(start_paused = true)]
async fn numbers_that_turn_out_old_are_counted_again_for_all_shards() {
    let fixture = numbered();
    let body = json!({"query": {"bool": {
        "must": {MATCH: {"title": "fox"}}, "filter": {"range": {"n": {"gte": 100}}},
    }}});
    searched(&fixture, body.clone()).await;
    let (_, asked) = searched(&fixture, body.clone()).await;
    assert_eq!(asked, [shard(1, 0), shard(2, 0)].into());
    // One of those that are asked shows more: all are counted again, one is still excluded.
    fixture.leaf.views.lock().insert(shard(1, 0), 2);
    fixture.leaf.views.lock().insert(shard(1, 1), 2);
    let before = fixture.leaf.num_statistics.load(Ordering::Relaxed);
    let (response, asked) = searched(&fixture, body).await;
    let counted = fixture.leaf.num_statistics.load(Ordering::Relaxed) - before;
    assert_eq!(counted, 2, "one call per index");
    assert_eq!(asked, [shard(1, 0), shard(1, 1), shard(2, 0)].into());
    assert_eq!((response.shards.total, response.shards.skipped), (4, 1));
}

#[tokio::test(start_paused = true)]
async fn one_shard_is_asked_of_each_set_of_indices_that_shape_an_answer_alike() {
    let dated = json!({"properties": {"n": {"type": "long"}, "day": {"type": "date"}}});
    let bare = json!({"properties": {"n": {"type": "long"}, "day": {"type": "long"}}});
    let fixture = Fixture::new([index(1, &dated), index(2, &dated), index(3, &bare)]);
    let unmatched = Unmatched {
        extent: Extent::of(true),
        lease: LEASE,
    };
    for n in 1..=3 {
        for number in 0..2 {
            let mut said = fixture.leaf.unmatched.lock();
            said.insert(shard(n, number), unmatched.clone());
        }
    }
    searched(&fixture, above(0)).await;
    let (response, asked) = searched(&fixture, above(0)).await;
    assert_eq!((asked.len(), response.shards.skipped), (1, 5));
    let mut sorted = above(0);
    sorted["sort"] = json!(["day"]);
    let (_, asked) = searched(&fixture, sorted).await;
    assert_eq!(asked, [shard(1, 0), shard(3, 0)].into());
}

#[tokio::test(start_paused = true)]
async fn the_shard_that_is_asked_of_a_set_holds_documents_if_any_does() {
    let mapping = json!({"properties": {"n": {"type": "long"}}});
    let fixture = Fixture::new([index(1, &mapping)]);
    let unmatched = Unmatched {
        extent: Extent::of(true),
        lease: LEASE,
    };
    for number in 0..2 {
        let mut said = fixture.leaf.unmatched.lock();
        said.insert(shard(1, number), unmatched.clone());
    }
    fixture.leaf.empty.lock().insert(shard(1, 0));
    searched(&fixture, above(0)).await;
    let (_, asked) = searched(&fixture, above(0)).await;
    assert_eq!(asked, [shard(1, 1)].into());
}

#[tokio::test(start_paused = true)]
async fn what_the_best_hits_of_buckets_are_sorted_by_parts_indices_too() {
    let dated = json!({"properties": {"n": {"type": "long"}, "day": {"type": "date"}}});
    let bare = json!({"properties": {"n": {"type": "long"}, "day": {"type": "text"}}});
    let fixture = Fixture::new([index(1, &dated), index(2, &bare)]);
    let plans = fixture
        .root
        .planner()
        .targets(&Target::default())
        .expect("all");
    let is_asked = |body: Value| {
        let mut is_asked = [true, true, false, false];
        let known = |_: ShardKey| None;
        super::super::skipping::keep_some(&plans, &mut is_asked, &request(&body), known);
        is_asked
    };
    let top = |by: &str| json!({"aggs": {"best": {"top_hits": {"sort": [by]}}}});
    assert_eq!(is_asked(top("n")), [true, true, false, false]);
    assert_eq!(is_asked(top("day")), [true, true, true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_post_filter_leaves_no_shard_out_of_a_search_that_counts_before_it() {
    let fixture = numbered();
    let body = |terminate_after| {
        let post_filter = json!({"range": {"n": {"gte": 100}}});
        json!({"post_filter": post_filter, "terminate_after": terminate_after})
    };
    searched(&fixture, body(0)).await;
    let (_, asked) = searched(&fixture, body(1)).await;
    assert_eq!(asked, all());
}

#[tokio::test(start_paused = true)]
async fn a_profile_names_the_shards_that_were_not_asked() {
    let fixture = numbered();
    searched(&fixture, above(100)).await;
    let mut body = above(100);
    body["profile"] = json!(true);
    let (response, _) = searched(&fixture, body).await;
    let skipped = response.profile.expect("asked for").skipped;
    let expected = [("index-1", shard(1, 1)), ("index-2", shard(2, 1))];
    let expected = expected.map(|(name, shard)| (name.to_owned(), shard));
    assert_eq!(skipped, expected);
}

#[tokio::test(start_paused = true)]
async fn a_view_that_a_request_names_is_always_asked() {
    let fixture = numbered();
    searched(&fixture, above(100)).await;
    let keep_alive = Duration::from_secs(60);
    let target = Target::default();
    let pit = fixture.root.contexts().open_pit(&target, keep_alive).await;
    let mut body = above(100);
    body["pit"] = json!({"id": pit.expect("opened")});
    let (_, asked) = searched(&fixture, body).await;
    assert_eq!(asked, all());
}

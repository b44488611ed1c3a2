//! Coverage, totals, views and pages over a leaf that answers as told.

mod copies;
mod counts;
mod moving;
mod paging;
mod patterns;
mod refusals;
mod skipping;
mod stale;

use std::sync::atomic::Ordering;
use std::time::Duration;

use gleaner_model::ShardKey;
use gleaner_proto::LeafFault;
use gleaner_query::answer::SortValue;
use gleaner_query::search::parse_search;
use serde_json::{Value, json};

use super::shard_query::start_of;
use super::*;
use crate::response::{ShardFailure, ShardSummary, Total};
use crate::scroll::ScrollOrigin;
use crate::testing::{Fixture, index, limits, shard};

fn fixture() -> Fixture {
    let mapping = json!({"properties": {"title": {"type": "text"}}});
    let fixture = Fixture::new([index(1, &mapping), index(2, &mapping)]);
    *fixture.leaf.hits.lock() = [
        (shard(1, 0), vec![(3.0, 10), (1.0, 40)]),
        (shard(1, 1), vec![(2.0, 20)]),
        (shard(2, 0), vec![(2.0, 20), (1.0, 30)]),
    ]
    .into();
    fixture
}

fn request(body: &Value) -> SearchRequest {
    parse_search(body.to_string().as_bytes(), &limits()).expect("a good search")
}

async fn search(fixture: &Fixture, body: Value) -> Result<SearchResponse, RootError> {
    search_with(fixture, body, &SearchOptions::default()).await
}

async fn search_with(
    fixture: &Fixture,
    body: Value,
    options: &SearchOptions,
) -> Result<SearchResponse, RootError> {
    fixture
        .root
        .search(&Target::default(), &request(&body), options)
        .await
}

fn ids(response: &SearchResponse) -> Vec<(&str, &str)> {
    let hits = response.hits.iter();
    hits.map(|hit| (hit.index.as_str(), hit.content.id.as_str()))
        .collect()
}

const MATCH: &str = "match";

fn matching() -> Value {
    json!({"query": {MATCH: {"title": "fox"}}})
}

#[tokio::test]
async fn hits_of_all_shards_are_one_list() {
    let fixture = fixture();
    let response = search(&fixture, matching()).await.expect("answered");
    let expected = [
        ("index-1", "10"),
        ("index-1", "20"),
        ("index-2", "20"),
        ("index-2", "30"),
        ("index-1", "40"),
    ];
    assert_eq!(ids(&response), expected);
    assert_eq!(
        response.total,
        Some(Total {
            value: 5,
            is_exact: true
        })
    );
    assert_eq!(response.max_score, Some(3.0));
    assert_eq!((response.shards.total, response.shards.successful), (4, 4));
}

#[tokio::test]
async fn totals_are_cut_at_the_limit_whatever_the_shards_counted() {
    let fixture = fixture();
    for (track, expected) in [
        (
            json!(3),
            Some(Total {
                value: 3,
                is_exact: false,
            }),
        ),
        (
            json!(4),
            Some(Total {
                value: 4,
                is_exact: false,
            }),
        ),
        (
            json!(5),
            Some(Total {
                value: 5,
                is_exact: true,
            }),
        ),
        (
            json!(true),
            Some(Total {
                value: 5,
                is_exact: true,
            }),
        ),
        (json!(false), None),
    ] {
        let response = search(&fixture, json!({"track_total_hits": track})).await;
        assert_eq!(response.expect("answered").total, expected);
    }
}

#[tokio::test]
async fn a_failed_shard_makes_a_partial_answer_or_none_as_the_client_wants() {
    let fixture = fixture();
    let fault = LeafFault::NotHere { shard: shard(1, 0) };
    fixture.leaf.faults.lock().insert(shard(1, 0), fault);
    let partial = search(&fixture, matching())
        .await
        .expect("answered in part");
    assert_eq!(
        (partial.shards.successful, partial.shards.failures.len()),
        (3, 1)
    );
    assert_eq!(partial.hits.len(), 3);
    let whole = SearchOptions {
        refuse_partial: true,
        ..SearchOptions::default()
    };
    let refused = search_with(&fixture, matching(), &whole).await;
    assert!(matches!(refused, Err(RootError::PartialRefused { .. })));
}

/// Makes these shards call every query wrong.
fn call_wrong<const N: usize>(fixture: &Fixture, shards: [ShardKey; N]) {
    let fault = LeafFault::BadQuery {
        kind: "query_shard_exception".into(),
        reason: "no such sort".to_owned(),
    };
    let mut faults = fixture.leaf.faults.lock();
    faults.extend(shards.map(|shard| (shard, fault.clone())));
}

#[tokio::test]
async fn a_query_that_one_shard_calls_wrong_is_wrong_for_its_index() {
    let fixture = fixture();
    call_wrong(&fixture, [shard(2, 0)]);
    let partial = search(&fixture, matching())
        .await
        .expect("answered in part");
    assert_eq!(partial.shards.failures.len(), 1);
    assert_eq!(ids(&partial).len(), 3);
    call_wrong(&fixture, [shard(1, 1)]);
    let refused = search(&fixture, matching()).await;
    assert!(matches!(refused, Err(RootError::AllShardsFailed { .. })));
}

#[tokio::test]
async fn an_index_for_which_the_query_is_wrong_is_missing_from_the_answer() {
    let text = json!({"properties": {"title": {"type": "text"}}});
    let number = json!({"properties": {"title": {"type": "integer"}}});
    let fixture = Fixture::new([index(1, &text), index(2, &number)]);
    *fixture.leaf.hits.lock() = [(shard(1, 0), vec![(3.0, 10)])].into();
    let partial = search(&fixture, matching())
        .await
        .expect("answered in part");
    assert_eq!(ids(&partial).len(), 1);
    let failures: Vec<ShardKey> = partial.shards.failures.iter().map(|f| f.shard).collect();
    assert_eq!(failures, [shard(2, 0), shard(2, 1)]);
    assert_eq!((partial.shards.total, partial.shards.successful), (4, 2));
    assert_eq!(partial.coverage.shards_missing, 2);
    let whole = SearchOptions {
        refuse_partial: true,
        ..SearchOptions::default()
    };
    let refused = search_with(&fixture, matching(), &whole).await;
    assert!(matches!(refused, Err(RootError::PartialRefused { .. })));
}

#[tokio::test]
async fn a_query_that_is_wrong_for_every_index_is_refused() {
    let number = json!({"properties": {"title": {"type": "integer"}}});
    let fixture = Fixture::new([index(1, &number), index(2, &number)]);
    let refused = search(&fixture, matching()).await;
    assert!(matches!(refused, Err(RootError::QueryOfIndex { .. })));
}

#[tokio::test]
async fn a_search_late_everywhere_is_answered_as_timed_out() {
    let fixture = fixture();
    fixture
        .leaf
        .hanging
        .lock()
        .extend([shard(1, 0), shard(2, 0)]);
    let late = search(&fixture, json!({"timeout": "40ms"}))
        .await
        .expect("answered");
    assert!(late.timed_out);
    assert_eq!((late.shards.successful, late.shards.failures.len()), (0, 4));
    let whole = SearchOptions {
        refuse_partial: true,
        ..SearchOptions::default()
    };
    assert!(
        search_with(&fixture, json!({"timeout": "40ms"}), &whole)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_search_ends_when_the_one_who_asked_waits_no_longer() {
    let fixture = fixture();
    fixture.leaf.hanging.lock().insert(shard(1, 0));
    let impatient = SearchOptions {
        patience: Some(Duration::from_millis(40)),
        ..SearchOptions::default()
    };
    for body in [json!({}), json!({"timeout": "-1"})] {
        let answered = search_with(&fixture, body, &impatient).await;
        assert!(answered.expect("a part of it").timed_out);
    }
    let patient = SearchOptions {
        patience: Some(Duration::from_secs(3_600)),
        ..SearchOptions::default()
    };
    let answered = search_with(&fixture, json!({"timeout": "40ms"}), &patient).await;
    assert!(
        answered.expect("a part of it").timed_out,
        "its own time is shorter"
    );
}

#[tokio::test]
async fn a_search_of_no_index_finds_nothing() {
    let fixture = Fixture::new([]);
    let body = json!({"aggs": {"n": {"value_count": {"field": "n"}}}});
    let response = search(&fixture, body).await.expect("answered");
    assert_eq!((response.shards.total, response.hits.len()), (0, 0));
    assert_eq!(
        response.total,
        Some(Total {
            value: 0,
            is_exact: true
        })
    );
}

#[tokio::test]
async fn a_repeated_search_counts_once_while_the_views_stay() {
    let fixture = fixture();
    for _ in 0..3 {
        search(&fixture, matching()).await.expect("answered");
    }
    assert_eq!(
        fixture.leaf.num_statistics.load(Ordering::Relaxed),
        2,
        "one call per index"
    );
}

#[tokio::test]
async fn numbers_of_an_older_view_are_not_used() {
    let fixture = fixture();
    search(&fixture, matching()).await.expect("answered");
    fixture.leaf.views.lock().insert(shard(1, 1), 2);
    let before = fixture.leaf.num_statistics.load(Ordering::Relaxed);
    search(&fixture, matching()).await.expect("answered");
    assert_eq!(
        fixture.leaf.num_statistics.load(Ordering::Relaxed),
        before + 2
    );
    let asked = fixture.leaf.asked.lock();
    let views: Vec<_> = asked[&shard(1, 0).index]
        .shards
        .iter()
        .map(|asked| asked.view)
        .collect();
    assert_eq!(
        views,
        [
            Some(gleaner_query::answer::ViewId(1)),
            Some(gleaner_query::answer::ViewId(2))
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_ranked_by_older_numbers_for_want_of_time_says_so() {
    let fixture = fixture();
    search(&fixture, matching()).await.expect("answered");
    fixture.leaf.views.lock().insert(shard(1, 0), 2);
    *fixture.leaf.delay.lock() = Duration::from_millis(92);
    let mut body = matching();
    body["timeout"] = json!("100ms");
    // Scored, and nothing to fetch, which would be late as well.
    (body["size"], body["min_score"]) = (json!(0), json!(0.5));
    let response = search(&fixture, body).await.expect("answered");
    assert!(response.timed_out);
    let coverage = response.coverage;
    assert_eq!((coverage.shards_seen, coverage.shards_cut), (3, 1));
}

#[tokio::test]
async fn a_pinned_view_that_is_gone_is_reported_and_a_fresh_search_goes_on() {
    let fixture = fixture();
    let (target, minute) = (Target::default(), Duration::from_secs(60));
    let opened = fixture.root.contexts().open_pit(&target, minute).await;
    let id = opened.expect("opens");
    // The views are bound now, and one of them goes.
    fixture.leaf.views.lock().insert(shard(1, 0), 2);
    let mut body = matching();
    body["pit"] = json!({"id": id});
    let pinned = search(&fixture, body).await;
    let failures = pinned.expect("the others answer").shards.failures;
    assert!(
        matches!(failures[0].fault, LeafFault::ViewMissing { .. }),
        "pinned views stay"
    );
    let fresh = search(&fixture, matching()).await.expect("answered");
    assert_eq!(fresh.shards.failures, []);
}

#[tokio::test]
async fn an_index_that_cannot_match_is_not_asked() {
    let titled = json!({"properties": {"title": {"type": "text"}}});
    let fixture = Fixture::new([index(1, &titled), index(2, &json!({}))]);
    let response = search(&fixture, matching()).await.expect("answered");
    let ShardSummary {
        total,
        successful,
        skipped,
        ..
    } = response.shards;
    assert_eq!((total, successful, skipped), (4, 4, 2));
    assert_eq!(fixture.leaf.num_searches.load(Ordering::Relaxed), 1);
    let nowhere = json!({"query": {"term": {"nowhere": 1}}});
    let response = search(&fixture, nowhere).await.expect("answered");
    assert_eq!(
        (response.shards.total, response.shards.skipped),
        (4, 3),
        "one is always asked"
    );
}

#[tokio::test]
async fn a_scroll_is_begun_within_the_timeout() {
    let fixture = fixture();
    fixture.leaf.hanging.lock().insert(shard(1, 0));
    let origin = ScrollOrigin {
        body: json!({"timeout": "40ms"}).to_string().into(),
        ..ScrollOrigin::default()
    };
    let (target, minute) = (Target::default(), Duration::from_secs(60));
    let options = SearchOptions::default();
    let begun = fixture
        .root
        .contexts()
        .start_scroll(&target, origin, minute, &options);
    // Without one it is given 10 s.
    let begun = tokio::time::timeout(Duration::from_secs(5), begun).await;
    let refused = begun.expect("it ends");
    assert!(matches!(refused, Err(RootError::AllShardsFailed { .. })));
}

#[tokio::test]
async fn a_scroll_that_fails_or_is_given_up_lets_its_views_go() {
    for is_given_up in [false, true] {
        let fixture = fixture();
        let all = [shard(1, 0), shard(1, 1), shard(2, 0), shard(2, 1)];
        if is_given_up {
            *fixture.leaf.delay.lock() = Duration::from_secs(3_600);
        } else {
            let kind = "query_shard_exception".into();
            let reason = "it is wrong".to_owned();
            let fault = LeafFault::BadQuery { kind, reason };
            let faults = all.map(|shard| (shard, fault.clone()));
            fixture.leaf.faults.lock().extend(faults);
        }
        let origin = ScrollOrigin {
            body: matching().to_string().into(),
            ..ScrollOrigin::default()
        };
        let (target, day) = (Target::default(), Duration::from_secs(24 * 3_600));
        let options = SearchOptions::default();
        let mut begun = Box::pin(
            fixture
                .root
                .contexts()
                .start_scroll(&target, origin, day, &options),
        );
        if is_given_up {
            while fixture.leaf.num_calls.load(Ordering::Relaxed) == 0 {
                assert!(futures::poll!(&mut begun).is_pending());
                tokio::task::yield_now().await;
            }
            assert_eq!(*fixture.leaf.released.lock(), []);
            drop(begun);
        } else {
            assert!(begun.await.is_err(), "refused");
        }
        let released = async {
            while fixture.leaf.released.lock().len() < 4 {
                tokio::task::yield_now().await;
            }
        };
        let patience = Duration::from_secs(60);
        let released = tokio::time::timeout(patience, released).await;
        released.expect("all of them");
    }
}

#[tokio::test]
async fn a_scroll_goes_on_after_twins_in_two_indices_at_its_own_time() {
    let fixture = fixture();
    let origin = ScrollOrigin {
        body: json!({"size": 2, "query": {MATCH: {"title": "fox"}}})
            .to_string()
            .into(),
        ..ScrollOrigin::default()
    };
    let minute = Duration::from_secs(60);
    let options = SearchOptions::default();
    let first = fixture
        .root
        .contexts()
        .start_scroll(&Target::default(), origin, minute, &options)
        .await;
    let first = first.expect("answered");
    assert_eq!(ids(&first), [("index-1", "10"), ("index-1", "20")]);
    let id = first.scroll_id.expect("a scroll has an id");
    fixture
        .root
        .contexts()
        .continue_scroll(&id, None, &options)
        .await
        .expect("answered");
    let asked = fixture.leaf.asked.lock();
    let after = |n| {
        let query = &asked[&shard(n, 0).index].query;
        let after = query.after.clone().expect("a later page");
        (after.keys, after.tie.expect("known").hash)
    };
    assert_eq!(after(1), (vec![SortValue::F64(2.0)], 20));
    assert_eq!(
        after(2),
        (vec![SortValue::F64(2.0)], 19),
        "its twin is still to come"
    );
}

#[test]
fn the_tie_break_of_a_hit_is_read_for_each_index() {
    let values = [json!(1), json!("500:1")];
    let tie = |at| start_of(&values, 1, at)[1].clone();
    assert_eq!(
        [tie(0), tie(1), tie(2)],
        [json!(500), json!(500), json!(499)]
    );
    assert_eq!(start_of(&[json!(1), json!("500")], 1, 3)[1], json!(500));
    assert_eq!(start_of(&[json!(1)], 1, 0), [json!(1)]);
    let routed = |at| start_of(&[json!(1), json!("500:1:2")], 1, at)[1..].to_vec();
    assert_eq!(routed(0), [json!(500)]);
    assert_eq!(routed(1), [json!(500), json!(2)]);
    assert_eq!(routed(2), [json!(499)]);
}

//! Searches whose views are gone whenever they come back for them.

use std::sync::Arc;

use super::*;
use crate::deadline::MAX_RESTARTS;

/// Shows another view of the first shard at every call, so that none is there when its winners are
/// fetched.
fn keep_moving(fixture: &Fixture) {
    let leaf = Arc::downgrade(&fixture.leaf);
    let drawn = move || {
        let leaf = leaf.upgrade().expect("it is asked");
        *leaf.views.lock().entry(shard(1, 0)).or_insert(1) += 1;
        Duration::ZERO
    };
    fixture.leaf.draw.lock().0 = Some(Box::new(drawn));
}

#[tokio::test]
async fn a_search_whose_views_are_gone_each_time_is_rejected_and_has_no_context_to_miss() {
    let fixture = fixture();
    keep_moving(&fixture);
    let options = SearchOptions {
        refuse_partial: true,
        ..SearchOptions::default()
    };
    for body in [json!({"sort": ["_doc"]}), matching()] {
        let refused = search_with(&fixture, body, &options).await;
        let refused = refused.expect_err("its hits cannot be fetched");
        let LeafFault::Rejected { queue, capacity } = &refused.failures()[0].fault else {
            panic!("{refused:?}");
        };
        assert_eq!((&**queue, *capacity), (LeafFault::RESTARTS, MAX_RESTARTS));
    }
}

#[tokio::test(start_paused = true)]
async fn a_search_whose_views_are_gone_when_its_time_is_over_is_late() {
    let fixture = fixture();
    keep_moving(&fixture);
    *fixture.leaf.fetch_delay.lock() = Duration::from_millis(95);
    let body = json!({"sort": ["_doc"], "timeout": "100ms"});
    let response = search(&fixture, body).await.expect("answered in part");
    assert!(response.timed_out);
    let failures = &response.shards.failures;
    let is_late = |f: &ShardFailure| matches!(f.fault, LeafFault::DeadlinePassed { .. });
    assert!(
        !failures.is_empty() && failures.iter().all(is_late),
        "{failures:?}"
    );
}

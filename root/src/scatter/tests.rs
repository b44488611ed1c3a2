//! Late, failing and miscounting leaves.

use gleaner_proto::search::SearchCall;
use gleaner_query::answer::ShardHits;
use gleaner_query::search::SearchRequest;
use serde_json::json;

use super::*;
use crate::plan::Target;
use crate::search::{Asked, SearchOptions, shard_query};
use crate::testing::{Fixture, NOW_MS, index, shard};

async fn searched(fixture: &Fixture, timeout: Duration) -> Gathered<ShardHits> {
    let plans = fixture
        .root
        .targets(&Target::default())
        .expect("all indices");
    let (request, options) = (SearchRequest::default(), SearchOptions::default());
    let asked = Asked {
        request: &request,
        options: &options,
        statistics: Arc::default(),
        now_ms: NOW_MS,
    };
    let query = Arc::new(shard_query((0, &plans[0]), &asked));
    let leaves = Arc::clone(fixture.root.leaves());
    scatter(
        &*leaves,
        &plans,
        Deadline::after(timeout),
        "query",
        |call| {
            let search = SearchCall {
                shards: call.shards,
                query: Arc::clone(&query),
                remaining: call.remaining,
            };
            async move { call.client.search(search).await }
        },
    )
    .await
}

fn fixture() -> Fixture {
    Fixture::new([index(1, &json!({})), index(2, &json!({}))])
}

#[tokio::test]
async fn each_index_is_one_call_and_answers_stand_beside_their_shards() {
    let gathered = searched(&fixture(), Duration::from_secs(60)).await;
    assert_eq!(gathered.calls.len(), 2);
    let shards: Vec<_> = gathered
        .calls
        .iter()
        .flat_map(|call| call.shards.clone())
        .collect();
    assert_eq!(shards, [shard(1, 0), shard(1, 1), shard(2, 0), shard(2, 1)]);
    assert!(gathered.answers.iter().flatten().all(Result::is_ok));
}

#[tokio::test]
async fn a_late_leaf_is_reported_and_keeps_nobody_waiting() {
    let fixture = fixture();
    fixture.leaf.hanging.lock().insert(shard(2, 1));
    let gathered = searched(&fixture, Duration::from_millis(50)).await;
    assert!(gathered.answers[0].iter().all(Result::is_ok));
    for answer in &gathered.answers[1] {
        let failure = answer.as_ref().expect_err("one call was late");
        assert!(matches!(failure.fault, LeafFault::DeadlinePassed { .. }));
        assert_eq!(failure.index, "index-2");
    }
}

#[tokio::test]
async fn a_failing_shard_is_reported_beside_its_neighbour() {
    let fixture = fixture();
    let fault = LeafFault::NotHere { shard: shard(1, 1) };
    fixture
        .leaf
        .faults
        .lock()
        .insert(shard(1, 1), fault.clone());
    let gathered = searched(&fixture, Duration::from_secs(60)).await;
    assert!(gathered.answers[0][0].is_ok());
    assert_eq!(
        gathered.answers[0][1]
            .as_ref()
            .map_err(|failure| &failure.fault),
        Err(&fault)
    );
}

#[tokio::test]
async fn a_leaf_that_answers_for_fewer_shards_is_at_fault_for_the_rest() {
    let fixture = fixture();
    *fixture.leaf.answers_at_most.lock() = Some(1);
    let gathered = searched(&fixture, Duration::from_secs(60)).await;
    let failure = gathered.answers[0][1].as_ref().expect_err("no answer");
    assert!(matches!(failure.fault, LeafFault::Internal { .. }));
}

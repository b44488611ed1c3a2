//! A leaf that is slow, stuck or gone costs no answer where a copy remains, and is named where none
//! does.

use std::time::Duration;

use anyhow::Result;
use gleaner_proto::LeafFault;
use gleaner_testkit::proxy::Fault;
use gleaner_testkit::slow::Pace;
use serde_json::json;

use crate::{INDEX, answer, filled, searches};

/// Searches once with every leaf well, then several times with `fault` on one of them.
async fn costs_no_answer(fault: Fault) -> Result<()> {
    let cluster = filled(3, 4, 1).await?;
    let mut expected = Vec::new();
    for search in searches() {
        expected.push(answer(&cluster.search(INDEX, &search).await?));
    }
    let leaves = cluster.leaves.iter();
    let busiest = leaves.max_by_key(|leaf| leaf.slow.num_calls());
    let faulty = busiest.expect("there are some");
    faulty.proxy.set(fault);
    for _ in 0..3 {
        for (search, expected) in searches().iter().zip(&expected) {
            let response = cluster.search(INDEX, search).await?;
            assert!(!response.timed_out, "{fault:?}");
            assert!(response.shards.failures.is_empty(), "{:?}", response.shards);
            assert_eq!(answer(&response), *expected);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaf_that_resets_its_connections_costs_no_answer() -> Result<()> {
    costs_no_answer(Fault::Reset).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaf_behind_a_cut_network_costs_no_answer() -> Result<()> {
    costs_no_answer(Fault::Stall).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaf_whose_answers_drip_costs_no_answer() -> Result<()> {
    costs_no_answer(Fault::Drip(Duration::from_millis(50))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_without_a_copy_is_named_and_the_rest_is_answered() -> Result<()> {
    let cluster = filled(3, 3, 0).await?;
    let state = cluster.state();
    let index = state.indices.values().next().expect("there is one");
    // Which leaves hold what is drawn with the index's identity.
    let first = index.shards().next().expect("there are three");
    let stuck = cluster.leaf(&index.copies_of(first.shard)[0])?;
    let held = |shard: &gleaner_model::ShardKey| index.copies_of(shard.shard).contains(&stuck.id);
    let missing: Vec<_> = index.shards().filter(held).collect();
    assert!(
        !missing.is_empty() && missing.len() < 3,
        "{:?}",
        index.copies
    );
    stuck.slow.set(Pace::Never);
    let body = json!({"query": {"match": {"text": "wheat bread water"}}, "timeout": "3s"});
    let response = cluster.search(INDEX, &body).await?;
    assert!(response.timed_out);
    let named: Vec<_> = response.shards.failures.iter().map(|f| f.shard).collect();
    assert_eq!(named, missing);
    for failure in &response.shards.failures {
        let is_late = matches!(failure.fault, LeafFault::DeadlinePassed { .. });
        assert!(is_late, "{:?}", failure.fault);
        assert_eq!(failure.node.as_ref(), Some(&stuck.id));
    }
    assert_eq!(response.shards.successful as usize, 3 - missing.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_go_on_when_the_network_is_back() -> Result<()> {
    let cluster = filled(2, 2, 0).await?;
    let one = [("again".to_owned(), json!({"text": "sown twice"}))];
    for leaf in &cluster.leaves {
        leaf.proxy.set(Fault::Reset);
    }
    assert!(cluster.put(INDEX, &one).await.is_err(), "nobody is there");
    for leaf in &cluster.leaves {
        leaf.proxy.set(Fault::None);
    }
    // A peer that refused is not tried again at once.
    while cluster.put(INDEX, &one).await.is_err() {
        tokio::task::yield_now().await;
    }
    let body = json!({"query": {"match": {"text": "sown"}}});
    let response = cluster.search(INDEX, &body).await?;
    assert_eq!(response.total.expect("counted").value, 1);
    Ok(())
}

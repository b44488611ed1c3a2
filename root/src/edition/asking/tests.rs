//! What is current by what primaries say: one call to each of their leaves, and no guess.

use std::sync::atomic::Ordering;

use gleaner_query::canonical::edition::TargetIndex;
use serde_json::json;

use super::*;
use crate::RootOptions;
use crate::plan::Target;
use crate::search::SearchOptions;
use crate::testing::{Cluster, index, limits, shard, uuid};

const PATIENCE: Duration = Duration::from_millis(250);

/// Two leaves: each holds the primary of a shard and a replica of the other's.
fn cluster() -> Cluster {
    Cluster::with_copies(
        2,
        2,
        [index(1, &json!({})), index(2, &json!({}))],
        RootOptions::default(),
    )
}

/// Three leaves, each shard's copies on two of them.
fn spread() -> Cluster {
    let indices = [index(1, &json!({})), index(2, &json!({}))];
    Cluster::with_copies(3, 2, indices, RootOptions::default())
}

fn targets() -> Targets {
    let of_index = |n| TargetIndex {
        uuid: uuid(n),
        filters: Vec::new(),
        boost: 1.0,
        shards: vec![shard(n, 0).shard, shard(n, 1).shard],
    };
    Targets {
        indices: vec![of_index(1), of_index(2)],
    }
}

fn num_asked(cluster: &Cluster) -> Vec<usize> {
    let leaves = cluster.leaves.iter();
    leaves
        .map(|leaf| leaf.num_asked.load(Ordering::Relaxed))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn each_leaf_with_a_primary_is_asked_once() {
    let cluster = spread();
    let first = cluster.root.ask_edition(&targets(), PATIENCE).await;
    assert!(first.is_some());
    assert_eq!(num_asked(&cluster), [1, 1, 0], "the third holds replicas");
    let again = cluster.root.ask_edition(&targets(), PATIENCE).await;
    assert_eq!(again, first);
    // What a replica shows does not count.
    cluster.leaves[1].views.lock().insert(shard(1, 0), 2);
    let again = cluster.root.ask_edition(&targets(), PATIENCE).await;
    assert_eq!(again, first);
    cluster.leaves[0].views.lock().insert(shard(1, 0), 2);
    let newer = cluster.root.ask_edition(&targets(), PATIENCE).await;
    assert!(newer.is_some() && newer != first);
    assert!(!cluster.root.knows_editions());
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_of_the_edition_that_primaries_say() {
    let cluster = cluster();
    let target = Target {
        expression: Some("index-1,index-2".to_owned()),
        ..Target::default()
    };
    let request = gleaner_query::search::parse_search(b"{}", &limits()).expect("a good search");
    let options = SearchOptions {
        wants_edition: true,
        ..SearchOptions::default()
    };
    let answer = cluster.root.search(&target, &request, &options).await;
    let edition = answer.expect("answered").edition;
    assert!(edition.is_some());
    assert_eq!(
        cluster.root.ask_edition(&targets(), PATIENCE).await,
        edition
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_can_tell_where_a_primary_does_not() {
    let cluster = spread();
    let asked = shard(2, 1);
    let leaf = &cluster.leaves[1];
    let unsupported = LeafFault::Unsupported {
        what: "generations of primaries".to_owned(),
    };
    for fault in [LeafFault::NotHere { shard: asked }, unsupported] {
        leaf.faults.lock().insert(asked, fault);
        assert_eq!(cluster.root.ask_edition(&targets(), PATIENCE).await, None);
    }
    leaf.faults.lock().clear();
    leaf.resting.lock().insert(asked);
    assert_eq!(cluster.root.ask_edition(&targets(), PATIENCE).await, None);
    leaf.resting.lock().clear();
    *leaf.delay.lock() = 2 * PATIENCE;
    assert_eq!(cluster.root.ask_edition(&targets(), PATIENCE).await, None);
    *leaf.delay.lock() = Duration::ZERO;
    assert!(
        cluster
            .root
            .ask_edition(&targets(), PATIENCE)
            .await
            .is_some()
    );
    *leaf.is_gone.lock() = true;
    assert_eq!(cluster.root.ask_edition(&targets(), PATIENCE).await, None);
    let mut gone = targets();
    gone.indices[1].uuid = uuid(9);
    *leaf.is_gone.lock() = false;
    assert_eq!(cluster.root.ask_edition(&gone, PATIENCE).await, None);
}

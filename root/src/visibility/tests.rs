//! Refreshes on several copies.

use std::sync::atomic::Ordering;

use serde_json::json;

use super::*;
use crate::RootOptions;
use crate::search::SearchOptions;
use crate::testing::{Cluster, Fixture, index, shard};

fn cluster() -> Cluster {
    let cluster = Cluster::new(2, [index(1, &json!({}))], RootOptions::default());
    cluster.each(|leaf| leaf.views.lock().extend([(shard(1, 0), 7)]));
    cluster
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

#[tokio::test]
async fn the_other_copies_are_waited_for_up_to_what_the_primary_shows() {
    let cluster = cluster();
    let shown = cluster
        .root
        .refresher()
        .show(shard(1, 0), ShowMode::Now, soon())
        .await;
    let nodes = shown.iter().map(|copy| copy.node.as_ref().expect("asked"));
    assert_eq!(
        nodes.map(|node| &*node.0).collect::<Vec<_>>(),
        ["leaf-0", "leaf-1"]
    );
    assert!(shown.iter().all(|copy| copy.outcome.is_ok()));
    assert_eq!(*cluster.leaves[1].awaited.lock(), [SeqNo(6)]);
}

#[tokio::test]
async fn a_copy_that_lags_is_named_and_searches_ask_for_what_was_acknowledged() {
    let cluster = cluster();
    cluster.leaves[1].views.lock().insert(shard(1, 0), 5);
    let shown = cluster
        .root
        .refresher()
        .show(shard(1, 0), ShowMode::Now, soon())
        .await;
    let behind = LeafFault::Behind {
        shard: shard(1, 0),
        wanted: SeqNo(7),
        visible: SeqNo(5),
    };
    assert_eq!(shown[1].outcome, Err(behind));
    let (target, request, options) = (
        Target::default(),
        Default::default(),
        SearchOptions::default(),
    );
    let answer = cluster.root.search(&target, &request, &options).await;
    answer.expect("answered");
    let asked = cluster.leaves.iter().flat_map(|leaf| {
        let asked = leaf.asked.lock();
        asked
            .values()
            .flat_map(|call| call.shards.clone())
            .collect::<Vec<_>>()
    });
    let at_least = asked.map(|asked| (asked.shard, asked.at_least));
    let mut at_least: Vec<_> = at_least.collect();
    at_least.sort_unstable();
    assert_eq!(
        at_least,
        [(shard(1, 0), Some(SeqNo(7))), (shard(1, 1), None)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_refresh_of_which_the_outcome_is_not_known_is_made_again() {
    let cluster = cluster();
    cluster.leaves_agree.store(true, Ordering::Relaxed);
    let unknown = LeafFault::Indeterminate {
        shard: shard(1, 0),
        reason: "its primary changed".to_owned(),
    };
    cluster.leaves[0].faults.lock().insert(shard(1, 0), unknown);
    let refresher = cluster.root.refresher();
    let shown = refresher.show(shard(1, 0), ShowMode::Next(SeqNo(6)), soon());
    let settled = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        cluster.leaves[0].faults.lock().clear();
    };
    let (shown, ()) = tokio::join!(shown, settled);
    assert!(shown.iter().all(|copy| copy.outcome.is_ok()), "{shown:?}");
}

#[tokio::test]
async fn one_copy_is_refreshed_by_one_call() {
    let fixture = Fixture::new([index(1, &json!({}))]);
    let shown = fixture
        .root
        .refresher()
        .show(shard(1, 0), ShowMode::Now, soon())
        .await;
    assert_eq!((shown.len(), fixture.leaf.awaited.lock().len()), (1, 0));
    assert_eq!(
        fixture
            .root
            .reader
            .shown
            .of(shard(1, 0), gleaner_model::HistoryId::default),
        None
    );
}

#[tokio::test]
async fn a_primary_that_fails_keeps_the_others_untouched() {
    let cluster = cluster();
    let fault = LeafFault::NotHere { shard: shard(1, 0) };
    cluster.leaves[0]
        .faults
        .lock()
        .insert(shard(1, 0), fault.clone());
    let shown = cluster
        .root
        .refresher()
        .show(shard(1, 0), ShowMode::Next(SeqNo(3)), soon());
    let outcomes: Vec<_> = shown.await.into_iter().map(|copy| copy.outcome).collect();
    assert_eq!(outcomes, [Err(fault)]);
}

//! Leaves that stop in order.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_leaf_that_stops_hands_its_shards_over_and_comes_back_as_follower() {
    let mut cluster = Cluster::start().await;
    cluster.write("a", vec![put("1", "{}")]).await;
    let term = cluster.entry().term;
    cluster.hand_over("a").await;
    let made = cluster.coordinator.entries.made();
    let taken = made.iter().find(|entry| entry.primary == copy("b"));
    let taken = taken.expect("it leads");
    assert_eq!(taken.term.0, term.0 + 1);
    // Nobody had to find it gone. It may leave the set right after: it has said that it stops.
    assert!(taken.in_sync.contains(&copy("a")));
    cluster.write("b", vec![put("2", "{}")]).await;
    cluster.crash("a").await;
    cluster.write("b", vec![put("3", "{}")]).await;
    cluster.again("a");
    cluster.until(|entry| entry.in_sync.len() == 2).await;
    cluster.until_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaf_that_stops_waits_for_a_copy_that_comes_in_sync() {
    let cluster = Cluster::start().await;
    cluster.write("a", vec![put("1", "{}")]).await;
    let shrink = Change::Shrink { copy: copy("b") };
    cluster.change(&shrink).await;
    soon(cluster.leaf("a").hand_over()).await;
    assert_eq!(cluster.entry().primary, copy("b"), "it has come in sync");
}

//! Logs that do not meet: trimmed too far, kept long enough.

use std::time::Duration;

use gleaner_model::SeqNo;
use gleaner_proto::LeafClient;

use super::cluster::*;
use crate::testing::key;

async fn first_available(cluster: &Cluster) -> SeqNo {
    let page = cluster.log("a").read(key(1), SeqNo(0), 1).await;
    page.expect("memory").first_available
}

fn num_fetched(cluster: &Cluster) -> usize {
    cluster.wire().fetched.lock().values().sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_kept_for_a_copy_that_is_away() {
    let mut cluster = Cluster::of_two().await;
    cluster.write(vec![put(1, 0)]).await;
    cluster.assert_equal("b").await;
    let kept = cluster.refresh().await.visible;
    cluster.crash("b").await;
    cluster.write((0..9).map(|n| put(n, 1)).collect()).await;
    cluster.leaf("a").flush(key(1)).await.expect("commits");
    let first = first_available(&cluster).await;
    assert!(first < kept && kept.0 - first.0 <= 2, "{first} for {kept}");
    let fetched = num_fetched(&cluster);
    cluster.again("b");
    cluster.assert_equal("b").await;
    assert_eq!(num_fetched(&cluster), fetched);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_away_for_too_long_begins_again_from_files() {
    let mut cluster = Cluster::start_with(|options| {
        options.follower_patience = Duration::ZERO;
    })
    .await;
    cluster.add("b");
    cluster.hold(&["a", "b"]).await;
    cluster.write(vec![put(1, 0)]).await;
    cluster.assert_equal("b").await;
    cluster.crash("b").await;
    cluster.write(vec![delete(1), put(2, 1)]).await;
    cluster.leaf("a").flush(key(1)).await.expect("commits");
    assert_eq!(first_available(&cluster).await, SeqNo(4));
    let fetched = num_fetched(&cluster);
    cluster.again("b");
    cluster.assert_equal("b").await;
    assert!(num_fetched(&cluster) > fetched);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_serving_copy_that_lost_touch_begins_again_from_files() {
    let mut cluster = Cluster::start_with(|options| options.follower_log_bytes = 2_000).await;
    cluster.add("b");
    cluster.hold(&["a", "b"]).await;
    cluster.write(vec![put(1, 0)]).await;
    cluster.assert_equal("b").await;
    let shown = cluster.refresh().await.visible;
    cluster.wire().is_away.send_replace(true);
    cluster.write(vec![put(2, 0)]).await;
    cluster.leaf("a").flush(key(1)).await.expect("commits");
    assert!(first_available(&cluster).await < shown, "within the limit");
    for round in 1..4 {
        let items = (0..NUM_IDS).map(|n| put(n, round));
        cluster.write(items.collect()).await;
    }
    cluster.leaf("a").flush(key(1)).await.expect("commits");
    assert!(first_available(&cluster).await > shown, "beyond the limit");
    let fetched = num_fetched(&cluster);
    cluster.wire().is_away.send_replace(false);
    let mut changes = cluster.leaf("b").copies.changes();
    soon(async {
        while num_fetched(&cluster) == fetched {
            changes.changed().await.expect("the leaf lives");
        }
    })
    .await;
    cluster.assert_equal("b").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_giving_a_copy_up_and_replacing_it_leaves_it_given_up() {
    let mut cluster = Cluster::of_two().await;
    cluster.write(vec![put(1, 0)]).await;
    cluster.assert_equal("b").await;
    cluster.leaf("b").flush(key(1)).await.expect("commits");
    let folders = cluster.leaf("b").node.folders(key(1));
    cluster.crash("b").await;
    std::fs::create_dir(&folders.incoming).expect("there is room");
    let fetched = num_fetched(&cluster);
    cluster.again("b");
    cluster.assert_equal("b").await;
    assert!(num_fetched(&cluster) > fetched && !folders.incoming.exists());
}

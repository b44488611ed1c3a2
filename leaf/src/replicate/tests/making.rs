//! How a copy comes about that needs files: while the primary goes on, however the transfer goes.

use std::sync::atomic::{AtomicBool, Ordering};

use gleaner_proto::LeafClient;

use super::cluster::*;
use std::sync::Arc;

/// Writes, overwrites, deletes and refreshes; new fields come along.
async fn rounds(cluster: &Cluster, rounds: std::ops::Range<usize>) {
    for round in rounds {
        let items = (0..NUM_IDS).filter(|n| (n + round) % 3 > 0);
        let items = items.map(|n| match (n + round) % 7 {
            0 => delete(n),
            _ => put(n, round),
        });
        cluster.write(items.collect()).await;
        if round % 2 == 0 {
            cluster.refresh().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_made_while_writes_go_on_equals_its_primary() {
    let mut cluster = Cluster::empty();
    let _logs = [cluster.add_durable("a"), cluster.add_durable("b")];
    cluster.hold(&["a"]).await;
    rounds(&cluster, 0..4).await;
    cluster.trimmed().await;
    let cluster = Arc::new(cluster);
    let is_enough = Arc::new(AtomicBool::new(false));
    let writing = {
        let (cluster, is_enough) = (Arc::clone(&cluster), Arc::clone(&is_enough));
        tokio::spawn(async move {
            let mut round = 4;
            while !is_enough.load(Ordering::Relaxed) {
                rounds(&cluster, round..round + 1).await;
                round += 1;
            }
        })
    };
    cluster.hold(&["a", "b"]).await;
    cluster.shard("b").await;
    is_enough.store(true, Ordering::Relaxed);
    writing.await.expect("it writes");
    cluster.assert_equal("b").await;
    rounds(&cluster, 90..93).await;
    cluster.assert_equal("b").await;
    assert!(cluster.leaf("b").readiness().is_ready());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_shard_that_was_never_written_follows() {
    let cluster = Cluster::of_two().await;
    cluster.assert_equal("b").await;
    rounds(&cluster, 0..2).await;
    cluster.assert_equal("b").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_was_cut_off_fetches_only_what_is_missing() {
    let mut cluster = Cluster::start().await;
    rounds(&cluster, 0..3).await;
    cluster.trimmed().await;
    let shard = cluster.shard("a").await;
    let pinned = shard.engine().pin_commit().expect("there is a commit");
    let total: u64 = pinned.files().map(|file| file.num_bytes).sum();
    let wire = cluster.wire();
    wire.page_bytes.store(100, Ordering::Relaxed);
    *wire.budget.lock() = total as usize / 2;
    let mut refused = wire.refused.subscribe();
    cluster.add("b");
    cluster.hold(&["a", "b"]).await;
    soon(refused.wait_for(|refused| *refused >= 1))
        .await
        .expect("it is cut off");
    cluster.crash("b").await;
    *cluster.wire().budget.lock() = usize::MAX;
    cluster.again("b");
    cluster.assert_equal("b").await;
    let fetched = cluster.wire().fetched.lock().clone();
    for file in pinned.files().filter(|file| file.name != "meta.json") {
        assert_eq!(fetched[&file.name] as u64, file.num_bytes, "{}", file.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_arrives_with_a_wrong_byte_is_fetched_again() {
    let mut cluster = Cluster::start().await;
    rounds(&cluster, 0..3).await;
    cluster.trimmed().await;
    cluster.wire().wrong_pages.store(1, Ordering::Relaxed);
    cluster.add("b");
    cluster.hold(&["a", "b"]).await;
    cluster.assert_equal("b").await;
    let shard = cluster.shard("a").await;
    let pinned = shard.engine().pin_commit().expect("there is a commit");
    let fetched = cluster.wire().fetched.lock().clone();
    let twice = pinned
        .files()
        .filter(|file| fetched.get(&file.name) == Some(&(2 * file.num_bytes as usize)));
    assert_eq!(twice.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_sends_damage_gets_no_copy() {
    let mut cluster = Cluster::start().await;
    rounds(&cluster, 0..1).await;
    cluster.trimmed().await;
    cluster
        .wire()
        .wrong_pages
        .store(usize::MAX, Ordering::Relaxed);
    cluster.add("b");
    cluster.hold(&["a", "b"]).await;
    let leaf = cluster.leaf("b");
    soon(async {
        loop {
            let states = leaf.shard_states().await.expect("its own");
            let told = states.first().and_then(|state| state.reason.clone());
            if told.is_some_and(|told| told.contains("does not arrive as it was sent")) {
                return;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    cluster.wire().wrong_pages.store(0, Ordering::Relaxed);
    cluster.assert_equal("b").await;
}

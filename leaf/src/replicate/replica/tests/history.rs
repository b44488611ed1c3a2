//! Logs that do not meet: trimmed too far, kept too long, of another history.

use std::sync::Arc;
use std::time::Duration;

use gleaner_log::{Append, LogBase, LogStart, MemoryLog, ShardLog};
use gleaner_model::{PrimaryTerm, SeqNo};
use gleaner_proto::{LeafClient, LeafFault};

use super::cluster::*;
use crate::testing::{PATIENCE, call, key};

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
async fn a_copy_that_never_had_a_record_comes_back_also_from_far() {
    let mut cluster = Cluster::start_with(|options| {
        options.follower_patience = Duration::ZERO;
    })
    .await;
    // Opened while it is to have no copy, it notes no history.
    cluster.shard("a").await;
    cluster.hold(&["a", "b"]).await;
    cluster.write(vec![put(1, 0)]).await;
    cluster.refresh().await;
    // Before there is a copy: what the primary had then is known by its files alone.
    cluster.leaf("a").flush(key(1)).await.expect("commits");
    cluster.add("b");
    cluster.assert_equal("b").await;
    let own = cluster.leaf("b").node.history(key(1)).own().await;
    assert_eq!(own.expect("reads").terms.at(SeqNo(1)), None);
    cluster.crash("b").await;
    cluster.write(vec![delete(1), put(2, 1)]).await;
    cluster.leaf("a").flush(key(1)).await.expect("commits");
    assert_eq!(first_available(&cluster).await, SeqNo(4));
    cluster.again("b");
    cluster.assert_equal("b").await;
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
async fn a_copy_of_another_history_is_kept_and_its_primary_takes_no_writes() {
    let mut cluster = Cluster::start().await;
    let log = Arc::new(MemoryLog::default());
    cluster.add_with("b", Arc::clone(&log) as _, |_| {});
    cluster.hold(&["a", "b"]).await;
    cluster.shard("b").await;
    cluster.write(vec![put(1, 0)]).await;
    cluster.assert_equal("b").await;
    let kept = cluster.documents("b").await;
    cluster.crash("b").await;
    // Where the primary deletes a document, this copy's log has a record of nobody's, of the same term.
    let tail = log.tail(key(1)).await.expect("memory").expect("written");
    let first = log.read_one(key(1), SeqNo(0)).await.expect("memory");
    let other = Append {
        shard: key(1),
        term: PrimaryTerm(1),
        expected_last: Some(tail),
        producer: None,
        batch: vec![first.expect("kept").payload],
    };
    log.append(other).await.expect("memory");
    cluster.write(vec![delete(1)]).await;
    let fetched = num_fetched(&cluster);
    cluster.again("b");
    let mut changes = cluster.leaf("a").copies.changes();
    let refused = soon(async {
        loop {
            changes.borrow_and_update();
            match cluster.leaf("a").write(call(vec![put(2, 0)])).await {
                Err(LeafFault::Stopped { reason, .. }) => return reason,
                _ => changes.changed().await.expect("the leaf lives"),
            }
        }
    })
    .await;
    assert!(refused.contains("different acknowledged"), "{refused}");
    assert_eq!(cluster.documents("b").await, kept);
    assert_eq!(num_fetched(&cluster), fetched);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_lost_its_log_follows_from_its_files_on() {
    let mut cluster = Cluster::of_two().await;
    cluster.write(vec![put(1, 0)]).await;
    cluster.assert_equal("b").await;
    cluster.leaf("b").flush(key(1)).await.expect("commits");
    cluster.crash("b").await;
    cluster.log("b").remove(key(1)).await.expect("memory");
    cluster.write(vec![delete(1), put(2, 0)]).await;
    let fetched = num_fetched(&cluster);
    cluster.again("b");
    cluster.assert_equal("b").await;
    assert_eq!(num_fetched(&cluster), fetched);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_whose_log_does_not_meet_its_files_begins_again_from_files() {
    for begin in [1, 9] {
        let mut cluster = Cluster::of_two().await;
        cluster.write(vec![put(1, 0)]).await;
        cluster.assert_equal("b").await;
        cluster.leaf("b").flush(key(1)).await.expect("commits");
        cluster.crash("b").await;
        let log = cluster.log("b");
        let begin = LogStart {
            at: SeqNo(begin),
            fence: PrimaryTerm(0),
            base: LogBase::UNKNOWN,
        };
        log.begin_at(key(1), begin.clone()).await.expect("memory");
        cluster.write((0..9).map(|n| put(n, 1)).collect()).await;
        let fetched = num_fetched(&cluster);
        cluster.again("b");
        cluster.assert_equal("b").await;
        assert!(num_fetched(&cluster) > fetched, "{begin:?}");
    }
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

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_lost_its_folder_is_not_opened_empty_and_its_copy_is_kept() {
    let mut cluster = Cluster::of_two().await;
    cluster.write(vec![put(1, 0)]).await;
    cluster.assert_equal("b").await;
    let kept = cluster.documents("b").await;
    cluster.crash("a").await;
    cluster.log("a").remove(key(1)).await.expect("memory");
    cluster.set_folder("a", tempfile::tempdir().expect("a folder"));
    for _ in 0..2 {
        cluster.again("a");
        let opened = cluster.leaf("a").shard(key(1), PATIENCE).await;
        let reason = opened.map(drop).expect_err("not opened").to_string();
        assert!(reason.contains("its log is missing"), "{reason}");
        assert_eq!(cluster.documents("b").await, kept);
        cluster.stop("a").await;
    }
}

//! A primary whose folder is an older one, and copies that hold what it has lost.

use std::path::Path;
use std::sync::Arc;

use gleaner_log::{LocalLog, LogOptions};
use gleaner_proto::read::ShardPhase;
use gleaner_proto::{LeafClient, LeafFault};

use super::cluster::*;
use crate::testing::{FaultyLog, PATIENCE, call, key};

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// Two leaves with their logs on the disk, and a backup of the primary's folders.
struct Restored {
    cluster: Cluster,
    logs: Vec<tempfile::TempDir>,
    backup: tempfile::TempDir,
}

impl Restored {
    /// Writes, backs the primary's folders up, and writes more, which both copies hold.
    async fn start() -> Self {
        let mut cluster = Cluster::empty();
        let logs = vec![cluster.add_durable("a"), cluster.add_durable("b")];
        cluster.hold(&["a", "b"]).await;
        cluster.write((0..10).map(|n| put(n, 0)).collect()).await;
        cluster.assert_equal("b").await;
        let backup = tempfile::tempdir().expect("a folder");
        cluster.stop("a").await;
        copy_all(cluster.folder("a"), &backup.path().join("indices"));
        copy_all(logs[0].path(), &backup.path().join("log"));
        cluster.again("a");
        for round in 1..4 {
            cluster
                .write((0..30).map(|n| put(n, round)).collect())
                .await;
        }
        cluster.assert_equal("b").await;
        Self {
            cluster,
            logs,
            backup,
        }
    }

    /// Ends the primary's leaf and puts the backup in place of what it has.
    async fn put_back(&mut self) {
        self.cluster.crash("a").await;
        let copied = |name| {
            let folder = tempfile::tempdir().expect("a folder");
            copy_all(&self.backup.path().join(name), folder.path());
            folder
        };
        let (indices, log) = (copied("indices"), copied("log"));
        let options = LogOptions {
            segment_bytes: 4_096,
            ..LogOptions::default()
        };
        let (opened, _) = LocalLog::open(log.path(), options).expect("opens");
        self.cluster.set_log("a", Arc::new(opened));
        self.cluster.set_folder("a", indices);
        self.logs.push(log);
    }

    /// Waits until the primary's leaf says that its copy has failed; returns why.
    async fn failure(&self) -> String {
        let leaf = self.cluster.leaf("a");
        let mut changes = leaf.copies.changes();
        soon(async {
            loop {
                changes.borrow_and_update();
                let states = leaf.shard_states().await.expect("its own");
                if let Some(state) = states.first()
                    && state.phase == ShardPhase::Failed
                {
                    return state.reason.clone().expect("it says why");
                }
                changes.changed().await.expect("the leaf lives");
            }
        })
        .await
    }

    async fn assert_writes_are_refused(&self) {
        let refused = self.cluster.leaf("a").write(call(vec![put(1, 9)])).await;
        let Err(LeafFault::Stopped { reason, .. }) = &refused else {
            panic!("{refused:?}");
        };
        assert!(reason.contains("acknowledged operations"), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_with_an_older_folder_is_made_from_its_copy_before_it_takes_writes() {
    let mut restored = Restored::start().await;
    let kept = restored.cluster.documents("b").await;
    restored.put_back().await;
    let cluster = &mut restored.cluster;
    cluster.again("a");
    assert_eq!(cluster.documents("a").await, kept);
    cluster.write(vec![put(1, 9)]).await;
    cluster.assert_equal("b").await;
    let folders = cluster.leaf("a").node.folders(key(1));
    assert!(!folders.lost.exists() && !folders.incoming.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_gets_back_what_its_copy_does_not_show_yet() {
    let mut restored = Restored::start().await;
    let cluster = &restored.cluster;
    cluster.write(vec![put(1, 9)]).await;
    let last = cluster.log("a").tail(key(1)).await.expect("reads");
    let last = last.expect("it was written");
    let copy = cluster.shard("b").await;
    soon(copy.applier.wait_applied(last.next()))
        .await
        .expect("goes on");
    restored.put_back().await;
    let cluster = &mut restored.cluster;
    cluster.again("a");
    cluster.assert_equal("b").await;
    let document = cluster.documents("a").await.remove(1).expect("it is there");
    assert!(document.source.ends_with(b"\"n\":9}"), "{document:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_whose_log_is_damaged_is_not_made_from_a_copy_that_lags() {
    let mut cluster = Cluster::empty();
    let log = Arc::new(FaultyLog::default());
    cluster.add_with("a", Arc::clone(&log) as _, |_| {});
    cluster.add("b");
    cluster.hold(&["a", "b"]).await;
    cluster.write((0..10).map(|n| put(n, 0)).collect()).await;
    cluster.assert_equal("b").await;
    cluster.stop("b").await;
    cluster.write((0..30).map(|n| put(n, 1)).collect()).await;
    cluster.refresh().await;
    let kept = cluster.documents("a").await;
    cluster.stop("a").await;
    cluster.again("b");
    log.damage(key(1));
    cluster.again("a");
    let opened = cluster.leaf("a").shard(key(1), PATIENCE).await;
    let reason = opened.map(drop).expect_err("not opened").to_string();
    assert!(reason.contains("made so by a test"), "{reason}");
    cluster.stop("a").await;
    // An operator puts the log's file back.
    log.repair(key(1));
    cluster.again("a");
    cluster.shard("a").await;
    assert_eq!(cluster.documents("a").await, kept);
    cluster.assert_equal("b").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_a_copy_shows_to_be_behind_is_made_from_it() {
    let mut restored = Restored::start().await;
    let kept = restored.cluster.documents("b").await;
    restored.cluster.stop("b").await;
    restored.put_back().await;
    let cluster = &mut restored.cluster;
    cluster.again("a");
    cluster.shard("a").await;
    assert_ne!(cluster.documents("a").await, kept, "it is an older one");
    cluster.again("b");
    let mut changes = cluster.leaf("a").copies.changes();
    soon(async {
        while cluster.documents("a").await != kept {
            changes.changed().await.expect("the leaf lives");
        }
    })
    .await;
    cluster.write(vec![put(1, 9)]).await;
    cluster.assert_equal("b").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_that_differ_are_both_kept_and_no_write_is_taken() {
    let mut restored = Restored::start().await;
    let kept = restored.cluster.documents("b").await;
    restored.cluster.stop("b").await;
    restored.put_back().await;
    restored.cluster.again("a");
    // More than the copy holds, so that lengths tell nothing.
    for round in 10..16 {
        let items = (0..30).map(|n| put(n, round));
        restored.cluster.write(items.collect()).await;
    }
    restored
        .cluster
        .leaf("a")
        .flush(key(1))
        .await
        .expect("commits");
    restored.cluster.again("b");
    let reason = restored.failure().await;
    assert!(
        reason.contains("different acknowledged operations"),
        "{reason}"
    );
    restored.assert_writes_are_refused().await;
    assert_eq!(restored.cluster.documents("b").await, kept);
    // Also when either starts again, alone and together.
    restored.cluster.stop("b").await;
    restored.cluster.stop("a").await;
    restored.cluster.again("a");
    restored.failure().await;
    restored.assert_writes_are_refused().await;
    restored.cluster.again("b");
    assert_eq!(restored.cluster.documents("b").await, kept);
    restored.assert_writes_are_refused().await;
    // An operator gives the copy up.
    restored.cluster.hold(&["a"]).await;
    restored.cluster.stop("a").await;
    restored.cluster.again("a");
    restored.cluster.write(vec![put(1, 99)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_opened_without_its_primary_serves_what_it_has_and_says_so() {
    let mut cluster = Cluster::of_two().await;
    cluster.write((0..9).map(|n| put(n, 0)).collect()).await;
    cluster.assert_equal("b").await;
    let kept = cluster.documents("b").await;
    cluster.stop("a").await;
    cluster.stop("b").await;
    cluster.again("b");
    cluster.shard("b").await;
    assert_eq!(cluster.documents("b").await, kept);
    let state = cluster
        .leaf("b")
        .shard_states()
        .await
        .expect("its own")
        .remove(0);
    assert_eq!(state.phase, ShardPhase::Started);
    let reason = state.reason.expect("it says so");
    assert!(reason.contains("may be old"), "{reason}");
    assert!(cluster.leaf("b").readiness().is_ready());
    cluster.again("a");
    cluster.write(vec![put(20, 1)]).await;
    cluster.assert_equal("b").await;
    assert_eq!(cluster.replica("b").await.link.cut_off(), None);
}

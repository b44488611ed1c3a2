//! Copies in sync that have lost what was acknowledged: they never serve, and are made anew where another has it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use gleaner_coordinator::Coordinator as _;
use gleaner_log::{LocalLog, LogOptions, MemoryLog, ShardLog};
use gleaner_model::{NodeUuid, SeqNo};
use gleaner_proto::LeafClient;
use gleaner_proto::read::Document;

use super::cluster::*;
use crate::lifecycle::starts::suspect_copies;
use crate::testing::{call, key};

/// Waits until the mark of a leaf's copy says that it holds all below `position`.
async fn marked(cluster: &Cluster, name: &str, position: SeqNo) {
    let entries = cluster.coordinator.entries().expect("it keeps entries");
    let node = NodeUuid([name.as_bytes()[0]; 16]);
    soon(async {
        loop {
            let mark = entries.marks().of_copy(node, key(1)).await.expect("read");
            if mark.is_some_and(|mark| mark.position >= position) {
                return;
            }
            tokio::time::sleep(MOMENT).await;
        }
    })
    .await;
}

/// Writes twenty documents and waits until the marks of `names` say so; returns the position after them.
async fn written(cluster: &Cluster, names: &[&str], round: usize) -> SeqNo {
    cluster
        .write((0..20).map(|n| put(n, round)).collect())
        .await;
    let tail = cluster.log("a").tail(key(1)).await.expect("sound");
    let end = tail.expect("there is something").next();
    for name in names {
        marked(cluster, name, end).await;
    }
    end
}

/// Waits until the copy of a leaf stays closed, and returns why.
async fn closed(cluster: &Cluster, name: &str) -> String {
    soon(async {
        loop {
            let readiness = cluster.leaf(name).readiness();
            let told = readiness.opening.into_iter().map(|(_, reason)| reason);
            if let Some(reason) = told.into_iter().find(|told| told.contains("accept-loss")) {
                return reason;
            }
            tokio::time::sleep(MOMENT).await;
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_copy_whose_log_is_gone_stays_closed_and_says_what_is_missing() {
    let mut cluster = Cluster::start().await;
    let end = written(&cluster, &["a"], 1).await;
    cluster.crash("a").await;
    cluster.set_log("a", Arc::new(MemoryLog::default()));
    cluster.again("a");
    let reason = closed(&cluster, "a").await;
    let operations = format!("{end} operations were acknowledged at ");
    assert!(
        reason.contains("its log is gone") && reason.contains(&operations),
        "{reason}"
    );
    let refused = cluster.leaf("a").write(call(vec![put(0, 2)])).await;
    refused.expect_err("nothing is acknowledged on top of a loss");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_gone_begins_again_from_a_commit_that_holds_everything() {
    let mut cluster = Cluster::start().await;
    written(&cluster, &["a"], 1).await;
    cluster.stop("a").await;
    cluster.set_log("a", Arc::new(MemoryLog::default()));
    cluster.again("a");
    assert_eq!(cluster.shard("a").await.engine().view().num_documents(), 20);
    written(&cluster, &["a"], 2).await;
    cluster.refresh().await;
    assert_eq!(cluster.shard("a").await.engine().view().num_documents(), 20);
    // Another copy that comes begins from files, and is in sync with it.
    cluster.add("b");
    cluster.hold(&["a", "b"]).await;
    cluster.until_in_sync(2).await;
    cluster.assert_equal("b").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_copies_whose_log_is_gone_is_made_anew_from_the_other() {
    for name in ["a", "b"] {
        let mut cluster = Cluster::of_two().await;
        written(&cluster, &["a", "b"], 1).await;
        let version = cluster.version();
        cluster.crash(name).await;
        cluster.set_log(name, Arc::new(MemoryLog::default()));
        cluster.again(name);
        cluster.until_made_anew(version).await;
        if name == "b" {
            cluster.assert_equal("b").await;
        }
        let documents = cluster.documents("b").await;
        assert_eq!(documents.iter().flatten().count(), 20, "{name}");
        assert_eq!(cluster.documents("a").await, documents);
    }
}

/// A mark is older than what was acknowledged last: a commit that reaches it is no proof while another copy can tell.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_gone_is_not_begun_again_while_another_copy_holds_what_its_commit_lacks() {
    let mut cluster = Cluster::of_two().await;
    let end = written(&cluster, &["a", "b"], 1).await;
    cluster.trimmed().await;
    let entries = cluster.coordinator.entries().expect("it keeps entries");
    let node = NodeUuid([b'a'; 16]);
    let marks = entries.marks().of_node(node).await.expect("read");
    assert!(marks[&key(1)].position >= end);
    cluster.write((0..20).map(|n| put(n, 2)).collect()).await;
    cluster.crash("a").await;
    let changed = marks.keys().copied().collect();
    let old = entries.marks().write(node, &marks, &changed).await;
    old.expect("written");
    let version = cluster.version();
    cluster.set_log("a", Arc::new(MemoryLog::default()));
    cluster.again("a");
    cluster.until_made_anew(version).await;
    // It has given its role away: `b` leads now.
    for name in ["a", "b"] {
        soon(async {
            let of_round = |document: &&Document| document.source.ends_with(br#""n":2}"#);
            loop {
                let documents = cluster.documents(name).await;
                if documents.iter().flatten().filter(of_round).count() == 20 {
                    return;
                }
                tokio::time::sleep(MOMENT).await;
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_in_an_older_folder_is_made_anew_or_stays_closed() {
    let mut cluster = Cluster::of_two().await;
    written(&cluster, &["a", "b"], 1).await;
    let why = "its data folder is an older one";
    let version = cluster.version();
    cluster.stop("b").await;
    assert_eq!(suspect_copies(cluster.folder("b"), why).expect("noted"), 1);
    cluster.again("b");
    cluster.until_made_anew(version).await;
    cluster.assert_equal("b").await;
    let suspect = cluster.folder("b").join(key(1).index.to_string());
    assert!(!suspect.join("0.suspect").exists(), "it was made anew");

    cluster.lose("b").await;
    cluster.until_in_sync(1).await;
    cluster.stop("a").await;
    suspect_copies(cluster.folder("a"), why).expect("noted");
    cluster.again("a");
    assert!(closed(&cluster, "a").await.contains(why));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_log_is_put_aside_and_its_copy_made_anew() {
    let mut cluster = Cluster::of_two().await;
    let folder = tempfile::tempdir().expect("a folder");
    cluster.stop("b").await;
    cluster.set_log("b", opened(folder.path()));
    cluster.again("b");
    cluster.until_in_sync(2).await;
    written(&cluster, &["a", "b"], 1).await;
    let version = cluster.version();
    cluster.stop("b").await;
    cluster.set_log("b", Arc::new(MemoryLog::default()));
    let index = folder.path().join(key(1).index.to_string());
    damage(&index.join("0"));
    cluster.set_log("b", opened(folder.path()));
    cluster.again("b");
    cluster.until_made_anew(version).await;
    cluster.assert_equal("b").await;
    let kept = fs::read_dir(&index).expect("it is there").flatten();
    let kept = kept.filter(|entry| entry.file_name().to_string_lossy().contains(".damaged-"));
    assert_eq!(kept.count(), 1);
    // It is named until somebody removes it.
    let states = cluster.leaf("b").shard_states().await.expect("its own");
    let folder = states[0].put_aside.clone().expect("one is put aside");
    assert!(folder.contains("0.damaged-"), "{folder}");
    fs::remove_dir_all(&folder).expect("it is there");
    let states = cluster.leaf("b").shard_states().await.expect("its own");
    assert_eq!(states[0].put_aside, None);
    assert!(!cluster.leaf("b").found_damages().is_empty());
}

fn opened(folder: &Path) -> Arc<dyn ShardLog> {
    let (log, _) = LocalLog::open(folder, LogOptions::default()).expect("opens");
    Arc::new(log)
}

/// Flips a byte in the middle of the first segment of a shard's log.
fn damage(folder: &Path) {
    let files = fs::read_dir(folder).expect("it is there").flatten();
    let paths = files.map(|file| file.path());
    let path = paths.filter(|path| path.extension().is_some_and(|end| end == "log"));
    let path = path.min().expect("there is one");
    let mut bytes = fs::read(&path).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).expect("it can be written");
}

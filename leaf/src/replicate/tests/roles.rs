//! What a copy answers for, and copies that come and go with the cluster state.

use gleaner_model::NodeId;
use gleaner_proto::read::{GenerationsCall, GetCall};
use gleaner_proto::replicate::{FileCall, SnapshotCall};
use gleaner_proto::{LeafClient, LeafFault, ReplicationClient};

use super::cluster::*;
use crate::testing::{PATIENCE, call, id, key};

fn not_here<T: std::fmt::Debug>(answer: Result<T, LeafFault>) {
    assert_eq!(
        answer.expect_err("refused"),
        LeafFault::NotHere { shard: key(1) }
    );
}

fn snapshot(follower: &str) -> SnapshotCall {
    SnapshotCall {
        any_copy: false,
        history: gleaner_model::HistoryId::FIRST,
        shard: key(1),
        follower: NodeId(follower.into()),
        keep_alive: PATIENCE,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_primary_can_do_is_not_here_on_a_copy() {
    let cluster = Cluster::of_two().await;
    let leaf = cluster.leaf("b");
    not_here(leaf.write(call(vec![put(1, 0)])).await);
    not_here(leaf.refresh(key(1)).await);
    not_here(leaf.open_snapshot(snapshot("c")).await);
    let get = GetCall {
        shard: key(1),
        ids: vec![id("d1")],
        realtime: true,
        remaining: PATIENCE,
    };
    not_here(leaf.get(get).await);
    let asked = GenerationsCall {
        shards: vec![key(1)],
        remaining: PATIENCE,
    };
    not_here(leaf.generations(asked).await.remove(0));
    let states = leaf.shard_states().await.expect("its own");
    assert!(!states[0].is_primary);
    let states = cluster.leaf("a").shard_states().await.expect("its own");
    assert!(states[0].is_primary);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_taken_away_leaves_nothing_and_can_come_back() {
    let cluster = Cluster::of_two().await;
    cluster.write(vec![put(1, 0)]).await;
    cluster.assert_equal("b").await;
    let leaf = cluster.leaf("b");
    let mut changes = leaf.copies.changes();
    cluster.hold(&["a"]).await;
    soon(async {
        while leaf.copies.get(key(1)).is_some() {
            changes.changed().await.expect("the leaf lives");
        }
    })
    .await;
    assert_eq!(cluster.log("b").tail(key(1)).await.expect("memory"), None);
    let left = std::fs::read_dir(cluster.folder("b")).expect("a folder");
    let left: Vec<_> = left
        .map(|of| of.expect("it can be listed").file_name())
        .collect();
    assert_eq!(left, ["applying"], "what the node itself keeps");
    not_here(leaf.flush(key(1)).await);
    // Back and forth, faster than a copy can be removed.
    cluster.hold(&["a", "b"]).await;
    cluster.hold(&["a"]).await;
    cluster.hold(&["a", "b"]).await;
    cluster.assert_equal("b").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_snapshot_are_read_by_name_and_nothing_else_is() {
    let cluster = Cluster::start().await;
    cluster.write(vec![put(1, 0)]).await;
    let leaf = cluster.leaf("a");
    let open = leaf.open_snapshot(snapshot("b")).await.expect("opens");
    let read = |name: &str, snapshot| {
        leaf.read_file(FileCall {
            shard: key(1),
            snapshot,
            name: name.to_owned(),
            offset: 0,
            max_bytes: usize::MAX,
        })
    };
    for file in &open.files {
        let bytes = read(&file.name, open.id).await.expect("it is there");
        assert_eq!(bytes.len() as u64, file.num_bytes);
        assert_eq!(crc32c::crc32c(&bytes), file.crc32c);
    }
    for name in ["../0/meta.json", "/etc/passwd", "", "."] {
        read(name, open.id)
            .await
            .expect_err("no file of the commit");
    }
    // One snapshot a follower: the newer one takes the place of the older.
    let newer = leaf.open_snapshot(snapshot("b")).await.expect("opens");
    assert!(read("meta.json", open.id).await.is_err());
    assert!(read("meta.json", newer.id).await.is_ok());
    leaf.close_snapshot(key(1), newer.id)
        .await
        .expect("lets go");
    let gone = read("meta.json", newer.id).await;
    assert!(
        matches!(gone, Err(LeafFault::ViewMissing { .. })),
        "{gone:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_are_bounded() {
    let cluster = Cluster::start().await;
    cluster.write(vec![put(1, 0)]).await;
    let leaf = cluster.leaf("a");
    let forgotten = SnapshotCall {
        keep_alive: std::time::Duration::ZERO,
        ..snapshot("forgotten")
    };
    let forgotten = leaf.open_snapshot(forgotten).await.expect("there is room");
    for n in 0..crate::replicate::snapshots::MAX_SNAPSHOTS {
        let opened = leaf.open_snapshot(snapshot(&format!("leaf-{n}"))).await;
        opened.expect("there is room");
    }
    let shard = cluster.shard("a").await;
    assert!(
        shard.snapshots.find(forgotten.id).is_none(),
        "it made room when its time was over"
    );
    let refused = leaf.open_snapshot(snapshot("one-more")).await;
    assert!(
        matches!(refused, Err(LeafFault::Rejected { .. })),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_is_back_before_anybody_missed_it_is_followed_again() {
    let mut cluster = Cluster::of_two().await;
    for round in 0..3 {
        cluster.write((0..9).map(|n| put(n, round)).collect()).await;
        match round {
            0 => cluster.crash("a").await,
            _ => cluster.stop("a").await,
        }
        cluster.again("a");
        cluster.write(vec![put(20, round)]).await;
        // Both say without a mark what was acknowledged: the copy has joined the process that leads now.
        cluster.assert_equal("b").await;
    }
}

//! Damaged files of one of two copies: it is made whole from the other one.

use std::path::{Path, PathBuf};

use gleaner_proto::LeafClient;

use super::cluster::*;
use crate::testing::key;

/// Kinds of files of a copy.
const KINDS: [&str; 8] = [
    "idx",
    "term",
    "pos",
    "fieldnorm",
    "fast",
    "store",
    "del",
    "json",
];

/// Two copies with deletes, and logs that are trimmed.
async fn of_two() -> Cluster {
    let cluster = Cluster::of_two().await;
    cluster.write((0..20).map(|n| put(n, 1)).collect()).await;
    cluster.assert_equal("b").await;
    for name in ["a", "b"] {
        cluster.leaf(name).flush(key(1)).await.expect("commits");
    }
    cluster.write((0..5).map(delete).collect()).await;
    cluster.assert_equal("b").await;
    for name in ["b", "a"] {
        cluster.leaf(name).flush(key(1)).await.expect("commits");
    }
    cluster
}

/// Cuts or flips the first file of a kind of a leaf that is down; returns its name.
fn damage(cluster: &Cluster, name: &str, kind: &str) -> String {
    let folder = cluster
        .folder(name)
        .join(key(1).index.to_string())
        .join(key(1).shard.to_string());
    let commit = std::fs::read_to_string(folder.join("meta.json")).expect("it is there");
    let listed = std::fs::read_dir(folder).expect("it is there");
    let paths = listed.map(|entry| entry.expect("it can be listed").path());
    let path = paths
        .filter(|path: &PathBuf| path.extension().is_some_and(|end| end == kind))
        .filter(|path| kind == "json" || commit.contains(&*name_of(path)))
        .min()
        .expect("there is one");
    let mut bytes = std::fs::read(&path).expect("it is there");
    match kind {
        "store" => bytes.truncate(7),
        _ => bytes[3] ^= 1,
    }
    std::fs::write(&path, bytes).expect("it can be written");
    name_of(&path)
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().expect("it has a name");
    name.to_string_lossy().into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_replica_is_copied_anew_from_its_primary() {
    let mut cluster = of_two().await;
    for kind in KINDS {
        cluster.stop("b").await;
        let file = damage(&cluster, "b", kind);
        cluster.again("b");
        cluster.assert_equal("b").await;
        let damages = cluster.leaf("b").found_damages();
        assert!(damages[0].1.contains(&file), "{kind}: {damages:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_primary_takes_the_files_of_its_replica_and_goes_on_from_its_own_log() {
    let mut cluster = of_two().await;
    for (round, kind) in KINDS.into_iter().enumerate() {
        // The replica's commit need not hold what is written last.
        cluster
            .write((20..25).map(|n| put(n, round)).collect())
            .await;
        cluster.crash("a").await;
        let file = damage(&cluster, "a", kind);
        cluster.again("a");
        cluster.assert_equal("b").await;
        let damages = cluster.leaf("a").found_damages();
        assert!(damages[0].1.contains(&file), "{kind}: {damages:?}");
        assert_eq!(cluster.shard("a").await.engine().view().num_documents(), 20);
        cluster.write((0..5).map(delete).collect()).await;
        cluster.refresh().await;
        cluster.leaf("a").flush(key(1)).await.expect("commits");
    }
}

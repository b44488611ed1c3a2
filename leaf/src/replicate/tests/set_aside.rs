//! A copy that is set aside, of a shard that has another one.

use std::time::Duration;

use super::cluster::*;
use crate::testing::key;
use crate::testing::killed::{kill_at, operation};

/// A look at another copy.
const MOMENT: Duration = Duration::from_millis(20);

/// Two copies, of which that of `name` has ended its process twice while it applied an operation that no commit holds.
async fn set_aside(name: &'static str) -> Cluster {
    let mut cluster = Cluster::of_two().await;
    cluster.write((0..20).map(|n| put(n, 1)).collect()).await;
    cluster.assert_equal("b").await;
    for _ in 0..2 {
        cluster.crash(name).await;
        kill_at(cluster.folder(name), &[operation(1, 3)]);
        cluster.again(name);
    }
    cluster
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_set_aside_is_made_from_the_files_of_its_primary() {
    let cluster = set_aside("b").await;
    cluster.write((20..25).map(|n| put(n, 1)).collect()).await;
    cluster.assert_equal("b").await;
    cluster.until_in_sync(2).await;
    assert_eq!(cluster.leaf("b").node.set_aside.operation(key(1)), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_is_set_aside_gives_its_role_to_the_other_copy() {
    let cluster = set_aside("a").await;
    let leads = async {
        let leaf = cluster.leaf("b");
        while leaf.copies.primary(key(1), MOMENT).await.is_err() {
            tokio::time::sleep(MOMENT).await;
        }
    };
    soon(leads).await;
    let documents = cluster.documents("b").await;
    assert!(documents.iter().flatten().count() >= 20, "nothing is lost");
}

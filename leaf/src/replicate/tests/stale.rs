//! What a copy answers without its primary is marked: acknowledged writes may be missing.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use gleaner_log::MemoryLog;
use gleaner_model::{FieldPath, SeqNo};
use gleaner_proto::LeafClient;
use gleaner_proto::postings::{ListOf, LocateCall, LocateIn, PostingsCall};
use gleaner_proto::read::{GetCall, ShardPhase, WaitForRefreshCall};
use gleaner_proto::search::{ExplainCall, OpenViewsCall, StatisticsCall};
use gleaner_query::resolved::{Clause, Scalar, Statistics};

use super::cluster::*;
use crate::testing::{PATIENCE, id, key};

/// Returns of each answer that the copy of `name` can give whether it is marked.
async fn marks(cluster: &Cluster, name: &str) -> [bool; 7] {
    let leaf = cluster.leaf(name);
    let all = search(Clause::MatchAll, Statistics::default(), newest(None));
    let explain = ExplainCall {
        shard: newest(None),
        id: id("d0"),
        query: Arc::clone(&all.query),
        remaining: PATIENCE,
    };
    let explained = leaf.explain(explain).await.expect("explains");
    let found = found(leaf, all).await.expect("searches");
    let statistics = StatisticsCall {
        shards: vec![newest(None)],
        request: Arc::default(),
        remaining: PATIENCE,
    };
    let counted = leaf.statistics(statistics).await.remove(0);
    let get = GetCall {
        shard: key(1),
        ids: vec![id("d0")],
        realtime: false,
        remaining: PATIENCE,
    };
    let read = leaf.get(get).await.expect("reads");
    let postings = PostingsCall {
        shards: vec![ListOf {
            shard: newest(None),
            after: None,
        }],
        field: FieldPath::new("text"),
        term: "ash".to_owned(),
        is_weighted: false,
        limit: 10,
        remaining: PATIENCE,
    };
    let page = leaf.postings(postings).await.remove(0);
    let locate = LocateCall {
        shards: vec![LocateIn {
            shard: newest(None),
            sets: Vec::new(),
        }],
        remaining: PATIENCE,
    };
    let located = leaf.locate(locate).await.remove(0);
    let open = OpenViewsCall {
        shards: vec![key(1)],
        keep_alive: PATIENCE,
        holder: 7,
    };
    let pinned = leaf.open_views(open).await.remove(0).expect("pins");
    assert_eq!(leaf.release_views(vec![pinned]).await, 1);
    [
        found.may_be_stale,
        counted.expect("counts").may_be_stale,
        read.may_be_stale,
        page.expect("lists").may_be_stale,
        located.expect("locates").may_be_stale,
        explained.may_be_stale,
        pinned.may_be_stale,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_opened_without_its_primary_marks_each_answer_until_it_follows() {
    let mut cluster = Cluster::of_two().await;
    cluster.write((0..9).map(|n| put(n, 0)).collect()).await;
    cluster.assert_equal("b").await;
    for name in ["a", "b"] {
        cluster.unflagged(name).await;
        assert_eq!(marks(&cluster, name).await, [false; 7], "{name}");
    }
    cluster.stop("a").await;
    cluster.stop("b").await;
    cluster.again("b");
    cluster.shard("b").await;
    assert_eq!(marks(&cluster, "b").await, [true; 7]);
    cluster.again("a");
    cluster.write(vec![put(20, 1)]).await;
    cluster.assert_equal("b").await;
    for name in ["a", "b"] {
        cluster.unflagged(name).await;
        assert_eq!(marks(&cluster, name).await, [false; 7], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_cut_off_marks_its_answers_and_promises_nothing() {
    let mut cluster = Cluster::start().await;
    cluster.add_with("b", Arc::new(MemoryLog::default()), |options| {
        options.lease_after = Duration::ZERO;
    });
    cluster.hold(&["a", "b"]).await;
    cluster.write(vec![put(1, 0)]).await;
    let shown = SeqNo(cluster.refresh().await.visible.0 - 1);
    let shows = cluster
        .leaf("b")
        .wait_for_refresh(WaitForRefreshCall::on_copy(key(1), shown, PATIENCE));
    shows.await.expect("it comes to show it");
    let nothing = || Clause::Range {
        field: FieldPath::new("n"),
        lower: Bound::Included(Scalar::I64(10)),
        upper: Bound::Unbounded,
    };
    let ask = || search(nothing(), Statistics::default(), newest(None));
    cluster.unflagged("b").await;
    let follows = found(cluster.leaf("b"), ask()).await.expect("searches");
    assert!(follows.unmatched.is_some() && !follows.may_be_stale);
    cluster.wire().is_away.send_replace(true);
    soon(async {
        while cluster.leaf("b").readiness().cut_off.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let cut_off = found(cluster.leaf("b"), ask()).await.expect("searches");
    assert!(cut_off.may_be_stale && cut_off.unmatched.is_none());
    assert_eq!(marks(&cluster, "b").await, [true; 7]);
    cluster.unflagged("a").await;
    assert_eq!(marks(&cluster, "a").await, [false; 7], "it is the primary");
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
    assert!(reason.contains("acknowledged last"), "{reason}");
    assert!(cluster.leaf("b").readiness().is_ready());
    cluster.again("a");
    cluster.write(vec![put(20, 1)]).await;
    cluster.assert_equal("b").await;
    assert!(cluster.leaf("b").readiness().cut_off.is_empty());
}

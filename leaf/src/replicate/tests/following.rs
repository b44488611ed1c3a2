//! How a copy keeps up: restarts, mappings, refreshes, commits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use gleaner_coordinator::{Coordinator, CoordinatorError, ShardEntries};
use gleaner_model::{ClusterState, SeqNo};
use gleaner_proto::read::{ShardPhase, WaitForRefreshCall};
use gleaner_proto::search::{FetchCall, FetchFrom, FetchHits, ShardView};
use gleaner_proto::write::{Idempotency, WriteAction, WriteCall, WriteFault, WriteItem};
use gleaner_proto::{LeafClient, LeafFault};
use gleaner_query::resolved::{Clause, Statistics};
use tokio::sync::watch;

use super::cluster::*;
use crate::testing::{PATIENCE, call, key};

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_copy_goes_on_from_its_own_files_and_log() {
    let mut cluster = Cluster::of_two().await;
    cluster.write((0..9).map(|n| put(n, 0)).collect()).await;
    cluster.assert_equal("b").await;
    cluster.leaf("b").flush(key(1)).await.expect("commits");
    cluster.write(vec![delete(3), put(4, 1)]).await;
    cluster.assert_equal("b").await;
    let fetched = cluster.wire().fetched.lock().clone();
    for is_crash in [true, false] {
        if is_crash {
            cluster.crash("b").await;
        } else {
            cluster.stop("b").await;
        }
        cluster.write(vec![delete(5), put(6, 1), put(30, 2)]).await;
        cluster.again("b");
        cluster.assert_equal("b").await;
    }
    assert_eq!(
        *cluster.wire().fetched.lock(),
        fetched,
        "no file was fetched"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_shows_and_commits_only_what_a_refresh_shows() {
    let mut cluster = Cluster::of_two().await;
    cluster.write(vec![put(1, 0)]).await;
    cluster.assert_equal("b").await;
    cluster.write(vec![put(2, 0)]).await;
    let shard = cluster.shard("b").await;
    let applied = shard.applier.wait_applied(SeqNo(3));
    soon(applied).await.expect("it follows");
    let shown = shard.engine().view().generation();
    cluster.leaf("b").flush(key(1)).await.expect("put off");
    assert!(shard.flushes.committed() < SeqNo(3));
    drop(shard);
    cluster.stop("b").await;
    cluster.again("b");
    let shard = cluster.shard("b").await;
    assert_eq!(shard.engine().view().generation(), shown);
    cluster.leaf("b").flush(key(1)).await.expect("put off");
    cluster.assert_equal("b").await;
    soon(async {
        while shard.flushes.committed() < SeqNo(4) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_needs_more_than_a_copy_shows_waits_or_is_told() {
    let cluster = Cluster::of_two().await;
    cluster.write(vec![put(1, 0)]).await;
    let leaf = cluster.leaf("b");
    let all = |at_least| search(Clause::MatchAll, Statistics::default(), newest(at_least));
    let mut late = all(Some(SeqNo(2)));
    late.remaining = MOMENT;
    let behind = LeafFault::Behind {
        shard: key(1),
        wanted: SeqNo(2),
        visible: SeqNo(0),
    };
    assert_eq!(found(leaf, late).await, Err(behind.clone()));
    let waited = leaf
        .wait_for_refresh(WaitForRefreshCall::on_copy(key(1), SeqNo(1), MOMENT))
        .await;
    assert_eq!(waited, Err(behind), "a copy refreshes nothing by itself");
    let as_primary = WaitForRefreshCall::by_primary(key(1), SeqNo(0), MOMENT);
    let not_here = Err(LeafFault::NotHere { shard: key(1) });
    let waited = leaf.wait_for_refresh(as_primary).await;
    assert_eq!(waited, not_here, "what others show it does not know");
    let waiting = found(leaf, all(Some(SeqNo(2))));
    let (hits, generation) = tokio::join!(waiting, cluster.refresh());
    assert_eq!(hits.expect("in time").generation, generation);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_is_behind_keeps_the_others_of_its_call_a_moment_only() {
    let cluster = Cluster::of_two().await;
    cluster.write(vec![put(1, 0)]).await;
    let mut call = search(Clause::MatchAll, Statistics::default(), newest(None));
    call.shards.insert(0, newest(Some(SeqNo(2))));
    call.remaining = 2 * PATIENCE;
    let answers = soon(cluster.leaf("b").search(call)).await;
    let (behind, shown) = (&answers[0], &answers[1]);
    assert!(
        matches!(behind, Err(LeafFault::Behind { .. })),
        "{behind:?}"
    );
    assert!(shown.is_ok(), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_of_a_copy_are_fetched_from_the_view_that_ranked_them() {
    let cluster = Cluster::of_two().await;
    cluster.write(vec![put(1, 0), put(2, 0)]).await;
    cluster.assert_equal("b").await;
    let call = search(Clause::MatchAll, Statistics::default(), newest(None));
    let hits = found(cluster.leaf("b"), call).await.expect("searches");
    cluster.write(vec![delete(1), delete(2)]).await;
    cluster.assert_equal("b").await;
    cluster
        .leaf("b")
        .force_merge(key(1), 1)
        .await
        .expect("merges");
    let from = FetchFrom {
        shard: ShardView {
            shard: key(1),
            view: Some(hits.view),
            at_least: None,
        },
        hits: FetchHits::Places(hits.hits.iter().map(|hit| hit.place).collect()),
    };
    let fetch = FetchCall {
        shards: vec![from],
        what: Arc::default(),
        remaining: PATIENCE,
    };
    let fetched = cluster.leaf("b").fetch(fetch).await;
    assert_eq!(fetched[0].as_ref().expect("it is kept").hits.len(), 2);
    cluster.assert_equal("b").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_does_not_hear_of_its_primary_says_so_and_goes_on_serving() {
    let cluster = Cluster::of_two().await;
    cluster.write(vec![put(1, 0)]).await;
    cluster.assert_equal("b").await;
    let leaf = cluster.leaf("b");
    cluster.wire().is_away.send_replace(true);
    let cut_off = |is_wanted: bool| async move {
        while leaf.readiness().cut_off.is_empty() == is_wanted {
            tokio::task::yield_now().await;
        }
    };
    soon(cut_off(true)).await;
    let states = leaf.shard_states().await.expect("its own");
    let reason = states[0].reason.as_deref().unwrap_or_default();
    assert!(!reason.is_empty(), "{states:?}");
    let readiness = leaf.readiness();
    assert!(readiness.is_ready() && readiness.cut_off.len() == 1);
    let all = search(Clause::MatchAll, Statistics::default(), newest(None));
    assert!(found(leaf, all).await.is_ok());
    cluster.wire().is_away.send_replace(false);
    soon(cut_off(false)).await;
    soon(async {
        loop {
            let states = leaf.shard_states().await.expect("its own");
            if (states[0].phase, states[0].reason.as_deref()) == (ShardPhase::Started, None) {
                return;
            }
        }
    })
    .await;
    assert!(leaf.readiness().is_ready());
}

/// A coordinator that hears of changes only when it is told to.
struct Slow {
    inner: Arc<dyn Coordinator>,
    known: watch::Sender<Arc<ClusterState>>,
    /// Whether who keeps the state cannot be reached.
    is_away: AtomicBool,
}

impl Slow {
    fn of(inner: Arc<dyn Coordinator>) -> Arc<Self> {
        Arc::new(Self {
            known: watch::Sender::new(inner.state()),
            inner,
            is_away: AtomicBool::new(false),
        })
    }

    fn hear(&self) {
        self.known.send_replace(self.inner.state());
    }

    fn check_there(&self) -> Result<(), CoordinatorError> {
        if self.is_away.load(Ordering::Relaxed) {
            let reason = "it is away".to_owned();
            return Err(CoordinatorError::Unavailable { reason });
        }
        Ok(())
    }
}

#[async_trait]
impl Coordinator for Slow {
    fn state(&self) -> Arc<ClusterState> {
        Arc::clone(&self.known.borrow())
    }

    async fn latest(&self) -> Result<Arc<ClusterState>, CoordinatorError> {
        self.check_there()?;
        self.hear();
        Ok(self.state())
    }

    fn watch(&self) -> watch::Receiver<Arc<ClusterState>> {
        self.known.subscribe()
    }

    fn entries(&self) -> Option<Arc<dyn ShardEntries>> {
        self.inner.entries()
    }

    async fn compare_and_swap(
        &self,
        expected: u64,
        next: ClusterState,
    ) -> Result<Arc<ClusterState>, CoordinatorError> {
        self.check_there()?;
        let state = self.inner.compare_and_swap(expected, next).await?;
        self.hear();
        Ok(state)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_wait_for_the_mapping_they_were_ordered_under() {
    let mut cluster = Cluster::of_two().await;
    cluster.crash("b").await;
    let slow = Slow::of(Arc::clone(&cluster.coordinator) as _);
    cluster.set_coordinator("b", Arc::clone(&slow) as _);
    cluster.again("b");
    let shard = cluster.shard("b").await;
    cluster.write(vec![put(1, 0)]).await;
    let generation = cluster.refresh().await;
    let last = SeqNo(generation.visible.0 - 1);
    let waited = cluster
        .leaf("b")
        .wait_for_refresh(WaitForRefreshCall::on_copy(key(1), last, MOMENT));
    assert!(matches!(waited.await, Err(LeafFault::Behind { .. })));
    assert_eq!(shard.applier.next(), SeqNo(0));
    slow.hear();
    cluster.assert_equal("b").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_fields_wait_for_who_keeps_the_state() {
    let mut cluster = Cluster::start().await;
    cluster.shard("a").await;
    cluster.crash("a").await;
    let slow = Slow::of(Arc::clone(&cluster.coordinator) as _);
    cluster.set_coordinator("a", Arc::clone(&slow) as _);
    cluster.again("a");
    cluster.shard("a").await;
    slow.is_away.store(true, Ordering::Relaxed);
    let empty = WriteItem {
        action: WriteAction::Index {
            source: "{}".into(),
            create: false,
        },
        ..put(2, 0)
    };
    let both = call(vec![put(1, 0), empty]);
    let answer = cluster.leaf("a").write(both.clone()).await;
    let items = answer.expect("one brings no field").items;
    assert!(
        matches!(
            items[0],
            Err(WriteFault::Shard(LeafFault::NotAgreed { .. }))
        ),
        "{items:?}"
    );
    assert!(items[1].is_ok(), "{items:?}");
    // What is known by a key is not answered with a fault that passes.
    let keyed = WriteCall {
        idempotency: Some(Idempotency {
            producer: 7,
            sequence: 0,
        }),
        ..both
    };
    let refused = cluster.leaf("a").write(keyed.clone()).await;
    assert!(
        matches!(refused, Err(LeafFault::NotAgreed { .. })),
        "{refused:?}"
    );
    slow.is_away.store(false, Ordering::Relaxed);
    let answer = cluster.leaf("a").write(keyed).await.expect("it is back");
    assert!(answer.items.iter().all(Result::is_ok), "{answer:?}");
    cluster.write(vec![put(1, 0)]).await;
}

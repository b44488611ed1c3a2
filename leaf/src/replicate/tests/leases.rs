//! Leases of a primary whose place another copy takes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gleaner_coordinator::entries::{EntryChange, EntryOutcome, EntryTable, StoredEntry};
use gleaner_coordinator::{Coordinator as _, CoordinatorError, CopyMarks, Embedded, ShardEntries};
use gleaner_log::MemoryLog;
use gleaner_model::{NodeUuid, ShardKey};
use gleaner_proto::LeafClient;
use gleaner_proto::read::GenerationsCall;
use gleaner_replication::Event;
use tokio::sync::watch;

use super::cluster::*;
use crate::LeafOptions;
use crate::rules::Rule;
use crate::testing::holder::Holder;
use crate::testing::store::WithEntries;
use crate::testing::{PATIENCE, call, key};

/// Entries that may be cut off: no change of one is answered then.
struct CutEntries {
    inner: Arc<dyn ShardEntries>,
    is_cut: watch::Sender<bool>,
}

/// Returns `state` as a leaf sees it that may be cut off.
fn cut_off(state: &Arc<Embedded>) -> WithEntries<CutEntries> {
    let entries = CutEntries {
        inner: state.entries().expect("it keeps entries"),
        is_cut: watch::Sender::new(false),
    };
    WithEntries {
        state: Arc::clone(state),
        entries: Arc::new(entries),
    }
}

#[async_trait]
impl ShardEntries for CutEntries {
    fn watch(&self) -> watch::Receiver<Arc<EntryTable>> {
        self.inner.watch()
    }

    async fn read(&self, shard: ShardKey) -> Result<Option<StoredEntry>, CoordinatorError> {
        self.inner.read(shard).await
    }

    async fn change(&self, change: EntryChange) -> EntryOutcome {
        let mut is_cut = self.is_cut.subscribe();
        drop(is_cut.wait_for(|is_cut| !is_cut).await);
        self.inner.change(change).await
    }

    fn marks(&self) -> Arc<dyn CopyMarks> {
        self.inner.marks()
    }
}

/// Starts leaves `a` and `b`, both with a copy of index 1, which leave out `omitted`.
async fn of_two(omitted: Option<Rule>) -> Cluster {
    let options = |options: &mut LeafOptions| {
        options.omitted = omitted;
        // No refresh waits for what roots were told of shards that they need not ask.
        options.lease = Duration::ZERO;
    };
    let mut cluster = Cluster::start_with(options).await;
    cluster.add_with("b", Arc::new(MemoryLog::default()), options);
    cluster.hold(&["a", "b"]).await;
    cluster.until_in_sync(2).await;
    cluster.shard("b").await;
    cluster
}

/// Has a primary be cut off from its copy and from the store, which another may have made primary since. Does it say what
/// is current, or lease it?
async fn tells_without_its_right(omitted: Option<Rule>) -> bool {
    let mut cluster = of_two(omitted).await;
    let store = Arc::new(cut_off(&cluster.coordinator));
    cluster.set_coordinator("a", Arc::clone(&store) as _);
    cluster.crash("a").await;
    cluster.again("a");
    cluster.write(vec![put(1, 0)]).await;
    cluster.refresh().await;
    cluster.unflagged("a").await;
    let leaf = cluster.leaf("a");
    let asked = || GenerationsCall {
        shards: vec![key(1)],
        remaining: PATIENCE,
    };
    let mut holder = Holder::of(leaf).await;
    assert!(holder.shown().is_some(), "it leads");
    assert!(leaf.generations(asked()).await[0].is_ok());
    store.entries.is_cut.send_replace(true);
    cluster.wire().is_away.send_replace(true);
    soon(async {
        while leaf.readiness().cut_off.is_empty() {
            tokio::time::sleep(MOMENT).await;
        }
    })
    .await;
    holder.ask(leaf).await;
    let is_told = leaf.generations(asked()).await[0].is_ok();
    assert_eq!(holder.shown().is_some(), is_told);
    is_told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_may_not_lead_any_more_leases_and_tells_nothing() {
    assert!(!tells_without_its_right(None).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_found_that_a_primary_leases_without_its_right() {
    assert!(tells_without_its_right(Some(Rule::TellByRight)).await);
}

/// Has a primary give its role away right after it has leased what it shows. Would the holder answer from before what the
/// next one acknowledges?
async fn is_stale_after_a_hand_over(omitted: Option<Rule>) -> bool {
    let cluster = of_two(omitted).await;
    cluster.write(vec![put(1, 0)]).await;
    cluster.refresh().await;
    cluster.unflagged("a").await;
    cluster.unflagged("b").await;
    let driver = cluster.shard("a").await;
    let driver = driver.driver().expect("copies agree");
    let (entry, _) = driver.entry().expect("it has one");
    let node = NodeUuid([b'b'; 16]);
    let heir = entry.copies.iter().find(|(_, meta)| meta.node == node);
    let (to, _) = heir.expect("it has a copy");
    let holder = Holder::of(cluster.leaf("a")).await;
    driver.handle(Event::HandOver { to: *to });
    let leaf = cluster.leaf("b");
    let written = soon(async {
        loop {
            match leaf.write(call(vec![put(2, 0)])).await {
                Ok(answer) => break answer,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    });
    assert!(written.await.items[0].is_ok());
    let shown = leaf.refresh(key(1)).await.expect("it leads");
    holder.is_behind(shown)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_primary_waits_for_leases_of_the_one_before() {
    for _ in 0..3 {
        assert!(!is_stale_after_a_hand_over(None).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_found_that_a_new_primary_does_not_wait() {
    // On a busy machine the lease may run out before the copies have changed their roles.
    for _ in 0..20 {
        if is_stale_after_a_hand_over(Some(Rule::OutlastEarlier)).await {
            return;
        }
    }
    panic!("it was not found");
}

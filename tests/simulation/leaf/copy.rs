//! One copy of a shard: its log in memory, what of it is synced, what it shows.

use std::sync::Arc;
use std::time::Duration;

use gleaner_model::operation::{Operation, OperationKind};
use gleaner_model::{SeqNo, ShardKey};
use gleaner_proto::LeafFault;
use parking_lot::Mutex;
use tokio::time::{sleep, timeout};

use super::lease::Leases;
use super::views::{View, Views};
use crate::cluster::{Cluster, CopyState, now};
use crate::documents::{Documents, Ids, apply, live};
use crate::schedule::Broken;
use crate::signal::Signal;

/// A copy of a shard.
pub(super) struct Copy {
    pub(super) cluster: Arc<Cluster>,
    pub(super) leaf: usize,
    pub(super) shard: ShardKey,
    pub(super) is_primary: bool,
    /// Whoever changes it and is waited for tells so.
    pub(super) inner: Mutex<Inner>,
    changed: Signal<()>,
    syncing: tokio::sync::Mutex<()>,
}

/// What changes.
pub(super) struct Inner {
    pub(super) log: Vec<Operation>,
    /// Operations that a crash leaves.
    pub(super) num_synced: usize,
    /// What the whole log makes of its ids.
    pub(super) ids: Ids,
    pub(super) views: Views,
    pub(super) leases: Leases,
    pub(super) is_started: bool,
}

impl Copy {
    /// Opens what is on the disk of a leaf; it does not serve yet.
    pub(super) fn open(
        cluster: Arc<Cluster>,
        (leaf, shard, is_primary): (usize, ShardKey, bool),
        num_starts: u64,
    ) -> Self {
        let log = cluster.places[leaf].disk.lock().get(&shard).cloned();
        let log = log.expect("every copy has a log");
        let mut ids = Ids::new();
        let mut shown = (SeqNo(0), Documents::new());
        for (operation, seq_no) in log.iter().zip(0..) {
            if operation.kind == OperationKind::Refresh {
                shown = (SeqNo(seq_no), live(&ids));
            }
            apply(&mut ids, SeqNo(seq_no), operation);
        }
        // No two processes give the same name to a view.
        let first = ((leaf as u64 + 1) << 48) | (num_starts << 32) | 1;
        let mut views = Views::new(first, cluster.schedule.view_age);
        views.show(shown.0, shown.1);
        let inner = Inner {
            num_synced: log.len(),
            log,
            ids,
            views,
            leases: Leases::new(cluster.schedule.lease, cluster.schedule.lease_after),
            is_started: false,
        };
        Self {
            cluster,
            leaf,
            shard,
            is_primary,
            inner: Mutex::new(inner),
            changed: Signal::new(()),
            syncing: tokio::sync::Mutex::new(()),
        }
    }

    /// Lets it serve.
    pub(super) fn start(&self) {
        self.inner.lock().is_started = true;
        self.tell();
    }

    /// Tells everyone who waits that something has changed.
    pub(super) fn tell(&self) {
        let inner = self.inner.lock();
        let state = CopyState {
            is_started: inner.is_started,
            visible: inner.views.visible(),
        };
        drop(inner);
        if state.is_started {
            let visible = Some(state.visible);
            let copy = (self.leaf, self.shard);
            self.cluster.shows(copy, visible, now());
        }
        let mut states = self.cluster.places[self.leaf].states.lock();
        states.insert(self.shard, state);
        drop(states);
        self.changed.change(|()| ());
    }

    /// Refuses calls while it does not serve.
    pub(super) fn check_started(&self) -> Result<(), LeafFault> {
        if self.inner.lock().is_started {
            return Ok(());
        }
        Err(LeafFault::Recovering {
            shard: self.shard,
            progress: "reading its log".to_owned(),
        })
    }

    /// Makes everything that the log holds now survive a crash; what others add meanwhile waits for
    /// the next time.
    pub(super) async fn sync(&self) {
        let _turn = self.syncing.lock().await;
        let upto = self.inner.lock().log.len();
        if self.inner.lock().num_synced >= upto {
            return;
        }
        sleep(self.cluster.schedule.sync).await;
        self.put_on_disk(upto);
        self.tell();
    }

    fn put_on_disk(&self, upto: usize) {
        let mut inner = self.inner.lock();
        let from = inner.num_synced;
        let added = &inner.log[from..upto];
        if self.is_primary {
            self.cluster.truth.lock().synced(self.shard, from, added);
        }
        let mut disk = self.cluster.places[self.leaf].disk.lock();
        let log = disk.get_mut(&self.shard).expect("it was opened from it");
        debug_assert_eq!(log.len(), from);
        log.extend_from_slice(added);
        inner.num_synced = upto;
    }

    /// Shows the documents of a refresh record, once no promise keeps from it.
    pub(super) async fn show(&self, at: SeqNo, documents: Documents) {
        self.wait_for_leases().await;
        self.shown();
        let mut inner = self.inner.lock();
        if at > inner.views.visible() {
            inner.views.show(at, documents);
        }
        drop(inner);
        self.tell();
    }

    /// Waits until it is as wanted.
    pub(super) async fn wait_until(&self, is_wanted: impl Fn(&Inner) -> bool) {
        let is_wanted = |(): &()| is_wanted(&self.inner.lock());
        self.changed.wait_until(is_wanted).await;
    }

    /// Waits until everything below `wanted` is visible.
    pub(super) async fn wait_until_visible(
        &self,
        wanted: SeqNo,
        remaining: Duration,
    ) -> Result<(), LeafFault> {
        let shown = self.wait_until(|inner| inner.views.visible() >= wanted);
        if timeout(remaining, shown).await.is_ok() {
            return Ok(());
        }
        Err(LeafFault::Behind {
            shard: self.shard,
            wanted,
            visible: self.inner.lock().views.visible(),
        })
    }

    /// Returns the view asked for, or the newest.
    pub(super) async fn view(
        &self,
        asked: gleaner_proto::search::ShardView,
        remaining: Duration,
    ) -> Result<Arc<View>, LeafFault> {
        self.check_started()?;
        if let Some(wanted) = asked.at_least {
            self.wait_until_visible(wanted, remaining).await?;
        }
        let view = self.inner.lock().views.get(asked.view);
        view.ok_or(LeafFault::ViewMissing {
            shard: self.shard,
            view: asked.view.map_or(0, |view| view.0),
        })
    }

    pub(super) fn is_breaking(&self, broken: Broken) -> bool {
        self.cluster.schedule.is_breaking(broken)
    }
}

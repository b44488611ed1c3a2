//! The leaf's life: taking shards over from the cluster state, rounds of commits and expiry.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use gleaner_coordinator::Coordinator;
use gleaner_coordinator::entries::EntryTable;
use gleaner_engine::EngineError;
use gleaner_engine::copy::ShardIndex;
use gleaner_engine::document_cache::DocumentCache;
use gleaner_engine::writer::IndexingMemory;
use gleaner_log::ShardLog;
use gleaner_machine::Probe;
use gleaner_model::{ClusterState, IndexMeta, ShardKey};
use tokio::sync::{Semaphore, watch};

use crate::agree::Agreeing;
use crate::copy::applier::with_causes;
use crate::copy::apply_threads::ApplyThreads;
use crate::copy::opening::OpeningProgress;
use crate::copy::registry::{CopyRegistry, CopyState, OpenCopy};
use crate::copy::shard::Shard;
use crate::lifecycle::healing::Damages;
use crate::lifecycle::opening_order::{OpeningOrder, Urgency};
use crate::lifecycle::recovery::{Opener, PrimaryOpening};
use crate::lifecycle::reopening::{ReleasedCopies, Retries};
use crate::lifecycle::{scrubber, watermark};
use crate::node::Node;
use crate::read::search::Searcher;
use crate::replicate::peers::{NoPeers, Peers};
use crate::write::WriteResources;
use crate::{Leaf, LeafOptions};

/// Time between rounds of commits and expiry.
const ROUND: Duration = Duration::from_secs(1);

/// Replicas that copy files at once: more would only slow down each other and the searches.
const MAX_COPIES: usize = 4;

/// Copies whose urgency is looked at at once.
const LOOKED_AT: usize = 64;

/// A copy that is to be opened.
struct AddedCopy {
    key: ShardKey,
    index: Arc<IndexMeta>,
    opening: Arc<OpeningProgress>,
}

impl Leaf {
    /// Starts a leaf without other leaves: see [`Leaf::start_with`].
    ///
    /// # Errors
    /// When its threads cannot be started.
    pub fn start(
        options: LeafOptions,
        coordinator: Arc<dyn Coordinator>,
        log: Arc<dyn ShardLog>,
    ) -> std::io::Result<Arc<Self>> {
        Self::start_with(options, coordinator, log, Arc::new(NoPeers))
    }

    /// Starts a leaf that holds the shards that the entries of its coordinator give its node, or all shards where it
    /// has no identity, and follows the changes of the state. It copies files and logs of shards from `peers`.
    ///
    /// # Errors
    /// When its threads cannot be started, or it is to agree with others and its coordinator keeps no entries. A shard that cannot be opened is reported by its state;
    /// the others serve.
    pub fn start_with(
        options: LeafOptions,
        coordinator: Arc<dyn Coordinator>,
        log: Arc<dyn ShardLog>,
        peers: Arc<dyn Peers>,
    ) -> std::io::Result<Arc<Self>> {
        let documents = Arc::new(DocumentCache::new(options.document_cache_bytes));
        let indexing = IndexingMemory::new(options.indexing_memory_bytes);
        let applying = ApplyThreads::of(options.search_threads);
        let num_permits = options.search_threads.max(2);
        let probe = Arc::new(Probe::new(Some(options.folder.clone())));
        let first_snapshot = ((options.clock)().max(0) as u64) << 16;
        let node = Arc::new(Node::new(options, coordinator, log, peers)?);
        let copies = Arc::new(CopyRegistry::new(Arc::clone(&node)));
        let searcher = Searcher::start(&node.options, Arc::clone(&copies))?;
        let writes = Arc::new(WriteResources::new(&node.options));
        let leaf = Arc::new(Self {
            copies,
            opener: Opener {
                node: Arc::clone(&node),
                indexing,
                documents,
                applying,
                order: OpeningOrder::new(num_permits),
            },
            searcher,
            writes,
            retries: Retries::default(),
            released: ReleasedCopies::default(),
            damages: Damages::default(),
            copying: Semaphore::new(MAX_COPIES),
            maintaining: Semaphore::new(num_permits),
            probe,
            next_snapshot: AtomicU64::new(first_snapshot),
            node,
        });
        let node = &leaf.node;
        node.spawn(Arc::clone(&leaf).follow_state());
        if let Some(agreeing) = &node.agreeing {
            let table = agreeing.watch();
            tokio::spawn(Agreeing::run(Arc::downgrade(agreeing), table));
            node.spawn(Arc::clone(&leaf).follow_entries(agreeing.watch()));
            node.spawn(Arc::clone(agreeing).keep_marks(Arc::clone(node)));
        }
        node.spawn(Arc::clone(&leaf).maintain());
        if node.options.scrub_rate > 0 {
            node.spawn(Arc::clone(&leaf).scrub(node.options.scrub_rate));
        }
        Ok(leaf)
    }

    async fn follow_state(self: Arc<Self>) {
        let mut states = self.node.coordinator.watch();
        let mut is_first = true;
        loop {
            let state = Arc::clone(&states.borrow_and_update());
            self.follow(&state);
            if std::mem::take(&mut is_first) {
                self.sweep(&state).await;
            }
            tokio::select! {
                changed = states.changed() => if changed.is_err() { return },
                () = self.node.stopped() => return,
            }
        }
    }

    /// Opens and removes copies as entries come to name them, and do so no longer.
    async fn follow_entries(self: Arc<Self>, mut table: watch::Receiver<Arc<EntryTable>>) {
        loop {
            tokio::select! {
                changed = table.changed() => if changed.is_err() { return },
                () = self.node.stopped() => return,
            }
            table.borrow_and_update();
            self.follow(&self.node.coordinator.state());
        }
    }

    /// Opens what is new, takes over what changed, removes what is gone.
    fn follow(self: &Arc<Self>, state: &ClusterState) {
        let known: Vec<(ShardKey, CopyState)> = {
            let copies = self.copies.lock();
            copies.iter().map(|(key, s)| (*key, s.clone())).collect()
        };
        let missing = state.indices.values().flat_map(|index| self.added(index));
        self.open_in_order(missing.collect());
        for (key, copy) in known {
            if self.node.role(state, key).is_none() {
                if self.is_not_wanted(state, key) {
                    self.remove(key);
                }
                continue;
            }
            if let (CopyState::Open(copy), Some(index)) = (copy, state.indices.get(&key.index))
                && !Arc::ptr_eq(&copy.shard().schema.index.load(), index)
            {
                let shard = Arc::clone(copy.shard());
                self.node.spawn(async move { shard.take_meta().await });
            }
        }
    }

    /// Returns whether a copy that is not to be here is to be removed: by an entry that is missing nobody asks for
    /// that.
    fn is_not_wanted(&self, state: &ClusterState, key: ShardKey) -> bool {
        let Some(agreeing) = &self.node.agreeing else {
            return true;
        };
        let is_deleted = state.deleted.contains(&key.index);
        is_deleted || (state.indices.contains_key(&key.index) && agreeing.is_without(key))
    }

    /// Opens the copies of `index` that this node is to hold and does not.
    pub(crate) fn open_missing(self: &Arc<Self>, index: &Arc<IndexMeta>) {
        self.open_in_order(self.added(index));
    }

    /// Returns the copies of `index` that this node is to hold and does not, which are being opened from now on.
    fn added(&self, index: &Arc<IndexMeta>) -> Vec<AddedCopy> {
        let keys = index.shards();
        let wanted = keys
            .into_iter()
            .filter(|key| self.node.role_in(index, key.shard).is_some());
        let added = self.copies.add(wanted).into_iter();
        let added = added.map(|(key, opening)| AddedCopy {
            key,
            index: Arc::clone(index),
            opening,
        });
        added.collect()
    }

    /// Opens copies, the most urgent ones first.
    fn open_in_order(self: &Arc<Self>, copies: Vec<AddedCopy>) {
        if copies.is_empty() {
            return;
        }
        let leaf = Arc::clone(self);
        self.node.spawn(async move {
            let urgencies = stream::iter(copies).map(|copy| async {
                let urgency = Urgency::of(&leaf.node, copy.key).await;
                (urgency, copy)
            });
            let mut copies: Vec<_> = urgencies.buffer_unordered(LOOKED_AT).collect().await;
            copies.sort_by_key(|(urgency, copy)| (*urgency, copy.key));
            for (
                _,
                AddedCopy {
                    key,
                    index,
                    opening,
                },
            ) in copies
            {
                let leaf = Arc::clone(&leaf);
                let opened = Arc::clone(&leaf).open(key, index, opening);
                leaf.node.spawn(opened);
            }
        });
    }

    /// Opens a copy whose state says so; one that agrees with others is driven until it is closed or has failed.
    pub(crate) async fn open(
        self: Arc<Self>,
        key: ShardKey,
        index: Arc<IndexMeta>,
        opening: Arc<OpeningProgress>,
    ) {
        if let Some(agreeing) = &self.node.agreeing {
            let agreeing = Arc::clone(agreeing);
            return self.keep_agreeing(agreeing, key, opening).await;
        }
        self.open_primary(key, index, opening).await;
    }

    async fn open_primary(
        self: &Arc<Self>,
        key: ShardKey,
        index: Arc<IndexMeta>,
        opening: Arc<OpeningProgress>,
    ) {
        let opened = async {
            if let Some(reason) = self.node.set_aside.reason(key) {
                return Err(reason);
            }
            let opening = PrimaryOpening::new(self, key, index, opening)?;
            let urgency = Urgency::of(&self.node, key).await;
            let _permit = self.opener.order.turn(urgency).await;
            match self.node.is_stopping() {
                true => Err("the node stops".to_owned()),
                false => opening.open().await,
            }
        };
        let primary = match opened.await {
            Ok(primary) => primary,
            // What is not opened now is with the next start.
            Err(_) if self.node.is_stopping() => return,
            Err(reason) => {
                self.end_opening(key, CopyState::Failed(reason.into()));
                return;
            }
        };
        // The state may have moved on while the copy was opened.
        primary.shard.take_meta().await;
        let open = CopyState::Open(OpenCopy::Primary(Arc::clone(&primary)));
        if self.end_opening(key, open) {
            self.node.spawn(Arc::clone(&primary).mend());
            self.node.spawn(primary.refresh_periodically());
        }
    }

    /// Ends an opening with the copy's new state; returns whether the copy is still wanted. One that is not
    /// is removed.
    pub(crate) fn end_opening(self: &Arc<Self>, key: ShardKey, state: CopyState) -> bool {
        if let CopyState::Failed(reason) = &state {
            tracing::error!(shard = %key, %reason, "shard cannot be opened; others go on");
        }
        match self.copies.end_opening(key, state) {
            Ok(()) => true,
            Err(state) => {
                self.wipe(key, state);
                false
            }
        }
    }

    async fn maintain(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(ROUND) => {}
                () = self.node.stopped() => return,
            }
            let copies = self.copies.open();
            let round = scrubber::round_of(copies.len());
            for copy in copies {
                let shard = copy.shard();
                shard.views.expire();
                let expired = shard.snapshots.expired();
                if !expired.is_empty() {
                    drop_files(expired);
                }
                if Self::are_files_due(shard, round) || copy.needs_maintenance() {
                    self.begin_maintenance(copy, round);
                }
            }
            self.set_gauges();
            watermark::check(&*self.node.coordinator, &self.node.options).await;
            self.reopen_failed();
        }
    }

    /// Looks after a copy in the background, unless that is still being done: one whose disk is slow
    /// must not keep the others waiting.
    fn begin_maintenance(self: &Arc<Self>, copy: OpenCopy, round: Duration) {
        let shard = Arc::clone(copy.shard());
        if shard.is_maintained.swap(true, Ordering::AcqRel) {
            return;
        }
        let leaf = Arc::clone(self);
        self.node.spawn(async move {
            // An error means that the semaphore is closed, which nobody does.
            let permit = leaf.maintaining.acquire().await;
            if !leaf.node.is_stopping() {
                leaf.look_at_files(&shard, round).await;
                copy.maintain().await;
            }
            drop(permit);
            shard.is_maintained.store(false, Ordering::Release);
        });
    }
}

impl OpenCopy {
    /// Returns whether [`Self::maintain`] has something to do. Of most copies at most times there is nothing: to find that
    /// out takes no task.
    fn needs_maintenance(&self) -> bool {
        let shard = self.shard();
        let has_work = || {
            shard.engine().must_give_way()
                || shard.is_flush_due()
                || self.is_trim_due()
                || shard.is_writer_idle()
        };
        shard.applier.failure().is_none() && has_work()
    }

    async fn maintain(&self) {
        let shard = self.shard();
        if shard.applier.failure().is_some() {
            return;
        }
        if shard.engine().must_give_way() {
            shard.on_engine(ShardIndex::give_way).await;
        }
        if shard.is_flush_due() {
            shard.note_periodic(&self.flush().await);
        }
        // Followers may have come further since the last commit.
        if let Err(fault) = self.trim().await {
            tracing::warn!(shard = %shard.key, %fault, "log was not trimmed");
        }
        if shard.is_writer_idle() {
            shard.note_idle_writer();
            let close = |engine: &ShardIndex| engine.close_writer_unless_merging().map(drop);
            shard.on_engine(close).await;
        }
    }
}

impl Shard {
    /// Does something that may block; an error stops the shard.
    async fn on_engine<F>(self: &Arc<Self>, work: F)
    where
        F: FnOnce(&ShardIndex) -> Result<(), EngineError> + Send + 'static,
    {
        let working = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(working.engine())).await;
        if let Ok(Err(error)) = done {
            self.applier.stop(&with_causes(&error));
        }
    }
}

/// Drops what deletes files when it is dropped, where that may block.
pub(crate) fn drop_files<T: Send + 'static>(held: T) {
    drop(tokio::task::spawn_blocking(move || drop(held)));
}

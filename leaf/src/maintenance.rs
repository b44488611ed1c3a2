//! The leaf's life: taking shards over from the cluster state, rounds of commits and expiry.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use std::time::Instant;

use gleaner_coordinator::Coordinator;
use gleaner_engine::EngineError;
use gleaner_engine::control::MemoryAccount;
use gleaner_engine::copy::ShardIndex;
use gleaner_engine::document_cache::DocumentCache;
use gleaner_engine::filter_cache::{FilterCache, FilterCacheOptions};
use gleaner_engine::writer::IndexingMemory;
use gleaner_log::ShardLog;
use gleaner_machine::Probe;
use gleaner_model::{ClusterState, IndexMeta, ShardKey};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::applier::with_causes;
use crate::applying::ApplyThreads;
use crate::idempotency::RequestAnswers;
use crate::mapping::analyzers_of;
use crate::opening::Opening;
use crate::peers::{NoPeers, Peers};
use crate::pool::Pool;
use crate::role::Role;
use crate::shard::{Shard, Slot};
use crate::stopping::Task;
use crate::watermark;
use crate::write::WriteQueue;
use crate::{Leaf, LeafOptions};

/// Time between rounds of commits and expiry.
const ROUND: Duration = Duration::from_secs(1);

/// Replicas that copy files at once: more would only slow down each other and the searches.
const MAX_COPIES: usize = 4;

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

    /// Starts a leaf that holds the shards that the cluster state gives its node, and follows the
    /// changes of the state. It copies files and logs of shards from `peers`.
    ///
    /// # Errors
    /// When its threads cannot be started. A shard that cannot be opened is reported by its state;
    /// the others serve.
    pub fn start_with(
        options: LeafOptions,
        coordinator: Arc<dyn Coordinator>,
        log: Arc<dyn ShardLog>,
        peers: Arc<dyn Peers>,
    ) -> std::io::Result<Arc<Self>> {
        let pool = Pool::start(options.search_threads, options.search_queue)?;
        let leaf = Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            pool,
            memory: MemoryAccount::root("parent", options.query_memory_bytes),
            filters: Arc::new(FilterCache::new(FilterCacheOptions {
                budget_bytes: options.filter_cache_bytes,
                ..FilterCacheOptions::default()
            })),
            documents: Arc::new(DocumentCache::new(options.document_cache_bytes)),
            indexing: IndexingMemory::new(options.indexing_memory_bytes),
            applying: ApplyThreads::of(options.search_threads),
            writes: WriteQueue::new(options.write_queue_bytes, options.write_patience),
            answers: RequestAnswers::default(),
            shards: Mutex::new(BTreeMap::new()),
            changes: watch::Sender::new(0),
            stopping: watch::Sender::new(false),
            started: Instant::now(),
            probe: Arc::new(Probe::new(Some(options.folder.clone()))),
            changing_metadata: tokio::sync::Mutex::default(),
            opening: tokio::sync::Semaphore::new(options.search_threads.max(2)),
            maintaining: tokio::sync::Semaphore::new(options.search_threads.max(2)),
            copying: tokio::sync::Semaphore::new(MAX_COPIES),
            damages: Mutex::default(),
            retries: Mutex::default(),
            lingering: Mutex::default(),
            unserved: Mutex::default(),
            tasks: Arc::new(watch::Sender::new(0)),
            next_snapshot: AtomicU64::new(((options.clock)().max(0) as u64) << 16),
            options,
            coordinator,
            log,
            peers,
        });
        leaf.spawn(Arc::clone(&leaf).follow_state());
        leaf.spawn(Arc::clone(&leaf).maintain());
        if leaf.options.scrub_rate > 0 {
            leaf.spawn(Arc::clone(&leaf).scrub(leaf.options.scrub_rate));
        }
        Ok(leaf)
    }

    /// Runs a task that holds the leaf; its end is waited for when the leaf stops.
    pub(crate) fn spawn(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.send_modify(|tasks| *tasks += 1);
        let task = Task(Arc::clone(&self.tasks));
        tokio::spawn(async move {
            work.await;
            drop(task);
        });
    }

    async fn follow_state(self: Arc<Self>) {
        let mut states = self.coordinator.watch();
        let mut stopping = self.stopping.subscribe();
        let mut is_first = true;
        loop {
            let state = Arc::clone(&states.borrow_and_update());
            self.follow(&state).await;
            if std::mem::take(&mut is_first) {
                self.sweep(&state).await;
            }
            tokio::select! {
                changed = states.changed() => if changed.is_err() { return },
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
        }
    }

    /// Opens what is new, takes over what changed, removes what is gone.
    async fn follow(self: &Arc<Self>, state: &ClusterState) {
        let known: Vec<(ShardKey, Slot)> = self
            .shards
            .lock()
            .iter()
            .map(|(key, slot)| (*key, slot.clone()))
            .collect();
        for index in state.indices.values() {
            self.open_missing(index);
        }
        for (key, slot) in known {
            if self.role(state, key).is_none() {
                self.remove(key);
                continue;
            }
            if let (Slot::Open(shard), Some(index)) = (slot, state.indices.get(&key.index))
                && !Arc::ptr_eq(&shard.index.load(), index)
            {
                let leaf = Arc::clone(self);
                self.spawn(async move { shard.take_meta(&leaf.coordinator).await });
            }
        }
    }

    /// Opens the copies of `index` that this node is to hold and does not.
    pub(crate) fn open_missing(self: &Arc<Self>, index: &Arc<IndexMeta>) {
        let mut missing = Vec::new();
        {
            let mut shards = self.shards.lock();
            for key in index.shards() {
                if self.role_in(index, key.shard).is_some() && !shards.contains_key(&key) {
                    let opening = Arc::new(Opening::default());
                    shards.insert(key, Slot::Opening(Arc::clone(&opening)));
                    missing.push((key, opening));
                }
            }
        }
        if !missing.is_empty() {
            self.changes.send_modify(|changes| *changes += 1);
        }
        for (key, opening) in missing {
            let (leaf, index) = (Arc::clone(self), Arc::clone(index));
            self.spawn(async move { leaf.open(key, index, opening).await });
        }
    }

    /// Opens a copy whose slot says so; a replica is kept until it is closed or has failed.
    pub(crate) async fn open(
        self: Arc<Self>,
        key: ShardKey,
        index: Arc<IndexMeta>,
        opening: Arc<Opening>,
    ) {
        match self.role_in(&index, key.shard) {
            Some(Role::Replica) => self.keep_replica(key, opening).await,
            Some(Role::Primary) | None => self.open_primary(key, index, opening).await,
        }
    }

    async fn open_primary(
        self: &Arc<Self>,
        key: ShardKey,
        index: Arc<IndexMeta>,
        opening: Arc<Opening>,
    ) {
        if let Err(reason) = self.agree(key, &opening).await {
            if !*self.stopping.borrow() {
                self.opened(key, Err(reason));
            }
            return;
        }
        // An error means that the semaphore is closed, which nobody does.
        let permit = self.opening.acquire().await;
        if *self.stopping.borrow() {
            return;
        }
        let opened = match analyzers_of(&index) {
            Ok(analyzers) => self.open_shard((key, opening), index, analyzers).await,
            Err(reason) => Err(reason),
        };
        drop(permit);
        if opened.is_err() && *self.stopping.borrow() {
            return;
        }
        if let Ok(shard) = &opened {
            // The state may have moved on while the shard was opened.
            shard.take_meta(&self.coordinator).await;
        }
        if self.opened(key, opened.clone())
            && let Ok(shard) = opened
        {
            self.spawn(Arc::clone(self).mend(Arc::clone(&shard)));
            self.spawn(Arc::clone(self).refresh_periodically(shard));
        }
    }

    async fn maintain(self: Arc<Self>) {
        let mut stopping = self.stopping.subscribe();
        loop {
            tokio::select! {
                () = tokio::time::sleep(ROUND) => {}
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
            for shard in self.open_shards() {
                shard.views.expire();
                drop_files(shard.snapshots.expired());
                self.begin_maintenance(shard);
            }
            self.set_gauges();
            watermark::check(&*self.coordinator, &self.options).await;
            self.reopen_failed();
        }
    }

    /// Looks after a shard in the background, unless that is still being done: one whose disk is slow
    /// must not keep the others waiting.
    fn begin_maintenance(self: &Arc<Self>, shard: Arc<Shard>) {
        if shard.is_maintained.swap(true, Ordering::AcqRel) {
            return;
        }
        let leaf = Arc::clone(self);
        self.spawn(async move {
            // An error means that the semaphore is closed, which nobody does.
            let permit = leaf.maintaining.acquire().await;
            if !*leaf.stopping.borrow() {
                leaf.look_at_files(&shard).await;
                leaf.maintain_shard(&shard).await;
            }
            drop(permit);
            shard.is_maintained.store(false, Ordering::Release);
        });
    }

    async fn maintain_shard(&self, shard: &Arc<Shard>) {
        if shard.applier.failure().is_some() {
            return;
        }
        if shard.engine().must_give_way() {
            self.on_engine(shard, ShardIndex::give_way).await;
        }
        if self.is_flush_due(shard)
            && let Err(fault) = self.flush_shard(shard).await
        {
            tracing::warn!(shard = %shard.key, %fault, "durable commit failed");
        }
        // Followers may have come further since the last commit.
        if let Err(fault) = self.trim(shard).await {
            tracing::warn!(shard = %shard.key, %fault, "log was not trimmed");
        }
        if self.is_writer_idle(shard) {
            self.on_engine(shard, |engine| {
                engine.close_writer_unless_merging().map(drop)
            })
            .await;
        }
    }

    /// Does something that may block; an error stops the shard.
    async fn on_engine<F>(&self, shard: &Arc<Shard>, work: F)
    where
        F: FnOnce(&ShardIndex) -> Result<(), EngineError> + Send + 'static,
    {
        let working = Arc::clone(shard);
        let done = tokio::task::spawn_blocking(move || work(working.engine())).await;
        if let Ok(Err(error)) = done {
            shard.applier.stop(&with_causes(&error));
        }
    }
}

/// Drops what deletes files when it is dropped, where that may block.
pub(crate) fn drop_files<T: Send + 'static>(held: T) {
    drop(tokio::task::spawn_blocking(move || drop(held)));
}

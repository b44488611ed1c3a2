//! The leaf's life: taking shards over from the cluster state, durable commits, expiry.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gleaner_coordinator::Coordinator;
use gleaner_engine::EngineError;
use gleaner_engine::control::MemoryAccount;
use gleaner_engine::copy::{Checkpoint, ShardIndex};
use gleaner_engine::filter_cache::{FilterCache, FilterCacheOptions};
use gleaner_log::ShardLog;
use gleaner_model::{ClusterState, IndexMeta, ShardKey};
use gleaner_proto::LeafFault;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::fault::log_fault;
use crate::mapping::analyzers_of;
use crate::pool::Pool;
use crate::reopening::release;
use crate::shard::{Shard, Slot, told};
use crate::stopping::Task;
use crate::watermark;
use crate::write::stopped;
use crate::{Leaf, LeafOptions};

/// Time between rounds of commits and expiry.
const ROUND: Duration = Duration::from_secs(1);

impl Leaf {
    /// Starts a leaf that holds every shard of the cluster state, and follows its changes.
    ///
    /// # Errors
    /// When its threads cannot be started. A shard that cannot be opened is reported by its state;
    /// the others serve.
    pub fn start(
        options: LeafOptions,
        coordinator: Arc<dyn Coordinator>,
        log: Arc<dyn ShardLog>,
    ) -> std::io::Result<Arc<Self>> {
        let leaf = Arc::new(Self {
            pool: Pool::start(options.search_threads, options.search_queue)?,
            memory: MemoryAccount::root("parent", options.query_memory_bytes),
            filters: Arc::new(FilterCache::new(FilterCacheOptions {
                budget_bytes: options.filter_cache_bytes,
                ..FilterCacheOptions::default()
            })),
            write_permits: Arc::new(tokio::sync::Semaphore::new(options.write_queue_bytes / 64)),
            shards: Mutex::new(BTreeMap::new()),
            changes: watch::Sender::new(0),
            stopping: watch::Sender::new(false),
            changing_metadata: tokio::sync::Mutex::default(),
            opening: tokio::sync::Semaphore::new(options.search_threads.max(2)),
            retries: Mutex::default(),
            tasks: Arc::new(watch::Sender::new(0)),
            options,
            coordinator,
            log,
        });
        leaf.spawn(Arc::clone(&leaf).follow_state());
        leaf.spawn(Arc::clone(&leaf).maintain());
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
        loop {
            let state = Arc::clone(&states.borrow_and_update());
            self.follow(&state).await;
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
            match (state.indices.get(&key.index), slot) {
                (Some(index), Slot::Open(shard)) => {
                    if !Arc::ptr_eq(&shard.index.load(), index) {
                        let leaf = Arc::clone(self);
                        self.spawn(async move { shard.take_meta(&leaf.coordinator).await });
                    }
                }
                (Some(_), Slot::Opening | Slot::Failed(_)) => {}
                (None, slot) => self.remove(key, slot),
            }
        }
    }

    fn open_missing(self: &Arc<Self>, index: &Arc<IndexMeta>) {
        let missing: Vec<ShardKey> = {
            let mut shards = self.shards.lock();
            let missing: Vec<_> = index
                .shards()
                .filter(|key| !shards.contains_key(key))
                .collect();
            shards.extend(missing.iter().map(|key| (*key, Slot::Opening)));
            missing
        };
        for key in missing {
            let (leaf, index) = (Arc::clone(self), Arc::clone(index));
            self.spawn(async move { leaf.open(key, index).await });
        }
    }

    /// Opens a shard whose slot says so.
    pub(crate) async fn open(self: &Arc<Self>, key: ShardKey, index: Arc<IndexMeta>) {
        // An error means that the semaphore is closed, which nobody does.
        let permit = self.opening.acquire().await;
        let opened = match analyzers_of(&index) {
            Ok(analyzers) => self.open_shard(key, index, analyzers).await,
            Err(reason) => Err(reason),
        };
        drop(permit);
        if let Ok(shard) = &opened {
            // The state may have moved on while the shard was opened.
            shard.take_meta(&self.coordinator).await;
        }
        self.opened(key, opened);
    }

    /// Puts what opening came to into the shard's slot; a shard that was deleted meanwhile goes.
    pub(crate) fn opened(self: &Arc<Self>, key: ShardKey, opened: Result<Arc<Shard>, String>) {
        let slot = match &opened {
            Ok(shard) => Slot::Open(Arc::clone(shard)),
            Err(reason) => {
                tracing::error!(shard = %key, %reason, "shard cannot be opened; others go on");
                Slot::Failed(reason.as_str().into())
            }
        };
        let is_wanted = match self.shards.lock().get_mut(&key) {
            Some(known) => {
                *known = slot.clone();
                true
            }
            None => false,
        };
        match opened {
            _ if !is_wanted => self.remove(key, slot),
            Ok(shard) => self.spawn(Arc::clone(self).refresh_periodically(shard)),
            Err(_) => {}
        }
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Removes a shard of a deleted index, in the background. A shard that is being opened is
    /// removed when it is open.
    fn remove(self: &Arc<Self>, key: ShardKey, slot: Slot) {
        self.shards.lock().remove(&key);
        self.changes.send_modify(|changes| *changes += 1);
        if matches!(slot, Slot::Opening) {
            return;
        }
        let leaf = Arc::clone(self);
        self.spawn(async move {
            if let Slot::Open(shard) = slot
                // A batch under way would make log and files anew after they were removed.
                && let Err(reason) = release(shard).await
            {
                tracing::warn!(shard = %key, %reason, "a deleted index is removed while in use");
            }
            if let Err(error) = leaf.log.remove(key).await {
                tracing::warn!(shard = %key, %error, "log of a deleted index stays on disk");
            }
            let folder = leaf.options.folder.join(key.index.to_string());
            let removed = tokio::task::spawn_blocking(move || remove_folder(&folder, key));
            match removed.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(shard = %key, %error, "files of a deleted index stay on disk");
                }
                Err(error) => tracing::warn!(shard = %key, %error, "removal failed"),
            }
        });
    }

    /// Returns the open shard, waiting up to `patience` while it is being opened.
    pub(crate) async fn shard(
        &self,
        key: ShardKey,
        patience: Duration,
    ) -> Result<Arc<Shard>, LeafFault> {
        let deadline = Instant::now() + patience;
        let mut changes = self.changes.subscribe();
        loop {
            changes.borrow_and_update();
            let slot = self.shards.lock().get(&key).cloned();
            match slot {
                Some(Slot::Open(shard)) => return Ok(shard),
                Some(Slot::Failed(reason)) => {
                    return Err(LeafFault::Stopped {
                        shard: key,
                        reason: reason.to_string(),
                    });
                }
                None if !self.coordinator.state().indices.contains_key(&key.index) => {
                    return Err(LeafFault::NotHere { shard: key });
                }
                Some(Slot::Opening) | None => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if !matches!(
                tokio::time::timeout(left, changes.changed()).await,
                Ok(Ok(()))
            ) {
                let progress = "its log is being replayed".to_owned();
                return Err(LeafFault::Recovering {
                    shard: key,
                    progress,
                });
            }
        }
    }

    /// Returns the shard if it is open now.
    pub(crate) fn open_now(&self, key: ShardKey) -> Option<Arc<Shard>> {
        match self.shards.lock().get(&key) {
            Some(Slot::Open(shard)) => Some(Arc::clone(shard)),
            _ => None,
        }
    }

    pub(crate) fn open_shards(&self) -> Vec<Arc<Shard>> {
        let shards = self.shards.lock();
        let open = |slot: &Slot| match slot {
            Slot::Open(shard) => Some(Arc::clone(shard)),
            Slot::Opening | Slot::Failed(_) => None,
        };
        shards.values().filter_map(open).collect()
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
                self.maintain_shard(&shard).await;
            }
            watermark::check(&*self.coordinator, &self.options).await;
            self.reopen_failed();
        }
    }

    async fn maintain_shard(&self, shard: &Arc<Shard>) {
        if shard.applier.failure().is_some() {
            return;
        }
        if self.is_flush_due(shard)
            && let Err(fault) = self.flush_shard(shard).await
        {
            tracing::warn!(shard = %shard.key, %fault, "durable commit failed");
        }
        if self.is_writer_idle(shard) {
            let closing = Arc::clone(shard);
            let closed = tokio::task::spawn_blocking(move || closing.engine().close_writer()).await;
            if let Ok(Err(error)) = closed {
                shard.applier.stop(&told(&error));
            }
        }
    }

    /// Returns whether the shard had no writes for long enough; `true` once per such time.
    fn is_writer_idle(&self, shard: &Shard) -> bool {
        let next = shard.applier.next();
        let mut flushes = shard.flushes.lock();
        let has_moved = flushes.idle_at != next;
        let is_idle = !has_moved && flushes.idle_since.elapsed() >= self.options.writer_idle;
        if has_moved || is_idle {
            flushes.idle_at = next;
            flushes.idle_since = Instant::now();
        }
        is_idle
    }

    fn is_flush_due(&self, shard: &Shard) -> bool {
        let next = shard.applier.next();
        let flushes = shard.flushes.lock();
        let waiting = next.0.saturating_sub(flushes.committed.0);
        waiting >= self.options.flush_operations
            || (waiting > 0 && flushes.since.elapsed() >= self.options.flush_interval)
    }

    /// Makes everything applied durable in the index and trims the log below it.
    pub(crate) async fn flush_shard(&self, shard: &Arc<Shard>) -> Result<(), LeafFault> {
        self.commit(shard, ShardIndex::commit).await
    }

    /// Makes a durable commit by `commit` and trims the log below it.
    pub(crate) async fn commit(
        &self,
        shard: &Arc<Shard>,
        commit: fn(&ShardIndex) -> Result<Checkpoint, EngineError>,
    ) -> Result<(), LeafFault> {
        let committing = Arc::clone(shard);
        let committed = tokio::task::spawn_blocking(move || commit(committing.engine())).await;
        let committed = committed.map_err(|error| error.to_string());
        let committed = committed.and_then(|done| done.map_err(|error| told(&error)));
        // An engine that failed to commit takes no more operations.
        let checkpoint = committed.map_err(|reason| {
            shard.applier.stop(&reason);
            stopped(shard, &reason)
        })?;
        // What is trimmed must be in the index; what is not yet visible is read back from memory.
        let trimmed = shard.log.trim(shard.key, checkpoint.next_seq_no).await;
        trimmed.map_err(|error| log_fault(shard.key, &error))?;
        shard.counters.flush.fetch_add(1, Ordering::Relaxed);
        let mut flushes = shard.flushes.lock();
        flushes.committed = flushes.committed.max(checkpoint.next_seq_no);
        flushes.since = Instant::now();
        Ok(())
    }
}

/// Removes a shard's folder, and its index's when it was the last.
fn remove_folder(index: &Path, key: ShardKey) -> std::io::Result<()> {
    match std::fs::remove_dir_all(index.join(key.shard.to_string())) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    match std::fs::remove_dir(index) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => Ok(()),
        other => other,
    }
}

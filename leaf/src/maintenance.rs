//! The leaf's life: taking shards over from the cluster state, durable commits, expiry, the end.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gleaner_analysis::AnalyzerRegistry;
use gleaner_coordinator::Coordinator;
use gleaner_engine::control::MemoryAccount;
use gleaner_engine::filter_cache::{FilterCache, FilterCacheOptions};
use gleaner_log::ShardLog;
use gleaner_model::{ClusterState, Generation, IndexMeta, SeqNo, ShardKey};
use gleaner_proto::LeafFault;
use gleaner_proto::read::{ShardCounters, ShardPhase, ShardState};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::pool::Pool;
use crate::shard::{Shard, Slot};
use crate::watermark;
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
            options,
            coordinator,
            log,
        });
        tokio::spawn(Arc::clone(&leaf).follow_state());
        tokio::spawn(Arc::clone(&leaf).maintain());
        Ok(leaf)
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
        for (key, slot) in known {
            match (state.indices.get(&key.index), slot) {
                (Some(index), Slot::Open(shard)) => shard.take_meta(index),
                (Some(_), Slot::Opening | Slot::Failed(_)) => {}
                (None, slot) => self.remove(key, slot).await,
            }
        }
        for index in state.indices.values() {
            self.open_missing(index);
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
        if missing.is_empty() {
            return;
        }
        let analyzers = AnalyzerRegistry::from_settings(&index.settings.analysis);
        let analyzers = analyzers.map(Arc::new).map_err(|error| error.to_string());
        for key in missing {
            let (leaf, index, analyzers) = (Arc::clone(self), Arc::clone(index), analyzers.clone());
            tokio::spawn(async move {
                let opened = match analyzers {
                    Ok(analyzers) => leaf.open_shard(key, index, analyzers).await,
                    Err(reason) => Err(reason),
                };
                leaf.opened(key, opened);
            });
        }
    }

    fn opened(self: &Arc<Self>, key: ShardKey, opened: Result<Arc<Shard>, String>) {
        let slot = match opened {
            Ok(shard) => {
                // The state may have moved on while the shard was opened.
                if let Some(index) = self.coordinator.state().indices.get(&key.index) {
                    shard.take_meta(index);
                }
                tokio::spawn(Arc::clone(self).refresh_periodically(Arc::clone(&shard)));
                Slot::Open(shard)
            }
            Err(reason) => {
                tracing::error!(shard = %key, %reason, "shard cannot be opened; others go on");
                Slot::Failed(reason.into())
            }
        };
        if let Some(known) = self.shards.lock().get_mut(&key) {
            *known = slot;
        }
        self.changes.send_modify(|changes| *changes += 1);
    }

    async fn remove(&self, key: ShardKey, slot: Slot) {
        self.shards.lock().remove(&key);
        self.changes.send_modify(|changes| *changes += 1);
        if let Err(error) = self.log.remove(key).await {
            tracing::warn!(shard = %key, %error, "log of a deleted index stays on disk");
        }
        let folder = self.options.folder.join(key.index.to_string());
        let removed = tokio::task::spawn_blocking(move || {
            drop(slot);
            remove_folder(&folder, key)
        });
        match removed.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(shard = %key, %error, "files of a deleted index stay on disk");
            }
            Err(error) => tracing::warn!(shard = %key, %error, "removal failed"),
        }
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

    /// Returns whether the shard is still this leaf's.
    pub(crate) fn holds(&self, shard: &Arc<Shard>) -> bool {
        self.open_now(shard.key)
            .is_some_and(|held| Arc::ptr_eq(&held, shard))
    }

    fn open_shards(&self) -> Vec<Arc<Shard>> {
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
                if self.is_flush_due(&shard)
                    && let Err(fault) = self.flush_shard(&shard).await
                {
                    tracing::warn!(shard = %shard.key, %fault, "durable commit failed");
                }
            }
            watermark::check(&*self.coordinator, &self.options).await;
        }
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
        let committing = Arc::clone(shard);
        let committed = tokio::task::spawn_blocking(move || committing.engine().commit()).await;
        let failed = |reason: String| LeafFault::Internal {
            shard: shard.key,
            reason,
        };
        let checkpoint = committed
            .map_err(|error| failed(error.to_string()))?
            .map_err(|error| failed(error.to_string()))?;
        // What is trimmed must be in the index; what is not yet visible is read back from memory.
        let trimmed = shard.log.trim(shard.key, checkpoint.next_seq_no).await;
        trimmed.map_err(|error| failed(error.to_string()))?;
        shard.counters.flush.fetch_add(1, Ordering::Relaxed);
        let mut flushes = shard.flushes.lock();
        flushes.committed = checkpoint.next_seq_no;
        flushes.since = Instant::now();
        Ok(())
    }

    /// Returns the state of each shard.
    pub(crate) async fn states(&self) -> Vec<ShardState> {
        let slots: Vec<(ShardKey, Slot)> = self
            .shards
            .lock()
            .iter()
            .map(|(key, slot)| (*key, slot.clone()))
            .collect();
        let mut states = Vec::with_capacity(slots.len());
        for (key, slot) in slots {
            states.push(match slot {
                Slot::Open(shard) => state_of(&shard).await,
                Slot::Opening => closed_state(key, ShardPhase::Recovering, None),
                Slot::Failed(reason) => {
                    closed_state(key, ShardPhase::Failed, Some(reason.to_string()))
                }
            });
        }
        states
    }

    /// Stops without a last durable commit, as a crash would: the log has what was acknowledged.
    /// Returns when no background work holds the shards any more.
    pub async fn abandon(&self) {
        self.stopping.send_replace(true);
        for shard in self.open_shards() {
            let mut in_flight = shard.in_flight.subscribe();
            if in_flight.wait_for(|count| *count == 0).await.is_err() {
                return;
            }
        }
    }

    /// Stops: no more background work, everything applied is made durable.
    pub async fn stop(&self) {
        self.stopping.send_replace(true);
        for shard in self.open_shards() {
            if let Err(fault) = self.flush_shard(&shard).await {
                tracing::warn!(shard = %shard.key, %fault, "last durable commit failed; the log has it");
            }
        }
    }
}

async fn state_of(shard: &Arc<Shard>) -> ShardState {
    let next = shard.primary.lock().await.next;
    let reading = Arc::clone(shard);
    let stats = tokio::task::spawn_blocking(move || reading.engine().stats()).await;
    let stats = stats.ok().and_then(Result::ok).unwrap_or_default();
    let failure = shard.applier.failure();
    ShardState {
        shard: shard.key,
        phase: if failure.is_some() {
            ShardPhase::Failed
        } else {
            ShardPhase::Started
        },
        reason: failure,
        generation: shard.engine().view().generation(),
        max_seq_no: next.0.checked_sub(1).map(SeqNo),
        committed: shard.flushes.lock().committed,
        num_documents: stats.documents,
        num_deleted: stats.deleted,
        num_segments: stats.segments as u64,
        store_bytes: stats.store_bytes,
        log_bytes: 0,
        counters: shard.counters.snapshot(),
    }
}

fn closed_state(shard: ShardKey, phase: ShardPhase, reason: Option<String>) -> ShardState {
    ShardState {
        shard,
        phase,
        reason,
        generation: Generation::default(),
        max_seq_no: None,
        committed: SeqNo(0),
        num_documents: 0,
        num_deleted: 0,
        num_segments: 0,
        store_bytes: 0,
        log_bytes: 0,
        counters: ShardCounters::default(),
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

//! One shard copy: its index, its log, and the state of its primary.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use gleaner_analysis::AnalyzerRegistry;
use gleaner_engine::EngineError;
use gleaner_engine::copy::ShardIndex;
use gleaner_engine::schema::document::DocumentParser;
use gleaner_log::ShardLog;
use gleaner_model::{
    Generation, IndexMeta, Operation, OperationKind, PrimaryTerm, SeqNo, ShardKey,
};
use gleaner_proto::read::ShardCounters;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::versions::VersionMap;
use crate::views::Views;

/// Where a shard stands on this leaf.
#[derive(Clone)]
pub(crate) enum Slot {
    /// Its index is being opened or its log replayed.
    Opening,
    /// It serves.
    Open(Arc<Shard>),
    /// It cannot serve; says why.
    Failed(Arc<str>),
}

/// An open shard copy.
pub(crate) struct Shard {
    pub(crate) key: ShardKey,
    pub(crate) log: Arc<dyn ShardLog>,
    pub(crate) index: ArcSwap<IndexMeta>,
    pub(crate) analyzers: ArcSwap<AnalyzerRegistry>,
    /// Reads documents under the mapping in force.
    pub(crate) parser: ArcSwap<DocumentParser>,
    /// Held while the index's meta is taken over, so that mapping, parser and engine agree.
    pub(crate) taking_meta: Mutex<()>,
    pub(crate) primary: Arc<tokio::sync::Mutex<Primary>>,
    pub(crate) applier: Applier,
    pub(crate) views: Views,
    /// Batches queued in the log and not yet applied.
    pub(crate) in_flight: watch::Sender<usize>,
    /// An append failed: what follows [`Primary::next`] in the log is unknown until it is read again.
    pub(crate) needs_resync: AtomicBool,
    /// Tells the refresh loop that the version map is full.
    pub(crate) refresh_wanted: Notify,
    pub(crate) counters: Counters,
    pub(crate) flushes: Mutex<Flushes>,
}

/// What the primary knows; held while writes are ordered, not while they become durable.
pub(crate) struct Primary {
    pub(crate) term: PrimaryTerm,
    /// The next operation's position.
    pub(crate) next: SeqNo,
    pub(crate) versions: VersionMap,
    /// This copy takes no more writes: it is being removed, opened again, or the leaf stops.
    pub(crate) is_closed: bool,
}

/// How far durable commits reach.
pub(crate) struct Flushes {
    pub(crate) committed: SeqNo,
    pub(crate) since: Instant,
    /// Where the last round of maintenance found the applied operations, and since when.
    pub(crate) idle_at: SeqNo,
    pub(crate) idle_since: Instant,
}

/// Counts a batch as in flight until dropped. A batch that is not known to be applied leaves the
/// shard to be read again from its log, also when its task panics.
pub(crate) struct InFlight {
    shard: Arc<Shard>,
    is_applied: bool,
}

impl InFlight {
    /// Counts one more batch.
    pub(crate) fn begin(shard: &Arc<Shard>) -> Self {
        shard.in_flight.send_modify(|count| *count += 1);
        Self {
            shard: Arc::clone(shard),
            is_applied: false,
        }
    }

    /// Ends with what became of the batch.
    pub(crate) fn end(mut self, is_applied: bool) {
        self.is_applied = is_applied;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        // Before the count falls: whoever waits for it to reach 0 must see the mark. No lock is
        // taken here, because that waiter holds the primary.
        if !self.is_applied {
            self.shard.needs_resync.store(true, Ordering::Release);
        }
        self.shard.in_flight.send_modify(|count| *count -= 1);
    }
}

/// Applies durable operations in order, whoever brings them.
pub(crate) struct Applier {
    pub(crate) engine: Arc<ShardIndex>,
    /// Held while operations are applied, which blocks; what others ask is in `progress`.
    state: Mutex<Applying>,
    progress: watch::Sender<Progress>,
    visible: watch::Sender<Generation>,
}

struct Applying {
    next: SeqNo,
    waiting: BTreeMap<SeqNo, Vec<Operation>>,
}

#[derive(Clone)]
struct Progress {
    next: SeqNo,
    failed: Option<Arc<str>>,
}

impl Applier {
    /// Returns an applier that goes on at `next`.
    pub(crate) fn new(engine: Arc<ShardIndex>, next: SeqNo) -> Self {
        let visible = watch::Sender::new(engine.view().generation());
        let state = Applying {
            next,
            waiting: BTreeMap::new(),
        };
        Self {
            engine,
            state: Mutex::new(state),
            progress: watch::Sender::new(Progress { next, failed: None }),
            visible,
        }
    }

    /// Hands over durable operations from `first` on; applies them, and those that waited for them,
    /// when all before are applied. Blocks: call it where blocking is allowed.
    pub(crate) fn offer(&self, first: SeqNo, operations: Vec<Operation>) -> Result<(), Arc<str>> {
        let mut state = self.state.lock();
        self.check()?;
        if first >= state.next {
            state.waiting.insert(first, operations);
        }
        loop {
            let first = state.next;
            let Some(operations) = state.waiting.remove(&first) else {
                return Ok(());
            };
            for (n, operation) in operations.iter().enumerate() {
                let seq_no = SeqNo(first.0 + n as u64);
                if let Err(error) = self.apply(seq_no, operation) {
                    let reason = told(&error);
                    return Err(self.stop(&format!("operation {seq_no} was not applied: {reason}")));
                }
                state.next = seq_no.next();
            }
            let next = state.next;
            self.progress.send_modify(|progress| progress.next = next);
        }
    }

    fn apply(&self, seq_no: SeqNo, operation: &Operation) -> Result<(), EngineError> {
        self.engine.apply(seq_no, operation)?;
        if matches!(operation.kind, OperationKind::Refresh) {
            let generation = self.engine.refresh(seq_no.next())?;
            self.visible.send_replace(generation);
        }
        Ok(())
    }

    /// Stops this copy: nothing is applied any more until it is opened again. Returns the reason it
    /// stopped for, which is the first one given.
    pub(crate) fn stop(&self, reason: &str) -> Arc<str> {
        if self.close(reason) {
            tracing::error!(shard = %self.engine.key(), reason, "shard stopped");
        }
        self.failure().unwrap_or_else(|| reason.into())
    }

    /// As [`Self::stop`], as a matter of course; returns whether it was still going.
    pub(crate) fn close(&self, reason: &str) -> bool {
        self.progress.send_if_modified(|progress| {
            let was_going = progress.failed.is_none();
            progress.failed.get_or_insert_with(|| reason.into());
            was_going
        })
    }

    /// Waits until this copy has stopped or is closed.
    pub(crate) async fn stopped(&self) {
        let mut progress = self.progress.subscribe();
        // An error means that the sender is gone, and it lives in `self`.
        drop(
            progress
                .wait_for(|progress| progress.failed.is_some())
                .await,
        );
    }

    /// Returns the next operation due.
    pub(crate) fn next(&self) -> SeqNo {
        self.progress.borrow().next
    }

    /// Returns why the shard has stopped, if it has.
    pub(crate) fn failure(&self) -> Option<Arc<str>> {
        self.progress.borrow().failed.clone()
    }

    fn check(&self) -> Result<(), Arc<str>> {
        self.failure().map_or(Ok(()), Err)
    }

    /// Waits until everything before `next` is applied, or the shard has stopped.
    pub(crate) async fn wait_applied(&self, next: SeqNo) -> Result<(), Arc<str>> {
        let mut progress = self.progress.subscribe();
        let reached = progress
            .wait_for(|progress| progress.failed.is_some() || progress.next >= next)
            .await;
        match reached {
            Ok(progress) if progress.next >= next => Ok(()),
            Ok(progress) => Err(progress.failed.clone().unwrap_or_default()),
            Err(_) => Err("shard was closed".into()),
        }
    }

    /// Returns what searches see, as it changes.
    pub(crate) fn visible(&self) -> watch::Receiver<Generation> {
        self.visible.subscribe()
    }

    /// Shows everything applied, and merges and a new mapping, without a record of its own: after
    /// the log was read again, and after a forced merge. Blocks.
    pub(crate) fn show_applied(&self) -> Result<Generation, EngineError> {
        let state = self.state.lock();
        let generation = self.engine.refresh(state.next)?;
        drop(state);
        self.visible.send_replace(generation);
        Ok(generation)
    }
}

/// Returns an error with its causes: the outer one alone often says too little.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// What the shard has done since it was opened.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) index: AtomicU64,
    pub(crate) index_us: AtomicU64,
    pub(crate) index_failed: AtomicU64,
    pub(crate) delete: AtomicU64,
    pub(crate) noop: AtomicU64,
    pub(crate) query: AtomicU64,
    pub(crate) query_us: AtomicU64,
    pub(crate) fetch: AtomicU64,
    pub(crate) fetch_us: AtomicU64,
    pub(crate) get: AtomicU64,
    pub(crate) refresh: AtomicU64,
    pub(crate) flush: AtomicU64,
}

impl Counters {
    /// Counts one more event that took `elapsed`.
    pub(crate) fn add(count: &AtomicU64, time_us: &AtomicU64, elapsed: std::time::Duration) {
        count.fetch_add(1, Ordering::Relaxed);
        time_us.fetch_add(elapsed.as_micros() as u64, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> ShardCounters {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ShardCounters {
            index_total: get(&self.index),
            index_time_ms: get(&self.index_us) / 1_000,
            index_failed: get(&self.index_failed),
            delete_total: get(&self.delete),
            noop_total: get(&self.noop),
            query_total: get(&self.query),
            query_time_ms: get(&self.query_us) / 1_000,
            fetch_total: get(&self.fetch),
            fetch_time_ms: get(&self.fetch_us) / 1_000,
            get_total: get(&self.get),
            refresh_total: get(&self.refresh),
            flush_total: get(&self.flush),
        }
    }
}

impl Shard {
    /// Takes no more writes and waits for those under way. Nothing is made durable.
    pub(crate) async fn refuse_writes(&self) {
        self.primary.lock().await.is_closed = true;
        let mut in_flight = self.in_flight.subscribe();
        // An error means that the sender is gone, and it lives in `self`.
        drop(in_flight.wait_for(|count| *count == 0).await);
        self.applier.close("this copy was closed");
    }

    /// Returns the engine.
    pub(crate) fn engine(&self) -> &Arc<ShardIndex> {
        &self.applier.engine
    }
}

//! One shard copy: its index, its log, and the state of its primary.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
use tokio::sync::watch;

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
    pub(crate) analyzers: Arc<AnalyzerRegistry>,
    /// Reads documents under the mapping in force.
    pub(crate) parser: ArcSwap<DocumentParser>,
    /// Held while the index's meta is taken over, so that mapping, parser and engine agree.
    pub(crate) taking_meta: Mutex<()>,
    pub(crate) primary: Arc<tokio::sync::Mutex<Primary>>,
    pub(crate) applier: Applier,
    pub(crate) views: Views,
    pub(crate) in_flight: watch::Sender<usize>,
    pub(crate) counters: Counters,
    pub(crate) flushes: Mutex<Flushes>,
}

/// What the primary knows; held while writes are ordered, not while they become durable.
pub(crate) struct Primary {
    pub(crate) term: PrimaryTerm,
    /// The next operation's position.
    pub(crate) next: SeqNo,
    pub(crate) versions: VersionMap,
    /// An append failed: what follows `next` in the log is unknown until it is read again.
    pub(crate) needs_resync: bool,
}

/// How far durable commits reach.
pub(crate) struct Flushes {
    pub(crate) committed: SeqNo,
    pub(crate) since: Instant,
}

/// Applies durable operations in order, whoever brings them.
pub(crate) struct Applier {
    pub(crate) engine: Arc<ShardIndex>,
    state: Mutex<Applying>,
    applied: watch::Sender<SeqNo>,
    visible: watch::Sender<Generation>,
}

struct Applying {
    next: SeqNo,
    waiting: BTreeMap<SeqNo, Vec<Operation>>,
    failed: Option<String>,
}

impl Applier {
    /// Returns an applier that goes on at `next`.
    pub(crate) fn new(engine: Arc<ShardIndex>, next: SeqNo) -> Self {
        let visible = watch::Sender::new(engine.view().generation());
        let state = Applying {
            next,
            waiting: BTreeMap::new(),
            failed: None,
        };
        Self {
            engine,
            state: Mutex::new(state),
            applied: watch::Sender::new(next),
            visible,
        }
    }

    /// Hands over durable operations from `first` on; applies them, and those that waited for them,
    /// when all before are applied. Blocks: call it where blocking is allowed.
    pub(crate) fn offer(&self, first: SeqNo, operations: Vec<Operation>) -> Result<(), String> {
        let mut state = self.state.lock();
        if first >= state.next {
            state.waiting.insert(first, operations);
        }
        while state.failed.is_none() {
            let first = state.next;
            let Some(operations) = state.waiting.remove(&first) else {
                break;
            };
            for (n, operation) in operations.iter().enumerate() {
                let seq_no = SeqNo(first.0 + n as u64);
                if let Err(error) = self.apply(seq_no, operation) {
                    let reason = format!("operation {seq_no} could not be applied: {error}");
                    tracing::error!(shard = %self.engine.key(), %reason, "shard stopped");
                    state.failed = Some(reason);
                    break;
                }
                state.next = seq_no.next();
            }
            self.applied.send_replace(state.next);
        }
        state.failed.clone().map_or(Ok(()), Err)
    }

    fn apply(&self, seq_no: SeqNo, operation: &Operation) -> Result<(), EngineError> {
        self.engine.apply(seq_no, operation)?;
        if matches!(operation.kind, OperationKind::Refresh) {
            let generation = self.engine.refresh(seq_no.next())?;
            self.visible.send_replace(generation);
        }
        Ok(())
    }

    /// Returns the next operation due.
    pub(crate) fn next(&self) -> SeqNo {
        self.state.lock().next
    }

    /// Returns why the shard has stopped, if it has.
    pub(crate) fn failure(&self) -> Option<String> {
        self.state.lock().failed.clone()
    }

    /// Waits until everything before `next` is applied, or the shard has stopped.
    pub(crate) async fn wait_applied(&self, next: SeqNo) -> Result<(), String> {
        let mut applied = self.applied.subscribe();
        loop {
            if let Some(reason) = self.failure() {
                return Err(reason);
            }
            if *applied.borrow_and_update() >= next {
                return Ok(());
            }
            if applied.changed().await.is_err() {
                return Err("shard was closed".to_owned());
            }
        }
    }

    /// Returns what searches see, as it changes.
    pub(crate) fn visible(&self) -> watch::Receiver<Generation> {
        self.visible.subscribe()
    }

    /// Shows merges and a new mapping without new operations.
    pub(crate) fn refresh_view(&self) -> Result<Generation, EngineError> {
        let state = self.state.lock();
        let generation = self
            .engine
            .refresh(self.engine.view().generation().visible)?;
        drop(state);
        self.visible.send_replace(generation);
        Ok(generation)
    }
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
    /// Returns the engine.
    pub(crate) fn engine(&self) -> &Arc<ShardIndex> {
        &self.applier.engine
    }
}

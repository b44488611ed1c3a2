//! Applies operations to a copy in the order of the log, whoever brings them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gleaner_engine::EngineError;
use gleaner_engine::copy::ShardIndex;
use gleaner_model::{Generation, Operation, OperationKind, SeqNo};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::growth::{Growth, bytes_of};
use crate::lease::Leases;

/// Applies durable operations in order, whoever brings them.
pub(crate) struct Applier {
    pub(crate) engine: Arc<ShardIndex>,
    /// Held while operations are applied, which blocks; what others ask is in `progress`.
    state: Mutex<Applying>,
    progress: watch::Sender<Progress>,
    visible: watch::Sender<Generation>,
    /// Position after the newest refresh record that was applied.
    marked: AtomicU64,
    growth: Mutex<Growth>,
    /// What is shown next waits for these.
    pub(crate) leases: Leases,
}

/// Batches that are applied in one go where nobody may wait: some tens of microseconds each.
const MAX_AT_ONCE: usize = 8;

struct Applying {
    next: SeqNo,
    waiting: BTreeMap<SeqNo, Vec<Operation>>,
}

impl Applying {
    /// Takes operations in; those that are applied already are dropped.
    fn take_in(&mut self, first: SeqNo, operations: Vec<Operation>) {
        if first >= self.next && !operations.is_empty() {
            self.waiting.insert(first, operations);
        }
    }

    /// Returns the batch that is next, if it is here.
    fn due(&mut self) -> Option<(SeqNo, Vec<Operation>)> {
        let first = self.next;
        self.waiting.remove(&first).map(|due| (first, due))
    }
}

pub(crate) fn is_refresh(operation: &Operation) -> bool {
    matches!(operation.kind, OperationKind::Refresh)
}

#[derive(Clone)]
struct Progress {
    next: SeqNo,
    failed: Option<Arc<str>>,
}

impl Applier {
    /// Returns an applier that goes on at `next`; the bytes applied are counted in steps of
    /// `step_bytes`.
    pub(crate) fn new(
        engine: Arc<ShardIndex>,
        next: SeqNo,
        step_bytes: u64,
        leases: Leases,
    ) -> Self {
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
            marked: AtomicU64::new(0),
            growth: Mutex::new(Growth::new(step_bytes)),
            leases,
        }
    }

    /// Hands over durable operations from `first` on; applies them, and those that waited for them,
    /// when all before are applied. Blocks: call it where blocking is allowed.
    pub(crate) fn offer(&self, first: SeqNo, operations: Vec<Operation>) -> Result<(), Arc<str>> {
        let mut state = self.state.lock();
        self.check()?;
        state.take_in(first, operations);
        while let Some((first, operations)) = state.due() {
            self.apply(first, &operations)?;
            self.advance(&mut state, &operations);
        }
        Ok(())
    }

    /// As [`Self::offer`], without waiting for anybody: returns operations that have to be offered
    /// where blocking is allowed, as nothing shows yet whether they can be applied at once. None of
    /// them is not the same as an empty list, which asks to apply what else is waiting.
    pub(crate) fn offer_now(
        &self,
        first: SeqNo,
        operations: Vec<Operation>,
    ) -> Result<Option<Vec<Operation>>, Arc<str>> {
        let Some(mut state) = self.state.try_lock() else {
            return Ok(Some(operations));
        };
        self.check()?;
        state.take_in(first, operations);
        for _ in 0..MAX_AT_ONCE {
            let Some((first, operations)) = state.due() else {
                return Ok(None);
            };
            if !self.apply_now(first, &operations)? {
                state.waiting.insert(first, operations);
                break;
            }
            self.advance(&mut state, &operations);
        }
        Ok(Some(Vec::new()))
    }

    /// Notes that the operations due were applied.
    fn advance(&self, state: &mut Applying, operations: &[Operation]) {
        let next = SeqNo(state.next.0 + operations.len() as u64);
        state.next = next;
        let bytes = operations.iter().map(bytes_of).sum();
        self.growth.lock().note(next, bytes);
        self.progress.send_modify(|progress| progress.next = next);
    }

    /// Applies operations; what stands before a refresh record is shown by it.
    fn apply(&self, first: SeqNo, operations: &[Operation]) -> Result<(), Arc<str>> {
        let mut next = first;
        for run in operations.split_inclusive(is_refresh) {
            let applied = self.engine.apply_all(next, run);
            applied.map_err(|error| self.refused(&error))?;
            next = SeqNo(next.0 + run.len() as u64);
            if run.last().is_some_and(is_refresh) {
                self.show(next).map_err(|error| self.refused(&error))?;
                self.mark(next);
            }
        }
        Ok(())
    }

    /// Applies operations if that needs no waiting; returns whether they are applied.
    fn apply_now(&self, first: SeqNo, operations: &[Operation]) -> Result<bool, Arc<str>> {
        if operations.iter().any(is_refresh) {
            return Ok(false);
        }
        match self.engine.try_apply_all(first, operations) {
            Some(applied) => applied.map(|()| true).map_err(|error| self.refused(&error)),
            None => Ok(false),
        }
    }

    /// Stops over an operation that the engine refused.
    fn refused(&self, error: &EngineError) -> Arc<str> {
        let (seq_no, reason) = (self.engine.next_seq_no(), told(error));
        self.stop(&format!("operation {seq_no} was not applied: {reason}"))
    }

    /// Remembers that a refresh record stands right before `position`.
    pub(crate) fn mark(&self, position: SeqNo) {
        self.marked.fetch_max(position.0, Ordering::AcqRel);
    }

    /// Returns the position after the newest refresh record that is known: what every copy of the
    /// shard comes to show. 0 when none is.
    pub(crate) fn marked(&self) -> SeqNo {
        SeqNo(self.marked.load(Ordering::Acquire))
    }

    /// Returns the bytes of the operations applied from `position` on, since the copy was opened;
    /// up to one step too many.
    pub(crate) fn bytes_since(&self, position: SeqNo) -> u64 {
        self.growth.lock().since(position)
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
        if self.next() >= next {
            return Ok(());
        }
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
        self.show(state.next)
    }

    /// Lets searches see everything below `next`, as soon as no lease is out on what they see now.
    fn show(&self, next: SeqNo) -> Result<Generation, EngineError> {
        let has_news = next > self.engine.view().generation().visible;
        let showing = has_news.then(|| self.leases.show());
        if let Some(showing) = &showing {
            showing.block();
        }
        let generation = self.engine.refresh(next)?;
        if let Some(showing) = showing {
            showing.shown();
        }
        self.visible.send_replace(generation);
        Ok(generation)
    }

    /// Shows what merges made of what searches see, which is the same documents: leases stay. When more
    /// was applied meanwhile the next refresh shows them. Blocks.
    pub(crate) fn show_merges(&self) -> Result<(), EngineError> {
        let state = self.state.lock();
        if state.next == self.engine.view().generation().visible {
            self.engine.refresh(state.next)?;
        }
        Ok(())
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

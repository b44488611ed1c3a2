//! Applies operations to a copy in the order of the log, whoever brings them.
//!
//! Durable operations wait in a queue of their own, which is locked for moments only: nobody who
//! brings some waits for a refresh that is under way. Whoever holds the engine applies what is due, and
//! looks once more after letting it go, so what came meanwhile is not left behind.

mod target;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use gleaner_engine::EngineError;
use gleaner_engine::copy::ShardIndex;
use gleaner_engine::schema::document::PreparedDocument;
use gleaner_leases::Grants;
use gleaner_model::{Generation, Operation, OperationKind, SeqNo};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::copy::growth::Growth;
use crate::copy::lease::Leases;
use crate::copy::watched::Watched;
pub(crate) use target::ApplyTarget;
use waiting::{Batch, WaitingBatches};
pub(crate) use waiting::{Left, OnApplied};

/// Applies durable operations in order, whoever brings them.
pub(crate) struct Applier<E = ShardIndex> {
    pub(crate) engine: Arc<E>,
    /// Held while operations are applied, which blocks; what others ask is in `progress`. Holds the next
    /// operation due.
    state: Mutex<SeqNo>,
    waiting: Mutex<WaitingBatches>,
    progress: Watched<Progress>,
    visible: watch::Sender<Generation>,
    /// Position after the newest refresh record that was applied.
    marked: AtomicU64,
    growth: Mutex<Growth>,
    /// What is shown next waits for these.
    pub(crate) leases: Leases,
    /// Those who keep answers hear what is shown.
    grants: Arc<Grants>,
}

/// Operations, and bytes of them, that are applied in one go where nobody may wait: some tens of
/// microseconds each. More come due at once when a refresh has ended, or with a large batch.
const AT_ONCE: (usize, u64) = (32, 32 << 10);

pub(crate) fn is_refresh(operation: &Operation) -> bool {
    matches!(operation.kind, OperationKind::Refresh)
}

#[derive(Clone)]
struct Progress {
    next: SeqNo,
    failed: Option<Arc<str>>,
}

impl<E: ApplyTarget> Applier<E> {
    /// Returns an applier that goes on at `next`; the bytes applied are counted in steps of
    /// `step_bytes`.
    pub(crate) fn new(
        engine: Arc<E>,
        next: SeqNo,
        step_bytes: u64,
        leases: Leases,
        grants: Arc<Grants>,
    ) -> Self {
        let visible = watch::Sender::new(engine.generation());
        Self {
            engine,
            state: Mutex::new(next),
            waiting: Mutex::default(),
            progress: Watched::new(Progress { next, failed: None }),
            visible,
            marked: AtomicU64::new(0),
            growth: Mutex::new(Growth::new(step_bytes)),
            leases,
            grants,
        }
    }

    /// Hands over durable operations from `first` on; applies them, and those that waited for them,
    /// when all before are applied. Blocks: call it where blocking is allowed.
    pub(crate) fn offer(&self, first: SeqNo, operations: Vec<Operation>) -> Result<(), Arc<str>> {
        self.take_in(first, Batch::new(operations, Vec::new(), None))?;
        self.apply_waiting();
        self.check()
    }

    /// As [`Self::offer`], with what was prepared of the operations' documents at their places, without
    /// waiting for anybody or applying much, and `applied` is told whether
    /// they were applied, once that is known. Returns [`Left::ToThread`] when the caller is to see to it
    /// that [`Self::drain`] runs, where blocking is allowed.
    ///
    /// # Errors
    /// Why the shard has stopped, before it took them.
    pub(crate) fn offer_now(
        &self,
        first: SeqNo,
        operations: Vec<Operation>,
        prepared: Vec<Option<PreparedDocument>>,
        applied: OnApplied,
    ) -> Result<Left, Arc<str>> {
        self.take_in(first, Batch::new(operations, prepared, Some(applied)))?;
        Ok(self.apply_some())
    }

    /// Applies what is due, for the one who was told [`Left::ToThread`], until nothing is or it is `until`.
    /// Returns whether nothing is; if not, the caller is to call again. Blocks.
    pub(crate) fn drain(&self, until: Instant) -> bool {
        loop {
            let is_over = self.apply_until(Some(until));
            if self.waiting.lock().ends_draining(self.next()) {
                return true;
            }
            if is_over {
                return false;
            }
        }
    }

    /// Returns the bytes of the operations that are durable and not applied yet.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        self.waiting.lock().bytes()
    }

    fn take_in(&self, first: SeqNo, batch: Batch) -> Result<(), Arc<str>> {
        let mut waiting = self.waiting.lock();
        // Under the lock: who stops the copy empties the queue after it has said so.
        self.check()?;
        if first >= self.next() && !batch.operations.is_empty() {
            waiting.put(first, batch);
            return Ok(());
        }
        drop(waiting);
        batch.end(true);
        Ok(())
    }

    /// Applies some of what is due as long as that needs no waiting. Others bring more meanwhile: who
    /// has applied as much as is due of one caller leaves the rest to a thread.
    fn apply_some(&self) -> Left {
        let (mut num_left, mut bytes_left) = AT_ONCE;
        loop {
            let Some(mut next) = self.state.try_lock() else {
                // Whoever holds it looks again.
                return Left::Nothing;
            };
            while let Some(mut batch) = self.due(*next) {
                let is_small = batch.operations.len() <= num_left && batch.bytes <= bytes_left;
                let applied = if is_small {
                    self.apply_now(*next, &mut batch)
                } else {
                    Ok(false)
                };
                match applied {
                    Ok(true) => {
                        num_left -= batch.operations.len();
                        bytes_left -= batch.bytes;
                        self.advance(&mut next, batch);
                    }
                    Ok(false) => return self.put_back(*next, batch),
                    Err(_) => return Left::Nothing,
                }
            }
            drop(next);
            if !self.waiting.lock().has_due(self.next()) {
                return Left::Nothing;
            }
        }
    }

    /// Leaves a batch to a thread; to nobody when the copy has stopped meanwhile, which empties the queue.
    fn put_back(&self, first: SeqNo, batch: Batch) -> Left {
        let mut waiting = self.waiting.lock();
        if self.check().is_err() {
            drop(waiting);
            return Left::Nothing;
        }
        waiting.put(first, batch);
        waiting.begins_draining()
    }

    /// Applies what is due. Blocks.
    fn apply_waiting(&self) {
        self.apply_until(None);
    }

    /// Applies what is due; returns whether it ended for the time.
    fn apply_until(&self, until: Option<Instant>) -> bool {
        let mut has_due = true;
        while has_due {
            let mut next = self.state.lock();
            while let Some(mut batch) = self.due(*next) {
                if self.apply(*next, &mut batch).is_err() {
                    return false;
                }
                self.advance(&mut next, batch);
                if until.is_some_and(|until| Instant::now() >= until) {
                    return true;
                }
            }
            drop(next);
            has_due = self.waiting.lock().has_due(self.next());
        }
        false
    }

    fn due(&self, next: SeqNo) -> Option<Batch> {
        self.waiting.lock().due(next)
    }

    /// Notes that the operations due were applied.
    fn advance(&self, next: &mut SeqNo, batch: Batch) {
        *next = SeqNo(next.0 + batch.operations.len() as u64);
        self.growth.lock().note(*next, batch.bytes);
        self.progress.change(|progress| progress.next = *next);
        batch.end(true);
    }

    /// Applies operations; what stands before a refresh record is shown by it.
    fn apply(&self, first: SeqNo, batch: &mut Batch) -> Result<(), Arc<str>> {
        let _panic = StopOnPanic(self);
        let mut next = first;
        let mut prepared = batch.prepared.as_mut_slice();
        for run in batch.operations.split_inclusive(is_refresh) {
            let of_run = prepared.split_off_mut(..run.len().min(prepared.len()));
            let applied = self.engine.apply_all(next, run, of_run.unwrap_or_default());
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
    fn apply_now(&self, first: SeqNo, batch: &mut Batch) -> Result<bool, Arc<str>> {
        let operations = &batch.operations;
        if operations.iter().any(is_refresh) {
            return Ok(false);
        }
        let _panic = StopOnPanic(self);
        let applied = self
            .engine
            .try_apply_all(first, operations, &mut batch.prepared);
        match applied {
            Some(applied) => applied.map(|()| true).map_err(|error| self.refused(&error)),
            None => Ok(false),
        }
    }

    /// Stops over an operation that the engine refused.
    fn refused(&self, error: &EngineError) -> Arc<str> {
        let (seq_no, reason) = (self.engine.next_seq_no(), with_causes(error));
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
        let was_going = self.progress.change(|progress| {
            let was_going = progress.failed.is_none();
            progress.failed.get_or_insert_with(|| reason.into());
            was_going
        });
        // Nobody applies these any more; whoever waits for them is told when they are dropped.
        let left = std::mem::take(&mut *self.waiting.lock());
        drop(left);
        was_going
    }

    /// Drops all that waits to be applied: it is applied from the log. Who waits for it hears that it is not.
    pub(crate) fn drop_waiting(&self) {
        // Outside of the lock: dropping tells those who wait.
        let left = self.waiting.lock().take_all();
        drop(left);
    }

    /// Waits until this copy has stopped or is closed.
    pub(crate) async fn stopped(&self) {
        self.progress
            .wait_for(|progress| progress.failed.is_some().then_some(()))
            .await;
    }

    /// Returns the next operation due.
    pub(crate) fn next(&self) -> SeqNo {
        self.progress.look(|progress| progress.next)
    }

    /// Returns why the shard has stopped, if it has.
    pub(crate) fn failure(&self) -> Option<Arc<str>> {
        self.progress.look(|progress| progress.failed.clone())
    }

    fn check(&self) -> Result<(), Arc<str>> {
        self.failure().map_or(Ok(()), Err)
    }

    /// Waits until everything before `next` is applied, or the shard has stopped.
    pub(crate) async fn wait_applied(&self, next: SeqNo) -> Result<(), Arc<str>> {
        self.progress
            .wait_for(|progress| match &progress.failed {
                _ if progress.next >= next => Some(Ok(())),
                Some(reason) => Some(Err(Arc::clone(reason))),
                None => None,
            })
            .await
    }

    /// Returns what searches see, as it changes.
    pub(crate) fn visible(&self) -> watch::Receiver<Generation> {
        self.visible.subscribe()
    }

    /// Shows everything applied, and merges and a new mapping, without a record of its own: after
    /// the log was read again, and after a forced merge. Blocks.
    pub(crate) fn show_applied(&self) -> Result<Generation, EngineError> {
        let shown = {
            let next = self.state.lock();
            let _panic = StopOnPanic(self);
            self.show(*next)
        };
        self.apply_waiting();
        shown
    }

    /// Lets searches see everything below `next`, as soon as no lease is out on what they see now.
    fn show(&self, next: SeqNo) -> Result<Generation, EngineError> {
        let has_news = next > self.engine.generation().visible;
        let showing = has_news.then(|| self.leases.show());
        if let Some(showing) = &showing {
            showing.block();
        }
        let generation = self.engine.refresh(next)?;
        if let Some(showing) = showing {
            showing.shown();
        }
        self.visible.send_replace(generation);
        self.grants.note(self.engine.key(), generation);
        Ok(generation)
    }

    /// Shows what merges made of what searches see, which is the same documents: leases stay. When more
    /// was applied meanwhile the next refresh shows them. Blocks.
    pub(crate) fn show_merges(&self) -> Result<(), EngineError> {
        let shown = {
            let next = self.state.lock();
            let _panic = StopOnPanic(self);
            let is_all = *next == self.engine.generation().visible;
            is_all.then(|| self.engine.refresh(*next)).transpose()
        };
        self.apply_waiting();
        shown.map(drop)
    }
}

/// Stops the copy when applying panics: what was being applied is then neither in the index nor waiting.
struct StopOnPanic<'a, E: ApplyTarget>(&'a Applier<E>);

impl<E: ApplyTarget> Drop for StopOnPanic<'_, E> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop("applying panicked");
        }
    }
}

/// Returns an error with its causes: the outer one alone often says too little.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let told = cause.to_string();
        // Some tell their cause themselves.
        if !text.ends_with(&told) {
            text.push_str(": ");
            text.push_str(&told);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;

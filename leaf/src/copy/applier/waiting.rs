//! Durable operations that wait to be applied.
//!
//! Does: keeps batches by position, and who sees to it that they are applied. Does not: apply. Called
//! by: [`super::Applier`]. Read first: [`WaitingBatches::due`].

use std::collections::BTreeMap;

use gleaner_engine::schema::document::PreparedDocument;
use gleaner_model::{Operation, SeqNo};

use crate::copy::bytes_of;

/// Is told once whether operations were applied.
pub(crate) type OnApplied = Box<dyn FnOnce(bool) + Send>;

/// Who applies what is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// Nothing is, or somebody else sees to it.
    Nothing,
    /// The caller, on a thread that may block: by [`super::Applier::drain`].
    ToThread,
}

/// Batches that are durable and not applied yet.
#[derive(Default)]
pub(super) struct WaitingBatches {
    batches: BTreeMap<SeqNo, Batch>,
    bytes: u64,
    /// A thread that may block applies what is due, or will.
    is_draining: bool,
}

impl WaitingBatches {
    pub(super) fn put(&mut self, first: SeqNo, batch: Batch) {
        self.bytes += batch.bytes;
        if let Some(before) = self.batches.insert(first, batch) {
            self.bytes -= before.bytes;
        }
    }

    /// Takes the batch at `next` out, if it is here.
    pub(super) fn due(&mut self, next: SeqNo) -> Option<Batch> {
        let due = self.batches.remove(&next)?;
        self.bytes -= due.bytes;
        Some(due)
    }

    /// Takes all batches out.
    pub(super) fn take_all(&mut self) -> Vec<Batch> {
        self.bytes = 0;
        std::mem::take(&mut self.batches).into_values().collect()
    }

    pub(super) fn has_due(&self, next: SeqNo) -> bool {
        self.batches.contains_key(&next)
    }

    /// Returns the bytes of all operations here.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Asks for a thread unless one was asked for already.
    pub(super) fn begins_draining(&mut self) -> Left {
        if std::mem::replace(&mut self.is_draining, true) {
            Left::Nothing
        } else {
            Left::ToThread
        }
    }

    /// Returns whether a thread was asked for and has not let go yet.
    #[cfg(test)]
    pub(super) fn is_draining(&self) -> bool {
        self.is_draining
    }

    /// Lets the thread go when nothing is due at `next`; returns whether it may.
    pub(super) fn ends_draining(&mut self, next: SeqNo) -> bool {
        self.is_draining = self.has_due(next);
        !self.is_draining
    }
}

/// Operations that were made durable together.
pub(super) struct Batch {
    pub(super) operations: Vec<Operation>,
    /// What was prepared of their documents, at their places; may be shorter.
    pub(super) prepared: Vec<Option<PreparedDocument>>,
    /// Of the operations.
    pub(super) bytes: u64,
    applied: Option<OnApplied>,
}

impl Batch {
    pub(super) fn new(
        operations: Vec<Operation>,
        prepared: Vec<Option<PreparedDocument>>,
        applied: Option<OnApplied>,
    ) -> Self {
        Self {
            bytes: operations.iter().map(bytes_of).sum(),
            operations,
            prepared,
            applied,
        }
    }

    /// Tells what became of it.
    pub(super) fn end(mut self, is_applied: bool) {
        self.tell(is_applied);
    }

    fn tell(&mut self, is_applied: bool) {
        if let Some(applied) = self.applied.take() {
            applied(is_applied);
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.tell(false);
    }
}

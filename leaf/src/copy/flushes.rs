//! How far the durable commits of a copy reach, and when the next one is due.
//!
//! Does not: make them ([`crate::lifecycle::flush`]).

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use gleaner_engine::copy::Checkpoint;
use gleaner_model::SeqNo;
use parking_lot::Mutex;

/// How far the durable commits of a copy reach, and when the next one is due.
pub(crate) struct Flushes {
    pub(crate) progress: Mutex<Progress>,
    /// A commit is wanted that could not be made when it was due, or that an earlier version made without
    /// checksums.
    is_wanted: AtomicBool,
}

/// See [`Flushes`].
pub(crate) struct Progress {
    pub(crate) committed: SeqNo,
    /// The log was trimmed below this.
    pub(crate) trimmed: SeqNo,
    pub(crate) since: Instant,
    /// Where the last round of maintenance found the applied operations, and since when.
    pub(crate) idle_at: SeqNo,
    pub(crate) idle_since: Instant,
}

impl Flushes {
    /// Returns those of a copy whose last commit holds what is before `committed`, and whose log ends before
    /// `next`.
    pub(crate) fn new(committed: SeqNo, next: SeqNo) -> Self {
        let now = Instant::now();
        Self {
            progress: Mutex::new(Progress {
                committed,
                trimmed: SeqNo(0),
                since: now,
                idle_at: next,
                idle_since: now,
            }),
            is_wanted: AtomicBool::new(false),
        }
    }

    /// Returns the position before which everything is durably committed.
    pub(crate) fn committed(&self) -> SeqNo {
        self.progress.lock().committed
    }

    /// Asks for a commit at the next chance, or takes that back.
    pub(crate) fn set_wanted(&self, is_wanted: bool) {
        self.is_wanted.store(is_wanted, Ordering::Release);
    }

    /// Returns whether a commit was asked for.
    pub(crate) fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Acquire)
    }

    /// Notes a commit that was made.
    pub(crate) fn note_commit(&self, checkpoint: Checkpoint) {
        self.set_wanted(false);
        let mut progress = self.progress.lock();
        progress.committed = progress.committed.max(checkpoint.next_seq_no);
        progress.since = Instant::now();
    }
}

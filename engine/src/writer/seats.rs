//! Writers that are open on a node: a bounded number, however many shards are written to.
//!
//! An open writer costs [`EMPTY_BYTES`] and three threads before it holds a document. So a writer takes a seat
//! before it opens. Where all are taken, the writer that was used longest ago puts its documents into a
//! segment and closes; its operations are applied, and searches see them at the next refresh as ever.
//!
//! ```text
//! a writer   closed ── operations to apply, and a seat ──▶ open
//!            open   ── another waits, and it is idle or has been open for a while ──▶ closed
//!            open   ── it merges ──▶ open, until those who wait have waited long: the merge is given up
//! ```
//!
//! Who waits holds at most the lock of its own writer, and only tries those of others: nobody waits in a
//! circle.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::Writer;
use super::memory::{EMPTY_BYTES, IndexingMemory, Share};
use crate::EngineError;

/// Least and most seats, whatever the memory: three threads each.
const NUM_SEATS: (usize, usize) = (2, 64);

/// A writer that was not used for so long is taken to be idle.
const IDLE_AFTER: Duration = Duration::from_millis(20);

/// How long a writer that goes on being used keeps its seat: closing and opening cost some ten milliseconds.
const LEAST_TENURE: Duration = Duration::from_millis(200);

/// How often those who wait look for a writer that has become idle, or has ended its merges.
const LOOKS_EVERY: Duration = Duration::from_millis(10);

/// How long they wait for merges.
const MERGE_PATIENCE: Duration = Duration::from_secs(10);

/// The seats of a node.
#[derive(Debug)]
pub(super) struct Seats {
    most: usize,
    taken: Mutex<usize>,
    freed: Condvar,
}

impl Seats {
    /// Returns as many seats as empty segments in the making fit into `bytes`.
    pub(super) fn within(bytes: usize) -> Self {
        let (least, most) = NUM_SEATS;
        Self {
            most: (bytes / EMPTY_BYTES).clamp(least, most),
            taken: Mutex::new(0),
            freed: Condvar::new(),
        }
    }

    fn try_take(&self) -> bool {
        let mut taken = self.taken.lock();
        let is_free = *taken < self.most;
        *taken += usize::from(is_free);
        is_free
    }

    fn wait(&self) {
        let mut taken = self.taken.lock();
        if *taken >= self.most {
            self.freed.wait_for(&mut taken, LOOKS_EVERY);
        }
    }

    fn leave(&self) {
        *self.taken.lock() -= 1;
        self.freed.notify_one();
    }
}

/// A writer's seat; left on drop.
pub(crate) struct Seat {
    share: Arc<Share>,
}

impl Seat {
    /// Takes a seat for the writer of `share`; waits until there is one.
    pub(crate) fn take(share: &Arc<Share>) -> Self {
        let seats = share.memory().seats();
        let begun = Instant::now();
        while !seats.try_take() {
            let has_left = clear_one(share.memory(), begun.elapsed() >= MERGE_PATIENCE);
            if !has_left {
                seats.wait();
            }
        }
        share.sat_down();
        Self {
            share: Arc::clone(share),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.share.stood_up();
        self.share.memory().seats().leave();
    }
}

/// When a writer took its seat and last used it, by the clock of the node's memory.
#[derive(Debug, Default)]
pub(super) struct Tenure {
    since_ms: AtomicU64,
    used_ms: AtomicU64,
}

impl Tenure {
    pub(super) fn begin(&self, now: Duration) {
        self.since_ms.store(millis(now), Ordering::Relaxed);
        self.used(now);
    }

    pub(super) fn used(&self, now: Duration) {
        self.used_ms.store(millis(now), Ordering::Relaxed);
    }

    fn used_ms(&self) -> u64 {
        self.used_ms.load(Ordering::Relaxed)
    }

    fn may_end(&self, now: Duration) -> bool {
        let now = millis(now);
        let ago = |moment: u64| Duration::from_millis(now.saturating_sub(moment));
        ago(self.used_ms()) >= IDLE_AFTER
            || ago(self.since_ms.load(Ordering::Relaxed)) >= LEAST_TENURE
    }
}

fn millis(time: Duration) -> u64 {
    time.as_millis() as u64
}

/// Has the writer leave its seat that was used longest ago and may; one that merges only if `gives_up`.
/// Returns whether one has.
fn clear_one(memory: &IndexingMemory, gives_up: bool) -> bool {
    let now = memory.now();
    let mut seated = memory.seated();
    seated.retain(|share| share.tenure().may_end(now));
    seated.sort_by_key(|share| share.tenure().used_ms());
    seated.iter().any(|share| {
        let writer = share.writer().and_then(Weak::upgrade);
        // Who holds the lock uses it.
        writer.is_some_and(|writer| match writer.try_lock() {
            Some(mut writer) => writer.leave_seat(gives_up),
            None => false,
        })
    })
}

impl Writer {
    /// Takes a seat that was taken for it, unless it has one.
    pub(crate) fn sit(&mut self, seat: Seat) {
        self.seat.get_or_insert(seat);
    }

    /// Closes for the sake of another writer; returns whether a seat is free by that. A writer whose segments
    /// are being merged stays, unless it `gives_up` the merge.
    fn leave_seat(&mut self, gives_up: bool) -> bool {
        if self.seat.is_none() {
            return false;
        }
        match self.try_close(gives_up) {
            Ok(is_closed) => is_closed,
            Err(error) => {
                // Its own next operation is told so too.
                tracing::warn!(%error, "a writer that gave way could not write its segment");
                self.give_up();
                true
            }
        }
    }

    fn try_close(&mut self, gives_up: bool) -> Result<bool, EngineError> {
        self.flush()?;
        if !self.is_merging()? {
            return self.close().map(|()| true);
        }
        if gives_up {
            self.give_up();
        }
        Ok(gives_up)
    }
}

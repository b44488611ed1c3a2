//! The indexing memory of a node, shared by the writers of its shards.
//!
//! Two kinds of bytes count: documents that wait for an indexing thread ([`super::backlog`]), and
//! segments in the making. tantivy tells nobody how large a segment in the making is, but a plugin
//! of an index adds to the size that tantivy compares with the writer's limit after each document.
//! So each index has one, [`Gauge`], that owns no file: it estimates the segment from the documents
//! it has seen, and when all segments of the node together pass the budget, the largest reports
//! itself as full and is written out. tantivy's own, exact limit stands behind the estimate: no
//! single segment passes the whole budget.
//!
//! A writer without new documents is not asked by tantivy, so it cannot be made to write its segment
//! by the gauge alone: [`IndexingMemory`] marks it, and the leaf's maintenance has it give way.

use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use gleaner_threads::TimeSlice;
use parking_lot::{Condvar, Mutex};
use tantivy::indexer::doc_id_mapping::DocIdMapping;
use tantivy::plugin::{PluginMergeContext, PluginWriter, PluginWriterContext, SegmentPlugin};
use tantivy::schema::Schema;
use tantivy::schema::document::ErasedDocument;
use tantivy::{DocId, Segment};

use super::Writer;
use super::backlog::QueuedDocument;
use super::seats::{Seats, Tenure};
use crate::directory::ShardDirectory;

/// What an empty segment in the making takes: tantivy's term table and its first arena pages.
pub(super) const EMPTY_BYTES: usize = 7 << 20;

/// A segment below this is not written out for the sake of others: its term table alone is larger.
const SMALLEST_FLUSHED: usize = EMPTY_BYTES + (1 << 20);

/// Reported by a gauge whose segment is to be written out: more than any limit.
const FULL: usize = 1 << 40;

/// Smallest budget: three quarters of it are what tantivy needs for one writer.
const MIN_BYTES: usize = 20_000_000;

/// Batches of one writer that may wait; tantivy's queue takes 10,000 before it blocks.
const MAX_BATCHES: usize = 8_000;

/// Memory that writers share; see the module's head. Share it by `Arc`.
#[derive(Debug)]
pub struct IndexingMemory {
    limit: usize,
    buffered: AtomicUsize,
    shares: Mutex<Vec<Weak<Share>>>,
    waiting: Mutex<usize>,
    freed: Condvar,
    seats: Seats,
    began: Instant,
}

/// One writer's part.
#[derive(Debug)]
pub(crate) struct Share {
    memory: Arc<IndexingMemory>,
    /// Bytes of its segments in the making.
    buffered: AtomicUsize,
    /// Its batches of documents that wait.
    waiting: AtomicUsize,
    must_flush: AtomicBool,
    /// Seats that its writer has, or that were taken for it.
    num_seats: AtomicUsize,
    tenure: Tenure,
    writer: OnceLock<Weak<Mutex<Writer>>>,
}

impl IndexingMemory {
    /// Returns a budget of `limit_bytes`, raised to 20,000,000: tantivy works with no less.
    pub fn new(limit_bytes: usize) -> Arc<Self> {
        let limit = limit_bytes.max(MIN_BYTES);
        Arc::new(Self {
            limit,
            seats: Seats::within(limit - limit / 4),
            began: Instant::now(),
            buffered: AtomicUsize::new(0),
            shares: Mutex::default(),
            waiting: Mutex::default(),
            freed: Condvar::new(),
        })
    }

    /// Returns the bytes of segments in the making, estimated.
    pub fn buffered_bytes(&self) -> usize {
        self.buffered.load(Ordering::Relaxed)
    }

    pub(super) fn seats(&self) -> &Seats {
        &self.seats
    }

    /// Returns the time since there is this memory.
    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Returns the parts of the writers that have a seat.
    pub(crate) fn seated(&self) -> Vec<Arc<Share>> {
        let shares = self.shares.lock();
        let alive = shares.iter().filter_map(Weak::upgrade);
        alive.filter(|share| share.has_seat()).collect()
    }

    /// Returns the bytes that documents may take while they wait.
    fn waiting_limit(&self) -> usize {
        self.limit / 8
    }

    /// Returns the bytes of segments in the making at which the largest is written out; the rest of
    /// the budget is for what comes in while it is written.
    fn buffered_limit(&self) -> usize {
        self.limit - self.limit / 4
    }

    /// Marks the writer with the most bytes in its segment, unless writers that are marked already
    /// will free enough.
    fn relieve(&self) {
        let mut shares = self.shares.lock();
        shares.retain(|share| share.strong_count() > 0);
        let (mut growing, mut largest) = (0, None);
        for share in shares.iter().filter_map(Weak::upgrade) {
            let bytes = share.buffered_bytes();
            if share.must_flush() {
                continue;
            }
            growing += bytes;
            if bytes >= SMALLEST_FLUSHED && largest.as_ref().is_none_or(|(most, _)| bytes > *most) {
                largest = Some((bytes, share));
            }
        }
        if let Some((_, share)) = largest.filter(|_| growing > self.buffered_limit()) {
            share.must_flush.store(true, Ordering::Relaxed);
        }
    }
}

impl Share {
    /// Returns the part of one more writer.
    pub(crate) fn new(memory: &Arc<IndexingMemory>) -> Arc<Self> {
        let share = Arc::new(Self {
            memory: Arc::clone(memory),
            buffered: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            must_flush: AtomicBool::new(false),
            num_seats: AtomicUsize::new(0),
            tenure: Tenure::default(),
            writer: OnceLock::new(),
        });
        memory.shares.lock().push(Arc::downgrade(&share));
        share
    }

    pub(super) fn memory(&self) -> &IndexingMemory {
        &self.memory
    }

    /// Remembers the writer that this is the part of: it may be asked to close for another.
    pub(crate) fn belongs_to(&self, writer: &Arc<Mutex<Writer>>) {
        self.writer.get_or_init(|| Arc::downgrade(writer));
    }

    pub(super) fn writer(&self) -> Option<&Weak<Mutex<Writer>>> {
        self.writer.get()
    }

    /// Returns whether its writer has a seat.
    pub(crate) fn has_seat(&self) -> bool {
        self.num_seats.load(Ordering::Relaxed) > 0
    }

    /// Counts a seat that was taken.
    pub(super) fn sat_down(&self) {
        self.tenure.begin(self.memory.now());
        self.num_seats.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a seat that is left.
    pub(super) fn stood_up(&self) {
        self.num_seats.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn tenure(&self) -> &Tenure {
        &self.tenure
    }

    /// Notes that its writer was used just now.
    pub(crate) fn note_use(&self) {
        self.tenure.used(self.memory.now());
    }

    /// Returns the limit that tantivy itself keeps for this writer.
    pub(crate) fn writer_limit(&self) -> usize {
        // tantivy takes less than 4 GiB.
        self.memory.buffered_limit().min(4_000_000_000)
    }

    /// Returns the bytes of the writer's segments in the making, estimated.
    pub(crate) fn buffered_bytes(&self) -> usize {
        self.buffered.load(Ordering::Relaxed)
    }

    /// Returns whether its segment should be written out for the sake of other writers.
    pub(crate) fn must_flush(&self) -> bool {
        self.must_flush.load(Ordering::Relaxed)
    }

    /// Returns whether a batch of `bytes` would be queued without waiting.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        let is_short = self.waiting.load(Ordering::Relaxed) < MAX_BATCHES;
        is_short && self.fits(*self.memory.waiting.lock(), bytes)
    }

    /// Counts documents as waiting; waits until there is room. Indexing threads make it; when one
    /// dies, its queue is dropped and so is every permit.
    pub(crate) fn wait_for_room(self: &Arc<Self>, bytes: usize) -> Permit {
        let mut waiting = self.memory.waiting.lock();
        let is_full = |waiting: &mut usize| !self.fits(*waiting, bytes);
        self.memory.freed.wait_while(&mut waiting, is_full);
        *waiting += bytes;
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Permit {
            share: Arc::clone(self),
            bytes,
        }
    }

    /// A writer of which nothing waits may always go on: none waits for another's thread.
    fn fits(&self, waiting: usize, bytes: usize) -> bool {
        let is_alone = self.waiting.load(Ordering::Relaxed) == 0;
        is_alone || waiting + bytes <= self.memory.waiting_limit()
    }

    fn grow(&self, bytes: usize) {
        self.buffered.fetch_add(bytes, Ordering::Relaxed);
        let before = self.memory.buffered.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > self.memory.buffered_limit() {
            self.memory.relieve();
        }
    }

    fn shrink(&self, bytes: usize) {
        self.buffered.fetch_sub(bytes, Ordering::Relaxed);
        self.memory.buffered.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Documents counted as waiting until this is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    share: Arc<Share>,
    bytes: usize,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut waiting = self.share.memory.waiting.lock();
        *waiting -= self.bytes;
        self.share.waiting.fetch_sub(1, Ordering::Relaxed);
        // Who waits may be any writer.
        self.share.memory.freed.notify_all();
    }
}

/// The plugin that estimates the segments of one writer, and checks what it merges.
pub(crate) struct Gauge {
    pub(super) share: Arc<Share>,
    pub(super) directory: ShardDirectory,
}

impl SegmentPlugin for Gauge {
    fn extensions(&self) -> &[&str] {
        &[]
    }

    fn create_writer(&self, _: &PluginWriterContext<'_>) -> tantivy::Result<Box<dyn PluginWriter>> {
        have_long_turns();
        self.share.grow(EMPTY_BYTES);
        Ok(Box::new(SegmentGauge {
            share: Arc::clone(&self.share),
            bytes: EMPTY_BYTES,
        }))
    }

    fn merge(&self, merge: PluginMergeContext<'_>) -> tantivy::Result<()> {
        have_long_turns();
        // Damage that a merge reads would have a right checksum afterwards.
        let names = merge
            .readers
            .iter()
            .map(|reader| reader.segment_id().uuid_string());
        let verified = self.directory.verify_segments(&names.collect::<Vec<_>>());
        verified.map_err(|damage| {
            tracing::error!(%damage, "segments are not merged: they are damaged");
            tantivy::TantivyError::SystemError(damage.to_string())
        })
    }
}

/// Lets threads that others wait for go before the calling one, an indexing or merging thread: tantivy starts
/// those itself, and asks its plugins in them, at the begin of a new segment and at the end of a merged one.
fn have_long_turns() {
    // Without it a segment is written all the same.
    TimeSlice::Long.request();
}

/// One segment in the making; its bytes count until it is written.
struct SegmentGauge {
    share: Arc<Share>,
    bytes: usize,
}

impl PluginWriter for SegmentGauge {
    fn add_document(
        &mut self,
        _: DocId,
        document: &dyn ErasedDocument,
        _: &Schema,
    ) -> tantivy::Result<()> {
        let queued = document.as_any().downcast_ref::<QueuedDocument>();
        let bytes = queued.map_or(0, QueuedDocument::indexed_bytes);
        self.bytes += bytes;
        self.share.grow(bytes);
        // tantivy asks its plugins last.
        if let Some(queued) = queued {
            queued.note_indexed();
        }
        Ok(())
    }

    fn serialize(self: Box<Self>, _: &Segment, _: Option<&DocIdMapping>) -> tantivy::Result<()> {
        Ok(())
    }

    fn mem_usage(&self) -> usize {
        if self.share.must_flush() { FULL } else { 0 }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

impl Drop for SegmentGauge {
    fn drop(&mut self) {
        self.share.must_flush.store(false, Ordering::Relaxed);
        self.share.shrink(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn the_largest_segment_is_written_when_all_together_pass_the_budget() {
        let memory = IndexingMemory::new(48 << 20);
        let shares: Vec<_> = (0..3).map(|_| Share::new(&memory)).collect();
        let wanted = || {
            shares
                .iter()
                .map(|share| share.must_flush())
                .collect::<Vec<_>>()
        };
        for (share, mebibytes) in shares.iter().zip([9, 14, 10]) {
            share.grow(mebibytes << 20);
        }
        assert_eq!(wanted(), [false; 3]);
        shares[0].grow(4 << 20);
        assert_eq!(wanted(), [false, true, false]);
        shares[0].grow(10 << 20);
        assert_eq!(
            wanted(),
            [false, true, false],
            "what is written frees enough"
        );
        let gauge = SegmentGauge {
            share: Arc::clone(&shares[1]),
            bytes: 14 << 20,
        };
        assert_eq!(gauge.mem_usage(), FULL);
        drop(gauge);
        assert_eq!(wanted(), [false; 3]);
        assert_eq!(memory.buffered_bytes(), 33 << 20);
    }

    #[test]
    fn documents_wait_for_room_of_all_but_never_for_others_alone() {
        let memory = IndexingMemory::new(MIN_BYTES);
        let (one, other) = (Share::new(&memory), Share::new(&memory));
        let large = one.wait_for_room(3 * MIN_BYTES);
        assert!(other.has_room(1) && !one.has_room(1));
        let (entered, has_entered) = mpsc::channel();
        let waiting = Arc::clone(&one);
        let waiter = thread::spawn(move || {
            let permit = waiting.wait_for_room(1);
            entered.send(()).expect("the test listens");
            drop(permit);
        });
        assert!(has_entered.try_recv().is_err());
        drop(large);
        has_entered.recv().expect("there is room now");
        waiter.join().expect("it does not panic");
        assert_eq!(*memory.waiting.lock(), 0);
    }
}

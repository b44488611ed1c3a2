//! A commit thread: takes what waits, writes it, makes it durable, answers.
//!
//! A small round is made durable by one sync of the journal, a large one by a sync of each touched segment;
//! what the journal holds is synced where it belongs by a checkpoint. There is no lingering: while one round is
//! synced the next one gathers in the queue.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use crossbeam::channel::{Receiver, RecvTimeoutError};
use gleaner_model::{PrimaryTerm, SeqNo, ShardKey};
use parking_lot::Mutex;

use crate::base::{LogBase, LogStart};
use crate::batch::RecordBatch;
use crate::error::LogError;
use crate::files::File;
use crate::journal::Journal;
use crate::options::LogOptions;
use crate::put_aside::PutAside;
use crate::shard_log::{Append, Appended, ProducerSequence};
use crate::terms::TermTable;
use crate::view::Views;
use crate::writer::{Reply, ShardWriter, answer};
pub(crate) use removal::{Undone, is_damaged};

mod cutting;
mod removal;

/// A round is closed when it has this much payload, so that the first of it need not wait long.
const MAX_ROUND_BYTES: usize = 8 << 20;

/// A round of more bytes is synced in its place: to write it twice would cost more than syncs save.
const SMALL_ROUND_BYTES: usize = 256 << 10;

/// What a commit thread can be asked.
#[derive(Debug)]
pub(crate) enum Request {
    Write(Write, Permit, Reply<Appended>),
    Control(Control),
}

/// A batch to be written.
#[derive(Debug)]
pub(crate) enum Write {
    Append(Append),
    /// A batch of another copy's log.
    Copy {
        shard: ShardKey,
        batch: RecordBatch,
        /// The term of the primary whose log is copied.
        under: PrimaryTerm,
    },
}

impl Write {
    fn shard(&self) -> ShardKey {
        match self {
            Self::Append(append) => append.shard,
            Self::Copy { shard, .. } => *shard,
        }
    }
}

/// What is rare, and takes effect after all that was asked before it.
#[derive(Debug)]
pub(crate) enum Control {
    Fence(ShardKey, PrimaryTerm, Reply<Option<SeqNo>>),
    Trim(ShardKey, SeqNo, Reply<SeqNo>),
    Truncate(ShardKey, SeqNo, Reply<SeqNo>),
    Remove(ShardKey, Reply<()>),
    Begin(ShardKey, LogStart, Reply<()>),
    Produced(ShardKey, ProducerSequence, Reply<Option<Appended>>),
    BaseAt(ShardKey, SeqNo, Reply<Option<LogBase>>),
    Terms(ShardKey, Reply<TermTable>),
}

/// Payload bytes counted as waiting until this is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    waiting: Arc<AtomicUsize>,
    bytes: usize,
}

impl Permit {
    /// Counts `bytes` in; `None` when others wait and the limit would be passed.
    pub(crate) fn take(waiting: &Arc<AtomicUsize>, bytes: usize, limit: usize) -> Option<Self> {
        let before = waiting.fetch_add(bytes, Ordering::Relaxed);
        let permit = Self {
            waiting: waiting.clone(),
            bytes,
        };
        let fits = before == 0 || before.saturating_add(bytes) <= limit;
        fits.then_some(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Counters over all lanes, since the log was opened.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) batches: AtomicU64,
    pub(crate) rounds: AtomicU64,
    pub(crate) syncs: AtomicU64,
}

/// One commit thread's shards and the round it gathers.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) root: PathBuf,
    pub(crate) options: LogOptions,
    pub(crate) views: Views,
    pub(crate) counters: Arc<Counters>,
    /// Held while folders of indices come and go: an index may have shards on several threads.
    pub(crate) folders: Arc<Mutex<()>>,
    pub(crate) receiver: Receiver<Request>,
    pub(crate) shards: HashMap<ShardKey, ShardWriter>,
    pub(crate) journal: Journal,
    pub(crate) round: Round,
    pub(crate) undone: Undone,
    pub(crate) put_aside: PutAside,
}

#[derive(Debug, Default)]
pub(crate) struct Round {
    /// Sorted, so that the order of writes does not depend on chance.
    touched: BTreeSet<ShardKey>,
    permits: Vec<Permit>,
    bytes: usize,
    /// Shards whose floor is not on disk, or whose segment is not, and since when.
    unsynced: BTreeSet<ShardKey>,
    unsynced_since: Option<Instant>,
    /// Shards of which bytes may be nowhere but in the journal, after a sync of their segment failed.
    needing_journal: BTreeSet<ShardKey>,
}

impl Lane {
    /// Serves until all senders are gone; then closes the shards.
    pub(crate) fn run(mut self) {
        while let Some(request) = self.wait() {
            self.serve(request);
        }
        self.checkpoint();
        for shard in self.shards.values_mut() {
            shard.close();
        }
        if self.round.needing_journal.is_empty()
            && let Err(error) = self.journal.forget()
        {
            tracing::warn!(%error, "the journal stays, the log will be opened with it");
        }
    }

    /// Returns the next request; makes a checkpoint when one is due in the meantime.
    fn wait(&mut self) -> Option<Request> {
        loop {
            let Some(since) = self.round.unsynced_since else {
                return self.receiver.recv().ok();
            };
            let due = since.checked_add(self.options.floor_interval);
            let Some(due) = due else {
                return self.receiver.recv().ok();
            };
            if due <= Instant::now() {
                self.checkpoint();
                continue;
            }
            match self.receiver.recv_deadline(due) {
                Ok(request) => return Some(request),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => self.checkpoint(),
            }
        }
    }

    pub(crate) fn serve(&mut self, first: Request) {
        let mut next = Some(first);
        while let Some(request) = next {
            match request {
                Request::Write(write, permit, reply) => self.stage(&write, permit, reply),
                Request::Control(control) => {
                    self.commit();
                    self.control(control);
                }
            }
            next = None;
            if self.round.bytes < MAX_ROUND_BYTES {
                next = self.receiver.try_recv().ok();
            }
        }
        self.commit();
    }

    fn stage(&mut self, write: &Write, permit: Permit, reply: Reply<Appended>) {
        let key = write.shard();
        if let (Write::Copy { batch, .. }, Some(shard)) = (write, self.shards.get(&key))
            && shard.has_staged(batch.first)
        {
            // It is compared with what is there, and that can be read once it is durable.
            self.commit();
        }
        self.counters.batches.fetch_add(1, Ordering::Relaxed);
        self.round.bytes += permit.bytes;
        self.round.permits.push(permit);
        self.round.touched.insert(key);
        match self.writer(key) {
            Ok(writer) => writer.stage(write, reply),
            Err(error) => answer(reply, Err(error)),
        }
    }

    /// Writes all, makes all durable, then answers all.
    fn commit(&mut self) {
        let touched = std::mem::take(&mut self.round.touched);
        let staged = touched.iter().filter_map(|key| self.shards.get(key));
        let num_bytes = staged.map(ShardWriter::num_staged).sum();
        let is_small = num_bytes <= SMALL_ROUND_BYTES
            && !self.options.floor_interval.is_zero()
            && self.journal.takes(touched.len(), num_bytes);
        if is_small && !self.journal.has_room(touched.len(), num_bytes) {
            self.checkpoint();
        }
        let written = self.write(touched);
        let is_noted = is_small && !written.is_empty() && self.note(&written);
        let durable = if is_noted {
            written
        } else {
            self.sync(written)
        };
        // Before the answers: who has one may at once send the next append.
        self.round.permits.clear();
        for key in &durable {
            if let Some(shard) = self.shards.get_mut(key) {
                shard.publish();
            }
        }
        if !durable.is_empty() {
            self.round.unsynced_since.get_or_insert_with(Instant::now);
        }
        self.round.unsynced.extend(durable);
        self.round.bytes = 0;
        if is_small && !is_noted && self.journal.is_kept() {
            // What its failed sync has torn of earlier frames is not known: segments are to have it all.
            self.checkpoint();
        }
    }

    /// Writes what is staged; returns the shards that have something to be made durable.
    fn write(&mut self, touched: BTreeSet<ShardKey>) -> Vec<ShardKey> {
        let mut written = Vec::new();
        for key in touched {
            let Some(shard) = self.shards.get_mut(&key) else {
                continue;
            };
            if shard.write() {
                written.push(key);
            } else {
                // Nothing to sync, but repetitions may wait for their answer.
                shard.publish();
            }
        }
        if !written.is_empty() {
            self.counters.rounds.fetch_add(1, Ordering::Relaxed);
        }
        written
    }

    /// Makes what was written durable in the journal; `false` when that failed.
    fn note(&mut self, written: &[ShardKey]) -> bool {
        self.counters.syncs.fetch_add(1, Ordering::Relaxed);
        let shards = written.iter().filter_map(|key| self.shards.get(key));
        let noted = self.journal.append(shards.filter_map(ShardWriter::part));
        if let Err(error) = noted {
            tracing::warn!(%error, "a round could not go into the journal, its segments are synced");
            return false;
        }
        for key in written {
            if let Some(shard) = self.shards.get_mut(key) {
                shard.leave_to_journal();
            }
        }
        true
    }

    /// Syncs what was written in its place; returns the shards whose sync succeeded.
    fn sync(&mut self, mut written: Vec<ShardKey>) -> Vec<ShardKey> {
        let num_syncs = written.len() as u64;
        self.counters.syncs.fetch_add(num_syncs, Ordering::Relaxed);
        let mut synced = self.sync_all(&written, ShardWriter::segment);
        written.retain(|key| match (self.shards.get_mut(key), synced.remove(key)) {
            (Some(shard), Some(synced)) => shard.settle(synced),
            _ => false,
        });
        written
    }

    /// Syncs a file of each shard that has one to be synced.
    fn sync_all(
        &self,
        keys: &[ShardKey],
        file_of: impl Fn(&ShardWriter) -> Option<Arc<dyn File>>,
    ) -> HashMap<ShardKey, io::Result<()>> {
        let file = |key: &ShardKey| Some((*key, file_of(self.shards.get(key)?)?));
        let (keys, files): (Vec<_>, Vec<_>) = keys.iter().filter_map(file).unzip();
        keys.into_iter()
            .zip(self.options.files.sync_all(&files))
            .collect()
    }

    /// Syncs segments and floors where they belong, so that the journal can begin anew. A failure is told
    /// its shard, and the journal kept.
    pub(crate) fn checkpoint(&mut self) {
        let keys: Vec<_> = std::mem::take(&mut self.round.unsynced)
            .into_iter()
            .collect();
        self.round.unsynced_since = None;
        let mut synced = self.sync_all(&keys, ShardWriter::unsynced);
        for key in &keys {
            let Some(shard) = self.shards.get_mut(key) else {
                continue;
            };
            if let Some(synced) = synced.remove(key) {
                shard.settle(synced);
            }
            if shard.needs_journal() {
                self.round.needing_journal.insert(*key);
            }
        }
        self.end_epoch();
        for key in &keys {
            if let Some(shard) = self.shards.get_mut(key) {
                shard.note_floor();
            }
        }
        for (key, synced) in self.sync_all(&keys, ShardWriter::unsynced_floor) {
            if let Some(shard) = self.shards.get_mut(&key) {
                shard.settle_floor(synced);
            }
        }
    }

    /// Lets the journal begin anew, if nothing of it is needed any more. One whose sync failed goes first.
    fn end_epoch(&mut self) {
        if !self.round.needing_journal.is_empty() {
            self.journal.keep();
        } else if !self.journal.is_kept() {
            self.journal.restart();
        } else if let Err(error) = self.journal.forget() {
            tracing::warn!(%error, "a journal whose sync failed stays, rounds are synced in place");
        }
    }

    fn control(&mut self, control: Control) {
        match control {
            Control::Fence(key, term, reply) => {
                let fenced = self.writer(key).and_then(|shard| shard.fence(term));
                answer(reply, fenced);
            }
            Control::Trim(key, below, reply) => {
                let trimmed = self.existing(key, |shard| shard.trim(below));
                answer(reply, trimmed.map(Option::unwrap_or_default));
            }
            Control::Truncate(key, from, reply) => {
                let cut = self.truncate(key, from);
                answer(reply, cut);
            }
            Control::Remove(key, reply) => {
                let removed = self.remove(key);
                self.remove_index_folder(key);
                answer(reply, removed);
            }
            Control::Begin(key, begin, reply) => {
                let begun = self.begin(key, &begin);
                answer(reply, begun);
            }
            Control::Produced(key, producer, reply) => {
                let produced = self.existing(key, |shard| shard.produced(producer));
                answer(reply, produced.map(Option::flatten));
            }
            Control::BaseAt(key, at, reply) => {
                let base = self.existing(key, |shard| shard.base_at(at));
                let nothing = (at == SeqNo(0)).then_some(LogBase::NOTHING);
                answer(reply, base.map(|base| base.unwrap_or(nothing)));
            }
            Control::Terms(key, reply) => {
                let terms = self.existing(key, |shard| shard.terms());
                let nothing = || TermTable::new(LogBase::NOTHING.term);
                answer(reply, terms.map(|terms| terms.unwrap_or_else(nothing)));
            }
        }
    }

    /// Asks a shard; `None` for one that was never named.
    fn existing<T>(
        &mut self,
        key: ShardKey,
        ask: impl FnOnce(&mut ShardWriter) -> Result<T, LogError>,
    ) -> Result<Option<T>, LogError> {
        if !self.exists(key) {
            return Ok(None);
        }
        self.writer(key).and_then(ask).map(Some)
    }

    fn exists(&self, key: ShardKey) -> bool {
        self.views.read().contains_key(&key)
    }

    /// Returns the shard's writer, created if the shard is new.
    fn writer(&mut self, key: ShardKey) -> Result<&mut ShardWriter, LogError> {
        if !self.shards.contains_key(&key) {
            if let Some(view) = self.views.read().get(&key) {
                view.check()?;
            }
            self.create(key)?;
        }
        self.shards.get_mut(&key).ok_or(LogError::Closed)
    }
}

/// Extension of the folder of a shard that is being removed.
pub(crate) const REMOVED: &str = "removed";

/// Extension of the folder of a shard that is being laid out.
pub(crate) const UNFINISHED: &str = "unfinished";

/// What the name of a damaged shard's folder ends with, before the time at which it was put aside.
pub(crate) const DAMAGED: &str = "damaged-";

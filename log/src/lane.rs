//! A commit thread: takes what waits, writes it, syncs each touched file once, answers.
//!
//! There is no lingering: while one round is synced the next one gathers in the queue.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use crossbeam::channel::{Receiver, RecvTimeoutError};
use gleaner_model::{PrimaryTerm, SeqNo, ShardKey};
use parking_lot::Mutex;

use crate::error::LogError;
use crate::files::parent;
use crate::options::LogOptions;
use crate::shard_log::{Append, Appended, ProducerSequence};
use crate::view::Views;
use crate::writer::{Reply, ShardWriter, answer, shard_dir};

/// A round is closed when it has this much payload, so that the first of it need not wait long.
const MAX_ROUND_BYTES: usize = 8 << 20;

/// What a commit thread can be asked.
#[derive(Debug)]
pub(crate) enum Request {
    Append(Append, Permit, Reply<Appended>),
    Control(Control),
}

/// What is rare, and takes effect after all that was asked before it.
#[derive(Debug)]
pub(crate) enum Control {
    Fence(ShardKey, PrimaryTerm, Reply<Option<SeqNo>>),
    Trim(ShardKey, SeqNo, Reply<SeqNo>),
    Remove(ShardKey, Reply<()>),
    Begin(ShardKey, SeqNo, Reply<()>),
    Produced(ShardKey, ProducerSequence, Reply<Option<Appended>>),
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
    pub(crate) round: Round,
}

#[derive(Debug, Default)]
pub(crate) struct Round {
    /// Sorted, so that the order of writes does not depend on chance.
    touched: BTreeSet<ShardKey>,
    permits: Vec<Permit>,
    bytes: usize,
    /// Shards whose floor is not on disk, and since when.
    floors: BTreeSet<ShardKey>,
    floors_since: Option<Instant>,
}

impl Lane {
    /// Serves until all senders are gone; then closes the shards.
    pub(crate) fn run(mut self) {
        while let Some(request) = self.wait() {
            self.serve(request);
        }
        for shard in self.shards.values_mut() {
            shard.close();
        }
    }

    /// Returns the next request; syncs floors when they are due in the meantime.
    fn wait(&mut self) -> Option<Request> {
        loop {
            let Some(since) = self.round.floors_since else {
                return self.receiver.recv().ok();
            };
            let due = since.checked_add(self.options.floor_interval);
            let Some(due) = due else {
                return self.receiver.recv().ok();
            };
            if due <= Instant::now() {
                self.sync_floors();
                continue;
            }
            match self.receiver.recv_deadline(due) {
                Ok(request) => return Some(request),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => self.sync_floors(),
            }
        }
    }

    fn serve(&mut self, first: Request) {
        let mut next = Some(first);
        while let Some(request) = next {
            match request {
                Request::Append(append, permit, reply) => self.stage(&append, permit, reply),
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

    fn stage(&mut self, append: &Append, permit: Permit, reply: Reply<Appended>) {
        self.counters.batches.fetch_add(1, Ordering::Relaxed);
        self.round.bytes += permit.bytes;
        self.round.permits.push(permit);
        self.round.touched.insert(append.shard);
        match self.writer(append.shard) {
            Ok(writer) => writer.stage(append, reply),
            Err(error) => answer(reply, Err(error)),
        }
    }

    /// Writes all, syncs all, then answers all.
    fn commit(&mut self) {
        let mut written = Vec::new();
        for key in std::mem::take(&mut self.round.touched) {
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
        written.retain(|key| {
            self.counters.syncs.fetch_add(1, Ordering::Relaxed);
            self.shards.get_mut(key).is_some_and(ShardWriter::sync)
        });
        // Before the answers: who has one may at once send the next append.
        self.round.permits.clear();
        for key in &written {
            if let Some(shard) = self.shards.get_mut(key) {
                shard.publish();
            }
        }
        if !written.is_empty() {
            self.round.floors_since.get_or_insert_with(Instant::now);
        }
        self.round.floors.extend(written);
        self.round.bytes = 0;
    }

    fn sync_floors(&mut self) {
        for key in std::mem::take(&mut self.round.floors) {
            if let Some(shard) = self.shards.get_mut(&key) {
                shard.sync_floor();
            }
        }
        self.round.floors_since = None;
    }

    fn control(&mut self, control: Control) {
        match control {
            Control::Fence(key, term, reply) => {
                let fenced = self.writer(key).and_then(|shard| shard.fence(term));
                answer(reply, fenced);
            }
            Control::Trim(key, below, reply) => {
                let trimmed = match self.exists(key) {
                    true => self.writer(key).and_then(|shard| shard.trim(below)),
                    false => Ok(SeqNo(0)),
                };
                answer(reply, trimmed);
            }
            Control::Remove(key, reply) => {
                let removed = self.remove(key);
                self.remove_index_folder(key);
                answer(reply, removed);
            }
            Control::Begin(key, at, reply) => {
                let begun = self.begin(key, at);
                answer(reply, begun);
            }
            Control::Produced(key, producer, reply) => {
                let produced = match self.exists(key) {
                    true => self.writer(key).and_then(|shard| shard.produced(producer)),
                    false => Ok(None),
                };
                answer(reply, produced);
            }
        }
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
            let _folders = self.folders.lock();
            let (writer, view) = ShardWriter::create(&self.root, key, &self.options)?;
            self.views.write().insert(key, view);
            self.shards.insert(key, writer);
        }
        self.shards.get_mut(&key).ok_or(LogError::Closed)
    }

    /// Removes a shard: first its name, at once, then its files.
    fn remove(&mut self, key: ShardKey) -> Result<(), LogError> {
        if !self.exists(key) {
            return Ok(());
        }
        let dir = shard_dir(&self.root, key);
        let removed = dir.with_extension(REMOVED);
        let files = &self.options.files;
        let io = |error| LogError::io("remove", &dir, error);
        if let Err(error) = files.remove_dir_all(&removed)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(io(error));
        }
        files.rename(&dir, &removed).map_err(io)?;
        self.shards.remove(&key);
        self.views.write().remove(&key);
        files.sync_dir(&parent(&dir)).map_err(io)?;
        files.remove_dir_all(&removed).map_err(io)
    }

    /// Removes the folder of a shard's index when that was its last shard here. Nothing depends on it:
    /// one that stays, or comes back after a crash, goes when the log is opened.
    fn remove_index_folder(&self, key: ShardKey) {
        let _folders = self.folders.lock();
        let dir = parent(&shard_dir(&self.root, key));
        if let Err(error) = self.options.files.remove_empty_dir(&dir) {
            tracing::trace!(%error, dir = %dir.display(), "the folder of an index stays");
        }
    }

    /// Replaces a shard by an empty one that begins at `at`: laid out beside, then named.
    fn begin(&mut self, key: ShardKey, at: SeqNo) -> Result<(), LogError> {
        self.remove(key)?;
        let _folders = self.folders.lock();
        let (writer, view) = ShardWriter::begin(&self.root, key, at, &self.options)?;
        self.views.write().insert(key, view);
        self.shards.insert(key, writer);
        Ok(())
    }
}

/// Extension of the folder of a shard that is being removed.
pub(crate) const REMOVED: &str = "removed";

/// Extension of the folder of a shard that is being laid out.
pub(crate) const UNFINISHED: &str = "unfinished";

//! The writing side of one shard, owned by its commit thread: stage, write, sync, publish.
//!
//! ```text
//! state      on               next
//! staging    write ok         written, to be synced: here, or by the journal
//!            write fails      staging again, file cut back; disk full: nothing lost
//! written    sync ok          published, then staging
//!            sync fails       stopped: outcome unknown, no appends until the log is opened again
//! ```

use std::cmp::Ordering;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gleaner_model::{PrimaryTerm, SeqNo, ShardKey};
use tokio::sync::oneshot;

use crate::base::LogBase;
use crate::error::{LogError, is_disk_full};
use crate::files::{File, write_all_at};
use crate::journal::Part;
use crate::ledger::Ledger;
use crate::options::LogOptions;
use crate::recovery::RecoveredFolder;
use crate::segment::Entry;
use crate::shard_log::{Appended, ProducerSequence};
use crate::state_file::{State, StateFile, StoreFault};
use crate::terms::TermTable;
use crate::view::ShardView;

mod creation;
mod cutting;
mod rolling;
mod staging;

/// Where the answer to a request goes; the caller may be gone, then it is dropped.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, LogError>>;

/// One shard's log, open for writing.
#[derive(Debug)]
pub(crate) struct ShardWriter {
    shard: ShardKey,
    dir: PathBuf,
    options: LogOptions,
    view: Arc<ShardView>,
    ledger: Ledger,
    state: StateFile,
    /// Records below this seq_no are durable.
    committed: u64,
    active: Option<Active>,
    staged: StagedBatches,
    is_stopped: bool,
}

/// The segment that grows.
#[derive(Debug)]
struct Active {
    file: Arc<dyn File>,
    path: PathBuf,
    first: u64,
    /// Offset of the first batch.
    start: u64,
    salt: u32,
    /// Durable length in bytes.
    len: u64,
    held: DurableBytes,
}

/// Where the durable bytes of a segment are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DurableBytes {
    /// On disk in their place.
    Synced,
    /// Some of them in the journal only.
    InJournal,
    /// So, and a sync of the segment has failed: the journal must stay as it is.
    Lost,
}

/// Batches that wait for the end of the round.
#[derive(Debug, Default)]
struct StagedBatches {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    replies: Vec<(Reply<Appended>, Appended)>,
}

impl ShardWriter {
    /// Goes on with a shard that recovery has opened.
    pub(crate) fn open(
        dir: PathBuf,
        shard: ShardKey,
        options: &LogOptions,
        recovered: RecoveredFolder,
    ) -> (Self, Arc<ShardView>) {
        let active = recovered.segments.last().map(Active::of);
        let next = recovered.ledger.next();
        let agreement = recovered.state.current().agreement;
        let view = Arc::new(ShardView::new(shard, recovered.segments, next, agreement));
        let writer = Self {
            shard,
            dir,
            options: options.clone(),
            view: view.clone(),
            ledger: recovered.ledger,
            state: recovered.state,
            committed: next,
            active,
            staged: StagedBatches::default(),
            is_stopped: false,
        };
        (writer, view)
    }

    /// Writes what is staged; `true` when there is something to sync.
    pub(crate) fn write(&mut self) -> bool {
        if self.staged.bytes.is_empty() {
            return false;
        }
        let Some(active) = &self.active else {
            return false;
        };
        let Err(error) = write_all_at(active.file.as_ref(), active.len, &self.staged.bytes) else {
            return true;
        };
        // A whole batch may stand before the torn one; it was refused, so it must not come back.
        let cut = active.file.truncate(active.len);
        let undone = cut.and_then(|()| active.file.sync());
        let path = active.path.clone();
        let failure = match undone {
            Ok(()) if is_disk_full(&error) => LogError::DiskFull { shard: self.shard },
            Ok(()) => {
                self.is_stopped = true;
                LogError::io("write", &path, error)
            }
            Err(second) => {
                self.lose();
                self.stop(second)
            }
        };
        tracing::warn!(shard = %self.shard, error = %failure, "append was refused");
        self.refuse(&failure);
        false
    }

    /// Returns the bytes that are staged.
    pub(crate) fn num_staged(&self) -> usize {
        self.staged.bytes.len()
    }

    /// Returns what was written, for the journal.
    pub(crate) fn part(&self) -> Option<Part<'_>> {
        let active = self.active.as_ref()?;
        Some(Part {
            shard: self.shard,
            first: active.first,
            offset: active.len,
            bytes: &self.staged.bytes,
        })
    }

    /// Notes that what was written is durable in the journal.
    pub(crate) fn leave_to_journal(&mut self) {
        if let Some(active) = &mut self.active
            && active.held == DurableBytes::Synced
        {
            active.held = DurableBytes::InJournal;
        }
    }

    /// Returns the segment that is written to, to be synced; then [`Self::settle`] must be told.
    pub(crate) fn segment(&self) -> Option<Arc<dyn File>> {
        Some(self.active.as_ref()?.file.clone())
    }

    /// As [`Self::segment`], when the journal has bytes of it.
    pub(crate) fn unsynced(&self) -> Option<Arc<dyn File>> {
        let active = self.active.as_ref();
        let active = active.filter(|active| active.held == DurableBytes::InJournal)?;
        Some(active.file.clone())
    }

    /// Returns whether a sync failed where the journal has what may be lost here.
    pub(crate) fn needs_journal(&self) -> bool {
        let active = self.active.as_ref();
        active.is_some_and(|active| active.held == DurableBytes::Lost)
    }

    /// Takes note of a sync of the segment; `true` when all that was written is durable.
    pub(crate) fn settle(&mut self, synced: io::Result<()>) -> bool {
        let Some(active) = &mut self.active else {
            return false;
        };
        let Err(error) = synced else {
            // A later sync that succeeds says nothing of one that failed.
            if active.held == DurableBytes::InJournal {
                active.held = DurableBytes::Synced;
            }
            return true;
        };
        self.lose();
        tracing::error!(shard = %self.shard, %error, "sync failed, shard takes no more appends");
        let failure = self.stop(error);
        self.refuse(&failure);
        false
    }

    /// Notes that a sync of the segment failed: what the journal has of it may be nowhere else.
    fn lose(&mut self) {
        if let Some(active) = &mut self.active
            && active.held == DurableBytes::InJournal
        {
            active.held = DurableBytes::Lost;
        }
    }

    /// Shows the durable batches to readers and answers their writers.
    pub(crate) fn publish(&mut self) {
        let staged = std::mem::take(&mut self.staged);
        if let Some(active) = &mut self.active
            && !staged.bytes.is_empty()
        {
            active.len += staged.bytes.len() as u64;
            self.ledger.commit();
            self.committed = self.ledger.next();
            self.view
                .publish(self.committed, active.len, &staged.entries);
            self.write_floor(self.floor());
        }
        for (reply, appended) in staged.replies {
            answer(reply, Ok(appended));
        }
    }

    /// Raises the fence, durably, and with it all that the state file has.
    pub(crate) fn fence(&mut self, term: PrimaryTerm) -> Result<Option<SeqNo>, LogError> {
        self.check()?;
        let is_durable = self.state.current() == self.floor() && !self.state.is_dirty();
        if term != self.ledger.fence() || !is_durable {
            let before = self.ledger.fence();
            self.ledger.raise_fence(term)?;
            if let Err(error) = self.store(self.floor()) {
                self.ledger.restore_fence(before);
                return Err(error);
            }
        }
        Ok(self.ledger.tail())
    }

    /// Returns where a producer's append stands, if the shard remembers it.
    pub(crate) fn produced(
        &self,
        producer: ProducerSequence,
    ) -> Result<Option<Appended>, LogError> {
        self.check()?;
        Ok(self.ledger.produced(producer))
    }

    /// Returns the last seq_no.
    pub(crate) fn tail(&self) -> Option<SeqNo> {
        self.ledger.tail()
    }

    /// Returns where terms begin.
    pub(crate) fn terms(&self) -> Result<TermTable, LogError> {
        self.view.check()?;
        Ok(self.ledger.terms().clone())
    }

    /// Returns what is known of the records before a position.
    pub(crate) fn base_at(&self, at: SeqNo) -> Result<Option<LogBase>, LogError> {
        let chain = match at.0.cmp(&self.committed) {
            Ordering::Greater => None,
            Ordering::Equal => Some(self.ledger.chain()),
            Ordering::Less => self.view.chain_before(at)?,
        };
        self.view.check()?;
        Ok(chain.map(|chain| self.ledger.base_at(at, chain)))
    }

    /// Removes whole segments below a position.
    pub(crate) fn trim(&mut self, below: SeqNo) -> Result<SeqNo, LogError> {
        self.check()?;
        let first = self.view.trim_point(below);
        if first <= SeqNo(self.state.current().first) {
            return Ok(first);
        }
        let state = State {
            first: first.0,
            ..self.floor()
        };
        self.store(state)?;
        self.ledger.trim(first);
        for path in self.view.drop_segments(first) {
            if let Err(error) = self.options.files.remove_file(&path) {
                // The state file says it is trimmed: the next opening removes it.
                tracing::warn!(path = %path.display(), %error, "trimmed segment was not removed");
            }
        }
        Ok(first)
    }

    /// Notes what has changed beside the records since the last floor.
    pub(crate) fn note_floor(&mut self) {
        let floor = self.floor();
        if floor != self.state.current() && !self.is_stopped {
            self.write_floor(floor);
        }
    }

    /// Writes the floor, which a sync makes durable. A full disk holds it up: what it says can wait, and the next one
    /// says more.
    fn write_floor(&mut self, floor: State) {
        match self.state.note(floor) {
            Err(error) if is_disk_full(&error) => {
                tracing::warn!(shard = %self.shard, "disk is full, the floor of a log stays behind");
            }
            noted => self.stop_on_error(noted, "floor could not be written"),
        }
    }

    /// Stores a state. A full disk refuses it, and nothing has changed.
    fn store(&mut self, state: State) -> Result<(), LogError> {
        self.state.store(state).map_err(|fault| match fault {
            StoreFault::Refused(error) if is_disk_full(&error) => {
                LogError::DiskFull { shard: self.shard }
            }
            fault => self.stop(fault.into_source()),
        })
    }

    /// Returns the file of a floor that is not durable, to be synced; then [`Self::settle_floor`] must be
    /// told.
    pub(crate) fn unsynced_floor(&self) -> Option<Arc<dyn File>> {
        self.state.is_dirty().then(|| self.state.file())
    }

    /// Takes note of a sync of the floor.
    pub(crate) fn settle_floor(&mut self, synced: io::Result<()>) {
        if synced.is_ok() {
            self.state.settle();
        }
        self.stop_on_error(synced, "floor could not be synced");
    }

    /// Leaves both slots of the state file with the last floor.
    pub(crate) fn close(&mut self) {
        if !self.is_stopped {
            let stored = self.state.store(self.floor());
            let stored = stored.map_err(StoreFault::into_source);
            self.stop_on_error(stored, "floor could not be written");
        }
    }

    fn floor(&self) -> State {
        State {
            fence: self.ledger.fence(),
            first: self.state.current().first,
            floor: self.committed,
            agreement: self.view.agreement(),
            is_cut: false,
        }
    }

    /// Refuses when damage was found, or a sync has failed.
    pub(crate) fn check(&self) -> Result<(), LogError> {
        self.view.check()?;
        if self.is_stopped {
            return Err(LogError::Poisoned { shard: self.shard });
        }
        Ok(())
    }

    fn refuse(&mut self, error: &LogError) {
        self.ledger.rollback();
        for (reply, _) in std::mem::take(&mut self.staged).replies {
            answer(reply, Err(error.clone()));
        }
    }

    /// Takes no more appends: what the last one left on disk is not known.
    fn stop(&mut self, error: io::Error) -> LogError {
        self.is_stopped = true;
        LogError::Indeterminate {
            shard: self.shard,
            source: Some(Arc::new(error)),
        }
    }

    /// Stops over the state file. Records are durable without it, so their writers are told so.
    fn stop_on_error(&mut self, result: io::Result<()>, what: &str) {
        if let Err(error) = result {
            tracing::error!(shard = %self.shard, %error, what, "shard takes no more appends");
            self.is_stopped = true;
        }
    }
}

/// Returns the folder of a shard.
pub(crate) fn shard_dir(root: &Path, shard: ShardKey) -> PathBuf {
    root.join(shard.index.to_string())
        .join(shard.shard.to_string())
}

fn refused(action: &'static str, path: &Path, shard: ShardKey, error: io::Error) -> LogError {
    if is_disk_full(&error) {
        LogError::DiskFull { shard }
    } else {
        LogError::io(action, path, error)
    }
}

/// Sends an answer; a caller that no longer waits does not get it.
pub(crate) fn answer<T>(reply: Reply<T>, result: Result<T, LogError>) {
    drop(reply.send(result));
}

//! A shard copy's index as `leaf` holds it: operations in, views out, durable commits.

mod figures;
mod options;
mod pinned;
mod rebuild;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use gleaner_analysis::AnalyzerRegistry;
use gleaner_log::files::Files;
use gleaner_model::{Generation, Mapping, Operation, OperationKind, SeqNo, ShardKey};
use gleaner_query::answer::ViewId;
use parking_lot::Mutex;
use tantivy::{FutureResult, ReloadPolicy, Searcher, SegmentMeta};

pub use options::{Checkpoint, SegmentStats, ShardMeta, ShardOptions, ShardStats};
pub use pinned::{PinnedCommit, PinnedFile};

use crate::EngineError;
use crate::directory::{Access, Completeness, Pace, ShardDirectory, Verification};
use crate::schema::Fields;
use crate::schema::document::{DocumentBuilder, PreparedDocument};
use crate::view::{View, ViewParts};
use crate::writer::{ForcedMerge, MergeCounts, RunningMerge, Seat, Share, SharedBuilder, Writer};

/// Times that a forced merge is begun before one that fails is told. Those that the schema outgrew do
/// not count.
const MERGE_ATTEMPTS: usize = 4;

/// One shard copy's index; share it by `Arc`.
pub struct ShardIndex {
    key: ShardKey,
    directory: ShardDirectory,
    analyzers: Mutex<Arc<AnalyzerRegistry>>,
    writer: Arc<Mutex<Writer>>,
    builder: SharedBuilder,
    share: Arc<Share>,
    merges: Arc<MergeCounts>,
    view: ArcSwap<View>,
    next_view: AtomicU64,
    /// The directory's count of meta changes that the view was taken at.
    seen_meta: AtomicU64,
    /// That of the writer; dropped last.
    presence: Arc<()>,
}

impl ShardIndex {
    /// Opens the index in `folder` at its last durable commit, or makes an empty one.
    ///
    /// Operations from the checkpoint's `next_seq_no` on must be applied again. No other process may
    /// have the folder open: that is the caller's care.
    ///
    /// # Errors
    /// [`EngineError::Newer`], [`EngineError::Damaged`], [`EngineError::Corrupt`], [`EngineError::Io`].
    pub fn open(
        folder: &Path,
        meta: ShardMeta,
        options: ShardOptions,
    ) -> Result<(Self, Checkpoint), EngineError> {
        let files = Arc::clone(&options.files);
        let access = Access {
            shard: identity(meta.key),
            reading: options.reading,
            verification: options.verification,
        };
        let (directory, commit) = ShardDirectory::open(folder, files, access)?;
        let ShardMeta {
            key,
            name,
            mapping,
            analyzers,
        } = meta;
        let documents = Arc::clone(&options.documents);
        let writer = Writer::open(
            directory.clone(),
            commit.as_ref(),
            mapping,
            Arc::clone(&analyzers),
            options,
        )?;
        let generation = writer.generation();
        let parts = ViewParts {
            id: ViewId(0),
            generation,
            index_name: name,
            mapping: Arc::clone(writer.mapping()),
            analyzers: Arc::clone(&analyzers),
            fields: Arc::clone(writer.fields()),
            searcher: open_searcher(&writer)?,
            documents,
            folder: directory.mapped_folder(),
        };
        let index = Self {
            key,
            seen_meta: AtomicU64::new(directory.meta_changes()),
            directory,
            analyzers: Mutex::new(analyzers),
            share: Arc::clone(writer.share()),
            merges: Arc::clone(writer.merge_counts()),
            builder: Arc::clone(writer.builder()),
            presence: Arc::clone(writer.presence()),
            writer: Arc::new(Mutex::new(writer)),
            view: ArcSwap::from_pointee(View::new(parts, None)?),
            next_view: AtomicU64::new(1),
        };
        index.share.belongs_to(&index.writer);
        Ok((
            index,
            Checkpoint {
                next_seq_no: generation.visible,
                generation,
            },
        ))
    }

    /// Returns whether `folder` holds a durable commit.
    pub fn is_committed(folder: &Path, files: &dyn Files) -> bool {
        ShardDirectory::is_committed(folder, files)
    }

    /// Returns the position after the last operation of the durable commit in `folder`; `None` where there is none. The copy
    /// may be open.
    ///
    /// # Errors
    /// [`EngineError::Damaged`], [`EngineError::Corrupt`], [`EngineError::Io`].
    pub fn committed(
        folder: &Path,
        key: ShardKey,
        files: &dyn Files,
    ) -> Result<Option<SeqNo>, EngineError> {
        let commit = ShardDirectory::commit_in(folder, files, &identity(key))?;
        Ok(commit.map(|commit| commit.next_seq_no))
    }

    /// Checks all files of the copy against the checksums with which they were written. Blocks.
    ///
    /// # Errors
    /// [`EngineError::Damaged`]: then it may serve no more. [`EngineError::Io`] tells nothing.
    pub fn verify(&self, how: Verification, pace: &mut dyn Pace) -> Result<(), EngineError> {
        self.directory.verify(how, pace)
    }

    /// Refuses once a mapped file was cut, or could not be read, while the copy was open: zeros were read in place of what
    /// is gone. Whoever reads the copy asks after it has read, before it tells what it found.
    ///
    /// # Errors
    /// [`EngineError::Damaged`]: the copy is to be opened again.
    pub fn check_uncut(&self) -> Result<(), EngineError> {
        self.directory.check_uncut().map_err(EngineError::Damaged)
    }

    /// Says that files may be damaged: they are to be checked soon.
    pub fn suspect(&self) {
        self.directory.suspect();
    }

    /// Returns whether somebody said so since [`Self::take_suspicion`] was last called.
    pub fn is_suspect(&self) -> bool {
        self.directory.is_suspect()
    }

    /// Returns whether somebody said so since this was last asked: a merge does that found damage.
    pub fn take_suspicion(&self) -> bool {
        self.directory.take_suspicion()
    }

    /// Returns whether the last durable commit names the checksums of its files: one of an earlier
    /// version does not, and the next one will.
    pub fn is_listed(&self) -> bool {
        self.directory.is_listed()
    }

    /// Returns the shard.
    pub fn key(&self) -> ShardKey {
        self.key
    }

    /// Takes a newer mapping, with the analyzers of the index's settings; an older one is ignored.
    ///
    /// Searches know it at once, over the documents that they see anyway: a copy that no document comes to would
    /// else refuse to sort by a field that other shards of the index have.
    pub fn set_mapping(&self, mapping: Arc<Mapping>, analyzers: Arc<AnalyzerRegistry>) {
        let mut writer = self.writer.lock();
        if mapping.version <= writer.mapping().version {
            return;
        }
        *self.analyzers.lock() = Arc::clone(&analyzers);
        writer.set_mapping(mapping, analyzers);
        let before = self.view.load_full();
        match self.next_view(&writer, before.generation(), &before, false) {
            Ok(after) => self.view.store(Arc::new(after)),
            Err(error) => tracing::warn!(%error, "a new mapping is shown by the next refresh"),
        }
    }

    /// Returns what lives until this and its indexing threads have ended: who removes or opens the folder again waits for
    /// that. An `Arc` of this is gone before, when dropping it begins.
    pub fn presence(&self) -> Weak<()> {
        Arc::downgrade(&self.presence)
    }

    /// Returns whether the documents are known to have all fields that they brought: those of a new copy have,
    /// and those of one that was looked through ([`View::lacking_fields`]).
    pub fn is_complete(&self) -> bool {
        self.writer.lock().completeness() == Completeness::Complete
    }

    /// Notes that the documents have all fields that they brought. The next commit remembers it.
    pub fn set_complete(&self) {
        self.writer.lock().set_complete();
    }

    /// Returns the operation that is due next.
    pub fn next_seq_no(&self) -> SeqNo {
        self.writer.lock().next_seq_no()
    }

    /// Applies one operation of the log; it becomes visible with the next refresh.
    ///
    /// Operations come in order; one that was applied before is skipped. The content of a document
    /// never fails it: values that the mapping does not take are left out. An `Index` operation of
    /// version 1 is taken to have no live document of its id (the version map decided that when it
    /// was ordered), so nothing is looked up; a caller that sets version 1 over a live document
    /// (external versions) has to order a delete first.
    ///
    /// # Errors
    /// [`EngineError::Gap`] and [`EngineError::MappingBehind`] change nothing. After any other the
    /// copy is [`EngineError::Poisoned`] and must be opened again.
    pub fn apply(&self, seq_no: SeqNo, op: &Operation) -> Result<(), EngineError> {
        self.apply_all(seq_no, std::slice::from_ref(op), &mut [])
    }

    /// As [`Self::apply`], for operations that follow each other from `first` on. What was prepared of
    /// their documents ([`Self::builder`]) stands at their places in `prepared`, which may be shorter, and
    /// is taken out.
    ///
    /// # Errors
    /// As [`Self::apply`]; operations before the one that was refused are applied.
    pub fn apply_all(
        &self,
        first: SeqNo,
        operations: &[Operation],
        prepared: &mut [Option<PreparedDocument>],
    ) -> Result<(), EngineError> {
        // Waited for before the writer is locked: others need that for moments.
        let seat = self.needs_seat(operations).then(|| Seat::take(&self.share));
        let mut writer = self.writer.lock();
        if let Some(seat) = seat {
            writer.sit(seat);
        }
        writer.apply_all(first, operations, prepared)
    }

    fn needs_seat(&self, operations: &[Operation]) -> bool {
        let changes = |operation: &Operation| match operation.kind {
            OperationKind::Index { .. } | OperationKind::Delete { .. } => true,
            OperationKind::Refresh | OperationKind::NoOp => false,
        };
        !self.share.has_seat() && operations.iter().any(changes)
    }

    /// As [`Self::apply_all`] when that can be done without waiting; else `None`, and nothing is
    /// done: somebody uses the writer, or it has to be opened, or too many documents wait.
    pub fn try_apply_all(
        &self,
        first: SeqNo,
        operations: &[Operation],
        prepared: &mut [Option<PreparedDocument>],
    ) -> Option<Result<(), EngineError>> {
        let mut writer = self.writer.try_lock()?;
        let can_apply = writer.can_apply_now(operations);
        can_apply.then(|| writer.apply_all(first, operations, prepared))
    }

    /// Returns what prepares documents for [`Self::apply_all`]. It changes with the mapping: what an
    /// earlier one prepared is read again when it is applied.
    pub fn builder(&self) -> Arc<DocumentBuilder> {
        self.builder.load_full()
    }

    /// Returns whether this copy should put its documents into a segment: the node's indexing memory
    /// is used up, and this copy holds most of it. A copy that goes on being written to does so by
    /// itself.
    pub fn must_give_way(&self) -> bool {
        self.writer
            .try_lock()
            .is_some_and(|writer| writer.must_flush())
    }

    /// Puts the documents applied so far into a segment; searches do not see it before the next
    /// refresh.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn give_way(&self) -> Result<(), EngineError> {
        self.writer.lock().flush()
    }

    /// Makes what was applied visible, without fsync; returns what searches see now.
    ///
    /// `visible` is the number of log records that must be visible afterwards (the seq_no after the
    /// refresh record). When nothing was applied the view stays the same; when only merges ended,
    /// it is a new one of the same generation.
    ///
    /// # Errors
    /// [`EngineError::Gap`] when operations below `visible` are missing; as [`Self::apply`].
    pub fn refresh(&self, visible: SeqNo) -> Result<Generation, EngineError> {
        let mut writer = self.writer.lock();
        if writer.next_seq_no() < visible {
            return Err(EngineError::Gap {
                expected: writer.next_seq_no(),
                found: visible,
            });
        }
        writer.flush()?;
        let before = self.view.load_full();
        let generation = writer.generation();
        let is_same_mapping = writer.mapping().version == before.mapping().version;
        let meta_changes = self.directory.meta_changes();
        let has_changed = meta_changes != self.seen_meta.load(Ordering::Acquire);
        if has_changed || generation != before.generation() || !is_same_mapping {
            let after = self.next_view(&writer, generation, &before, has_changed)?;
            self.view.store(Arc::new(after));
            self.seen_meta.store(meta_changes, Ordering::Release);
        }
        Ok(generation)
    }

    /// Makes the view after `before`; segments are opened again only when they `changed`.
    fn next_view(
        &self,
        writer: &Writer,
        generation: Generation,
        before: &View,
        changed: bool,
    ) -> Result<View, EngineError> {
        let searcher = if changed {
            open_searcher(writer)?
        } else {
            before.searcher().clone()
        };
        let is_same_mapping = before.fields().mapping_version() == writer.mapping().version;
        let fields = if is_same_mapping && !changed {
            Arc::clone(before.shared_fields())
        } else {
            Arc::new(Fields::new(writer.mapping(), searcher.schema())?)
        };
        let parts = ViewParts {
            id: ViewId(self.next_view.fetch_add(1, Ordering::Relaxed)),
            generation,
            index_name: before.index_name().clone(),
            mapping: Arc::clone(writer.mapping()),
            analyzers: Arc::clone(&self.analyzers.lock()),
            fields,
            searcher,
            documents: Arc::clone(before.documents()),
            folder: self.directory.mapped_folder(),
        };
        View::new(parts, Some(before))
    }

    /// Makes everything applied durable: files first, then the meta with the checkpoint inside.
    ///
    /// Searches see nothing new by it.
    ///
    /// # Errors
    /// As [`Self::apply`]; the commit before still stands.
    pub fn commit(&self) -> Result<Checkpoint, EngineError> {
        self.writer.lock().prepare_persist()?;
        // Applying goes on while the disk is busy: the directory has pinned what it writes.
        let commit = self.directory.persist();
        if commit.is_err() {
            self.writer.lock().poison();
        }
        let commit = commit?;
        Ok(Checkpoint {
            next_seq_no: commit.next_seq_no,
            generation: commit.generation(self.view().generation().history),
        })
    }

    /// Merges down to at most `max_segments` segments (at least 1) and waits; shown by the next
    /// refresh. Operations are applied meanwhile; what they add is not merged.
    ///
    /// # Errors
    /// As [`Self::apply`]. A merge that fails leaves everything as it was.
    pub fn force_merge(&self, max_segments: usize) -> Result<(), EngineError> {
        let merged = self.merge_down(max_segments.max(1), FutureResult::wait);
        self.writer.lock().resume_merging();
        merged
    }

    /// Merges, and begins again when that came to nothing: as often as the schema grows meanwhile, which
    /// ends where the mapping is full, and else a few times.
    fn merge_down(
        &self,
        max_segments: usize,
        mut wait: impl FnMut(RunningMerge) -> tantivy::Result<Option<SegmentMeta>>,
    ) -> Result<(), EngineError> {
        let mut attempts_left = MERGE_ATTEMPTS;
        loop {
            // Its own outcome does not matter: the segment may be part of a merge that runs.
            let barrier = self.writer.lock().start_merge(ForcedMerge::Barrier)?;
            if let Some(barrier) = barrier {
                drop(barrier.wait());
            }
            let (merge, num_growths) = {
                let mut writer = self.writer.lock();
                let merge = writer.start_merge(ForcedMerge::Down(max_segments))?;
                (merge, writer.num_growths())
            };
            let error = match merge.map(&mut wait) {
                None | Some(Ok(_)) => return Ok(()),
                Some(Err(error)) => error,
            };
            let has_grown = self.writer.lock().num_growths() != num_growths;
            attempts_left -= usize::from(!has_grown);
            if attempts_left == 0 {
                // Damaged segments may be why.
                self.suspect();
                return Err(error.into());
            }
            tracing::debug!(%error, has_grown, "a forced merge is tried again");
        }
    }

    /// Gives back the writer's memory and threads, after waiting for running merges; the next write
    /// takes them again. Nothing is made durable.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn close_writer(&self) -> Result<(), EngineError> {
        self.writer.lock().close()
    }

    /// As [`Self::close_writer`], unless segments are being merged: returns whether it is closed.
    /// Nobody waits for a merge then, which may take minutes.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn close_writer_unless_merging(&self) -> Result<bool, EngineError> {
        let mut writer = self.writer.lock();
        writer.flush()?;
        if writer.is_merging()? {
            return Ok(false);
        }
        writer.close().map(|()| true)
    }

    /// Makes everything applied durable, and then gives up the writer with the merges that run: their
    /// segments stay as they are.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn close(&self) -> Result<Checkpoint, EngineError> {
        let checkpoint = self.commit()?;
        self.writer.lock().give_up();
        Ok(checkpoint)
    }

    /// Returns the newest view; it stays as it is for as long as it is held.
    pub fn view(&self) -> Arc<View> {
        self.view.load_full()
    }
}

impl Drop for ShardIndex {
    /// Another copy's thread may be closing the writer for the sake of a seat: the folder is free after it.
    fn drop(&mut self) {
        self.writer.lock().give_up();
    }
}

/// Returns how a commit on disk names its shard: by the index's UUID, never by its name, which another index may have
/// later.
fn identity(key: ShardKey) -> String {
    format!("{}/{}", key.index, key.shard)
}

fn open_searcher(writer: &Writer) -> Result<Searcher, EngineError> {
    let reader = writer
        .index()
        .reader_builder()
        .reload_policy(ReloadPolicy::Manual)
        .try_into()?;
    Ok(reader.searcher())
}

#[cfg(test)]
mod tests;

//! The one writer of a shard copy: operations in, in log order; refresh and durable commit.
//!
//! tantivy's writer costs threads and memory, so it is opened by the first write and can be closed
//! when idle. A field that the schema lacks makes the schema grow: see [`growth`].

mod backlog;
mod creation;
mod growth;
mod marks;
mod memory;
mod merging;
mod seats;

use std::sync::Arc;

use arc_swap::ArcSwap;
use gleaner_analysis::AnalyzerRegistry;
use gleaner_model::{
    DocumentId, Generation, Mapping, MappingVersion, Operation, OperationKind, SeqNo,
};
use tantivy::index::Index;
use tantivy::indexer::{IndexWriterOptions, PreparedCommit};
use tantivy::{IndexWriter, TantivyError, Term};

pub use marks::{ApplyMarks, LeftMarks, MarkedOperation, ShardMarks};
pub use memory::IndexingMemory;
pub(crate) use merging::{ForcedMerge, MergeCounts, RunningMerge};
pub use merging::{MergeOptions, MergeStats, merges_begun};

use backlog::{Batch, QueuedDocument, waiting_bytes};
use creation::create;
use marks::WriterMark;
pub(crate) use memory::Share;
use merging::RunningMerges;
pub(crate) use seats::Seat;

use crate::directory::{CommitMeta, Completeness, ShardDirectory};
use crate::schema::document::{DocumentBuilder, Identity, PreparedDocument};
use crate::schema::fields::Fields;
use crate::schema::tokens;
use crate::{EngineError, ShardOptions};

/// What builds documents, as it is at the moment: primaries prepare documents with it.
pub(crate) type SharedBuilder = Arc<ArcSwap<DocumentBuilder>>;

/// Applies operations to the index; one per copy, behind a lock.
pub(crate) struct Writer {
    directory: ShardDirectory,
    options: ShardOptions,
    mapping: Arc<Mapping>,
    analyzers: Arc<AnalyzerRegistry>,
    index: Index,
    fields: Arc<Fields>,
    builder: SharedBuilder,
    /// The mapping whose fields the schema is known to hold.
    covered: Option<MappingVersion>,
    /// `None` until the first write and after a pause.
    tantivy: Option<IndexWriter<QueuedDocument>>,
    /// What allows it to be open.
    seat: Option<Seat>,
    /// Where it notes its operations while it is open.
    mark: Option<Arc<WriterMark>>,
    share: Arc<Share>,
    begun: RunningMerges,
    /// Applied, and not handed to tantivy yet.
    batch: Batch,
    next_seq_no: SeqNo,
    /// The newest mapping that an applied operation was ordered under: the same on every copy that
    /// applied the same operations, whatever else its node has heard of.
    ordered_under: MappingVersion,
    completeness: Completeness,
    /// Operations that the meta in memory does not hold yet.
    num_pending: u64,
    /// Times that the schema grew since the copy was opened.
    num_growths: u64,
    /// Set by a failure that leaves the state of tantivy's writer unknown.
    is_poisoned: bool,
    /// Dropped last, when tantivy's writer has ended its threads.
    presence: Arc<()>,
}

impl Writer {
    /// Opens the index in `directory`, at `commit` or empty.
    pub(crate) fn open(
        directory: ShardDirectory,
        commit: Option<&CommitMeta>,
        mapping: Arc<Mapping>,
        analyzers: Arc<AnalyzerRegistry>,
        options: ShardOptions,
    ) -> Result<Self, EngineError> {
        if commit.is_none() {
            create(&directory, &mapping)?;
        }
        let share = Share::new(&options.memory);
        let index = growth::open_index(&directory, &share)?;
        let fields = Arc::new(Fields::new(&mapping, &index.schema())?);
        let builder = DocumentBuilder::new(&mapping, &analyzers, Arc::clone(&fields));
        let next_seq_no = commit.map_or(SeqNo(0), |commit| commit.next_seq_no);
        let ordered_under = commit.map_or(mapping.version, |commit| commit.mapping);
        let mut writer = Self {
            directory,
            options,
            mapping,
            analyzers,
            index,
            fields,
            builder: Arc::new(ArcSwap::from_pointee(builder)),
            covered: None,
            tantivy: None,
            seat: None,
            mark: None,
            share,
            begun: RunningMerges::default(),
            batch: Batch::default(),
            next_seq_no,
            ordered_under,
            completeness: commit.map_or(Completeness::Unknown, |commit| commit.completeness),
            num_pending: 0,
            num_growths: 0,
            is_poisoned: false,
            presence: Arc::default(),
        };
        writer.register_analyzers();
        if commit.is_none() {
            writer.write_checkpoint()?;
        }
        Ok(writer)
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// Returns what lives until the writer and its threads have ended.
    pub(crate) fn presence(&self) -> &Arc<()> {
        &self.presence
    }

    pub(crate) fn fields(&self) -> &Arc<Fields> {
        &self.fields
    }

    pub(crate) fn builder(&self) -> &SharedBuilder {
        &self.builder
    }

    pub(crate) fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }

    pub(crate) fn next_seq_no(&self) -> SeqNo {
        self.next_seq_no
    }

    /// Goes on at an operation beyond the one that is due; those between left nothing.
    pub(crate) fn go_on_at(
        &mut self,
        seq_no: SeqNo,
        ordered_under: MappingVersion,
    ) -> Result<(), EngineError> {
        if seq_no < self.next_seq_no {
            let expected = self.next_seq_no;
            return Err(EngineError::Gap {
                expected,
                found: seq_no,
            });
        }
        self.next_seq_no = seq_no;
        self.ordered_under = ordered_under;
        Ok(())
    }

    /// Returns what searches see once all that was applied is shown.
    pub(crate) fn generation(&self) -> Generation {
        Generation {
            mapping: self.ordered_under,
            visible: self.next_seq_no,
            history: self.options.history,
        }
    }

    /// Returns whether the documents are known to have all their fields.
    pub(crate) fn completeness(&self) -> Completeness {
        self.completeness
    }

    /// Notes that the documents have all their fields; the next durable commit says so.
    pub(crate) fn set_complete(&mut self) {
        self.completeness = Completeness::Complete;
    }

    /// Returns what a commit says of itself.
    fn payload(&self) -> String {
        CommitMeta::payload(self.next_seq_no, self.ordered_under, self.completeness)
    }

    /// Returns how often the schema grew, each time at the cost of the merges that ran.
    pub(crate) fn num_growths(&self) -> u64 {
        self.num_growths
    }

    pub(crate) fn is_open(&self) -> bool {
        self.tantivy.is_some()
    }

    /// Takes a newer mapping; the schema follows when a document needs it.
    pub(crate) fn set_mapping(&mut self, mapping: Arc<Mapping>, analyzers: Arc<AnalyzerRegistry>) {
        if mapping.version > self.mapping.version {
            self.mapping = mapping;
            self.analyzers = analyzers;
        }
    }

    /// Applies operations; see [`crate::ShardIndex::apply_all`].
    pub(crate) fn apply_all(
        &mut self,
        first: SeqNo,
        operations: &[Operation],
        prepared: &mut [Option<PreparedDocument>],
    ) -> Result<(), EngineError> {
        let mut seq_no = first;
        let mut applied = Ok(());
        for (at, operation) in operations.iter().enumerate() {
            let prepared = prepared.get_mut(at).and_then(Option::take);
            applied = self.apply(seq_no, operation, prepared);
            if applied.is_err() {
                break;
            }
            seq_no = seq_no.next();
        }
        // Also what came before an operation that was refused.
        self.send()?;
        self.share.note_use();
        applied
    }

    /// Returns whether operations can be applied without waiting: not for a thread, a segment, or
    /// room in a queue.
    pub(crate) fn can_apply_now(&self, operations: &[Operation]) -> bool {
        let bytes = |operation: &Operation| match &operation.kind {
            OperationKind::Index { source, .. } => waiting_bytes(source.len()),
            OperationKind::Delete { .. } | OperationKind::Refresh | OperationKind::NoOp => 0,
        };
        let is_prepared = self.is_open() && self.covered == Some(self.mapping.version);
        is_prepared && self.share.has_room(operations.iter().map(bytes).sum())
    }

    fn apply(
        &mut self,
        seq_no: SeqNo,
        op: &Operation,
        prepared: Option<PreparedDocument>,
    ) -> Result<(), EngineError> {
        if seq_no < self.next_seq_no {
            return Ok(());
        }
        if seq_no > self.next_seq_no {
            return Err(EngineError::Gap {
                expected: self.next_seq_no,
                found: seq_no,
            });
        }
        if op.mapping > self.mapping.version {
            let have = self.mapping.version;
            return Err(EngineError::MappingBehind {
                have,
                needed: op.mapping,
            });
        }
        self.guarded(|writer| writer.apply_in_order(seq_no, op, prepared))?;
        self.next_seq_no = seq_no.next();
        self.ordered_under = self.ordered_under.max(op.mapping);
        Ok(())
    }

    fn apply_in_order(
        &mut self,
        seq_no: SeqNo,
        op: &Operation,
        prepared: Option<PreparedDocument>,
    ) -> Result<(), EngineError> {
        match &op.kind {
            OperationKind::Index {
                id,
                routing,
                version,
                source,
            } => {
                self.ensure_schema()?;
                let identity = Identity {
                    id,
                    routing: routing.as_deref(),
                    seq_no,
                    version: *version,
                    term: op.term,
                    mapping: op.mapping,
                };
                let mark = self.mark();
                let building = mark.as_ref().map(|mark| mark.builds(seq_no));
                let document = self.builder.load().build(&identity, source, prepared);
                drop(building);
                // A first version has nothing to replace: looking its id up in every segment would
                // cost more than indexing it.
                if version.0 != 1 {
                    self.delete(id);
                }
                self.batch.add(seq_no, document, source.len());
            }
            OperationKind::Delete { id, .. } => self.delete(id),
            OperationKind::Refresh | OperationKind::NoOp => {}
        }
        if self.batch.is_full() {
            self.send()?;
        }
        Ok(())
    }

    /// Returns where operations are noted, if they are.
    fn mark(&mut self) -> Option<Arc<WriterMark>> {
        if self.mark.is_none() {
            self.mark = self.options.marks.as_ref().and_then(ShardMarks::take);
        }
        self.mark.clone()
    }

    fn delete(&mut self, id: &DocumentId) {
        let term = Term::from_field_text(self.fields.system().id, id.as_str());
        self.batch.delete(term);
    }

    /// Hands the batch to tantivy; waits while too much waits there.
    fn send(&mut self) -> Result<(), EngineError> {
        if self.batch.len() == 0 {
            return Ok(());
        }
        self.guarded(|writer| {
            writer.num_pending += writer.batch.len() as u64;
            writer.tantivy()?;
            let Some(tantivy) = &writer.tantivy else {
                return Ok(());
            };
            if writer.batch.has_documents() {
                tantivy.run(writer.batch.take(&writer.share, writer.mark.clone()))?;
            } else {
                for term in writer.batch.take_deletions() {
                    tantivy.delete_term(term);
                }
            }
            Ok(())
        })
    }

    /// Puts what was applied into the meta in memory, with the checkpoint inside; no fsync.
    pub(crate) fn flush(&mut self) -> Result<(), EngineError> {
        self.send()?;
        self.guarded(|writer| {
            if writer.num_pending > 0 {
                let payload = writer.payload();
                let mut prepared: PreparedCommit<'_, QueuedDocument> =
                    writer.tantivy()?.prepare_commit()?;
                prepared.set_payload(&payload);
                prepared.commit()?;
                writer.num_pending = 0;
            }
            Ok(())
        })
    }

    /// Flushes, so that the meta in memory is what a durable commit has to write.
    pub(crate) fn prepare_persist(&mut self) -> Result<(), EngineError> {
        self.flush()?;
        self.guarded(|writer| {
            let commit = writer.meta_in_memory();
            let current = writer.generation();
            // Records that change no document move the checkpoint too.
            let is_same = |commit: CommitMeta| {
                commit.generation(current.history) == current
                    && commit.completeness == writer.completeness
            };
            if commit.is_ok_and(is_same) {
                return Ok(());
            }
            writer.write_checkpoint()
        })
    }

    /// Refuses everything from now on.
    pub(crate) fn poison(&mut self) {
        self.is_poisoned = true;
    }

    /// Returns the bytes of the segment in the making, estimated; 0 while the writer is closed.
    pub(crate) fn held_bytes(&self) -> usize {
        match &self.tantivy {
            Some(_) => self.share.buffered_bytes().max(memory::EMPTY_BYTES),
            None => 0,
        }
    }

    /// Returns whether the segment in the making should be written out: the node's indexing memory
    /// is used up, and this shard holds most of it.
    pub(crate) fn must_flush(&self) -> bool {
        self.share.must_flush()
    }

    /// Returns what the writer counts its segments in the making by.
    pub(crate) fn share(&self) -> &Arc<Share> {
        &self.share
    }

    /// Gives back the memory and threads of tantivy's writer; waits for running merges.
    pub(crate) fn close(&mut self) -> Result<(), EngineError> {
        self.flush()?;
        self.guarded(|writer| {
            if let Some(tantivy) = writer.tantivy.take() {
                tantivy.wait_merging_threads()?;
                writer.begun.retire(&writer.directory);
                writer.begun = writer.begun.of_next_writer();
            }
            writer.seat = None;
            writer.mark = None;
            Ok(())
        })
    }

    /// Gives back tantivy's writer without waiting for merges, whose results are thrown away.
    pub(crate) fn give_up(&mut self) {
        drop(self.tantivy.take());
        self.begun = self.begun.of_next_writer();
        self.seat = None;
        self.mark = None;
    }

    /// Returns tantivy's writer, opening it.
    fn tantivy(&mut self) -> Result<&mut IndexWriter<QueuedDocument>, EngineError> {
        if self.tantivy.is_none() {
            if self.seat.is_none() {
                self.seat = Some(Seat::take(&self.share));
            }
            let options = IndexWriterOptions::builder()
                .num_worker_threads(1)
                .memory_budget_per_thread(self.share.writer_limit())
                .num_merge_threads(1)
                .build();
            let writer: IndexWriter<QueuedDocument> = self.index.writer_with_options(options)?;
            // A writer numbers operations from the commit's own number on. A deletion of that number is
            // applied by a merge to some segments of the commit and passed over in those that the
            // commit deleted from, and is lost in those. No operation is to have it.
            writer.run(std::iter::empty())?;
            let policy = self.options.merges.policy(&self.begun, &self.directory);
            writer.set_merge_policy(policy);
            self.tantivy = Some(writer);
        }
        self.tantivy
            .as_mut()
            .ok_or_else(|| EngineError::internal("no writer"))
    }

    /// Runs `action` unless an earlier one failed; a failure is remembered.
    fn guarded<T>(
        &mut self,
        action: impl FnOnce(&mut Self) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        if self.is_poisoned {
            return Err(EngineError::Poisoned);
        }
        let result = action(self);
        self.is_poisoned = result.is_err();
        result.map_err(|error| self.with_cause(error))
    }

    /// Puts what the disk said in the place of an error that says no more than that a thread of tantivy has ended.
    fn with_cause(&self, error: EngineError) -> EngineError {
        let is_of_thread = matches!(error, EngineError::Tantivy(TantivyError::ErrorInThread(_)));
        match self.directory.failed_write().filter(|_| is_of_thread) {
            Some(source) => EngineError::io("writing a segment")(source),
            None => error,
        }
    }

    fn meta_in_memory(&self) -> Result<CommitMeta, EngineError> {
        let meta = self.directory.meta();
        let meta = meta.ok_or_else(|| EngineError::internal("the index has no meta"))?;
        CommitMeta::parse(&meta)
    }

    fn register_analyzers(&self) {
        tokens::register_analyzers(self.index.tokenizers(), &self.mapping, &self.analyzers);
    }
}

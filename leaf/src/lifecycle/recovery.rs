//! Opening shard copies: the last durable commit, then the log from there.
//!
//! Does: opens engines, puts open copies together, opens the only copies of shards: engine, term, replay. Does not:
//! open copies that agree with others ([`crate::agree`]). Called by: maintenance. Read first:
//! [`PrimaryOpening::open`].

use std::sync::Arc;
use std::time::Instant;

use gleaner_analysis::AnalyzerRegistry;
use gleaner_engine::EngineError;
use gleaner_engine::copy::{Checkpoint, ShardIndex, ShardMeta, ShardOptions};
use gleaner_engine::directory::Verification;
use gleaner_engine::document_cache::DocumentCache;
use gleaner_engine::writer::IndexingMemory;
use gleaner_model::{IndexMeta, MappingVersion, Operation, OperationKind, SeqNo, ShardKey};
use parking_lot::Mutex;

use crate::Leaf;
use crate::agree::identity::history_of;
use crate::copy::applier::{Applier, with_causes};
use crate::copy::apply_threads::ApplyThreads;
use crate::copy::checks::Checks;
use crate::copy::counters::Counters;
use crate::copy::flushes::Flushes;
use crate::copy::lease::{LeaseTerms, Leases};
use crate::copy::opening::OpeningProgress;
use crate::copy::pipeline::Pipeline;
use crate::copy::refresh::RefreshSignals;
use crate::copy::schema::{CopySchema, analyzers_of};
use crate::copy::shard::Shard;
use crate::lifecycle::healing::Unsound;
use crate::lifecycle::opening_order::OpeningOrder;
use crate::node::Node;
use crate::read::views::Views;
use crate::replicate::followers::Followers;
use crate::replicate::snapshots::Snapshots;
use crate::write::versions::{Latest, VersionMap, Written};
use crate::write::{Primary, WriteOrder};

/// Steps in which the bytes that a log is kept for followers are counted.
const STEPS: u64 = 64;

/// Largest page read from the log at once, in bytes.
pub(crate) const PAGE_BYTES: usize = 8 << 20;

/// Where a copy goes on from.
pub(crate) struct CopyStart {
    pub(crate) engine: Arc<ShardIndex>,
    pub(crate) index: Arc<IndexMeta>,
    pub(crate) analyzers: Arc<AnalyzerRegistry>,
    /// Position after the last record of the log.
    pub(crate) next: SeqNo,
    /// Position after the last operation that the engine has.
    pub(crate) applied: SeqNo,
    /// Operations before are in the last durable commit.
    pub(crate) committed: SeqNo,
}

/// Opens engines, and puts together what an open copy has.
pub(crate) struct Opener {
    pub(crate) node: Arc<Node>,
    /// Shared by the writers of all shards.
    pub(crate) indexing: Arc<IndexingMemory>,
    pub(crate) documents: Arc<DocumentCache>,
    pub(crate) applying: ApplyThreads,
    /// Bounds how many shards are opened at once, and chooses the next one.
    pub(crate) order: OpeningOrder,
}

impl Opener {
    /// Puts together a copy that has been opened. Where its last operation is a refresh, what it has may be shown.
    ///
    /// # Errors
    /// What is wrong with its log.
    pub(crate) async fn shard(&self, start: CopyStart) -> Result<Arc<Shard>, String> {
        let (key, applied) = (start.engine.key(), start.applied);
        let shard = self.unmarked(start);
        if self.is_refresh_before(key, applied).await? {
            shard.applier.mark(applied);
        }
        Ok(shard)
    }

    fn unmarked(&self, start: CopyStart) -> Arc<Shard> {
        let CopyStart {
            engine,
            index,
            analyzers,
            next,
            applied,
            committed,
        } = start;
        let (node, key) = (&self.node, engine.key());
        let options = &node.options;
        let step_bytes = (options.follower_log_bytes / STEPS).max(1);
        let terms = LeaseTerms {
            length: options.lease,
            quiet: options.lease_after,
        };
        let checked = match options.verify_at_opening {
            true => Instant::now(),
            false => node.started,
        };
        let has_content = next.max(applied) > SeqNo(0);
        let leases = Leases::new(terms, has_content.then_some(node.started));
        // A replica may have been away as long as this primary: it is waited for from now on.
        let followers = Arc::<Followers>::default();
        for node in node.other_copies_in(&index, key.shard) {
            followers.heard(&node, SeqNo(0), Instant::now());
        }
        let flushes = Flushes::new(committed, next);
        // A commit of an earlier version names no checksums: the next one does.
        flushes.set_wanted(!engine.is_listed());
        Arc::new(Shard {
            key,
            node: Arc::clone(node),
            schema: CopySchema::new(index, analyzers),
            applier: Applier::new(
                engine,
                applied,
                step_bytes,
                leases,
                Arc::clone(&node.grants),
            ),
            applying: self.applying.clone(),
            pipeline: Arc::new(Pipeline::new()),
            refreshes: RefreshSignals::new(),
            views: Views::default(),
            followers,
            driver: std::sync::OnceLock::new(),
            snapshots: Snapshots::default(),
            flushes,
            checks: Mutex::new(Checks::new(checked)),
            is_maintained: false.into(),
            counters: Counters::default(),
            opened_at: committed,
            opening: std::sync::OnceLock::new(),
        })
    }

    /// Returns whether the log holds a refresh record right before `position`.
    async fn is_refresh_before(&self, key: ShardKey, position: SeqNo) -> Result<bool, String> {
        let Some(last) = position.0.checked_sub(1) else {
            return Ok(false);
        };
        let record = self.node.log.read_one(key, SeqNo(last)).await;
        let record = record.map_err(|error| with_causes(&error))?;
        let operation = record.map(|record| Operation::decode(&record.payload));
        let operation = operation.transpose().map_err(|error| error.to_string())?;
        Ok(operation.is_some_and(|operation| operation.kind == OperationKind::Refresh))
    }

    /// Opens the engine in the copy's folder, at its last durable commit.
    pub(crate) async fn open_engine(
        &self,
        key: ShardKey,
        index: &Arc<IndexMeta>,
        analyzers: &Arc<AnalyzerRegistry>,
    ) -> Result<(ShardIndex, Checkpoint), EngineError> {
        let folders = self.node.folders(key);
        let (meta, mut options) = self.engine_parts(key, index, analyzers);
        let opened = tokio::task::spawn_blocking(move || {
            options.history = history_of(&folders)
                .map_err(EngineError::io("reading the copy that a folder is of"))?;
            ShardIndex::open(&folders.copy, meta, options)
        });
        let opened = opened.await;
        opened.unwrap_or_else(|error| Err(EngineError::internal(error.to_string())))
    }

    /// Returns what an engine of the copy is opened with.
    pub(crate) fn engine_parts(
        &self,
        key: ShardKey,
        index: &IndexMeta,
        analyzers: &Arc<AnalyzerRegistry>,
    ) -> (ShardMeta, ShardOptions) {
        let meta = ShardMeta {
            key,
            name: index.name_of_documents().clone(),
            mapping: Arc::clone(&index.mapping),
            analyzers: Arc::clone(analyzers),
        };
        let verification = match self.node.options.verify_at_opening {
            true => Verification::Content,
            false => Verification::Lengths,
        };
        let options = ShardOptions {
            memory: Arc::clone(&self.indexing),
            documents: Arc::clone(&self.documents),
            verification,
            marks: self.node.set_aside.marks_of(key),
            ..ShardOptions::default()
        };
        (meta, options)
    }
}

/// Which term a primary takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TermClaim {
    /// One above every older one.
    Above,
    /// The one that the shard was made with: it was never written.
    Current,
}

/// A copy that is being opened.
pub(crate) struct PrimaryOpening {
    pub(crate) leaf: Arc<Leaf>,
    pub(crate) key: ShardKey,
    pub(crate) opening: Arc<OpeningProgress>,
    pub(crate) index: Arc<IndexMeta>,
    pub(crate) analyzers: Arc<AnalyzerRegistry>,
}

impl PrimaryOpening {
    /// Begins with the analyzers of the index.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn new(
        leaf: &Arc<Leaf>,
        key: ShardKey,
        index: Arc<IndexMeta>,
        opening: Arc<OpeningProgress>,
    ) -> Result<Self, String> {
        Ok(Self {
            leaf: Arc::clone(leaf),
            key,
            opening,
            analyzers: analyzers_of(&index)?,
            index,
        })
    }

    /// Opens the copy: engine at its checkpoint, a new primary term, the log replayed, everything in it
    /// visible.
    ///
    /// # Errors
    /// Why it cannot be opened, for people.
    pub(crate) async fn open(&self) -> Result<Arc<Primary>, String> {
        let started = Instant::now();
        let (node, key, index) = (&self.leaf.node, self.key, &self.index);
        let (engine, checkpoint) = self.open_sound().await.map_err(Unsound::reason)?;
        let tail = node.log.tail(key).await;
        let tail = tail.map_err(|error| with_causes(&error))?;
        check_mapping(index.mapping.version, checkpoint.generation.mapping)?;
        check_tail(checkpoint, tail)?;
        self.check_presence().await?;
        let term = match tail.is_some() {
            true => self.take_term(TermClaim::Above).await?,
            false => self.take_term(TermClaim::Current).await?,
        };
        if tail.is_none() {
            // Nothing was written yet: whatever comes is indexed with all its fields.
            engine.set_complete();
        }
        let engine = Arc::new(engine);
        let next = tail.map_or(SeqNo(0), SeqNo::next);
        let committed = checkpoint.next_seq_no;
        let mut versions = VersionMap::default();
        let num_replayed = self.replay(&engine, committed, next, &mut versions).await?;
        let start = CopyStart {
            engine,
            index: Arc::clone(index),
            analyzers: Arc::clone(&self.analyzers),
            next,
            applied: next,
            committed,
        };
        let shard = self.leaf.opener.shard(start).await?;
        if num_replayed > 0 {
            shard.show_applied().await?;
            let took_ms = started.elapsed().as_millis() as u64;
            tracing::info!(shard = %key, num_replayed, took_ms, "log replayed");
        }
        shard.want_mark(next);
        // The commit may hold more than the process before has shown.
        shard.applier.leases.show().wait().await;
        let order = WriteOrder {
            term,
            next,
            versions,
        };
        let shared = Arc::clone(&self.leaf.writes);
        Ok(Arc::new(Primary::new(shard, order, shared)))
    }

    /// Applies records `from..to` of the log and remembers the tombstones among them; returns how
    /// many documents were written.
    async fn replay(
        &self,
        engine: &Arc<ShardIndex>,
        mut from: SeqNo,
        to: SeqNo,
        versions: &mut VersionMap,
    ) -> Result<u64, String> {
        let (node, key) = (&self.leaf.node, self.key);
        let mapping = self.index.mapping.version;
        let mut written = 0;
        while from < to {
            // What is not replayed now is with the next start.
            if node.is_stopping() {
                return Err("the node stops".to_owned());
            }
            let page = node.log.read(key, from, PAGE_BYTES).await;
            let page = page.map_err(|error| with_causes(&error))?;
            if page.records.is_empty() || page.first_available > from {
                let first = page.first_available;
                return Err(format!("its log begins at {first}, but {from} is needed"));
            }
            let engine = Arc::clone(engine);
            let applied = tokio::task::spawn_blocking(move || {
                let decoded = apply_page(&engine, &page.records, mapping)?;
                Ok::<_, String>((decoded, page.next))
            });
            let (operations, next) = applied.await.map_err(|error| error.to_string())??;
            written += operations
                .into_iter()
                .map(|(seq_no, operation)| u64::from(remember(versions, seq_no, operation)))
                .sum::<u64>();
            from = next;
        }
        Ok(written)
    }
}

fn apply_page(
    engine: &ShardIndex,
    records: &[gleaner_log::Record],
    mapping: MappingVersion,
) -> Result<Vec<(SeqNo, Operation)>, String> {
    let mut operations = Vec::with_capacity(records.len());
    for record in records {
        let operation = Operation::decode(&record.payload).map_err(|error| error.to_string())?;
        check_mapping(mapping, operation.mapping)?;
        engine
            .apply(record.seq_no, &operation)
            .map_err(|error| with_causes(&error))?;
        operations.push((record.seq_no, operation));
    }
    Ok(operations)
}

/// Keeps the tombstones of a replay: what is live will be visible, so only deletes would be
/// forgotten. Returns whether the operation wrote a document.
fn remember(versions: &mut VersionMap, seq_no: SeqNo, operation: Operation) -> bool {
    match operation.kind {
        OperationKind::Index { id, .. } => versions.forget(&id),
        OperationKind::Delete { id, version, .. } => {
            let latest = Latest {
                seq_no,
                term: operation.term,
                version,
                document: Written::Deleted(Instant::now()),
            };
            // The log has it: one that it takes the place of does not come back.
            versions.forget(&id);
            versions.put(id, latest);
        }
        OperationKind::Refresh | OperationKind::NoOp => return false,
    }
    true
}

/// The mapping in force may not be older than one that documents were written under: fields would be
/// missing from searches in silence.
pub(crate) fn check_mapping(in_force: MappingVersion, used: MappingVersion) -> Result<(), String> {
    if used <= in_force {
        return Ok(());
    }
    Err(format!(
        "the cluster state is an older one: its mapping of the index has version {in_force}, and documents \
         were written under version {used}. Put back the newest `cluster.json` that this server had, or the newest \
         state in etcd"
    ))
}

/// The index may not know more than the log: then the log has lost something.
pub(crate) fn check_tail(checkpoint: Checkpoint, tail: Option<SeqNo>) -> Result<(), String> {
    let next = tail.map_or(SeqNo(0), SeqNo::next);
    if checkpoint.next_seq_no <= next {
        return Ok(());
    }
    Err(format!(
        "its log ends before {next}, but operations up to {} were acknowledged: the log has lost \
         records; restore it from a copy",
        checkpoint.next_seq_no
    ))
}

#[cfg(test)]
mod tests;

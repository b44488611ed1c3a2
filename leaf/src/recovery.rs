//! Opening shard copies: the last durable commit, then the log from there.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use arc_swap::ArcSwap;
use gleaner_analysis::AnalyzerRegistry;
use gleaner_engine::EngineError;
use gleaner_engine::copy::{Checkpoint, ShardIndex, ShardMeta, ShardOptions};
use gleaner_engine::directory::Verification;
use gleaner_engine::schema::document::DocumentParser;
use gleaner_model::{
    IndexMeta, MappingVersion, NodeId, Operation, OperationKind, PrimaryTerm, SeqNo, ShardKey,
};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::Leaf;
use crate::applier::{Applier, with_causes};
use crate::followers::Followers;
use crate::healing::Patient;
use crate::lease::{LeaseTerms, Leases};
use crate::link::Link;
use crate::makers::Makers;
use crate::opening::Opening;
use crate::pipeline::Pipeline;
use crate::resting::Resting;
use crate::scrubber::Checks;
use crate::shard::{Counters, Flushes, Primary, Shard};
use crate::snapshots::Snapshots;
use crate::versions::{Latest, VersionMap, Written};
use crate::views::Views;
use crate::write::Gathering;

/// Steps in which the bytes that a log is kept for followers are counted.
const STEPS: u64 = 64;

/// Where a copy goes on from.
pub(crate) struct Begin {
    /// Of a replica, that to its primary.
    pub(crate) link: Option<Link>,
    pub(crate) term: PrimaryTerm,
    /// Position after the last record of the log.
    pub(crate) next: SeqNo,
    /// Position after the last operation that the engine has.
    pub(crate) applied: SeqNo,
    /// Operations before are in the last durable commit.
    pub(crate) committed: SeqNo,
    pub(crate) versions: VersionMap,
}

/// Largest page read from the log at once, in bytes.
pub(crate) const PAGE_BYTES: usize = 8 << 20;

impl Leaf {
    /// Opens the copy of `key`: engine at its checkpoint, a new primary term, the log replayed,
    /// everything in it visible.
    pub(crate) async fn open_shard(
        self: &Arc<Self>,
        (key, opening): (ShardKey, Arc<Opening>),
        index: Arc<IndexMeta>,
        analyzers: Arc<AnalyzerRegistry>,
    ) -> Result<Arc<Shard>, String> {
        let started = Instant::now();
        let patient = Patient {
            key,
            index: &index,
            analyzers: &analyzers,
            opening: &opening,
        };
        let (engine, checkpoint) = self.open_sound(&patient).await?;
        let tail = self
            .log
            .tail(key)
            .await
            .map_err(|error| with_causes(&error))?;
        check_mapping(index.mapping.version, checkpoint.generation.mapping)?;
        check_tail(checkpoint, tail)?;
        let was_here = self.check_presence(key).await?;
        // Where others follow, no term is used twice: an older folder may have lost all its records.
        let is_followed = index.copies_of(key.shard).len() > 1;
        let was_written = tail.is_some() || (was_here && is_followed);
        let term = self.take_term(key, was_written).await?;
        if tail.is_none() {
            // Nothing was written yet: whatever comes is indexed with all its fields.
            engine.set_complete();
        }
        let engine = Arc::new(engine);
        let next = tail.map_or(SeqNo(0), SeqNo::next);
        if is_followed || self.folders(key).history.exists() {
            self.begin_term(key, term).await?;
        }
        let mut versions = VersionMap::default();
        let replayed = self
            .replay(
                (&index, &engine),
                checkpoint.next_seq_no,
                next,
                &mut versions,
            )
            .await?;
        let begin = Begin {
            link: None,
            term,
            next,
            applied: next,
            committed: checkpoint.next_seq_no,
            versions,
        };
        let shard = Arc::new(self.shard_of(engine, (index, analyzers), begin));
        if self.is_refresh_before(key, next).await? {
            shard.applier.mark(next);
        }
        if replayed > 0 {
            shard.show_applied().await?;
            let took_ms = started.elapsed().as_millis() as u64;
            tracing::info!(shard = %key, replayed, took_ms, "log replayed");
        }
        shard.want_mark(next);
        // The commit may hold more than the process before has shown.
        shard.applier.leases.show().wait().await;
        Ok(shard)
    }

    /// Returns whether the log holds a refresh record right before `position`.
    pub(crate) async fn is_refresh_before(
        &self,
        key: ShardKey,
        position: SeqNo,
    ) -> Result<bool, String> {
        let Some(last) = position.0.checked_sub(1) else {
            return Ok(false);
        };
        let record = self.log.read_one(key, SeqNo(last)).await;
        let record = record.map_err(|error| with_causes(&error))?;
        let operation = record.map(|record| Operation::decode(&record.payload));
        let operation = operation.transpose().map_err(|error| error.to_string())?;
        Ok(operation.is_some_and(|operation| operation.kind == OperationKind::Refresh))
    }

    /// Puts together a copy that has been opened.
    pub(crate) fn shard_of(
        &self,
        engine: Arc<ShardIndex>,
        (index, analyzers): (Arc<IndexMeta>, Arc<AnalyzerRegistry>),
        begin: Begin,
    ) -> Shard {
        let Begin {
            link,
            term,
            next,
            applied,
            committed,
            versions,
        } = begin;
        let parser = DocumentParser::new(&index.mapping, &analyzers);
        let primary = Primary {
            term,
            next,
            versions,
            makers: Makers::default(),
            is_closed: false,
        };
        let step_bytes = (self.options.follower_log_bytes / STEPS).max(1);
        let terms = LeaseTerms {
            length: self.options.lease,
            quiet: self.options.lease_after,
        };
        let is_unlisted = !engine.is_listed();
        let checked = match self.options.verify_at_opening {
            true => Instant::now(),
            false => self.started,
        };
        let has_content = next.max(applied) > SeqNo(0);
        let leases = Leases::new(terms, has_content.then_some(self.started));
        let now = Instant::now();
        // A replica may have been away as long as this primary: it is waited for from now on.
        let followers = Followers::default();
        let is_other = |node: &&NodeId| Some(*node) != self.options.node.as_ref();
        for node in index.copies_of(engine.key().shard).iter().filter(is_other) {
            followers.heard(node, SeqNo(0), now);
        }
        let flushes = Flushes {
            committed,
            trimmed: SeqNo(0),
            since: now,
            idle_at: next,
            idle_since: now,
        };
        Shard {
            key: engine.key(),
            link,
            log: Arc::clone(&self.log),
            index: ArcSwap::new(index),
            analyzers: ArcSwap::new(analyzers),
            parser: ArcSwap::from_pointee(parser),
            taking_meta: Mutex::new(()),
            taking_turn: tokio::sync::Mutex::default(),
            primary: Arc::new(tokio::sync::Mutex::new(primary)),
            applier: Applier::new(engine, applied, step_bytes, leases),
            applying: self.applying.clone(),
            views: Views::default(),
            followers,
            snapshots: Snapshots::default(),
            room: self.writes.for_shard(),
            gathering: Gathering::default(),
            pipeline: Pipeline::new(),
            resting: Resting::new(),
            refresh_wanted: Notify::new(),
            interval_changed: Notify::new(),
            // A commit of an earlier version names no checksums: the next one does.
            flush_wanted: AtomicBool::new(is_unlisted),
            is_maintained: AtomicBool::new(false),
            mending: tokio::sync::Mutex::default(),
            checks: Mutex::new(Checks::new(checked)),
            counters: Counters::default(),
            flushes: Mutex::new(flushes),
        }
    }

    /// Opens the engine in the copy's folder, at its last durable commit.
    pub(crate) async fn open_engine(
        &self,
        key: ShardKey,
        index: &Arc<IndexMeta>,
        analyzers: &Arc<AnalyzerRegistry>,
    ) -> Result<(ShardIndex, Checkpoint), EngineError> {
        let folder = self.folders(key).copy;
        let (meta, options) = self.engine_parts(key, index, analyzers);
        let opened = tokio::task::spawn_blocking(move || ShardIndex::open(&folder, meta, options));
        let opened = opened.await;
        opened.unwrap_or_else(|error| Err(EngineError::Internal(error.to_string())))
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
            mapping: Arc::clone(&index.mapping),
            analyzers: Arc::clone(analyzers),
        };
        let verification = match self.options.verify_at_opening {
            true => Verification::Content,
            false => Verification::Lengths,
        };
        let options = ShardOptions {
            memory: Arc::clone(&self.indexing),
            documents: Arc::clone(&self.documents),
            verification,
            ..ShardOptions::default()
        };
        (meta, options)
    }

    /// Applies records `from..to` of the log and remembers the tombstones among them; returns how
    /// many documents were written.
    async fn replay(
        &self,
        (index, engine): (&IndexMeta, &Arc<ShardIndex>),
        mut from: SeqNo,
        to: SeqNo,
        versions: &mut VersionMap,
    ) -> Result<u64, String> {
        let (key, mapping) = (engine.key(), index.mapping.version);
        let mut written = 0;
        while from < to {
            // What is not replayed now is with the next start.
            if *self.stopping.borrow() {
                return Err("the node stops".to_owned());
            }
            let page = self
                .log
                .read(key, from, PAGE_BYTES)
                .await
                .map_err(|error| with_causes(&error))?;
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
         were written under version {used}. Put back the newest `cluster.json` that the keeper of the \
         cluster state, or this server, had"
    ))
}

/// The index may not know more than the log: then the log has lost something.
fn check_tail(checkpoint: Checkpoint, tail: Option<SeqNo>) -> Result<(), String> {
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

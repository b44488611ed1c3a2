//! Calls that read single documents and the state of shards.

use std::time::Duration;

use bytes::Bytes;
use gleaner_model::{
    CopyId, DocumentId, Generation, HistoryId, PrimaryTerm, SeqNo, ShardKey, Version,
};

/// Asks for documents of one shard by id.
#[derive(Debug, Clone)]
pub struct GetCall {
    /// The shard.
    pub shard: ShardKey,
    /// The ids.
    pub ids: Vec<DocumentId>,
    /// Whether acknowledged writes that searches cannot see yet count (default of the dialect).
    pub realtime: bool,
    /// Time left.
    pub remaining: Duration,
}

/// Documents of one shard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Documents {
    /// In the order asked; `None` where there is none.
    pub found: Vec<Option<Document>>,
    /// Whether the copy serves without its primary: acknowledged writes may be missing.
    pub may_be_stale: bool,
}

/// A document with its system fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its id.
    pub id: DocumentId,
    /// Routing value, when one was given.
    pub routing: Option<String>,
    /// Number.
    pub seq_no: SeqNo,
    /// Term of the primary that wrote it.
    pub term: PrimaryTerm,
    /// Version.
    pub version: Version,
    /// The document as received.
    pub source: Bytes,
}

/// Asks a copy to answer once it shows an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitForRefreshCall {
    /// The shard.
    pub shard: ShardKey,
    /// The operation.
    pub seq_no: SeqNo,
    /// Whether it is to answer as the primary: that all copies show the operation whose answers are not flagged. `None` of a
    /// caller that does not say: it answers as what it is.
    pub by_primary: Option<bool>,
    /// Time left.
    pub remaining: Duration,
}

impl WaitForRefreshCall {
    /// Asks for what the copy itself shows.
    pub fn on_copy(shard: ShardKey, seq_no: SeqNo, remaining: Duration) -> Self {
        Self {
            shard,
            seq_no,
            by_primary: Some(false),
            remaining,
        }
    }

    /// Asks the primary for what all copies show.
    pub fn by_primary(shard: ShardKey, seq_no: SeqNo, remaining: Duration) -> Self {
        Self {
            by_primary: Some(true),
            ..Self::on_copy(shard, seq_no, remaining)
        }
    }
}

/// Asks what the primaries of shards show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationsCall {
    /// The shards.
    pub shards: Vec<ShardKey>,
    /// Time left.
    pub remaining: Duration,
}

/// What a primary shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShownGeneration {
    /// What searches of it see. Every write and refresh that was acknowledged as visible before the call is in it.
    pub generation: Generation,
    /// Whether a refresh was left out because nobody read the shard: a search would make it first.
    pub is_resting: bool,
}

/// Where a shard stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShardPhase {
    /// Reading its log, being made from another copy, or serving what it has without hearing of its
    /// primary.
    Recovering,
    /// Serving.
    Started,
    /// Stopped by damage; see the reason in `reason`.
    Failed,
}

/// State of one shard copy on a leaf.
#[derive(Debug, Clone, PartialEq)]
pub struct ShardState {
    /// The shard.
    pub shard: ShardKey,
    /// Whether this copy orders the shard's writes; the others follow it.
    pub is_primary: bool,
    /// Where it stands.
    pub phase: ShardPhase,
    /// Why it failed, how far it is while it recovers, or why what it serves may be old.
    pub reason: Option<String>,
    /// What searches see.
    pub generation: Generation,
    /// Last acknowledged seq_no; `None` when nothing was written.
    pub max_seq_no: Option<SeqNo>,
    /// Operations below this are in the last durable commit.
    pub committed: SeqNo,
    /// Live documents visible.
    pub num_documents: u64,
    /// Deleted documents not yet merged away.
    pub num_deleted: u64,
    /// Segments that are written, shown to searches or not yet.
    pub num_segments: u64,
    /// Those segments, in the order in which searches go through them; none where the leaf does not tell.
    pub segments: Vec<SegmentState>,
    /// Bytes of the index on disk.
    pub store_bytes: u64,
    /// Bytes of the operations that the last durable commit lacks, up to one step of the count too many.
    pub log_bytes: u64,
    /// Counters since start.
    pub counters: ShardCounters,
    /// What it does and holds now.
    pub gauges: ShardGauges,
    /// How it came to serve; `None` while it does not.
    pub recovery: Option<CopyRecovery>,
    /// The folder of its log that was put aside when that was damaged, until a person removes it; `None` where none is, or the
    /// leaf does not tell.
    pub put_aside: Option<String>,
}

/// A segment that searches of a copy see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SegmentState {
    /// Live documents.
    pub num_documents: u64,
    /// Deleted documents not yet merged away.
    pub num_deleted: u64,
    /// Bytes of what it is made of.
    pub store_bytes: u64,
}

/// What a copy was made from when it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecoverySource {
    /// Nothing: its shard is new.
    Empty,
    /// What its own node had of it.
    Existing,
    /// Its primary, or another copy.
    Peer,
}

/// How a copy came to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyRecovery {
    /// What it was made from.
    pub source: RecoverySource,
    /// For how long it has served.
    pub since: Duration,
    /// How long that took.
    pub took: Duration,
    /// Operations of the log that were read again.
    pub num_replayed: u64,
}

impl ShardState {
    /// Returns the state of a copy that shows nothing and has done nothing.
    pub fn empty(shard: ShardKey, is_primary: bool, phase: ShardPhase) -> Self {
        Self {
            shard,
            is_primary,
            phase,
            reason: None,
            generation: Generation::default(),
            max_seq_no: None,
            committed: SeqNo(0),
            num_documents: 0,
            num_deleted: 0,
            num_segments: 0,
            segments: Vec::new(),
            store_bytes: 0,
            log_bytes: 0,
            counters: ShardCounters::default(),
            gauges: ShardGauges::default(),
            recovery: None,
            put_aside: None,
        }
    }
}

/// What a shard has done since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShardCounters {
    /// Documents indexed.
    pub index_total: u64,
    /// Time spent indexing, milliseconds.
    pub index_time_ms: u64,
    /// Items refused.
    pub index_failed: u64,
    /// Documents deleted.
    pub delete_total: u64,
    /// No-op updates.
    pub noop_total: u64,
    /// Query phases.
    pub query_total: u64,
    /// Time spent in query phases, milliseconds.
    pub query_time_ms: u64,
    /// Fetch phases.
    pub fetch_total: u64,
    /// Time spent in fetch phases, milliseconds.
    pub fetch_time_ms: u64,
    /// Gets.
    pub get_total: u64,
    /// Refreshes.
    pub refresh_total: u64,
    /// Durable commits.
    pub flush_total: u64,
    /// Gets that found nothing.
    pub get_missing: u64,
    /// Time spent on gets, microseconds: most take a part of a millisecond.
    pub get_us: u64,
    /// Of it, on gets that found nothing.
    pub get_missing_us: u64,
    /// Time spent on refreshes, milliseconds.
    pub refresh_time_ms: u64,
    /// Time spent on durable commits, milliseconds.
    pub flush_time_ms: u64,
    /// Durable commits that nobody asked for.
    pub flush_periodic: u64,
    /// Calls that wrote, of one document or many.
    pub bulk_total: u64,
    /// Bytes of those calls.
    pub bulk_bytes: u64,
    /// Merges of segments that were begun.
    pub merge_total: u64,
    /// Documents of their segments.
    pub merge_documents: u64,
    /// Bytes of their segments.
    pub merge_bytes: u64,
    /// Time that those took which have ended, milliseconds.
    pub merge_time_ms: u64,
    /// Scrolls and points in time that have ended.
    pub contexts_ended: u64,
    /// For how long those were held, together, milliseconds.
    pub contexts_time_ms: u64,
}

/// What a copy does and holds at the moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShardGauges {
    /// Calls that write.
    pub writes: u64,
    /// Query phases.
    pub queries: u64,
    /// Fetch phases.
    pub fetches: u64,
    /// Gets.
    pub gets: u64,
    /// Merges of segments.
    pub merges: u64,
    /// Documents of their segments.
    pub merging_documents: u64,
    /// Bytes of their segments.
    pub merging_bytes: u64,
    /// Scrolls and points in time that hold what searches saw.
    pub contexts: u64,
    /// Memory of the segment in the making, estimated.
    pub writer_bytes: u64,
    /// Copies that take files from this one.
    pub copying: u64,
}

/// What the disk of a leaf holds of a copy, whether that serves or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOnDisk {
    /// The shard.
    pub shard: ShardKey,
    /// The copy; `None` where its folder does not say.
    pub copy: Option<CopyId>,
    /// The history of its records.
    pub history: HistoryId,
    /// Position after the last record of its log; `None` where there is no log.
    pub end: Option<SeqNo>,
    /// Term of that record.
    pub last_term: PrimaryTerm,
    /// Everything below is agreed.
    pub agreed: SeqNo,
    /// The greatest term adopted.
    pub fence: PrimaryTerm,
    /// The greatest version of the shard's entry that the copy has seen.
    pub version: u64,
    /// Position after the last operation of its durable commit; `None` where there is none.
    pub committed: Option<SeqNo>,
    /// Why its log cannot be read.
    pub damage: Option<String>,
}

impl CopyOnDisk {
    /// Returns the position after the last operation that the copy holds, in its log or in its commit.
    pub fn next(&self) -> SeqNo {
        self.end.max(self.committed).unwrap_or_default()
    }
}

//! What goes into a shard copy and what it tells of itself.

use std::sync::Arc;

use gleaner_analysis::AnalyzerRegistry;
use gleaner_log::files::{Files, RealFiles};
use gleaner_model::{Generation, HistoryId, IndexName, Mapping, SeqNo, ShardKey};

use crate::directory::{Reading, Verification};
use crate::document_cache::DocumentCache;
use crate::writer::{IndexingMemory, MergeOptions, MergeStats, ShardMarks};

/// What a copy has to know of its index.
#[derive(Debug, Clone)]
pub struct ShardMeta {
    /// The shard, for messages.
    pub key: ShardKey,
    /// The name of the index, which all documents have as `_index`. It never changes.
    pub name: IndexName,
    /// The mapping in force.
    pub mapping: Arc<Mapping>,
    /// The analyzers of the index's settings.
    pub analyzers: Arc<AnalyzerRegistry>,
}

/// How a copy uses the machine.
#[derive(Debug, Clone)]
pub struct ShardOptions {
    /// The indexing memory of the node, shared with its other copies.
    pub memory: Arc<IndexingMemory>,
    /// Documents that the node's searches read lately, shared with its other copies.
    pub documents: Arc<DocumentCache>,
    /// Where the operation that is applied is noted; default nowhere.
    pub marks: Option<ShardMarks>,
    /// The history that the records are of; default the shard's first one.
    pub history: HistoryId,
    /// When segments are merged.
    pub merges: MergeOptions,
    /// Where files are.
    pub files: Arc<dyn Files>,
    /// How files are read.
    pub reading: Reading,
    /// How much of the files is checked when the copy is opened.
    pub verification: Verification,
}

/// Indexing memory of a copy that shares it with none: three quarters, 32 MB, are for the segment in
/// the making.
const DEFAULT_MEMORY_BYTES: usize = 43_000_000;

impl Default for ShardOptions {
    fn default() -> Self {
        Self {
            memory: IndexingMemory::new(DEFAULT_MEMORY_BYTES),
            documents: Arc::default(),
            marks: None,
            history: HistoryId::FIRST,
            merges: MergeOptions::default(),
            files: Arc::new(RealFiles),
            reading: Reading::Mapped,
            verification: Verification::Content,
        }
    }
}

/// How far a durable commit reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Every operation before this one is durably in the index; the log may be trimmed below it.
    pub next_seq_no: SeqNo,
    /// What searches of the commit see.
    pub generation: Generation,
}

/// Figures of a segment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SegmentStats {
    /// Live documents.
    pub documents: u64,
    /// Deleted documents that no merge has removed yet.
    pub deleted: u64,
    /// Bytes of what it is made of.
    pub bytes: u64,
}

/// Figures of a copy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShardStats {
    /// Live documents that searches see.
    pub documents: u64,
    /// Deleted documents that merges have not removed yet.
    pub deleted: u64,
    /// Segments that searches see, in the order of the view.
    pub segments: Vec<SegmentStats>,
    /// Segments that are written, shown to searches or not yet.
    pub num_segments: u64,
    /// Bytes of the folder.
    pub store_bytes: u64,
    /// Indexing memory that the segment in the making takes, estimated.
    pub writer_bytes: u64,
    /// Merges of its segments.
    pub merges: MergeStats,
}

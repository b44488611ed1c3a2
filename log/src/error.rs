//! What can go wrong in a log, and what the caller may do about it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use gleaner_model::{FaultKind, Party, PrimaryTerm, Retry, SeqNo, ShardKey};

/// A failure of one call; cloned because one failed sync answers many callers.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// A newer primary owns the shard. Do not retry: read the cluster state again.
    #[error("primary term is fenced, the shard is at term {current}")]
    Fenced {
        /// The term that stands.
        current: PrimaryTerm,
    },
    /// The caller expected another tail: somebody else appended.
    #[error("log does not end where the append expected, its last seq_no is {last:?}")]
    SeqMismatch {
        /// The last seq_no; `None` for an empty log.
        last: Option<SeqNo>,
    },
    /// The producer has already appended a later sequence, the outcome of this one is forgotten.
    #[error("producer sequence {sequence} is older than {last}, the last one appended")]
    StaleProducer {
        /// The sequence that was sent.
        sequence: u64,
        /// The producer's last sequence in the log.
        last: u64,
    },
    /// The term of a stream was not adopted. Fence the shard with it first.
    #[error("term {term} was not adopted, the shard is at term {fence}: fence it first")]
    NotAdopted {
        /// The term of the stream.
        term: PrimaryTerm,
        /// The term that stands.
        fence: PrimaryTerm,
    },
    /// A copied batch has a term that cannot follow here: the logs have parted, compare their terms.
    #[error("batch of term {term} cannot follow term {last:?} under term {under}")]
    TermOrder {
        /// The term of the batch.
        term: PrimaryTerm,
        /// The term of the last record; `None` where it is not known.
        last: Option<PrimaryTerm>,
        /// The term of the stream.
        under: PrimaryTerm,
    },
    /// A copied batch does not begin where the log ends. Copy what is missing first.
    #[error("batch begins at seq_no {first}, the log goes on at {next}")]
    Gap {
        /// Position of its first record.
        first: SeqNo,
        /// Position of the log's next record.
        next: SeqNo,
    },
    /// The log holds other records where a copied batch would stand: the logs have parted, compare their terms.
    #[error("the log does not hold the batch at seq_no {first} as it was copied")]
    Differs {
        /// Position of the batch's first record.
        first: SeqNo,
    },
    /// The log would be cut below what was agreed on. Nothing was cut: the other copy lacks what it must have.
    #[error("records below seq_no {agreed} are agreed on, the log cannot be cut at {at}")]
    BelowAgreed {
        /// Where it would have been cut.
        at: SeqNo,
        /// The agreed point.
        agreed: SeqNo,
    },
    /// What was asked about is trimmed.
    #[error("records below seq_no {first} are trimmed")]
    Trimmed {
        /// The oldest position still held.
        first: SeqNo,
    },
    /// The batch is larger than a batch may be. Send it in parts.
    #[error("batch of {bytes} bytes is larger than the limit of {limit} bytes")]
    TooLarge {
        /// Payload bytes of the batch.
        bytes: usize,
        /// Most payload bytes a batch may have.
        limit: usize,
    },
    /// A batch must hold at least one payload.
    #[error("batch holds no payload")]
    EmptyBatch,
    /// Too many appends wait. Nothing was written: pause and try again.
    #[error("log is busy, its queue is full")]
    Busy,
    /// The disk is full. Nothing was written: make room and try again.
    #[error("the disk is full: no space left for the log of shard `{shard}`")]
    DiskFull {
        /// The shard that wanted to grow.
        shard: ShardKey,
    },
    /// The log of this shard is damaged where acknowledged records stand (or stood). Every call
    /// is refused until the shard is removed or its folder restored.
    #[error(
        "log of shard `{shard}` is damaged: `{}` at byte {offset}: {reason}; restore the folder or rebuild the shard from another copy",
        segment.display()
    )]
    Corrupt {
        /// The damaged shard.
        shard: ShardKey,
        /// The file where it shows.
        segment: PathBuf,
        /// Byte offset in that file where reading stopped.
        offset: u64,
        /// What was seen and what was wanted.
        reason: String,
    },
    /// A file was written by a newer version of this program.
    #[error("`{}` has format version {found}, this program reads up to {supported}; upgrade it", file.display())]
    UnsupportedVersion {
        /// The file.
        file: PathBuf,
        /// The version it carries.
        found: u32,
        /// The newest version this program reads.
        supported: u32,
    },
    /// Nobody knows whether the change was made. Send a batch again with the same producer sequence.
    #[error("outcome of the change to the log of shard `{shard}` is unknown")]
    Indeterminate {
        /// The shard.
        shard: ShardKey,
        /// What failed, if it was the disk.
        #[source]
        source: Option<Arc<io::Error>>,
    },
    /// An earlier sync of this shard failed, so its log takes no more appends until it is opened
    /// again (a failed sync cannot be repeated: the kernel may have dropped the pages).
    #[error("log of shard `{shard}` stopped after a failed sync, restart the node")]
    Poisoned {
        /// The shard.
        shard: ShardKey,
    },
    /// The operating system refused an operation on a file.
    #[error("log could not {action} `{}`", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: Arc<io::Error>,
    },
    /// The log is shutting down, or one of its threads ended.
    #[error("log is closed")]
    Closed,
}

impl LogError {
    /// Returns whose fault it is and whether to try again.
    pub fn fault_kind(&self) -> FaultKind {
        match self {
            Self::StaleProducer { .. } | Self::TooLarge { .. } => FaultKind::CLIENT,
            Self::Busy | Self::DiskFull { .. } => FaultKind::BUSY,
            Self::Indeterminate { .. } => FaultKind {
                party: Party::Leaf,
                retry: Retry::SameNode,
            },
            Self::EmptyBatch => FaultKind::INTERNAL,
            Self::Fenced { .. }
            | Self::NotAdopted { .. }
            | Self::TermOrder { .. }
            | Self::Gap { .. }
            | Self::Differs { .. }
            | Self::BelowAgreed { .. }
            | Self::Trimmed { .. }
            | Self::SeqMismatch { .. }
            | Self::Corrupt { .. }
            | Self::UnsupportedVersion { .. }
            | Self::Poisoned { .. }
            | Self::Io { .. }
            | Self::Closed => FaultKind::LEAF,
        }
    }

    /// Wraps the system's answer to `action` on `path`.
    pub(crate) fn io(action: &'static str, path: &std::path::Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source: Arc::new(source),
        }
    }
}

/// Tells whether the system refused for want of room (also by quota).
pub(crate) fn is_disk_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

//! What can go wrong in a shard copy's index.

use gleaner_model::{FaultKind, MappingVersion, SeqNo};

use crate::directory::Damage;

/// A failure of a shard copy's index.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// tantivy could not do it.
    #[error("the index failed")]
    Tantivy(#[from] tantivy::TantivyError),
    /// The file system could not do it.
    #[error("{action} in the shard's folder failed")]
    Io {
        /// What was tried.
        action: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Written by a newer version of this program.
    #[error("{what} has format {found}, this version reads up to {known}")]
    Newer {
        /// What was read.
        what: &'static str,
        /// The format found.
        found: u32,
        /// The newest format known.
        known: u32,
    },
    /// What is on disk contradicts itself; the copy must be thrown away and recovered.
    #[error("the shard's folder is damaged: {0}")]
    Corrupt(String),
    /// Files are not as they were written; nothing of the copy may be served.
    #[error("the shard's folder is damaged: {0}")]
    Damaged(Damage),
    /// An operation came out of order.
    #[error("operation {found} came where {expected} was due")]
    Gap {
        /// The next seq_no in order.
        expected: SeqNo,
        /// The seq_no that came.
        found: SeqNo,
    },
    /// An operation was ordered under a mapping this copy has not heard of yet.
    #[error("mapping version {needed} is needed, this copy has {have}")]
    MappingBehind {
        /// The version this copy has.
        have: MappingVersion,
        /// The version the operation needs.
        needed: MappingVersion,
    },
    /// The mapping names an analyzer that the index's settings do not define.
    #[error("analyzer [{0}] has not been configured in the index's settings")]
    UnknownAnalyzer(String),
    /// An earlier failure left the writer in an unknown state; open the copy again.
    #[error("the writer failed before; the copy must be opened again")]
    Poisoned,
    /// The request would need more memory than its budget.
    #[error(
        "[{what}] Data too large, data for [{what}] would be [{wanted}], which is larger than the limit of [{limit}]"
    )]
    CircuitBreaking {
        /// What needed it.
        what: &'static str,
        /// Bytes wanted in all.
        wanted: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// The answer would have more buckets than `search.max_buckets` allows.
    #[error(
        "Trying to create too many buckets. Must be less than or equal to: [{limit}] but this number of buckets was exceeded. This limit can be set by changing the [search.max_buckets] cluster level setting."
    )]
    TooManyBuckets {
        /// Buckets allowed in all.
        limit: usize,
    },
    /// The request was cancelled.
    #[error("task cancelled")]
    Cancelled,
    /// The deadline passed before there was anything to answer.
    #[error("the deadline passed before the shard could answer")]
    DeadlineExceeded,
    /// The root sent no number for a term or field that is scored; local numbers would make scores
    /// depend on the shard.
    #[error("no statistics came for `{what}`")]
    MissingStatistics {
        /// The field, or field and term.
        what: String,
    },
    /// The query is understood but cannot be evaluated as asked; fit for the dialect's `reason`.
    #[error("{0}")]
    Query(String),
    /// A broken invariant of ours.
    #[error("broken invariant: {0}")]
    Internal(String),
}

impl EngineError {
    /// Wraps what the system said with what was tried.
    pub fn io(action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { action, source }
    }

    /// Returns whether what is on disk is not what was written.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged(_) | Self::Corrupt(_))
    }

    /// Returns the dialect's name of the error's type.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::Query(_) => "illegal_argument_exception",
            Self::TooManyBuckets { .. } => "too_many_buckets_exception",
            Self::CircuitBreaking { .. } => "circuit_breaking_exception",
            Self::Cancelled => "task_cancelled_exception",
            Self::DeadlineExceeded => "timeout_exception",
            _ => "engine_exception",
        }
    }

    /// Returns whose fault it is and whether to try again.
    pub fn fault(&self) -> FaultKind {
        match self {
            Self::Query(_) | Self::TooManyBuckets { .. } => FaultKind::CLIENT,
            Self::CircuitBreaking { .. } | Self::MappingBehind { .. } => FaultKind::BUSY,
            Self::DeadlineExceeded => FaultKind::BUSY,
            Self::Cancelled
            | Self::Internal(_)
            | Self::Gap { .. }
            | Self::MissingStatistics { .. } => FaultKind::INTERNAL,
            Self::Tantivy(_)
            | Self::Io { .. }
            | Self::Newer { .. }
            | Self::Corrupt(_)
            | Self::Damaged(_)
            | Self::UnknownAnalyzer(_)
            | Self::Poisoned => FaultKind::LEAF,
        }
    }
}

//! What can go wrong while a query is evaluated, on a shard or on a root.

use gleaner_model::FaultKind;

/// A failure to evaluate a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// What is asked of documents is understood but cannot be done: an aggregation, an order, a field that is shown. Fit
    /// for the dialect's `reason`.
    #[error("{0}")]
    Query(String),
    /// A clause of the query is understood but cannot be evaluated; fit for the dialect's `reason`.
    #[error("{0}")]
    Clause(String),
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
    /// Partial results were written by a newer version of this program.
    #[error("{what} has format {found}, this version reads up to {known}")]
    Newer {
        /// What was read.
        what: &'static str,
        /// The format found.
        found: u32,
        /// The newest format known.
        known: u32,
    },
    /// Bytes that came are no partial results.
    #[error("{0}")]
    Unreadable(String),
    /// A broken invariant of ours.
    #[error("broken invariant: {0}")]
    Internal(String),
}

impl EvaluationError {
    /// Returns the dialect's name of the error's type.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::Query(_) => "illegal_argument_exception",
            Self::Clause(_) => "query_shard_exception",
            Self::TooManyBuckets { .. } => "too_many_buckets_exception",
            Self::CircuitBreaking { .. } => "circuit_breaking_exception",
            Self::Cancelled => "task_cancelled_exception",
            Self::DeadlineExceeded => "timeout_exception",
            Self::MissingStatistics { .. }
            | Self::Newer { .. }
            | Self::Unreadable(_)
            | Self::Internal(_) => "engine_exception",
        }
    }

    /// Returns whose fault it is and whether to try again.
    pub fn fault(&self) -> FaultKind {
        match self {
            Self::Query(_) | Self::Clause(_) | Self::TooManyBuckets { .. } => FaultKind::CLIENT,
            Self::CircuitBreaking { .. } | Self::DeadlineExceeded => FaultKind::BUSY,
            Self::Cancelled | Self::Internal(_) | Self::MissingStatistics { .. } => {
                FaultKind::INTERNAL
            }
            Self::Newer { .. } | Self::Unreadable(_) => FaultKind::LEAF,
        }
    }
}

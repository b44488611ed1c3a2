//! What can go wrong in a shard copy's index.

use gleaner_model::{FaultKind, MappingVersion, SeqNo};
use gleaner_partial::EvaluationError;
use gleaner_partial::control::{Refusal, Stop};

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
    /// The query cannot be evaluated, or not in time.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
}

impl EngineError {
    /// Wraps what the system said with what was tried.
    pub fn io(action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { action, source }
    }

    /// Returns the failure of a query that is understood but cannot be evaluated as asked; `reason` is fit for
    /// the dialect's `reason`.
    pub(crate) fn query(reason: impl Into<String>) -> Self {
        EvaluationError::Query(reason.into()).into()
    }

    /// Returns the failure of a clause that is understood but cannot be evaluated; `reason` is fit for the dialect's
    /// `reason`.
    pub(crate) fn clause(reason: impl Into<String>) -> Self {
        EvaluationError::Clause(reason.into()).into()
    }

    /// Returns the failure that a broken invariant of ours is.
    pub fn internal(reason: impl Into<String>) -> Self {
        EvaluationError::Internal(reason.into()).into()
    }

    /// Returns whether what is on disk is not what was written.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged(_) | Self::Corrupt(_))
    }

    /// Returns the dialect's name of the error's type.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::Evaluation(error) => error.error_type(),
            _ => "engine_exception",
        }
    }

    /// Returns whose fault it is and whether to try again.
    pub fn fault(&self) -> FaultKind {
        match self {
            Self::Evaluation(error) => error.fault(),
            Self::MappingBehind { .. } => FaultKind::BUSY,
            Self::Gap { .. } => FaultKind::INTERNAL,
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

impl From<Stop> for EngineError {
    fn from(stop: Stop) -> Self {
        EvaluationError::from(stop).into()
    }
}

impl From<Refusal> for EngineError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Query(reason) => Self::query(reason),
            Refusal::Unread { action, reason } => Self::Io {
                action,
                source: std::io::Error::other(reason),
            },
            Refusal::Memory(error) => error.into(),
        }
    }
}

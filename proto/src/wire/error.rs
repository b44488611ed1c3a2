//! Why a message is not a domain value.

use gleaner_model::{NameError, ShardKey};

use crate::LeafFault;

/// What is wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    /// A `oneof` or an enum holds what only another version knows, or nothing.
    #[error("`{what}` of a kind that this version does not know")]
    Unknown {
        /// The message or enum.
        what: &'static str,
    },
    /// A field that must be there is not.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A field holds a value it cannot have.
    #[error("`{field}` cannot be read: {reason}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A tree is deeper than any that is sent.
    #[error("`{what}` is deeper than {limit} levels")]
    TooDeep {
        /// The tree.
        what: &'static str,
        /// Most levels there may be.
        limit: usize,
    },
}

impl DecodeError {
    /// Returns the error of a field.
    pub(crate) fn field(field: &'static str, reason: impl Into<String>) -> Self {
        Self::Field {
            field,
            reason: reason.into(),
        }
    }

    /// Returns the fault of a shard whose answer cannot be read.
    pub(crate) fn into_fault(self, shard: ShardKey) -> LeafFault {
        let reason = self.to_string();
        match self {
            Self::Unknown { .. } => LeafFault::Unsupported { what: reason },
            _ => LeafFault::Internal { shard, reason },
        }
    }
}

impl From<NameError> for DecodeError {
    fn from(error: NameError) -> Self {
        Self::field("id", error.to_string())
    }
}

//! Faults of the keeper of metadata. States travel as the bytes of `crate::metadata`.

use super::{DecodeError, Wire, v1};
use crate::metadata::MetadataFault;

impl Wire for MetadataFault {
    type Message = v1::MetadataFault;

    fn to_message(&self) -> v1::MetadataFault {
        use v1::metadata_fault::Kind;
        let kind = match self {
            Self::Conflict { current } => Kind::Conflict(*current),
            Self::Unreachable { reason } => Kind::Unreachable(reason.clone()),
            Self::Store { reason } => Kind::Store(reason.clone()),
            Self::Unsupported { what } => Kind::Unsupported(what.clone()),
            Self::TooLarge { reason } => Kind::TooLarge(reason.clone()),
        };
        v1::MetadataFault { kind: Some(kind) }
    }

    /// A fault of a kind that only a newer keeper knows is a fault all the same.
    fn from_message(message: v1::MetadataFault) -> Result<Self, DecodeError> {
        use v1::metadata_fault::Kind;
        Ok(match message.kind {
            Some(Kind::Conflict(current)) => Self::Conflict { current },
            Some(Kind::Unreachable(reason)) => Self::Unreachable { reason },
            Some(Kind::Store(reason)) => Self::Store { reason },
            Some(Kind::Unsupported(what)) => Self::Unsupported { what },
            Some(Kind::TooLarge(reason)) => Self::TooLarge { reason },
            None => Self::Unsupported {
                what: "a fault that this version does not know".to_owned(),
            },
        })
    }
}

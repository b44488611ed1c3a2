//! Why a call as a whole failed, and what that means for a shard, a write, a node.

use std::error::Error;

use gleaner_model::ShardKey;
use tonic::{Code, ConnectError, Status};

use crate::LeafFault;
use crate::node::NodeFault;

/// A call without an answer of the peer's domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CallFault {
    /// No connection could be made, or it was closed before the call: the peer has not seen it.
    Unreachable(String),
    /// The connection broke, or the peer is stopping: it may have seen the call.
    Broken(String),
    /// The time is over.
    Late,
    /// The call or its answer is larger than a message may be.
    TooLarge(String),
    /// The peer is of another version.
    Unsupported(String),
    /// The peer does not answer callers of our role, and has done nothing.
    Refused(String),
    /// The peer failed, or answered what cannot be read.
    Internal(String),
}

/// Returns whether the connection was closed before the request was written to it.
fn is_unsent(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<hyper::Error>();
    error.is_some_and(hyper::Error::is_canceled)
}

/// Returns whether the peer, which stops in order, has said that it does not process the request: it goes on with all
/// that it has taken (RFC 9113, 6.8).
fn is_turned_away(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<h2::Error>();
    error.is_some_and(|error| {
        let is_in_order = error.reason() == Some(h2::Reason::NO_ERROR);
        error.is_go_away() && error.is_remote() && is_in_order
    })
}

impl CallFault {
    /// Reads a status: made here when it has a source, else sent by the peer.
    pub(crate) fn of(status: &Status) -> Self {
        let reason = status.message().to_owned();
        if status.code() == Code::OutOfRange {
            return Self::TooLarge(reason);
        }
        if let Some(source) = status.source() {
            return Self::of_transport(source);
        }
        match status.code() {
            Code::Unimplemented | Code::FailedPrecondition => Self::Unsupported(reason),
            Code::Unavailable | Code::Cancelled => Self::Broken(reason),
            Code::PermissionDenied => Self::Refused(reason),
            _ => Self::Internal(reason),
        }
    }

    fn of_transport(error: &(dyn Error + 'static)) -> Self {
        let mut is_unseen = false;
        let mut deepest = error;
        loop {
            is_unseen |=
                deepest.is::<ConnectError>() || is_unsent(deepest) || is_turned_away(deepest);
            match deepest.source() {
                Some(source) => deepest = source,
                None => break,
            }
        }
        let reason = deepest.to_string();
        if is_unseen {
            Self::Unreachable(reason)
        } else {
            Self::Broken(reason)
        }
    }

    /// Takes the end of this side's own patience for what it is: no answer. A peer that has a deadline of
    /// its own says when that is over.
    pub(super) fn of_silence(self) -> Self {
        match self {
            Self::Late => Self::Broken("no answer in time".to_owned()),
            answered => answered,
        }
    }

    /// Returns what it means for a shard.
    pub(super) fn of_shard(self, shard: ShardKey) -> LeafFault {
        match self {
            Self::Unreachable(reason) | Self::Broken(reason) => {
                LeafFault::Unreachable { shard, reason }
            }
            Self::Late => LeafFault::DeadlinePassed { shard },
            Self::TooLarge(reason) => LeafFault::TooLarge { reason },
            Self::Unsupported(what) => LeafFault::Unsupported { what },
            Self::Refused(reason) | Self::Internal(reason) => LeafFault::Internal { shard, reason },
        }
    }

    /// Returns what it means for a write to a shard, which may have been applied.
    pub(super) fn of_write(self, shard: ShardKey) -> LeafFault {
        let reason = match self {
            Self::Broken(reason) | Self::Internal(reason) => reason,
            Self::Late => "no answer in time".to_owned(),
            sure => return sure.of_shard(shard),
        };
        LeafFault::Indeterminate { shard, reason }
    }

    /// Returns what it means for a call to a node.
    pub(super) fn of_node(self) -> NodeFault {
        match self {
            Self::Unreachable(reason) | Self::Broken(reason) => NodeFault::Unreachable { reason },
            Self::Late => NodeFault::Unreachable {
                reason: "no answer in time".to_owned(),
            },
            Self::TooLarge(reason)
            | Self::Unsupported(reason)
            | Self::Refused(reason)
            | Self::Internal(reason) => NodeFault::Unreadable { reason },
        }
    }
}

//! Why a call to etcd failed, and what that says of a change.

use tonic::{Code, Status};

use super::Revision;
use crate::client::CallFault;

/// Why etcd did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No member could be called, or none knows a leader: surely nothing has changed.
    #[error("no member of etcd answers: {reason}")]
    Unreachable {
        /// What the last member did.
        reason: String,
    },
    /// A member was called and did not answer: a change may have been made, or will be yet.
    #[error("etcd has not answered, and what it did is not known: {reason}")]
    Unknown {
        /// What happened to the call.
        reason: String,
    },
    /// The history was asked for from a revision on that etcd has thrown away.
    #[error("etcd has thrown the history at this revision away, its oldest is {oldest}")]
    Compacted {
        /// The oldest revision that can be read; 0 where the member did not say.
        oldest: Revision,
    },
    /// There is no such lease any more; its keys are gone.
    #[error("the lease is over")]
    LeaseOver,
    /// The database of etcd has reached its quota: what adds to it is refused until a person has made room; nothing
    /// has changed.
    #[error("etcd is out of its quota: compact and defragment it, see docs/operating.md")]
    OutOfQuota,
    /// etcd refused the call; nothing has changed.
    #[error("etcd refuses: {reason}")]
    Refused {
        /// What it said.
        reason: String,
    },
    /// The transaction is larger than etcd takes; nothing has changed.
    #[error("{reason}")]
    TooLarge {
        /// How large, and what is allowed.
        reason: String,
    },
}

/// How members begin what they say.
const PREFIX: &str = "etcdserver: ";

impl Fault {
    /// Reads a status. What is not surely without effect is [`Fault::Unknown`].
    pub(super) fn of(status: &Status) -> Self {
        let said = status.message();
        let reason = said.strip_prefix(PREFIX).unwrap_or(said).to_owned();
        if std::error::Error::source(status).is_some() {
            return match CallFault::of(status) {
                CallFault::Unreachable(reason) => Self::Unreachable { reason },
                _ => Self::Unknown { reason },
            };
        }
        match status.code() {
            Code::OutOfRange if reason.contains("compacted") => Self::Compacted {
                oldest: Revision(0),
            },
            // The member lags behind the others.
            Code::OutOfRange if reason.contains("future revision") => Self::Unreachable { reason },
            Code::NotFound if reason.contains("lease") => Self::LeaseOver,
            // Users were changed while the call was on its way; it was not carried out.
            Code::InvalidArgument if reason.contains("auth store is old") => {
                Self::Unreachable { reason }
            }
            // Said before a call is looked at, as every call asks for a leader.
            Code::Unavailable if reason == "no leader" => Self::Unreachable { reason },
            Code::ResourceExhausted if reason.contains("database space exceeded") => {
                Self::OutOfQuota
            }
            Code::InvalidArgument
            | Code::FailedPrecondition
            | Code::ResourceExhausted
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::Unimplemented => Self::Refused { reason },
            _ => Self::Unknown { reason },
        }
    }

    /// The call was sent, and the time for its answer is over.
    pub(super) fn late() -> Self {
        Self::Unknown {
            reason: "no answer in time".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_surely_did_nothing_is_called_so() {
        let fault = |code, message: &str| Fault::of(&Status::new(code, message));
        let unknown = [
            (Code::Unavailable, "etcdserver: request timed out"),
            (Code::Unavailable, "etcdserver: leader changed"),
            (Code::Unknown, "raft proposal dropped"),
            (Code::Cancelled, "etcdserver: request cancelled"),
            (Code::Internal, "stream terminated"),
        ];
        for (code, message) in unknown {
            let fault = fault(code, message);
            assert!(matches!(fault, Fault::Unknown { .. }), "{fault}");
        }
        let leaderless = fault(Code::Unavailable, "etcdserver: no leader");
        assert!(
            matches!(leaderless, Fault::Unreachable { .. }),
            "{leaderless}"
        );
        let changed = fault(
            Code::InvalidArgument,
            "etcdserver: revision of auth store is old",
        );
        assert!(matches!(changed, Fault::Unreachable { .. }), "{changed}");
        let full = fault(
            Code::ResourceExhausted,
            "etcdserver: mvcc: database space exceeded",
        );
        assert_eq!(full, Fault::OutOfQuota);
        let busy = fault(Code::ResourceExhausted, "etcdserver: too many requests");
        assert_eq!(busy.to_string(), "etcd refuses: too many requests");
        let gone = fault(Code::NotFound, "etcdserver: requested lease not found");
        assert_eq!(gone, Fault::LeaseOver);
        let compacted = fault(
            Code::OutOfRange,
            "etcdserver: mvcc: required revision has been compacted",
        );
        assert!(matches!(compacted, Fault::Compacted { .. }), "{compacted}");
    }
}

//! Which roles a service answers.

use gleaner_model::PeerRole;
use gleaner_model::metric::NODE_CALLS_REFUSED;
use tonic::{Request, Status};

use super::accepted::CallerConnection;
use crate::connect::Caller;

/// What a call asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// A call to a leaf.
    Leaf,
    /// A call of a leaf that copies shards.
    Replication,
    /// Leases on what shards show.
    Leases,
}

impl Access {
    /// Returns its name in messages and metrics.
    fn name(self) -> &'static str {
        match self {
            Self::Leaf => "leaf",
            Self::Replication => "replication",
            Self::Leases => "leases",
        }
    }

    /// Returns who has it.
    fn roles(self) -> &'static [PeerRole] {
        match self {
            Self::Leaf => &[PeerRole::Root, PeerRole::Admin],
            Self::Replication => &[PeerRole::Leaf],
            Self::Leases => &[PeerRole::Root, PeerRole::Front],
        }
    }

    /// Refuses a call whose caller does not have this access.
    pub(super) fn check<T>(self, request: &Request<T>) -> Result<(), Status> {
        let connection = request.extensions().get::<CallerConnection>();
        let caller = connection.map_or(Caller::Unknown, CallerConnection::caller);
        let role = match caller {
            Caller::Unchecked => return Ok(()),
            Caller::Role(role) if self.roles().contains(&role) => return Ok(()),
            Caller::Role(role) => role.name(),
            Caller::Unknown => "unknown",
        };
        let labels = [("service", self.name()), ("role", role)];
        metrics::counter!(NODE_CALLS_REFUSED.name, &labels).increment(1);
        if connection.is_none_or(CallerConnection::is_first_refusal) {
            tracing::warn!(service = self.name(), role, "a call was refused");
        }
        let wanted: Vec<_> = self.roles().iter().map(|role| role.name()).collect();
        Err(Status::permission_denied(format!(
            "`{}` is answered to the roles {}; the caller's is {role}",
            self.name(),
            wanted.join(", ")
        )))
    }
}

//! The cluster state in etcd, and the nodes that are alive.
//!
//! ```text
//! /gleaner/<cluster name>/cluster        {"kind": "cluster", "format": 1, "uuid": …, "level": 1}
//! /gleaner/<cluster name>/meta           {"kind": "meta", "format": 1, "version": …, "change": …, …}
//! /gleaner/<cluster name>/security       {"kind": "security", "format": 1, and the API keys}, which leaves cannot write
//! /gleaner/<cluster name>/index/<uuid>   {"kind": "index", "format": 1, and the index's metadata}
//! /gleaner/<cluster name>/shard/<uuid>/<n>  {"kind": "shard", "format": 1, and the shard's entry}
//! /gleaner/<cluster name>/node/<uuid>    {"kind": "node", "format": 1, "name": …, "role": …, …}
//! /gleaner/<cluster name>/name/<name>    {"kind": "name", "format": 1, "node": …}
//! /gleaner/<cluster name>/alive/<uuid>   {"kind": "alive", "format": 1, "incarnation": …}, under the node's lease
//! /gleaner/<cluster name>/shown/<name>   {"kind": "shown", "format": 1, "version": …}, under the lease of a root or front
//! /gleaner/<cluster name>/unreachable/<uuid>/<name>  {"kind": "unreachable", "format": 1, "incarnation": …}, under the lease
//!                                        of a root that cannot reach the node
//! /gleaner-marks/<cluster name>/…        what each node's copies were known to hold, see [`EtcdMarks`]
//! ```
//!
//! Does: [`EtcdCoordinator`] assembles the state from one watch on the prefix and changes it by transactions that
//! compare the revision of `meta`; [`Session`] keeps a node registered under a lease; [`ShownVersion`] tells what a process
//! shows, for which changes wait; [`Complaints`] take the lease of a node that most roots cannot reach; [`Users`] says which process may read and write what. Does not: know messages of etcd
//! (`proto` does), interpret the state, start an etcd. Called by `cli`. Read first: [`EtcdCoordinator`].

mod change;
mod coordinator;
mod entries;
mod follow;
mod follow_key;
mod keys;
mod marks;
mod meta;
mod mirror;
mod reach;
mod restored;
mod rules;
mod session;
mod shown;
mod table;
mod users;
mod value;
mod vitals;

pub use coordinator::EtcdCoordinator;
pub use follow::IfAbsent;
pub use follow_key::{KeyState, follow_key};
/// What [`EtcdCoordinator`] and [`Session`] call: who uses them makes it once, and calls nothing on it.
pub use gleaner_proto::etcd::Client;
pub use keys::Keys;
pub use marks::EtcdMarks;
pub use reach::Complaints;
pub use session::{NodeEntry, RegistrationError, Session, SessionState};
pub use shown::ShownVersion;
pub use users::Users;
pub use vitals::DEFAULT_QUOTA;

use gleaner_coordinator::CoordinatorError;
use gleaner_proto::etcd::Fault;

/// Returns what a fault means for the cluster state.
fn error_of(fault: Fault) -> CoordinatorError {
    match fault {
        Fault::TooLarge { reason } => CoordinatorError::TooLarge {
            reason: format!(
                "the cluster state cannot be changed: {reason}; change fewer indices at a time"
            ),
        },
        Fault::OutOfQuota => CoordinatorError::OutOfQuota {
            reason: fault.to_string(),
        },
        Fault::Refused { .. } => CoordinatorError::Store {
            path: "etcd".to_owned(),
            source: std::io::Error::other(fault),
        },
        fault => CoordinatorError::Unavailable {
            reason: fault.to_string(),
        },
    }
}

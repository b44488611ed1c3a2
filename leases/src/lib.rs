//! Leases on what shards show: who holds one knows without a call what a search would be answered from.
//!
//! A *grantor* shows shards: the leaf with their primaries, or a root that follows such leaves. A *holder* keeps answers
//! and follows it: it asks, and is answered at once when something has changed, else when the lease is to be renewed.
//! Before a grantor acknowledges to a client that a write is visible, it waits until each holder with an unexpired
//! lease has heard of the change, or its lease has run out.
//!
//! ```text
//! holder                                         grantor
//!   ask{heard, interest} ──────────────────────▶   news? answer at once; else after RENEWAL
//!   ◀────────── answer{mark, shown, lease}         the lease counts here from the answer, and 1 % longer
//!   the lease counts here from the ask
//!   ask{heard = mark}    ──────────────────────▶   an acknowledgement that waits for `mark` goes on
//! ```
//!
//! Clocks are never compared: the holder counts from before it sent the ask, the grantor from when it answers. Each
//! answer holds all that is leased, so nothing has to be sent again when an answer is lost, or a holder or a grantor begins
//! again. Source: Gray and Cheriton, *Leases* (SOSP 1989).
//!
//! Does: grant, count, wait, follow. Does not: know what a generation is for, open sockets ([`Grantor`] is called
//! over them by `proto`). Called by: `leaf` and `root`, which grant; `root` and `gleaner front`, which hold.
//! Read first: [`Grants::answer`], then [`Holdings::shown`].

mod follow;
mod grants;
mod holdings;
mod interest;
mod rules;

use std::time::Duration;

use async_trait::async_trait;
use gleaner_model::{Generation, IndexUuid, ShardKey};

pub use follow::{Following, follow, leave};
pub use grants::{Grants, Shown};
pub use holdings::Holdings;
pub use interest::Interest;

/// How long a lease lasts at most.
pub const LEASE: Duration = Duration::from_millis(500);

/// How long the grantor counts a lease, whose clock may be a little faster than the holder's.
pub const GRANTED: Duration = Duration::from_millis(505);

const _: () = assert!(GRANTED.as_micros() * 100 >= LEASE.as_micros() * 101);

/// How long an ask without news waits for some.
///
/// A lease counts from the ask, so up to two of these are over when a root grants on, and three when the front hears
/// of it; it must last for another one. What is left of a lease beyond four is for the network.
pub const RENEWAL: Duration = Duration::from_millis(80);

const _: () = assert!(RENEWAL.as_millis() * 4 < LEASE.as_millis());

/// Indices that a holder may be interested in; those that were read longest ago are left out.
pub const MAX_INDICES: usize = 1_024;

/// A point in the history of one process that grants leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The process: a random number of its own.
    pub process: u64,
    /// Changes that it has told of.
    pub change: u64,
}

/// Asks a grantor what shards show, for leases on that, and for word when it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowCall {
    /// Who asks: a random number of the process.
    pub holder: u64,
    /// Number of the ask; it grows, so an ask that was given up cannot overtake the one after it.
    pub number: u64,
    /// The last answer that the holder relies on; `None` where it relies on none.
    pub heard: Option<Mark>,
    /// The indices that it wants leases on, [`MAX_INDICES`] at most.
    pub interest: Vec<IndexUuid>,
    /// Indices that it has answered from since the last ask: their shards count as read.
    pub read: Vec<IndexUuid>,
    /// Whether the holder relies on nothing any more, and asks no more.
    pub is_last: bool,
}

/// What a grantor shows, leased to who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowAnswer {
    /// The changes that are in it.
    pub mark: Mark,
    /// All shards of the indices of interest that are leased, with what each shows.
    pub shown: Vec<(ShardKey, Generation)>,
    /// How long they are leased, from before the ask was sent on.
    pub lease: Duration,
    /// Version of the cluster state that the grantor knows.
    pub state_version: u64,
}

/// Why a grantor does not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FollowFault {
    /// It cannot be reached.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// It grants none to this process: it is of an older version, does not answer its role, or has too many holders.
    #[error("grants no leases: {0}")]
    Refused(String),
}

/// A process that grants leases on what its shards show.
#[async_trait]
pub trait Grantor: Send + Sync {
    /// Answers when something has changed that the holder has not heard of, when its interest has, and else after
    /// [`RENEWAL`].
    ///
    /// # Errors
    /// [`FollowFault`]; the holder relies on nothing of this grantor then, and asks again later.
    ///
    /// # Cancel safety
    /// Dropping the future grants nothing.
    async fn follow(&self, call: FollowCall) -> Result<FollowAnswer, FollowFault>;
}

#[cfg(test)]
mod tests;

//! Where things belong: documents in shards, shards on leaves, a query on one of the copies.
//!
//! Does: document → shard through routing slots ([`shard_of`]); shard → leaves by weighted rendezvous
//! hashing with bounded load ([`place`], [`replace`]); the order in which the copies of a shard are
//! tried for a query ([`order_copies`]). Pure and deterministic: the answer depends on the arguments
//! alone, is the same on every machine, and is frozen by test vectors.
//! Does not: know who is alive, read state, move anything.
//! Called by `root`: when it routes writes and narrows searches, when it makes an index, and for each
//! shard that it asks. Read [`placement`] first.
//!
//! ```
//! use gleaner_model::ShardNumber;
//! use gleaner_shard_router::shard_of;
//!
//! assert_eq!(shard_of("doc-1", 753_984, 4), shard_of("doc-1", 753_984, 4));
//! assert!(shard_of("doc-1", 753_984, 4) < ShardNumber(4));
//! ```

pub mod choice;
pub mod placement;
mod rendezvous;
mod routing;
mod session;

pub use choice::{Candidate, Order, order_copies};
pub use placement::{Bound, Member, Placement, PlacementError, place, replace};
pub use rendezvous::NodeHash;
pub use routing::shard_of;
pub use session::order_for_session;

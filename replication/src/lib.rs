//! How the copies of a shard agree: in-sync copies with one entry in the coordinator's store.
//!
//! Does: say who orders, what is agreed, which copies are in sync, who may answer; as pure machines that
//! take events and return effects.
//! Does not: do I/O, read a clock, look into records, talk to the store. The leaf's driver performs the
//! effects over its log and its streams.
//! Called by `leaf` (the driver), and by whatever makes, places and forces shards ([`Change`]). Read
//! [`ShardCopy`] first, then `follower.rs` and `primary.rs`; `docs/decisions/0042-in-sync-copies.md` has why.
//!
//! An acknowledged record stays, because: every member of the required set R had it durable when it was
//! acknowledged; R holds every copy that may become primary; a copy removes records only where its log
//! differs from that of a primary of a higher term; and a copy whose fence is durable confirms nothing
//! under a lower term.

mod change;
mod effect;
mod event;
mod follower;
mod history;
mod local;
mod machine;
mod message;
mod patience;
mod primary;
mod request;
mod rights;
mod settings;
mod step;
mod terms;
mod time;

#[cfg(test)]
mod tests;

pub use change::{Change, Refusal};
pub use effect::{Effect, Guard, Proposal, Report};
pub use event::{Answer, Event, Outcome};
pub use history::HeldRecords;
pub use local::{Identity, LogState};
pub use machine::ShardCopy;
pub use message::{Batch, Beat, FromFollower, FromPrimary, Join};
pub use settings::Settings;
pub use terms::{Comparison, OutOfOrder, TermEnd, TermStart, TermTable};
pub use time::Moment;

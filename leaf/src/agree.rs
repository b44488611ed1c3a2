//! Copies that agree: the driver of the machines of `replication`, their streams, and the life of a copy by its entry.
//!
//! Does: give each machine what happens, perform what it wants over the log, the streams and the store of entries,
//! open copies and change their roles in place. Does not: decide anything about terms, sets or agreement. Where a process
//! has the only copy of each shard there is nothing to agree on, and none of this.
//! Read [`driver`] first, then [`holding`]; `docs/decisions/0052-driver.md` has why.

mod claim;
mod downstream;
pub(crate) mod driver;
mod history;
mod holding;
pub(crate) mod host;
pub(crate) mod hub;
pub(crate) mod identity;
mod log_lane;
mod marking;
mod outbox;
mod placing;
pub(crate) mod remembering;
mod roles;
pub(crate) mod rules;
mod stopping;
mod upstream;

pub(crate) use driver::CopyDriver;
pub(crate) use hub::{Agreeing, AgreeingOptions};

#[cfg(test)]
mod tests;

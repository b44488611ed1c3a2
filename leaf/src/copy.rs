//! A copy of a shard: its states, what an open one holds, how operations are applied to it.
//!
//! Read [`registry`] for the states that a copy goes through, then [`shard`].

pub(crate) mod applier;
pub(crate) mod apply_threads;
pub(crate) mod checks;
pub(crate) mod counters;
pub(crate) mod flushes;
mod growth;
pub(crate) mod lease;
pub(crate) mod opening;
pub(crate) mod pipeline;
pub(crate) mod refresh;
pub(crate) mod registry;
pub(crate) mod replica;
pub(crate) mod schema;
pub(crate) mod shard;
mod take_meta;
pub(crate) mod watched;

pub(crate) use growth::bytes_of;

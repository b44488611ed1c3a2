//! What a copy takes from others: the files of a commit, and records that it applies; and what a copy is asked for.
//!
//! Does: copy files, serve them, apply records, count who follows. Does not: decide who leads, what is agreed and when a
//! copy is to be made from files ([`crate::agree`]). Read [`files`] for a copy that is made, [`source`] for the one that
//! it is made from.

pub(crate) mod applying;
pub(crate) mod files;
pub(crate) mod followers;
pub(crate) mod halt;
pub mod peers;
pub(crate) mod snapshots;
pub(crate) mod source;

#[cfg(test)]
mod tests;

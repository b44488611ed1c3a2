//! How the copies of a shard come to hold the same: files and log from the primary, histories compared.
//!
//! Read [`replica`] for a copy that follows, [`source`] for the primary that it follows.

pub(crate) mod agreement;
pub(crate) mod followers;
pub(crate) mod history;
pub(crate) mod link;
pub mod peers;
pub(crate) mod replica;
pub(crate) mod snapshots;
pub(crate) mod source;

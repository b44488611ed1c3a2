//! What is read of a copy: searches, documents, posting lists, and the views they read.
//!
//! Read [`search`] first.

mod explain;
mod fetch;
pub(crate) mod get;
pub(crate) mod pool;
pub(crate) mod postings;
pub(crate) mod search;
pub(crate) mod shown;
mod staleness;
pub(crate) mod unmatched;
pub(crate) mod views;

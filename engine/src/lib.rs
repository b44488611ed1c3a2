//! One shard copy on tantivy: documents in, exact answers out. The only room that names tantivy.
//!
//! Does: keep a copy's index in a folder ([`copy::ShardIndex`]: apply, refresh, durable commit),
//! pin what searches see ([`view::View`]), evaluate resolved queries, aggregate, fetch.
//! Does not: order writes, tail the log, open sockets, parse the dialect's queries.
//! Called by `leaf`. Read [`copy`] first, then [`schema`] for the layout of an index.

pub mod aggregate;
mod automaton;
mod blocks;
pub mod copy;
pub mod directory;
mod doc_order;
pub mod doc_values;
pub mod document_cache;
pub mod error;
pub mod expand;
pub mod explain;
pub mod extent;
pub mod fetch;
pub mod filter_cache;
pub mod length;
mod lower;
pub mod postings;
pub mod schema;
pub mod score;
pub mod search;
pub mod statistics;
pub mod view;
pub mod writer;

pub use copy::{Checkpoint, SegmentStats, ShardIndex, ShardMeta, ShardOptions, ShardStats};
pub use error::EngineError;
pub use view::{LackingDocuments, SegmentView, StoredDocument, View};

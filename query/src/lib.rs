//! What may be asked and what is answered: the dialect's JSON ⇄ trees.
//!
//! Does: parse searches, queries, aggregations, mappings and settings into typed trees
//! ([`search::SearchRequest`], [`dsl::Query`]); define the resolved tree that leaves evaluate
//! ([`resolved::ShardQuery`]) and the domain types of their answers ([`answer`]).
//! Does not: analyse text, expand terms, touch an index, read a clock (`now` is an argument).
//! Called by `api` (parsing), `root` (planning, merging), `engine` (evaluation). Pure.
//! Read [`dsl::Query`] first, then [`resolved::Clause`].

pub mod address;
pub mod aggregation;
pub mod alias;
pub mod answer;
pub mod canonical;
pub mod data_stream;
pub mod date;
pub mod decimal;
pub mod double;
pub mod dsl;
pub mod encoded;
pub mod error;
pub mod json;
pub mod key_value;
pub mod lifecycle;
pub mod limits;
pub mod mapping;
pub mod names;
pub mod order;
pub mod patterns;
pub mod postings;
pub mod query_string;
pub mod resolved;
pub mod rollover;
pub mod search;
pub mod security;
pub mod settings;
pub mod sort_mode;
pub mod sort_value;
pub mod source;
pub mod templates;
pub mod units;

pub use error::QueryError;
pub use limits::Limits;

//! What the benches share: the same documents and queries for us and for the baseline.
//!
//! The baseline is *bare tantivy*: the library our engine stands on, with the same fields, used as
//! its own examples use it. It ranks per segment and prunes by bounds that global statistics break,
//! so it does less than we do: a ratio near 1 means that exactness costs little.
//! Called by the criterion benches and by the binaries `report`, `cluster`, `front`, `lists`, `zipf` and
//! `by_term`. Read [`race`] first.

pub mod bare;
pub mod by_term;
pub mod canned;
pub mod client;
pub mod cluster;
pub mod corpus;
pub mod front;
pub mod group_commit;
pub mod lists;
pub mod ours;
pub mod process;
pub mod queries;
pub mod race;
pub mod report;
mod spread;
pub mod writes;
pub mod zipf;

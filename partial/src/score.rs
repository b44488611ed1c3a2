//! Weights of terms: the same for a shard that reads an index and a root that has posting lists.
//!
//! - [`bm25`]: the formula, in f64.
//! - [`model`]: the request's numbers, tabulated.
//! - [`weights`]: the score of a term in a document, for all who have its frequency and length.
//!
//! Does not: add up what a document scores for a whole query (`engine::score::canonical` does).

pub mod bm25;
pub mod model;
pub mod weights;

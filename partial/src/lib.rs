//! What shards and roots compute alike: partial results of aggregations, and what both need for them.
//!
//! Does: merge partial results, in any order and grouping, into the same result ([`Aggregations`]);
//! carry them between nodes as versioned bytes ([`codec`]); make the answer of them ([`finalize`]).
//! Beside that: what a request says about values under a mapping ([`request`], [`sorting`]), terms that
//! match patterns ([`pattern`]), weights of terms ([`score`]), and by when and in how much memory all of it
//! must be done ([`control`]).
//! Does not: look at documents or at an index (`engine` does), ask shards (`root` does).
//! Called by `engine` (segments to shard), `leaf` and `root` (decoding, merging). Read [`Aggregations`]
//! first, then [`control::Control`].
//!
//! # Exact counts of terms
//! A shard sends all its keys, unless there are more than [`terms::COMPLETE_KEYS`] (with documents to
//! read for each, [`terms::COMPLETE_KEYS_WITH_HITS`]): then it sends its best ones with a bound on the
//! counts of the others. The root merges what it got and asks [`Aggregations::refine`] whether the bounds
//! leave the answer open. While they do, it sends the aggregations returned there to the same shards (as
//! another count-only request), merges the answers, joins them with [`Aggregations::refined_by`] and asks
//! again. Two passes do in all but contrived cases: one that reads deeper, one that counts the candidates
//! everywhere. `significant_text` takes one more, for the terms that are compared.

mod aggregations;
pub mod cells;
pub mod codec;
pub mod control;
pub mod dates;
pub mod distinct;
mod error;
pub mod extent;
pub mod finalize;
pub mod hdr;
pub mod key;
pub mod live_keys;
pub mod matrix;
pub mod numbers;
pub mod pattern;
mod refine;
pub mod request;
pub mod sample;
pub mod score;
mod size;
pub mod sketch;
pub mod sorting;
pub mod sum;
pub mod terms;
#[cfg(test)]
mod testing;
mod texts;
pub mod top_hits;
pub mod tuples;
mod weighted;

pub use self::aggregations::{
    Aggregations, Bucket, Histogram, Partial, RangeBucket, Ranges, merge_encoded,
};
pub use self::error::EvaluationError;
pub use self::finalize::{FinalizeContext, reduce};
pub use self::live_keys::{LiveKeys, with_live_keys};
pub use self::texts::are_compared;
pub use self::weighted::Weighted;

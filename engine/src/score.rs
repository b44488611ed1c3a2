//! Exact ranking: the same documents and query give the same hits, order and scores, to the bit,
//! however documents lie in shards and segments.
//!
//! - [`canonical`]: a document's score, in the query's clause order, rounded once.
//! - [`bound`]: what no document of a block or list scores more than.
//! - [`function`]: scores made of a document's values.
//! - [`intervals`]: where words stand to each other in some way; [`interval_cursor`]: what that scores.
//! - [`across`]: one text over several fields.
//! - [`window`]: where the words of a sloppy phrase stand close together.
//! - [`top`]: the best hits, shared by all segments and shards.
//!
//! Formula and weights are in [`gleaner_partial::score`]. `docs/decisions/0004-exact-ranking.md` has the argument and the figures.

pub(crate) mod across;
pub mod bound;
pub(crate) mod canonical;
pub(crate) mod explain;
pub(crate) mod function;
pub(crate) mod interval_cursor;
pub(crate) mod intervals;
mod phrase;
pub(crate) mod top;
pub(crate) mod window;

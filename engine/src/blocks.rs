//! Posting lists of text columns, read block by block together with their skip data.
//!
//! tantivy's own readers keep the skip data to themselves, and its pruning cannot be interrupted. So
//! ranking reads the lists itself: files and terms are reached through tantivy's public interface,
//! and what a list consists of ([`list`] has the layout) is decoded here. [`Cursor`] walks a list
//! forwards, [`Positions`] tells where a term stands in its documents; [`TextColumn`] finds both by
//! term.

mod block;
mod column;
mod cursor;
mod list;
mod positions;
mod terms;

pub(crate) use block::{BLOCK, Block};
pub(crate) use column::{ListFiles, TextColumn};
pub(crate) use cursor::Cursor;
pub(crate) use list::{Place, PostingList};
pub(crate) use positions::Positions;

#[cfg(test)]
mod tests;

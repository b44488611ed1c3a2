//! How a document's score came about.

use std::sync::Arc;

use gleaner_query::answer::Explanation;
use gleaner_query::resolved::ShardQuery;

use crate::error::EngineError;
use crate::view::View;

/// Whether a document matches, and its score as a tree.
pub struct Explained {
    /// Whether the query matches it.
    pub matched: bool,
    /// The tree; its value is the score of the hit to the bit, 0 where nothing matches.
    pub explanation: Explanation,
}

/// Explains the score of the document at `place`.
///
/// # Errors
/// When the index cannot be read.
pub fn at_place(
    view: &Arc<View>,
    place: u64,
    query: &ShardQuery,
) -> Result<Explained, EngineError> {
    let _ = (view, place, query);
    Err(EngineError::Internal("not yet".to_owned()))
}

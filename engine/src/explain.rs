//! How a document's score came about, as the dialect shows it.

use std::sync::Arc;

use gleaner_model::DocumentId;
use gleaner_query::answer::Explanation;
use gleaner_query::resolved::ShardQuery;

use crate::error::EngineError;
use crate::score;
use crate::view::View;

/// Whether a document matches, and its score as a tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// Where the document stands in the view.
    pub place: u64,
    /// Whether the query matches it.
    pub matched: bool,
    /// The tree; its value is the score of the hit to the bit, 0 where nothing matches.
    pub explanation: Explanation,
}

/// Explains the score of the document of `id`; `None` where the shard has no such live document.
///
/// # Errors
/// [`EngineError::MissingStatistics`], and when the index cannot be read.
pub fn of_document(
    view: &Arc<View>,
    id: &DocumentId,
    query: &ShardQuery,
) -> Result<Option<Explained>, EngineError> {
    match view.find_place(id)? {
        Some(place) => at_place(view, place, query).map(Some),
        None => Ok(None),
    }
}

/// Explains the score of the document at `place`, a number that `view` gave out.
///
/// # Errors
/// [`EngineError::MissingStatistics`], and when the index cannot be read.
pub fn at_place(
    view: &Arc<View>,
    place: u64,
    query: &ShardQuery,
) -> Result<Explained, EngineError> {
    let found = score::explain::explain(view, place, query)?;
    Ok(Explained {
        place,
        matched: found.is_some(),
        explanation: found.unwrap_or_else(|| Explanation {
            value: 0.0,
            description: "no matching clause".to_owned(),
            details: Vec::new(),
        }),
    })
}

#[cfg(test)]
mod tests;

//! How a document's score came about, as the dialect shows it.

use std::sync::Arc;

use gleaner_model::DocumentId;
use gleaner_partial::control::Control;
use gleaner_query::answer::{Explanation, NO_MATCH};
use gleaner_query::resolved::ShardQuery;

use crate::error::EngineError;
use crate::score;
use crate::view::View;

/// Whether a document matches, and its score as a tree.
#[derive(Debug, Clone, PartialEq)]
pub struct MatchExplanation {
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
/// As [`at_place`].
pub fn of_document(
    view: &Arc<View>,
    id: &DocumentId,
    query: &ShardQuery,
    control: &Control,
) -> Result<Option<MatchExplanation>, EngineError> {
    match view.find_place(id)? {
        Some(place) => at_place(view, place, query, control).map(Some),
        None => Ok(None),
    }
}

/// Explains the score of the document at `place`, a number that `view` gave out.
///
/// # Errors
/// `EvaluationError::MissingStatistics`, when the index cannot be read, and
/// `EvaluationError::DeadlineExceeded` or `EvaluationError::Cancelled` when the request must stop: a tree of
/// half a score is of no use. Of a cancellation while a document is evaluated nothing is noticed; the
/// deadline ends it.
pub fn at_place(
    view: &Arc<View>,
    place: u64,
    query: &ShardQuery,
    control: &Control,
) -> Result<MatchExplanation, EngineError> {
    let found = score::explain::explain(view, place, query, control)?;
    Ok(MatchExplanation {
        place,
        matched: found.is_some(),
        explanation: found.unwrap_or_else(|| Explanation {
            value: 0.0,
            description: NO_MATCH.to_owned(),
            details: Vec::new(),
        }),
    })
}

#[cfg(test)]
mod tests;

//! What the hits of a search are ordered by, and after which point they begin.

use gleaner_model::{DocumentId, ShardNumber};
use gleaner_query::answer::SortValue;
use gleaner_query::resolved::ShardQuery;
use gleaner_query::search::SortTarget;

use super::sorting::{Sorting, read_tie};
use crate::EngineError;

/// What the hits are ordered by.
pub(super) enum Order {
    /// Nothing: only totals and aggregations are wanted.
    None,
    /// The score; `Some`: only hits after this one.
    Score(Option<AfterScore>),
    /// Sort keys.
    Keys(Sorting),
}

/// A point of the order by score.
pub(super) struct AfterScore {
    pub(super) score: f64,
    pub(super) tie: Option<AfterTie>,
    /// Hits equal in all that come after it in shards of larger numbers.
    pub(super) shard: Option<ShardNumber>,
}

/// A tie-break to go on after.
#[derive(Debug, Clone)]
pub(super) struct AfterTie {
    pub(super) hash: u64,
    pub(super) id: Option<DocumentId>,
}

impl Order {
    /// Returns whether the score decides first, larger ones before smaller ones, and the search begins with the best of all: then what
    /// cannot reach the score of the last hit need not be looked at.
    pub(super) fn is_by_score_first(&self, query: &ShardQuery) -> bool {
        match self {
            Self::None => false,
            Self::Score(_) => true,
            Self::Keys(_) => {
                let first = query.sort.first();
                first.is_some_and(|key| key.target == SortTarget::Score && key.descending)
                    && query.after.is_none()
                    && query.search_after.is_none()
                    && query.collapse.is_none()
            }
        }
    }

    /// Reads order and starting point of a query.
    ///
    /// # Errors
    /// `EvaluationError::Query` for a starting point that does not fit the order.
    pub(super) fn of(query: &ShardQuery) -> Result<Self, EngineError> {
        if query.top == 0 {
            return Ok(Self::None);
        }
        let is_by_score = match query.sort.as_slice() {
            [] => true,
            [only] => only.target == SortTarget::Score && only.descending,
            _ => false,
        };
        // The best by score of each value are found as those by any key are.
        if !is_by_score || query.collapse.is_some() {
            return Ok(Self::Keys(Sorting::new(query)));
        }
        if let Some(after) = &query.after {
            let tie = after.tie.as_ref();
            let tie = tie.map(|tie| AfterTie {
                hash: tie.hash,
                id: tie.id.clone(),
            });
            let score = match after.keys.first() {
                Some(SortValue::F64(score)) => *score,
                other => return Err(EngineError::internal(format!("{other:?} is no score"))),
            };
            let shard = after.shard;
            return Ok(Self::Score(Some(AfterScore { score, tie, shard })));
        }
        let Some(values) = &query.search_after else {
            return Ok(Self::Score(None));
        };
        let refuse =
            || EngineError::query(format!("search_after {values:?} does not fit the sort"));
        let score = values
            .first()
            .and_then(serde_json::Value::as_f64)
            .ok_or_else(refuse)?;
        let (hash, shard) = read_tie(&values[1..])?;
        let tie = hash.map(|hash| AfterTie { hash, id: None });
        Ok(Self::Score(Some(AfterScore { score, tie, shard })))
    }
}

//! Hits put together by a value, and hits scored anew: `collapse`, `rescore`.

use serde::Serialize;

use super::SearchRequest;
use crate::dsl::Query;

/// `collapse`: of the hits with one value of a field, only the best.
#[derive(Debug, Clone, PartialEq)]
pub struct Collapse {
    /// A `keyword` or a field of numbers, with one value in each document.
    pub field: String,
    /// Searches among all hits of each value shown.
    pub inner_hits: Vec<InnerHits>,
}

/// A search among the hits that a hit stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct InnerHits {
    /// Its name in the hit.
    pub name: String,
    /// Which hits and what of them; its query is the one around it.
    pub request: Box<SearchRequest>,
}

/// `rescore`: the best hits scored by another query too.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rescore {
    /// How many of the best hits; default 10.
    pub window_size: usize,
    /// The other query.
    pub query: Query,
    /// Factor on the score so far; default 1.
    pub query_weight: f32,
    /// Factor on the other query's score; default 1.
    pub rescore_query_weight: f32,
    /// How the two become one. A hit that the other query does not match keeps the first.
    pub score_mode: RescoreMode,
}

/// How the scores of `rescore` become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum RescoreMode {
    /// Their sum.
    #[default]
    Total,
    /// Their product.
    Multiply,
    /// Their mean.
    Avg,
    /// The larger.
    Max,
    /// The smaller.
    Min,
}

impl Rescore {
    /// Returns the score made of the one so far and of the other query's; `None`: it does not match.
    pub fn combine(&self, score: f32, other: Option<f32>) -> f32 {
        let first = f64::from(score) * f64::from(self.query_weight);
        let Some(other) = other else {
            return first as f32;
        };
        let second = f64::from(other) * f64::from(self.rescore_query_weight);
        let combined = match self.score_mode {
            RescoreMode::Total => first + second,
            RescoreMode::Multiply => first * second,
            RescoreMode::Avg => f64::midpoint(first, second),
            RescoreMode::Max => first.max(second),
            RescoreMode::Min => first.min(second),
        };
        combined.min(f64::from(f32::MAX)) as f32
    }
}

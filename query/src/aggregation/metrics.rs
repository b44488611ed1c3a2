//! Requests of metrics of several fields.
//!
//! Source: Elasticsearch reference, *Metrics aggregations*.

use serde::Serialize;

use super::{TopHitsAggregation, ValueSource};
use crate::search::SortMode;

/// `weighted_avg`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WeightedAverage {
    /// Values, each of which counts.
    pub value: ValueSource,
    /// Their weight, of which a document has one.
    pub weight: ValueSource,
    /// Format of the result.
    pub format: Option<String>,
}

/// `top_metrics`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TopMetricsAggregation {
    /// Fields whose values are returned.
    pub metrics: Vec<String>,
    /// The hits that have them: sorted as asked, then by the fields, so that equals have an order.
    pub hits: TopHitsAggregation,
}

impl TopHitsAggregation {
    /// Returns whether hits leave out `_id` and `_source`.
    pub fn is_bare(&self) -> bool {
        self.stored_fields.iter().any(|field| field == "_none_")
    }
}

/// `matrix_stats`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MatrixStatsAggregation {
    /// The fields, none twice. Documents that lack one of them do not count.
    pub sources: Vec<ValueSource>,
    /// Which of a document's values of a field counts; default the mean.
    pub mode: SortMode,
}

//! Requests of metrics of several fields.
//!
//! Source: Elasticsearch reference, *Metrics aggregations*.

use serde::Serialize;

use super::{TopHitsAggregation, ValueSource};

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

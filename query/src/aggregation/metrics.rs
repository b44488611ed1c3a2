//! Requests of metrics of several fields.
//!
//! Source: Elasticsearch reference, *Metrics aggregations*.

use serde::Serialize;

use super::{Aggregation, AggregationKind, TopHitsAggregation, ValueSource};
use crate::error::QueryError;
use crate::search::SortMode;

/// Most documents of `top_metrics` that an index may allow: as many as `top_hits` has.
pub(crate) const MOST_TOP_METRICS: usize = 100;

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

/// Refuses aggregations of which a `top_metrics` asks for more than `limit` documents.
///
/// # Errors
/// `illegal_argument_exception`.
pub fn check_top_metrics(aggregations: &[Aggregation], limit: usize) -> Result<(), QueryError> {
    for Aggregation { kind, sub, .. } in aggregations {
        check_top_metrics(sub, limit)?;
        if let AggregationKind::TopMetrics(TopMetricsAggregation { hits, .. }) = kind
            && hits.size > limit
        {
            return Err(QueryError::illegal(format!(
                "[top_metrics.size] must not be more than [{limit}] but was [{}]. This limit can be set by \
                 changing the [index.top_metrics_max_size] index level setting.",
                hits.size
            )));
        }
    }
    Ok(())
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

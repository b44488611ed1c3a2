//! Requests of metrics of several fields.
//!
//! Source: Elasticsearch reference, *Metrics aggregations*.

use serde::Serialize;

use super::{Aggregation, AggregationKind, TopHitsAggregation, ValueSource};
use crate::error::QueryError;
use crate::search::{FieldFormat, SortMode};

/// Most documents of `top_metrics` that an index may allow: as many as `top_hits` has.
pub(crate) const MOST_TOP_METRICS: usize = 100;

/// Most entries of `fields` that the `top_hits` of a search may inherit, in all.
const MOST_INHERITED: usize = 65_536;

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

/// Gives every `top_hits` that names no `fields` those of the search that it is in, as Elasticsearch does.
///
/// # Errors
/// `illegal_argument_exception` where these would be more than [`MOST_INHERITED`] entries: a short request would take much
/// memory.
pub(crate) fn inherit_fields(
    aggregations: &mut [Aggregation],
    fields: &[FieldFormat],
) -> Result<(), QueryError> {
    let mut heirs = Vec::new();
    heirs_in(aggregations, &mut heirs);
    let number = heirs.len().saturating_mul(fields.len());
    if number > MOST_INHERITED {
        return Err(QueryError::illegal(format!(
            "[{}] aggregations [top_hits] without [fields] would return the [{}] [fields] of the search, at most \
             [{MOST_INHERITED}] in all are allowed; name the [fields] of each [top_hits]",
            heirs.len(),
            fields.len()
        )));
    }
    for heir in heirs {
        heir.fields = fields.to_vec();
    }
    Ok(())
}

/// Collects the `top_hits` that name no `fields` and are not bare, at any depth.
fn heirs_in<'a>(aggregations: &'a mut [Aggregation], heirs: &mut Vec<&'a mut TopHitsAggregation>) {
    for Aggregation { kind, sub, .. } in aggregations {
        heirs_in(sub, heirs);
        if let AggregationKind::TopHits(hits) = kind
            && hits.fields.is_empty()
            && !hits.is_bare()
        {
            heirs.push(hits);
        }
    }
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

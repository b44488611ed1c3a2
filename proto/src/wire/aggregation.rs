//! Aggregations, in post-order. The queries inside them travel resolved, beside them; as they were
//! parsed they stay behind, and [`Query::MatchNone`] stands in their place.

mod histogram;
mod metric;
mod source;
mod terms;

use gleaner_query::aggregation::{Aggregation, AggregationKind};
use gleaner_query::dsl::Query;

use super::field::{known, maybe, one};
use super::tree::Forest;
use super::v1::aggregation_node::Kind;
use super::{DecodeError, Wire, v1};

/// Levels of aggregations; requests are parsed to at most 30 (`query::limits`).
const MAX_DEPTH: usize = 64;

/// Returns the nodes of `aggregations`.
pub(super) fn nodes(aggregations: &[Aggregation]) -> Vec<v1::AggregationNode> {
    let mut nodes = Vec::new();
    aggregations.iter().for_each(|one| push(one, &mut nodes));
    nodes
}

/// Reads aggregations.
pub(super) fn aggregations(
    nodes: Vec<v1::AggregationNode>,
) -> Result<Vec<Aggregation>, DecodeError> {
    let mut trees = Forest::new("Aggregation", MAX_DEPTH);
    for node in nodes {
        let v1::AggregationNode {
            name,
            num_sub,
            meta,
            kind,
        } = node;
        let kind = kind_of(known(kind, "Aggregation")?)?;
        let meta = maybe(meta)?;
        trees.add(num_sub as usize, |sub| {
            Ok(Aggregation {
                name,
                kind,
                sub,
                // The root makes them of what all shards have found.
                pipelines: Vec::new(),
                meta,
            })
        })?;
    }
    Ok(trees.into_all())
}

fn push(aggregation: &Aggregation, nodes: &mut Vec<v1::AggregationNode>) {
    let Aggregation {
        name,
        kind,
        sub,
        pipelines: _,
        meta,
    } = aggregation;
    sub.iter().for_each(|part| push(part, nodes));
    nodes.push(v1::AggregationNode {
        name: name.clone(),
        num_sub: sub.len() as u32,
        meta: meta.as_ref().map(Wire::to_message),
        kind: Some(kind_message(kind)),
    });
}

fn kind_message(kind: &AggregationKind) -> Kind {
    match kind {
        AggregationKind::Terms(terms) => Kind::Terms(terms.to_message()),
        AggregationKind::Range(range) => Kind::Range(range.to_message()),
        AggregationKind::Histogram(histogram) => Kind::Histogram(histogram.to_message()),
        AggregationKind::DateHistogram(histogram) => Kind::DateHistogram(histogram.to_message()),
        AggregationKind::Filter(_) => Kind::Filter(v1::Unit {}),
        AggregationKind::Filters {
            filters,
            is_keyed,
            is_listed,
            other_bucket,
        } => Kind::Filters(v1::FiltersAggregation {
            keys: filters.iter().map(|(key, _)| key.clone()).collect(),
            is_keyed: *is_keyed,
            is_listed: *is_listed,
            other_bucket: other_bucket.clone(),
        }),
        AggregationKind::Global => Kind::Global(v1::Unit {}),
        AggregationKind::MissingValue { field } => Kind::MissingValue(field.clone()),
        AggregationKind::Metric(metric, source) => Kind::Metric(v1::MetricAggregation {
            metric: metric::message(*metric) as i32,
            source: Some(source.to_message()),
        }),
        AggregationKind::Cardinality {
            source,
            precision_threshold,
        } => Kind::Cardinality(v1::CardinalityAggregation {
            source: Some(source.to_message()),
            precision_threshold: *precision_threshold,
        }),
        AggregationKind::Percentiles {
            source,
            percents,
            keyed,
        } => Kind::Percentiles(v1::PercentilesAggregation {
            source: Some(source.to_message()),
            percents: percents.clone(),
            keyed: *keyed,
        }),
        AggregationKind::TopHits(top_hits) => Kind::TopHits(top_hits.to_message()),
    }
}

fn kind_of(kind: Kind) -> Result<AggregationKind, DecodeError> {
    Ok(match kind {
        Kind::Terms(terms) => AggregationKind::Terms(Wire::from_message(terms)?),
        Kind::Range(range) => AggregationKind::Range(Wire::from_message(range)?),
        Kind::Histogram(histogram) => AggregationKind::Histogram(Wire::from_message(histogram)?),
        Kind::DateHistogram(histogram) => {
            AggregationKind::DateHistogram(Wire::from_message(histogram)?)
        }
        Kind::Filter(v1::Unit {}) => AggregationKind::Filter(Query::MatchNone),
        Kind::Filters(v1::FiltersAggregation {
            keys,
            is_keyed,
            is_listed,
            other_bucket,
        }) => AggregationKind::Filters {
            filters: keys
                .into_iter()
                .map(|key| (key, Query::MatchNone))
                .collect(),
            is_keyed,
            is_listed,
            other_bucket,
        },
        Kind::Global(v1::Unit {}) => AggregationKind::Global,
        Kind::MissingValue(field) => AggregationKind::MissingValue { field },
        Kind::Metric(v1::MetricAggregation { metric, source }) => {
            AggregationKind::Metric(metric::of(metric)?, one(source, "Metric.source")?)
        }
        Kind::Cardinality(v1::CardinalityAggregation {
            source,
            precision_threshold,
        }) => AggregationKind::Cardinality {
            source: one(source, "Cardinality.source")?,
            precision_threshold,
        },
        Kind::Percentiles(v1::PercentilesAggregation {
            source,
            percents,
            keyed,
        }) => AggregationKind::Percentiles {
            source: one(source, "Percentiles.source")?,
            percents,
            keyed,
        },
        Kind::TopHits(top_hits) => AggregationKind::TopHits(Wire::from_message(top_hits)?),
    })
}

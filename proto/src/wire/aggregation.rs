//! Aggregations, in post-order. The queries inside them travel resolved, beside them; as they were
//! parsed they stay behind, and [`Query::MatchNone`] stands in their place.

mod geo;
mod histogram;
mod keys;
mod metric;
mod rare;
mod source;
mod terms;
mod tuples;

use gleaner_query::aggregation::{Aggregation, AggregationKind};
use gleaner_query::dsl::Query;

use super::field::{known, maybe, maybe_message, size};
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
        AggregationKind::Background { filter, words } => {
            Kind::Background(v1::BackgroundAggregation {
                filter: filter.map(|at| at as u64),
                words: maybe_message(words.as_ref()),
            })
        }
        // As earlier versions read it.
        AggregationKind::MissingValue {
            field,
            missing: None,
        } => Kind::MissingValue(field.clone()),
        AggregationKind::MissingValue { field, missing } => Kind::Missing(v1::MissingAggregation {
            field: field.clone(),
            missing: maybe_message(missing.as_ref()),
        }),
        AggregationKind::Composite(composite) => Kind::Composite(composite.to_message()),
        AggregationKind::MultiTerms(terms) => Kind::MultiTerms(terms.to_message()),
        AggregationKind::RareTerms(terms) => Kind::RareTerms(terms.to_message()),
        AggregationKind::SignificantTerms(terms) => Kind::SignificantTerms(terms.to_message()),
        AggregationKind::Sampler(sampler) => Kind::Sampler(sampler.to_message()),
        AggregationKind::Adjacency(adjacency) => Kind::Adjacency(adjacency.to_message()),
        AggregationKind::IpRange(range) => Kind::IpRange(range.to_message()),
        AggregationKind::IpPrefix(prefix) => Kind::IpPrefix(prefix.to_message()),
        AggregationKind::AutoDate(dates) => Kind::AutoDate(dates.to_message()),
        AggregationKind::VariableWidth(widths) => Kind::VariableWidth(widths.to_message()),
        AggregationKind::GeoGrid(grid) => Kind::GeoGrid(grid.to_message()),
        AggregationKind::GeoDistance(distance) => Kind::GeoDistance(distance.to_message()),
        AggregationKind::Metric(metric, source) => Kind::Metric(metric::numbers(*metric, source)),
        AggregationKind::Cardinality {
            source,
            precision_threshold,
        } => Kind::Cardinality(metric::cardinality(source, *precision_threshold)),
        AggregationKind::Percentiles {
            source,
            percents,
            keyed,
            hdr_digits,
        } => Kind::Percentiles(v1::PercentilesAggregation {
            hdr_digits: hdr_digits.map(u32::from),
            ..metric::percentiles(source, percents, *keyed)
        }),
        AggregationKind::PercentileRanks {
            source,
            values,
            keyed,
            hdr_digits,
        } => Kind::PercentileRanks(v1::PercentileRanksAggregation {
            hdr_digits: hdr_digits.map(u32::from),
            ..metric::ranks(source, values, *keyed)
        }),
        AggregationKind::MedianAbsoluteDeviation(source) => {
            Kind::MedianAbsoluteDeviation(source.to_message())
        }
        AggregationKind::WeightedAverage(average) => Kind::WeightedAverage(average.to_message()),
        AggregationKind::MatrixStats(stats) => Kind::MatrixStats(stats.to_message()),
        AggregationKind::TopHits(hits) => Kind::TopHits(hits.to_message()),
        AggregationKind::TopMetrics(metrics) => Kind::TopMetrics(metrics.to_message()),
        AggregationKind::GeoBounds { field, wraps } => Kind::GeoBounds(v1::GeoBoundsAggregation {
            field: field.clone(),
            wraps: *wraps,
        }),
        AggregationKind::GeoCentroid { field } => Kind::GeoCentroid(field.clone()),
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
            filters: without_queries(keys),
            is_keyed,
            is_listed,
            other_bucket,
        },
        Kind::Global(v1::Unit {}) => AggregationKind::Global,
        Kind::Background(v1::BackgroundAggregation { filter, words }) => {
            AggregationKind::Background {
                filter: filter.map(|at| size(at, "Background.filter")).transpose()?,
                words: maybe(words)?,
            }
        }
        Kind::MissingValue(field) => AggregationKind::MissingValue {
            field,
            missing: None,
        },
        Kind::Missing(v1::MissingAggregation { field, missing }) => AggregationKind::MissingValue {
            field,
            missing: maybe(missing)?,
        },
        Kind::Composite(composite) => AggregationKind::Composite(Wire::from_message(composite)?),
        Kind::MultiTerms(terms) => AggregationKind::MultiTerms(Wire::from_message(terms)?),
        Kind::RareTerms(terms) => AggregationKind::RareTerms(Wire::from_message(terms)?),
        Kind::SignificantTerms(terms) => {
            AggregationKind::SignificantTerms(Wire::from_message(terms)?)
        }
        Kind::Sampler(sampler) => AggregationKind::Sampler(Wire::from_message(sampler)?),
        Kind::Adjacency(adjacency) => AggregationKind::Adjacency(Wire::from_message(adjacency)?),
        Kind::IpRange(range) => AggregationKind::IpRange(Wire::from_message(range)?),
        Kind::IpPrefix(prefix) => AggregationKind::IpPrefix(Wire::from_message(prefix)?),
        Kind::AutoDate(dates) => AggregationKind::AutoDate(Wire::from_message(dates)?),
        Kind::VariableWidth(widths) => AggregationKind::VariableWidth(Wire::from_message(widths)?),
        Kind::GeoGrid(grid) => AggregationKind::GeoGrid(Wire::from_message(grid)?),
        Kind::GeoDistance(distance) => AggregationKind::GeoDistance(Wire::from_message(distance)?),
        Kind::Metric(metric) => metric::of_numbers(metric)?,
        Kind::Cardinality(cardinality) => metric::of_cardinality(cardinality)?,
        Kind::Percentiles(percentiles) => metric::of_percentiles(percentiles)?,
        Kind::PercentileRanks(ranks) => metric::of_ranks(ranks)?,
        Kind::MedianAbsoluteDeviation(source) => {
            AggregationKind::MedianAbsoluteDeviation(Wire::from_message(source)?)
        }
        Kind::WeightedAverage(average) => {
            AggregationKind::WeightedAverage(Wire::from_message(average)?)
        }
        Kind::MatrixStats(stats) => AggregationKind::MatrixStats(Wire::from_message(stats)?),
        Kind::TopHits(hits) => AggregationKind::TopHits(Wire::from_message(hits)?),
        Kind::TopMetrics(metrics) => AggregationKind::TopMetrics(Wire::from_message(metrics)?),
        Kind::GeoBounds(v1::GeoBoundsAggregation { field, wraps }) => {
            AggregationKind::GeoBounds { field, wraps }
        }
        Kind::GeoCentroid(field) => AggregationKind::GeoCentroid { field },
    })
}

/// Puts [`Query::MatchNone`] in the place of each query.
fn without_queries(keys: Vec<String>) -> Vec<(String, Query)> {
    let keys = keys.into_iter();
    keys.map(|key| (key, Query::MatchNone)).collect()
}

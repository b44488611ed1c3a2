//! Metrics and the best hits of buckets.

use gleaner_query::aggregation::{
    AggregationKind, Metric, TopHitsAggregation, TopMetricsAggregation, WeightedAverage,
};

use super::super::field::{all, maybe, maybe_message, member, messages, one, size};
use super::super::v1::aggregation_node::Kind;
use super::super::{DecodeError, Wire, v1};

/// Deviations of `extended_stats` where a message of an earlier version does not say them.
const SIGMA: f64 = 2.0;

/// Returns the message of what has no buckets.
pub(super) fn kind_message(kind: &AggregationKind) -> Kind {
    match kind {
        AggregationKind::Metric(metric, source) => Kind::Metric(v1::MetricAggregation {
            metric: message(*metric) as i32,
            source: Some(source.to_message()),
            sigma: match metric {
                Metric::ExtendedStats { sigma } => Some(*sigma),
                _ => None,
            },
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
        AggregationKind::PercentileRanks {
            source,
            values,
            keyed,
        } => Kind::PercentileRanks(v1::PercentileRanksAggregation {
            source: Some(source.to_message()),
            values: values.clone(),
            keyed: *keyed,
        }),
        AggregationKind::MedianAbsoluteDeviation(source) => {
            Kind::MedianAbsoluteDeviation(source.to_message())
        }
        AggregationKind::WeightedAverage(average) => Kind::WeightedAverage(average.to_message()),
        AggregationKind::TopHits(hits) => Kind::TopHits(hits.to_message()),
        AggregationKind::TopMetrics(metrics) => Kind::TopMetrics(metrics.to_message()),
        AggregationKind::GeoBounds { field, wraps } => Kind::GeoBounds(v1::GeoBoundsAggregation {
            field: field.clone(),
            wraps: *wraps,
        }),
        AggregationKind::GeoCentroid { field } => Kind::GeoCentroid(field.clone()),
        // All others have buckets.
        _ => Kind::Global(v1::Unit {}),
    }
}

/// Reads what has no buckets.
pub(super) fn kind_of(kind: Kind) -> Result<AggregationKind, DecodeError> {
    Ok(match kind {
        Kind::Metric(v1::MetricAggregation {
            metric,
            source,
            sigma,
        }) => AggregationKind::Metric(of(metric, sigma)?, one(source, "Metric.source")?),
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
        Kind::PercentileRanks(v1::PercentileRanksAggregation {
            source,
            values,
            keyed,
        }) => AggregationKind::PercentileRanks {
            source: one(source, "PercentileRanks.source")?,
            values,
            keyed,
        },
        Kind::MedianAbsoluteDeviation(source) => {
            AggregationKind::MedianAbsoluteDeviation(Wire::from_message(source)?)
        }
        Kind::WeightedAverage(average) => {
            AggregationKind::WeightedAverage(Wire::from_message(average)?)
        }
        Kind::TopHits(hits) => AggregationKind::TopHits(Wire::from_message(hits)?),
        Kind::TopMetrics(metrics) => AggregationKind::TopMetrics(Wire::from_message(metrics)?),
        Kind::GeoBounds(v1::GeoBoundsAggregation { field, wraps }) => {
            AggregationKind::GeoBounds { field, wraps }
        }
        Kind::GeoCentroid(field) => AggregationKind::GeoCentroid { field },
        _ => {
            return Err(DecodeError::Unknown {
                what: "Aggregation",
            });
        }
    })
}

fn message(metric: Metric) -> v1::Metric {
    match metric {
        Metric::Avg => v1::Metric::Avg,
        Metric::Min => v1::Metric::Min,
        Metric::Max => v1::Metric::Max,
        Metric::Sum => v1::Metric::Sum,
        Metric::ValueCount => v1::Metric::ValueCount,
        Metric::Stats => v1::Metric::Stats,
        Metric::ExtendedStats { .. } => v1::Metric::ExtendedStats,
    }
}

fn of(metric: i32, sigma: Option<f64>) -> Result<Metric, DecodeError> {
    Ok(match member(metric, "Metric")? {
        v1::Metric::Unspecified => return Err(DecodeError::Missing("Metric")),
        v1::Metric::Avg => Metric::Avg,
        v1::Metric::Min => Metric::Min,
        v1::Metric::Max => Metric::Max,
        v1::Metric::Sum => Metric::Sum,
        v1::Metric::ValueCount => Metric::ValueCount,
        v1::Metric::Stats => Metric::Stats,
        v1::Metric::ExtendedStats => Metric::ExtendedStats {
            sigma: sigma.unwrap_or(SIGMA),
        },
    })
}

impl Wire for WeightedAverage {
    type Message = v1::WeightedAverage;

    fn to_message(&self) -> v1::WeightedAverage {
        let Self {
            value,
            weight,
            format,
        } = self;
        v1::WeightedAverage {
            value: Some(value.to_message()),
            weight: Some(weight.to_message()),
            format: format.clone(),
        }
    }

    fn from_message(message: v1::WeightedAverage) -> Result<Self, DecodeError> {
        let v1::WeightedAverage {
            value,
            weight,
            format,
        } = message;
        Ok(Self {
            value: one(value, "WeightedAverage.value")?,
            weight: one(weight, "WeightedAverage.weight")?,
            format,
        })
    }
}

impl Wire for TopMetricsAggregation {
    type Message = v1::TopMetricsAggregation;

    fn to_message(&self) -> v1::TopMetricsAggregation {
        let Self { metrics, hits } = self;
        v1::TopMetricsAggregation {
            metrics: metrics.clone(),
            hits: Some(hits.to_message()),
        }
    }

    fn from_message(message: v1::TopMetricsAggregation) -> Result<Self, DecodeError> {
        let v1::TopMetricsAggregation { metrics, hits } = message;
        let hits: TopHitsAggregation = one(hits, "TopMetrics.hits")?;
        // They are the last of the keys.
        if metrics.len() > hits.sort.len() {
            return Err(DecodeError::field("TopMetrics.metrics", "more than keys"));
        }
        Ok(Self { metrics, hits })
    }
}

impl Wire for TopHitsAggregation {
    type Message = v1::TopHitsAggregation;

    fn to_message(&self) -> v1::TopHitsAggregation {
        let Self {
            from,
            size,
            sort,
            source,
            docvalue_fields,
            highlight,
            version,
            seq_no_primary_term,
            track_scores,
        } = self;
        v1::TopHitsAggregation {
            from: *from as u64,
            size: *size as u64,
            sort: messages(sort),
            source: Some(source.to_message()),
            docvalue_fields: messages(docvalue_fields),
            highlight: maybe_message(highlight.as_ref()),
            version: *version,
            seq_no_primary_term: *seq_no_primary_term,
            track_scores: *track_scores,
        }
    }

    fn from_message(message: v1::TopHitsAggregation) -> Result<Self, DecodeError> {
        let v1::TopHitsAggregation {
            from,
            size: wanted,
            sort,
            source,
            docvalue_fields,
            highlight,
            version,
            seq_no_primary_term,
            track_scores,
        } = message;
        Ok(Self {
            from: size(from, "TopHits.from")?,
            size: size(wanted, "TopHits.size")?,
            sort: all(sort)?,
            source: one(source, "TopHits.source")?,
            docvalue_fields: all(docvalue_fields)?,
            highlight: maybe(highlight)?,
            version,
            seq_no_primary_term,
            track_scores,
        })
    }
}

//! Metrics and the best hits of buckets.

use gleaner_query::aggregation::{
    AggregationKind, MatrixStatsAggregation, Metric, TopHitsAggregation, TopMetricsAggregation,
    ValueSource, WeightedAverage,
};
use gleaner_query::search::SortMode;

use super::super::field::{all, byte, maybe, maybe_message, member, messages, one, size};
use super::super::order::{mode_message, sort_mode};
use super::super::{DecodeError, Wire, v1};

/// Deviations of `extended_stats` where a message of an earlier version does not say them.
const SIGMA: f64 = 2.0;

/// Returns the message of a metric of numbers.
pub(super) fn numbers(metric: Metric, source: &ValueSource) -> v1::MetricAggregation {
    v1::MetricAggregation {
        metric: message(metric) as i32,
        source: Some(source.to_message()),
        sigma: match metric {
            Metric::ExtendedStats { sigma } => Some(sigma),
            _ => None,
        },
    }
}

/// Reads a metric of numbers.
pub(super) fn of_numbers(message: v1::MetricAggregation) -> Result<AggregationKind, DecodeError> {
    let v1::MetricAggregation {
        metric,
        source,
        sigma,
    } = message;
    let source = one(source, "Metric.source")?;
    Ok(AggregationKind::Metric(of(metric, sigma)?, source))
}

/// Returns the message of `cardinality`.
pub(super) fn cardinality(
    source: &ValueSource,
    precision_threshold: u32,
) -> v1::CardinalityAggregation {
    v1::CardinalityAggregation {
        source: Some(source.to_message()),
        precision_threshold,
    }
}

/// Reads `cardinality`.
pub(super) fn of_cardinality(
    message: v1::CardinalityAggregation,
) -> Result<AggregationKind, DecodeError> {
    let v1::CardinalityAggregation {
        source,
        precision_threshold,
    } = message;
    Ok(AggregationKind::Cardinality {
        source: one(source, "Cardinality.source")?,
        precision_threshold,
    })
}

/// Returns the message of `percentiles`.
pub(super) fn percentiles(
    source: &ValueSource,
    percents: &[f64],
    keyed: bool,
) -> v1::PercentilesAggregation {
    v1::PercentilesAggregation {
        source: Some(source.to_message()),
        percents: percents.to_vec(),
        keyed,
        hdr_digits: None,
    }
}

/// Reads `percentiles`.
pub(super) fn of_percentiles(
    message: v1::PercentilesAggregation,
) -> Result<AggregationKind, DecodeError> {
    let v1::PercentilesAggregation {
        source,
        percents,
        keyed,
        hdr_digits,
    } = message;
    Ok(AggregationKind::Percentiles {
        source: one(source, "Percentiles.source")?,
        percents,
        keyed,
        hdr_digits: digits(hdr_digits, "Percentiles.hdr_digits")?,
    })
}

/// Returns the message of `percentile_ranks`.
pub(super) fn ranks(
    source: &ValueSource,
    values: &[f64],
    keyed: bool,
) -> v1::PercentileRanksAggregation {
    v1::PercentileRanksAggregation {
        source: Some(source.to_message()),
        values: values.to_vec(),
        keyed,
        hdr_digits: None,
    }
}

/// Reads `percentile_ranks`.
pub(super) fn of_ranks(
    message: v1::PercentileRanksAggregation,
) -> Result<AggregationKind, DecodeError> {
    let v1::PercentileRanksAggregation {
        source,
        values,
        keyed,
        hdr_digits,
    } = message;
    Ok(AggregationKind::PercentileRanks {
        source: one(source, "PercentileRanks.source")?,
        values,
        keyed,
        hdr_digits: digits(hdr_digits, "PercentileRanks.hdr_digits")?,
    })
}

fn digits(digits: Option<u32>, field: &'static str) -> Result<Option<u8>, DecodeError> {
    digits.map(|digits| byte(digits, field)).transpose()
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

impl Wire for MatrixStatsAggregation {
    type Message = v1::MatrixStats;

    fn to_message(&self) -> v1::MatrixStats {
        let Self { sources, mode } = self;
        v1::MatrixStats {
            sources: messages(sources),
            mode: mode_message(Some(*mode)).into(),
        }
    }

    fn from_message(message: v1::MatrixStats) -> Result<Self, DecodeError> {
        let v1::MatrixStats { sources, mode } = message;
        Ok(Self {
            sources: all(sources)?,
            mode: sort_mode(mode)?.unwrap_or(SortMode::Avg),
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
            fields,
            stored_fields,
            explain,
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
            fields: messages(fields),
            stored_fields: stored_fields.clone(),
            explain: *explain,
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
            fields,
            stored_fields,
            explain,
        } = message;
        Ok(Self {
            from: size(from, "TopHits.from")?,
            size: size(wanted, "TopHits.size")?,
            sort: all(sort)?,
            source: one(source, "TopHits.source")?,
            docvalue_fields: all(docvalue_fields)?,
            fields: all(fields)?,
            stored_fields,
            explain,
            highlight: maybe(highlight)?,
            version,
            seq_no_primary_term,
            track_scores,
        })
    }
}

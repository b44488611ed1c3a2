//! Metrics and the best hits of buckets.

use gleaner_query::aggregation::{Metric, TopHitsAggregation};

use super::super::field::{all, maybe, maybe_message, member, messages, one, size};
use super::super::{DecodeError, Wire, v1};

/// Returns the wire's name of a metric.
pub(super) fn message(metric: Metric) -> v1::Metric {
    match metric {
        Metric::Avg => v1::Metric::Avg,
        Metric::Min => v1::Metric::Min,
        Metric::Max => v1::Metric::Max,
        Metric::Sum => v1::Metric::Sum,
        Metric::ValueCount => v1::Metric::ValueCount,
        Metric::Stats => v1::Metric::Stats,
        Metric::ExtendedStats => v1::Metric::ExtendedStats,
    }
}

/// Reads a metric.
pub(super) fn of(metric: i32) -> Result<Metric, DecodeError> {
    Ok(match member(metric, "Metric")? {
        v1::Metric::Unspecified => return Err(DecodeError::Missing("Metric")),
        v1::Metric::Avg => Metric::Avg,
        v1::Metric::Min => Metric::Min,
        v1::Metric::Max => Metric::Max,
        v1::Metric::Sum => Metric::Sum,
        v1::Metric::ValueCount => Metric::ValueCount,
        v1::Metric::Stats => Metric::Stats,
        v1::Metric::ExtendedStats => Metric::ExtendedStats,
    })
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

//! Buckets per value and per range.

use gleaner_query::aggregation::{
    AggregationRange, RangeAggregation, TermsAggregation, TermsFilter,
};

use super::super::field::{all, known, maybe, maybe_message, messages, one, size};
use super::super::{DecodeError, Wire, v1};

impl Wire for TermsAggregation {
    type Message = v1::TermsAggregation;

    fn to_message(&self) -> v1::TermsAggregation {
        let Self {
            source,
            size,
            shard_size,
            min_doc_count,
            order,
            include,
            exclude,
            show_term_doc_count_error,
        } = self;
        v1::TermsAggregation {
            source: Some(source.to_message()),
            size: *size as u64,
            shard_size: shard_size.map(|size| size as u64),
            min_doc_count: *min_doc_count,
            order: messages(order),
            include: maybe_message(include.as_ref()),
            exclude: maybe_message(exclude.as_ref()),
            show_term_doc_count_error: *show_term_doc_count_error,
        }
    }

    fn from_message(message: v1::TermsAggregation) -> Result<Self, DecodeError> {
        let v1::TermsAggregation {
            source,
            size: wanted,
            shard_size,
            min_doc_count,
            order,
            include,
            exclude,
            show_term_doc_count_error,
        } = message;
        let shard_size = shard_size.map(|number| size(number, "Terms.shard_size"));
        Ok(Self {
            source: one(source, "Terms.source")?,
            size: size(wanted, "Terms.size")?,
            shard_size: shard_size.transpose()?,
            min_doc_count,
            order: all(order)?,
            include: maybe(include)?,
            exclude: maybe(exclude)?,
            show_term_doc_count_error,
        })
    }
}

impl Wire for TermsFilter {
    type Message = v1::TermsFilter;

    fn to_message(&self) -> v1::TermsFilter {
        use v1::terms_filter::Kind;
        let kind = match self {
            Self::Regex(expression) => Kind::Regex(expression.clone()),
            Self::Values(values) => Kind::Values(v1::Values {
                values: messages(values),
            }),
            Self::Partition {
                partition,
                num_partitions,
            } => Kind::Partition(v1::TermsPartition {
                partition: *partition,
                num_partitions: *num_partitions,
            }),
        };
        v1::TermsFilter { kind: Some(kind) }
    }

    fn from_message(message: v1::TermsFilter) -> Result<Self, DecodeError> {
        use v1::terms_filter::Kind;
        Ok(match known(message.kind, "TermsFilter")? {
            Kind::Regex(expression) => Self::Regex(expression),
            Kind::Values(v1::Values { values }) => Self::Values(all(values)?),
            Kind::Partition(v1::TermsPartition {
                partition,
                num_partitions,
            }) => Self::Partition {
                partition,
                num_partitions,
            },
        })
    }
}

impl Wire for RangeAggregation {
    type Message = v1::RangeAggregation;

    fn to_message(&self) -> v1::RangeAggregation {
        let Self {
            source,
            ranges,
            keyed,
            is_date,
            time_zone,
        } = self;
        v1::RangeAggregation {
            source: Some(source.to_message()),
            ranges: messages(ranges),
            keyed: *keyed,
            is_date: *is_date,
            time_zone: time_zone.clone(),
        }
    }

    fn from_message(message: v1::RangeAggregation) -> Result<Self, DecodeError> {
        let v1::RangeAggregation {
            source,
            ranges,
            keyed,
            is_date,
            time_zone,
        } = message;
        Ok(Self {
            source: one(source, "Range.source")?,
            ranges: all(ranges)?,
            keyed,
            is_date,
            time_zone,
        })
    }
}

impl Wire for AggregationRange {
    type Message = v1::AggregationRange;

    fn to_message(&self) -> v1::AggregationRange {
        let Self { key, from, to } = self;
        v1::AggregationRange {
            key: key.clone(),
            from: maybe_message(from.as_ref()),
            to: maybe_message(to.as_ref()),
        }
    }

    fn from_message(message: v1::AggregationRange) -> Result<Self, DecodeError> {
        let v1::AggregationRange { key, from, to } = message;
        Ok(Self {
            key,
            from: maybe(from)?,
            to: maybe(to)?,
        })
    }
}

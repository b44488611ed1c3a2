//! Buckets whose keys are several values.

use gleaner_query::aggregation::{
    CompositeAggregation, CompositeSource, CompositeValues, MissingOrder, MultiTermsAggregation,
};

use super::super::field::{all, byte, known, member, messages, one, size};
use super::super::{DecodeError, Wire, v1};
use super::geo::{box_message, box_of};
use super::histogram::{date_interval, interval_message};

impl Wire for CompositeAggregation {
    type Message = v1::CompositeAggregation;

    fn to_message(&self) -> v1::CompositeAggregation {
        let Self {
            sources,
            size,
            after,
        } = self;
        v1::CompositeAggregation {
            sources: messages(sources),
            size: *size as u64,
            after: after.as_ref().map(|values| v1::Values {
                values: messages(values),
            }),
        }
    }

    fn from_message(message: v1::CompositeAggregation) -> Result<Self, DecodeError> {
        let v1::CompositeAggregation {
            sources,
            size: wanted,
            after,
        } = message;
        let after = after.map(|v1::Values { values }| all(values));
        Ok(Self {
            sources: all(sources)?,
            size: size(wanted, "Composite.size")?,
            after: after.transpose()?,
        })
    }
}

impl Wire for CompositeSource {
    type Message = v1::CompositeSource;

    fn to_message(&self) -> v1::CompositeSource {
        let Self {
            name,
            source,
            values,
            descending,
            missing_bucket,
            missing_order,
        } = self;
        let missing_order = match missing_order {
            MissingOrder::Default => v1::MissingOrder::Unspecified,
            MissingOrder::First => v1::MissingOrder::First,
            MissingOrder::Last => v1::MissingOrder::Last,
        };
        v1::CompositeSource {
            name: name.clone(),
            source: Some(source.to_message()),
            values: Some(values_message(values)),
            descending: *descending,
            missing_bucket: *missing_bucket,
            missing_order: missing_order.into(),
            bounds: match values {
                CompositeValues::GeoTile { bounds, .. } => box_message(bounds.as_ref()),
                _ => Vec::new(),
            },
        }
    }

    fn from_message(message: v1::CompositeSource) -> Result<Self, DecodeError> {
        let v1::CompositeSource {
            name,
            source,
            values,
            descending,
            missing_bucket,
            missing_order,
            bounds,
        } = message;
        Ok(Self {
            name,
            source: one(source, "CompositeSource.source")?,
            values: values_of(known(values, "CompositeSource.values")?, &bounds)?,
            descending,
            missing_bucket,
            missing_order: match member(missing_order, "MissingOrder")? {
                v1::MissingOrder::Unspecified => MissingOrder::Default,
                v1::MissingOrder::First => MissingOrder::First,
                v1::MissingOrder::Last => MissingOrder::Last,
            },
        })
    }
}

fn values_message(values: &CompositeValues) -> v1::composite_source::Values {
    use v1::composite_source::Values;
    match values {
        CompositeValues::Terms => Values::Terms(v1::Unit {}),
        CompositeValues::Histogram(width) => Values::Histogram(*width),
        CompositeValues::DateHistogram {
            interval,
            time_zone,
            offset_ms,
        } => Values::DateHistogram(v1::DateHistogramAggregation {
            interval: Some(interval_message(*interval)),
            time_zone: time_zone.clone(),
            offset_ms: *offset_ms,
            ..v1::DateHistogramAggregation::default()
        }),
        CompositeValues::GeoTile { zoom, .. } => Values::GeoTile((*zoom).into()),
    }
}

/// Reads how values are grouped; `bounds` are those of map tiles.
fn values_of(
    values: v1::composite_source::Values,
    bounds: &[i32],
) -> Result<CompositeValues, DecodeError> {
    use v1::composite_source::Values;
    Ok(match values {
        Values::Terms(v1::Unit {}) => CompositeValues::Terms,
        // Keys are counted by it: no width, no end.
        Values::Histogram(width) if !(width.is_finite() && width > 0.0) => {
            return Err(DecodeError::field(
                "CompositeSource.histogram",
                "not above 0",
            ));
        }
        Values::Histogram(width) => CompositeValues::Histogram(width),
        Values::DateHistogram(dates) => CompositeValues::DateHistogram {
            interval: date_interval(known(dates.interval, "CompositeSource.interval")?)?,
            time_zone: dates.time_zone,
            offset_ms: dates.offset_ms,
        },
        Values::GeoTile(zoom) => match byte(zoom, "CompositeSource.geo_tile")? {
            zoom @ 0..=29 => CompositeValues::GeoTile {
                zoom,
                bounds: box_of(bounds, "CompositeSource.bounds")?,
            },
            _ => return Err(DecodeError::field("CompositeSource.geo_tile", "too fine")),
        },
    })
}

impl Wire for MultiTermsAggregation {
    type Message = v1::MultiTermsAggregation;

    fn to_message(&self) -> v1::MultiTermsAggregation {
        let Self {
            sources,
            size,
            min_doc_count,
            order,
            show_term_doc_count_error,
        } = self;
        v1::MultiTermsAggregation {
            sources: messages(sources),
            size: *size as u64,
            min_doc_count: *min_doc_count,
            order: messages(order),
            show_term_doc_count_error: *show_term_doc_count_error,
        }
    }

    fn from_message(message: v1::MultiTermsAggregation) -> Result<Self, DecodeError> {
        let v1::MultiTermsAggregation {
            sources,
            size: wanted,
            min_doc_count,
            order,
            show_term_doc_count_error,
        } = message;
        Ok(Self {
            sources: all(sources)?,
            size: size(wanted, "MultiTerms.size")?,
            min_doc_count,
            order: all(order)?,
            show_term_doc_count_error,
        })
    }
}

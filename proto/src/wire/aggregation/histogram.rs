//! Buckets per interval of a number or of time.

use gleaner_query::aggregation::{
    AutoDateAggregation, CalendarUnit, DateHistogramAggregation, DateInterval,
    HistogramAggregation, VariableWidthAggregation,
};
use serde_json::Value;

use super::super::field::{all, byte, known, maybe, maybe_message, member, messages, one, size};
use super::super::{DecodeError, Wire, v1};

impl Wire for HistogramAggregation {
    type Message = v1::HistogramAggregation;

    fn to_message(&self) -> v1::HistogramAggregation {
        let Self {
            source,
            interval,
            offset,
            min_doc_count,
            extended_bounds,
            hard_bounds,
            order,
            keyed,
        } = self;
        v1::HistogramAggregation {
            source: Some(source.to_message()),
            interval: *interval,
            offset: *offset,
            min_doc_count: *min_doc_count,
            extended_bounds: maybe_message(extended_bounds.as_ref()),
            hard_bounds: maybe_message(hard_bounds.as_ref()),
            order: messages(order),
            keyed: *keyed,
        }
    }

    fn from_message(message: v1::HistogramAggregation) -> Result<Self, DecodeError> {
        let v1::HistogramAggregation {
            source,
            interval,
            offset,
            min_doc_count,
            extended_bounds,
            hard_bounds,
            order,
            keyed,
        } = message;
        // Buckets are counted by it: no width, no end.
        if !(interval.is_finite() && interval > 0.0) {
            return Err(DecodeError::field("Histogram.interval", "not above 0"));
        }
        Ok(Self {
            source: one(source, "Histogram.source")?,
            interval,
            offset,
            min_doc_count,
            extended_bounds: maybe(extended_bounds)?,
            hard_bounds: maybe(hard_bounds)?,
            order: all(order)?,
            keyed,
        })
    }
}

/// Bounds of a number: smallest and largest.
impl Wire for (f64, f64) {
    type Message = v1::NumberBounds;

    fn to_message(&self) -> v1::NumberBounds {
        let (min, max) = *self;
        v1::NumberBounds { min, max }
    }

    fn from_message(message: v1::NumberBounds) -> Result<Self, DecodeError> {
        let v1::NumberBounds { min, max } = message;
        Ok((min, max))
    }
}

/// Bounds of a date: smallest and largest.
impl Wire for (Value, Value) {
    type Message = v1::ValueBounds;

    fn to_message(&self) -> v1::ValueBounds {
        let (min, max) = self;
        v1::ValueBounds {
            min: Some(min.to_message()),
            max: Some(max.to_message()),
        }
    }

    fn from_message(message: v1::ValueBounds) -> Result<Self, DecodeError> {
        let v1::ValueBounds { min, max } = message;
        Ok((one(min, "ValueBounds.min")?, one(max, "ValueBounds.max")?))
    }
}

impl Wire for DateHistogramAggregation {
    type Message = v1::DateHistogramAggregation;

    fn to_message(&self) -> v1::DateHistogramAggregation {
        let Self {
            source,
            interval,
            time_zone,
            offset_ms,
            min_doc_count,
            extended_bounds,
            hard_bounds,
            order,
            keyed,
        } = self;
        v1::DateHistogramAggregation {
            source: Some(source.to_message()),
            interval: Some(interval_message(*interval)),
            time_zone: time_zone.clone(),
            offset_ms: *offset_ms,
            min_doc_count: *min_doc_count,
            extended_bounds: maybe_message(extended_bounds.as_ref()),
            hard_bounds: maybe_message(hard_bounds.as_ref()),
            order: messages(order),
            keyed: *keyed,
        }
    }

    fn from_message(message: v1::DateHistogramAggregation) -> Result<Self, DecodeError> {
        let v1::DateHistogramAggregation {
            source,
            interval,
            time_zone,
            offset_ms,
            min_doc_count,
            extended_bounds,
            hard_bounds,
            order,
            keyed,
        } = message;
        Ok(Self {
            source: one(source, "DateHistogram.source")?,
            interval: date_interval(known(interval, "DateHistogram.interval")?)?,
            time_zone,
            offset_ms,
            min_doc_count,
            extended_bounds: maybe(extended_bounds)?,
            hard_bounds: maybe(hard_bounds)?,
            order: all(order)?,
            keyed,
        })
    }
}

impl Wire for AutoDateAggregation {
    type Message = v1::AutoDateAggregation;

    fn to_message(&self) -> v1::AutoDateAggregation {
        let Self {
            source,
            buckets,
            time_zone,
            minimum_unit,
        } = self;
        v1::AutoDateAggregation {
            source: Some(source.to_message()),
            buckets: *buckets as u64,
            time_zone: time_zone.clone(),
            minimum_unit: (*minimum_unit).into(),
        }
    }

    fn from_message(message: v1::AutoDateAggregation) -> Result<Self, DecodeError> {
        let v1::AutoDateAggregation {
            source,
            buckets,
            time_zone,
            minimum_unit,
        } = message;
        let minimum_unit = byte(minimum_unit, "AutoDate.minimum_unit")?;
        if minimum_unit > 5 {
            return Err(DecodeError::field("AutoDate.minimum_unit", "not a unit"));
        }
        Ok(Self {
            source: one(source, "AutoDate.source")?,
            buckets: size(buckets, "AutoDate.buckets")?,
            time_zone,
            minimum_unit,
        })
    }
}

impl Wire for VariableWidthAggregation {
    type Message = v1::VariableWidthAggregation;

    fn to_message(&self) -> v1::VariableWidthAggregation {
        let Self { source, buckets } = self;
        v1::VariableWidthAggregation {
            source: Some(source.to_message()),
            buckets: *buckets as u64,
        }
    }

    fn from_message(message: v1::VariableWidthAggregation) -> Result<Self, DecodeError> {
        let v1::VariableWidthAggregation { source, buckets } = message;
        Ok(Self {
            source: one(source, "VariableWidth.source")?,
            buckets: size(buckets, "VariableWidth.buckets")?,
        })
    }
}

/// The wire's form of an interval.
pub(super) type IntervalMessage = v1::date_histogram_aggregation::Interval;

/// Returns the message of an interval.
pub(super) fn interval_message(interval: DateInterval) -> IntervalMessage {
    let unit = match interval {
        DateInterval::Fixed(millis) => return IntervalMessage::FixedMs(millis),
        DateInterval::Calendar(unit) => unit,
    };
    let unit = match unit {
        CalendarUnit::Minute => v1::CalendarUnit::Minute,
        CalendarUnit::Hour => v1::CalendarUnit::Hour,
        CalendarUnit::Day => v1::CalendarUnit::Day,
        CalendarUnit::Week => v1::CalendarUnit::Week,
        CalendarUnit::Month => v1::CalendarUnit::Month,
        CalendarUnit::Quarter => v1::CalendarUnit::Quarter,
        CalendarUnit::Year => v1::CalendarUnit::Year,
    };
    IntervalMessage::Calendar(unit as i32)
}

/// Reads an interval.
pub(super) fn date_interval(interval: IntervalMessage) -> Result<DateInterval, DecodeError> {
    let unit = match interval {
        IntervalMessage::FixedMs(millis) if millis < 1 => {
            return Err(DecodeError::field("DateHistogram.fixed_ms", "not above 0"));
        }
        IntervalMessage::FixedMs(millis) => return Ok(DateInterval::Fixed(millis)),
        IntervalMessage::Calendar(unit) => unit,
    };
    Ok(DateInterval::Calendar(
        match member(unit, "CalendarUnit")? {
            v1::CalendarUnit::Unspecified => return Err(DecodeError::Missing("CalendarUnit")),
            v1::CalendarUnit::Minute => CalendarUnit::Minute,
            v1::CalendarUnit::Hour => CalendarUnit::Hour,
            v1::CalendarUnit::Day => CalendarUnit::Day,
            v1::CalendarUnit::Week => CalendarUnit::Week,
            v1::CalendarUnit::Month => CalendarUnit::Month,
            v1::CalendarUnit::Quarter => CalendarUnit::Quarter,
            v1::CalendarUnit::Year => CalendarUnit::Year,
        },
    ))
}

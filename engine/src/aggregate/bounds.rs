//! Values in requests: bounds, missing values, time zones, formats.

use gleaner_model::DateFormat;
use gleaner_query::QueryError;
use gleaner_query::aggregation::RangeAggregation;
use gleaner_query::date::{DateFormatter, DateReader, TimeZone};
use serde_json::Value;

use crate::error::EngineError;
use crate::partial::key::{ValueFormat, ValueKind};
use crate::partial::{Bucket, RangeBucket};

/// Reads a time zone; UTC by default.
pub(crate) fn zone(text: Option<&str>) -> Result<TimeZone, EngineError> {
    text.map_or(Ok(TimeZone::UTC), |text| {
        TimeZone::parse(text).map_err(refused)
    })
}

/// Reads a date format; the dialect's default where there is none.
pub(crate) fn formatter(pattern: Option<&str>) -> Result<DateFormatter, EngineError> {
    DateFormatter::parse_pattern(pattern.unwrap_or(DateFormat::DEFAULT)).map_err(refused)
}

/// Reads a date: text or a number in the format, with date math.
pub(crate) fn date(value: &Value, format: &ValueFormat, now_ms: i64) -> Result<i64, EngineError> {
    if !value.is_number() && !value.is_string() {
        return Err(unreadable(value));
    }
    let reader = DateReader {
        formatter: &formatter(format.pattern.as_deref())?,
        zone: &zone(format.time_zone.as_deref())?,
        now_ms,
    };
    reader.read(value, false).map_err(refused)
}

/// Reads a number: of a date field milliseconds, of a boolean 0 or 1.
pub(crate) fn number(value: &Value, format: &ValueFormat, now_ms: i64) -> Result<f64, EngineError> {
    match (format.kind, value) {
        (ValueKind::Date, _) => Ok(date(value, format, now_ms)? as f64),
        (_, Value::Number(number)) => number.as_f64().ok_or_else(|| unreadable(value)),
        (_, Value::Bool(value)) => Ok(f64::from(u8::from(*value))),
        (ValueKind::Boolean, Value::String(text)) if text == "true" => Ok(1.0),
        (ValueKind::Boolean, Value::String(text)) if text == "false" => Ok(0.0),
        (_, Value::String(text)) => text.parse().map_err(|_| unreadable(value)),
        _ => Err(unreadable(value)),
    }
}

/// Reads what stands for missing values: as [`number`] does, but a number is one of milliseconds,
/// whatever the format of the dates.
pub(crate) fn missing(
    value: &Value,
    format: &ValueFormat,
    now_ms: i64,
) -> Result<f64, EngineError> {
    match value {
        Value::Number(given) => given.as_f64().ok_or_else(|| unreadable(value)),
        _ => number(value, format, now_ms),
    }
}

/// Reads the bounds of ranges, in the order of the request.
pub(crate) fn ranges(
    request: &RangeAggregation,
    format: &ValueFormat,
    now_ms: i64,
) -> Result<Vec<RangeBucket>, EngineError> {
    let kind = if request.is_date {
        ValueKind::Date
    } else {
        format.kind
    };
    let format = ValueFormat {
        kind,
        ..format.clone()
    };
    let bound = |value: &Option<Value>| match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => number(value, &format, now_ms).map(Some),
    };
    let ranges = request.ranges.iter().map(|range| {
        Ok(RangeBucket {
            from: bound(&range.from)?,
            to: bound(&range.to)?,
            bucket: Bucket::default(),
        })
    });
    ranges.collect()
}

fn refused(error: QueryError) -> EngineError {
    EngineError::Query(error.reason)
}

fn unreadable(value: &Value) -> EngineError {
    EngineError::Query(format!("For input string: [{value}]"))
}

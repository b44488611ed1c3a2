//! Values in requests: bounds, missing values, time zones, formats.

use gleaner_model::DateFormat;
use gleaner_query::QueryError;
use gleaner_query::aggregation::RangeAggregation;
use gleaner_query::date::{DateFormatter, DateReader, TimeZone};
use serde_json::Value;

use crate::error::EvaluationError;
use crate::key::{ValueFormat, ValueKind};
use crate::{Bucket, RangeBucket};

/// Reads a time zone; UTC by default.
///
/// # Errors
/// [`EvaluationError::Query`] for one that is unknown.
pub fn zone(text: Option<&str>) -> Result<TimeZone, EvaluationError> {
    text.map_or(Ok(TimeZone::UTC), |text| {
        TimeZone::parse(text).map_err(refused)
    })
}

/// Reads a date format; the dialect's default where there is none.
///
/// # Errors
/// [`EvaluationError::Query`] for a pattern that is none.
pub fn formatter(pattern: Option<&str>) -> Result<DateFormatter, EvaluationError> {
    DateFormatter::parse_pattern(pattern.unwrap_or(DateFormat::DEFAULT)).map_err(refused)
}

/// Reads a date: text or a number in the format, with date math.
///
/// # Errors
/// [`EvaluationError::Query`] for what is no date.
pub fn date(value: &Value, format: &ValueFormat, now_ms: i64) -> Result<i64, EvaluationError> {
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
///
/// # Errors
/// [`EvaluationError::Query`] for what is no number.
pub fn number(value: &Value, format: &ValueFormat, now_ms: i64) -> Result<f64, EvaluationError> {
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
///
/// # Errors
/// As [`number`].
pub fn missing(value: &Value, format: &ValueFormat, now_ms: i64) -> Result<f64, EvaluationError> {
    match value {
        Value::Number(given) => given.as_f64().ok_or_else(|| unreadable(value)),
        _ => number(value, format, now_ms),
    }
}

/// Reads the bounds of ranges, in the order of the request.
///
/// # Errors
/// [`EvaluationError::Query`] for a bound that is none.
pub fn ranges(
    request: &RangeAggregation,
    format: &ValueFormat,
    now_ms: i64,
) -> Result<Vec<RangeBucket>, EvaluationError> {
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

/// As [`ranges`]; none where the field is unknown here and they need its format.
///
/// # Errors
/// As [`ranges`].
pub fn known_ranges(
    request: &RangeAggregation,
    format: &ValueFormat,
    now_ms: i64,
) -> Result<Vec<RangeBucket>, EvaluationError> {
    match ranges(request, format, now_ms) {
        Err(_) if format.kind == ValueKind::Unmapped => Ok(Vec::new()),
        read => read,
    }
}

fn refused(error: QueryError) -> EvaluationError {
    EvaluationError::Query(error.reason)
}

fn unreadable(value: &Value) -> EvaluationError {
    EvaluationError::Query(format!("For input string: [{value}]"))
}

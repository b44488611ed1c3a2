//! `histogram` and `date_histogram`.

use std::fmt::Display;
use std::time::Duration;

use serde_json::Value;

use super::{Context, order, source};
use crate::aggregation::{
    AggregationKind, BucketOrder, CalendarUnit, DateHistogramAggregation, DateInterval,
    HistogramAggregation,
};
use crate::error::QueryError;
use crate::json::{ObjectReader, scalar_text};
use crate::units::parse_time;

/// Bounds of numbers, of which one may be absent.
type Ends = (Option<f64>, Option<f64>);

/// Reads the body of `histogram`.
pub(super) fn read(body: &Value, context: Context<'_>) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("histogram", body)?;
    let source = source::read(&mut reader)?;
    let interval = interval_of(&mut reader, context.name)?;
    let offset = reader.number("offset")?.unwrap_or(0.0);
    let min_doc_count = source::at_least(&mut reader, "min_doc_count", 0, context)?;
    let extended = numbers(&mut reader, "extended_bounds")?;
    let hard = numbers(&mut reader, "hard_bounds")?;
    if let (Some(extended), Some(hard)) = (extended, hard)
        && is_beyond(extended, hard)
    {
        return Err(QueryError::illegal(beyond_hard_bounds(hard, extended)));
    }
    let order = order::read(&mut reader)?;
    let keyed = reader.boolean("keyed")?.unwrap_or(false);
    reader.finish()?;
    Ok(AggregationKind::Histogram(HistogramAggregation {
        source,
        interval,
        offset,
        min_doc_count: min_doc_count.unwrap_or(0),
        // As for dates, every number is beyond an absent bound.
        extended_bounds: extended.map(|(min, max)| {
            (
                min.unwrap_or(f64::INFINITY),
                max.unwrap_or(f64::NEG_INFINITY),
            )
        }),
        hard_bounds: hard.map(|(min, max)| (min.unwrap_or(f64::MIN), max.unwrap_or(f64::MAX))),
        order: order.unwrap_or_else(by_key),
        keyed,
    }))
}

/// Reads the width of buckets of numbers.
pub(super) fn interval_of(reader: &mut ObjectReader<'_>, name: &str) -> Result<f64, QueryError> {
    let interval = reader.number("interval")?.unwrap_or(0.0);
    if interval <= 0.0 {
        return Err(QueryError::illegal(format!(
            "[interval] must be >0 for histogram aggregation [{name}]"
        )));
    }
    Ok(interval)
}

/// Reads the body of `date_histogram`.
pub(super) fn read_dates(
    body: &Value,
    context: Context<'_>,
) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("date_histogram", body)?;
    let source = source::read(&mut reader)?;
    let interval = date_interval(&mut reader)?;
    let time_zone = source::time_zone(&mut reader)?;
    let offset_ms = offset_ms(&mut reader)?;
    let min_doc_count = source::at_least(&mut reader, "min_doc_count", 0, context)?;
    // An absent bound is an end of time, in milliseconds: every date is beyond one of
    // `extended_bounds`, none beyond one of `hard_bounds`.
    let or_end = |bound: Option<&Value>, end: i64| bound.cloned().unwrap_or_else(|| end.into());
    let extended_bounds = source::bounds(&mut reader, "extended_bounds")?
        .map(|given| (or_end(given.min, i64::MAX), or_end(given.max, i64::MIN)));
    let hard_bounds = source::bounds(&mut reader, "hard_bounds")?
        .map(|given| (or_end(given.min, i64::MIN), or_end(given.max, i64::MAX)));
    let order = order::read(&mut reader)?;
    let keyed = reader.boolean("keyed")?.unwrap_or(false);
    reader.finish()?;
    Ok(AggregationKind::DateHistogram(DateHistogramAggregation {
        source,
        interval,
        time_zone,
        offset_ms,
        min_doc_count: min_doc_count.unwrap_or(0),
        extended_bounds,
        hard_bounds,
        order: order.unwrap_or_else(by_key),
        keyed,
    }))
}

fn by_key() -> Vec<(BucketOrder, bool)> {
    vec![(BucketOrder::Key, false)]
}

/// Reads bounds of numbers.
fn numbers(reader: &mut ObjectReader<'_>, key: &'static str) -> Result<Option<Ends>, QueryError> {
    let Some(given) = source::bounds(reader, key)? else {
        return Ok(None);
    };
    let ends = (
        given.min.map(bound).transpose()?,
        given.max.map(bound).transpose()?,
    );
    match ends {
        (Some(min), Some(max)) if min > max => Err(upside_down(min, max)),
        _ => Ok(Some(ends)),
    }
}

fn bound(value: &Value) -> Result<f64, QueryError> {
    source::number(value).ok_or_else(|| {
        QueryError::parsing(format!(
            "[histogram] bounds must be numbers, found [{value}]"
        ))
    })
}

/// Returns whether one of the extended bounds lies outside the hard one of its side.
fn is_beyond(extended: Ends, hard: Ends) -> bool {
    let is_below = matches!((extended.0, hard.0), (Some(bound), Some(end)) if bound < end);
    let is_above = matches!((extended.1, hard.1), (Some(bound), Some(end)) if bound > end);
    is_below || is_above
}

/// Says that `extended_bounds` go beyond `hard_bounds`; of either one may not be given.
pub fn beyond_hard_bounds<T: Display>(
    (from, to): (Option<T>, Option<T>),
    (min, max): (Option<T>, Option<T>),
) -> String {
    let shown = |bound: Option<T>| bound.map_or_else(String::new, |bound| bound.to_string());
    format!(
        "Extended bounds have to be inside hard bounds, hard bounds: [{}--{}], extended bounds: \
         [{}--{}]",
        shown(from),
        shown(to),
        shown(min),
        shown(max)
    )
}

fn upside_down(min: f64, max: f64) -> QueryError {
    QueryError::illegal(format!(
        "bounds: min [{min}] cannot be greater than max [{max}]"
    ))
}

/// Reads one of `calendar_interval`, `fixed_interval` and the older `interval`.
pub(super) fn date_interval(reader: &mut ObjectReader<'_>) -> Result<DateInterval, QueryError> {
    let calendar = reader.text("calendar_interval")?;
    let fixed = reader.text("fixed_interval")?;
    let older = reader.text("interval")?;
    match (calendar, fixed, older) {
        (Some(text), None, None) => calendar_interval(&text).ok_or_else(|| {
            QueryError::illegal(format!(
                "The supplied interval [{text}] could not be parsed as a calendar interval."
            ))
        }),
        (None, Some(text), None) => fixed_interval(&text),
        (None, None, Some(text)) => match (calendar_interval(&text), text.parse::<i64>()) {
            (Some(interval), _) => Ok(interval),
            (None, Ok(ms)) if ms > 0 => Ok(DateInterval::Fixed(ms)),
            (None, _) => fixed_interval(&text),
        },
        (None, None, None) => Err(QueryError::illegal(
            "Invalid interval specified, must be non-null and non-empty",
        )),
        _ => Err(QueryError::illegal(
            "Cannot use more than one of [calendar_interval], [fixed_interval] and [interval]",
        )),
    }
}

fn calendar_interval(text: &str) -> Option<DateInterval> {
    let unit = match text {
        "second" | "1s" => return Some(DateInterval::Fixed(1_000)),
        "minute" | "1m" => CalendarUnit::Minute,
        "hour" | "1h" => CalendarUnit::Hour,
        "day" | "1d" => CalendarUnit::Day,
        "week" | "1w" => CalendarUnit::Week,
        "month" | "1M" => CalendarUnit::Month,
        "quarter" | "1q" => CalendarUnit::Quarter,
        "year" | "1y" => CalendarUnit::Year,
        _ => return None,
    };
    Some(DateInterval::Calendar(unit))
}

fn fixed_interval(text: &str) -> Result<DateInterval, QueryError> {
    let width = parse_time(text, "fixed_interval")?.and_then(whole_ms);
    match width.filter(|width| *width > 0) {
        Some(width) => Ok(DateInterval::Fixed(width)),
        None => Err(QueryError::illegal(format!(
            "Zero or negative time interval not supported, found [{text}]"
        ))),
    }
}

/// Reads `offset` in milliseconds.
pub(super) fn offset_ms(reader: &mut ObjectReader<'_>) -> Result<i64, QueryError> {
    match reader.take("offset") {
        None | Some(Value::Null) => Ok(0),
        Some(value) => offset(value),
    }
}

/// Reads a shift: milliseconds, or a time with its sign such as `-6h`.
fn offset(value: &Value) -> Result<i64, QueryError> {
    let text = scalar_text(value).unwrap_or_default();
    if let Ok(ms) = text.parse::<i64>() {
        return Ok(ms);
    }
    let (sign, size) = match text.strip_prefix('-') {
        Some(size) => (-1, size),
        None => (1, text.strip_prefix('+').unwrap_or(&text)),
    };
    let shift = parse_time(size, "offset")?.and_then(whole_ms);
    shift
        .map(|ms| sign * ms)
        .ok_or_else(|| QueryError::illegal(format!("[offset] of [{text}] is not a time")))
}

fn whole_ms(time: Duration) -> Option<i64> {
    i64::try_from(time.as_millis()).ok()
}

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

/// Reads the body of `histogram`.
pub(super) fn read(body: &Value, context: Context<'_>) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("histogram", body)?;
    let source = source::read(&mut reader)?;
    let interval = reader.number("interval")?.unwrap_or(0.0);
    if interval <= 0.0 {
        return Err(QueryError::illegal(format!(
            "[interval] must be >0 for histogram aggregation [{}]",
            context.name
        )));
    }
    let offset = reader.number("offset")?.unwrap_or(0.0).rem_euclid(interval);
    let min_doc_count = source::at_least(&mut reader, "min_doc_count", 0, context)?;
    let extended_bounds = both(&mut reader, "extended_bounds")?;
    let extended_bounds = extended_bounds
        .map(|(min, max)| numbers(min, max))
        .transpose()?;
    let hard_bounds = match source::bounds(&mut reader, "hard_bounds")? {
        None => None,
        Some(given) => Some((
            given.min.map_or(Ok(f64::MIN), bound)?,
            given.max.map_or(Ok(f64::MAX), bound)?,
        )),
    };
    for bounds in [extended_bounds, hard_bounds].into_iter().flatten() {
        if bounds.0 > bounds.1 {
            return Err(upside_down(bounds.0, bounds.1));
        }
    }
    if let (Some(extended), Some(hard)) = (extended_bounds, hard_bounds)
        && (extended.0 < hard.0 || extended.1 > hard.1)
    {
        let given = |bound: f64| (bound != f64::MIN && bound != f64::MAX).then_some(bound);
        let hard = (given(hard.0), given(hard.1));
        return Err(QueryError::illegal(beyond_hard_bounds(hard, extended)));
    }
    let order = order::read(&mut reader)?;
    let keyed = reader.boolean("keyed")?.unwrap_or(false);
    reader.finish()?;
    Ok(AggregationKind::Histogram(HistogramAggregation {
        source,
        interval,
        // A remainder may round up to the interval itself.
        offset: if offset < interval { offset } else { 0.0 },
        min_doc_count: min_doc_count.unwrap_or(0),
        extended_bounds,
        hard_bounds,
        order: order.unwrap_or_else(by_key),
        keyed,
    }))
}

/// Reads the body of `date_histogram`.
pub(super) fn read_dates(
    body: &Value,
    context: Context<'_>,
) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("date_histogram", body)?;
    let source = source::read(&mut reader)?;
    let interval = interval(&mut reader)?;
    let time_zone = source::time_zone(&mut reader)?;
    let offset_ms = match reader.take("offset") {
        None | Some(Value::Null) => 0,
        Some(value) => offset(value)?,
    };
    let min_doc_count = source::at_least(&mut reader, "min_doc_count", 0, context)?;
    let extended_bounds = both(&mut reader, "extended_bounds")?;
    // An absent bound is the end of time, in milliseconds.
    let or_end = |bound: Option<&Value>, end: i64| bound.cloned().unwrap_or_else(|| end.into());
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
        extended_bounds: extended_bounds.map(|(min, max)| (min.clone(), max.clone())),
        hard_bounds,
        order: order.unwrap_or_else(by_key),
        keyed,
    }))
}

fn by_key() -> Vec<(BucketOrder, bool)> {
    vec![(BucketOrder::Key, false)]
}

/// Reads bounds of which both must be there.
fn both<'a>(
    reader: &mut ObjectReader<'a>,
    key: &'static str,
) -> Result<Option<(&'a Value, &'a Value)>, QueryError> {
    let Some(given) = source::bounds(reader, key)? else {
        return Ok(None);
    };
    match (given.min, given.max) {
        (None, None) => Ok(None),
        (Some(min), Some(max)) => Ok(Some((min, max))),
        _ => Err(QueryError::parsing(format!(
            "[{}] [{key}] with only one of [min] and [max] is not supported",
            reader.name()
        ))),
    }
}

fn numbers(min: &Value, max: &Value) -> Result<(f64, f64), QueryError> {
    Ok((bound(min)?, bound(max)?))
}

fn bound(value: &Value) -> Result<f64, QueryError> {
    source::number(value).ok_or_else(|| {
        QueryError::parsing(format!(
            "[histogram] bounds must be numbers, found [{value}]"
        ))
    })
}

/// Says that `extended_bounds` go beyond `hard_bounds`, of which one may not be given.
pub fn beyond_hard_bounds<T: Display>(
    (from, to): (Option<T>, Option<T>),
    (min, max): (T, T),
) -> String {
    let shown = |bound: Option<T>| bound.map_or_else(String::new, |bound| bound.to_string());
    format!(
        "Extended bounds have to be inside hard bounds, hard bounds: [{}--{}], extended bounds: \
         [{}--{}]",
        shown(from),
        shown(to),
        min,
        max
    )
}

fn upside_down(min: f64, max: f64) -> QueryError {
    QueryError::illegal(format!(
        "bounds: min [{min}] cannot be greater than max [{max}]"
    ))
}

/// Reads one of `calendar_interval`, `fixed_interval` and the older `interval`.
fn interval(reader: &mut ObjectReader<'_>) -> Result<DateInterval, QueryError> {
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

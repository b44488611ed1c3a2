//! Date math: `now-1d/d`, `2014-11-18||+1M/d`.

mod now;

use gleaner_model::mapping::NANOS_PER_MILLI;

use super::civil;
use super::instant::Instant;
use super::{DateFormatter, DateReader, TimeZone, next_bucket, round_down};
use crate::date::CalendarUnit;
use crate::error::{ErrorType, QueryError};

pub use now::{NowUse, common_divisor, now_use};

/// Evaluates a date or date math: `now` or a date with `||`, then steps `+1M`, `-2h`, `/d`.
///
/// `now_ms` is the request's time. With `round_up` (bounds `lte` and `gt`) roundings go to the last
/// millisecond of their unit, and a date without steps takes the last time of day. Steps follow the
/// calendar and the clocks of `zone`.
///
/// # Errors
/// `parse_exception` where the date or a step cannot be read.
pub fn parse_date_math(
    text: &str,
    now_ms: i64,
    formatter: &DateFormatter,
    round_up: bool,
    zone: &TimeZone,
) -> Result<i64, QueryError> {
    let reader = DateReader {
        formatter,
        zone,
        now_ms,
    };
    evaluate(text, &reader, round_up).map(Instant::millis)
}

/// As [`parse_date_math`], to the nanosecond: roundings go to the last one of their unit.
pub(super) fn evaluate(
    text: &str,
    reader: &DateReader<'_>,
    round_up: bool,
) -> Result<Instant, QueryError> {
    let (formatter, zone) = (reader.formatter, reader.zone);
    let (start, steps) = match (text.strip_prefix("now"), text.split_once("||")) {
        (Some(steps), _) => (Instant::from_millis(reader.now_ms), steps),
        (None, None) => return formatter.read_in(text, zone, round_up),
        (None, Some((date, steps))) => (formatter.read_in(date, zone, false)?, steps),
    };
    let mut instant = start;
    let mut rest = steps;
    while let Some(operator) = rest.chars().next() {
        let step = Step::read(operator, &rest[operator.len_utf8()..], steps)?;
        let ms = step.apply(instant.millis(), round_up, zone);
        let nanos = match (step.amount, round_up) {
            (Some(_), _) => instant.nanos_of_milli(),
            (None, true) => NANOS_PER_MILLI - 1,
            (None, false) => 0,
        };
        instant = Instant::within(ms, nanos);
        rest = step.rest;
    }
    Ok(instant)
}

/// One step, with what follows it.
struct Step<'t> {
    /// Units to add; `None` rounds.
    amount: Option<i64>,
    unit: Unit,
    rest: &'t str,
}

#[derive(Clone, Copy)]
enum Unit {
    Second,
    Calendar(CalendarUnit),
}

impl<'t> Step<'t> {
    fn read(operator: char, text: &'t str, steps: &str) -> Result<Self, QueryError> {
        let sign = match operator {
            '/' | '+' => 1,
            '-' => -1,
            _ => return Err(wrong("operator not supported for date math", steps)),
        };
        let width = text.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, after) = text.split_at(width);
        let count: i64 = match digits {
            "" => 1,
            _ => digits
                .parse()
                .ok()
                .filter(|count| *count <= i64::from(i32::MAX))
                .ok_or_else(|| wrong("number too large in date math", steps))?,
        };
        let Some(letter) = after.chars().next() else {
            return Err(wrong("truncated date math", steps));
        };
        let unit = match letter {
            'y' => Unit::Calendar(CalendarUnit::Year),
            'M' => Unit::Calendar(CalendarUnit::Month),
            'w' => Unit::Calendar(CalendarUnit::Week),
            'd' => Unit::Calendar(CalendarUnit::Day),
            'h' | 'H' => Unit::Calendar(CalendarUnit::Hour),
            'm' => Unit::Calendar(CalendarUnit::Minute),
            's' => Unit::Second,
            _ => {
                let reason = format!("unit [{letter}] not supported for date math");
                return Err(wrong(&reason, steps));
            }
        };
        let is_rounding = operator == '/';
        if is_rounding && count != 1 {
            let reason = "rounding `/` can only be used on single unit types";
            return Err(wrong(reason, steps));
        }
        Ok(Self {
            amount: (!is_rounding).then_some(sign * count),
            unit,
            rest: &after[letter.len_utf8()..],
        })
    }

    fn apply(&self, ms: i64, round_up: bool, zone: &TimeZone) -> i64 {
        match (self.amount, self.unit) {
            (Some(amount), unit) => add(ms, amount, unit, zone),
            (None, Unit::Second) => {
                let start = ms.saturating_sub(ms.rem_euclid(1_000));
                start.saturating_add(if round_up { 999 } else { 0 })
            }
            (None, Unit::Calendar(unit)) if round_up => next_bucket(ms, unit, zone) - 1,
            (None, Unit::Calendar(unit)) => round_down(ms, unit, zone),
        }
    }
}

/// Adds units: up to hours by elapsed time, from days by the local calendar.
fn add(ms: i64, amount: i64, unit: Unit, zone: &TimeZone) -> i64 {
    let elapsed = |width: i64| ms.saturating_add(amount.saturating_mul(width));
    let months = |width: i64| {
        let local = civil::add_months(zone.to_local(ms), amount.saturating_mul(width));
        zone.resolve(local)
    };
    let days = |width: i64| {
        let shift = amount.saturating_mul(width * super::DAY_MS);
        zone.resolve(zone.to_local(ms).saturating_add(shift))
    };
    match unit {
        Unit::Second => elapsed(1_000),
        Unit::Calendar(CalendarUnit::Minute) => elapsed(60_000),
        Unit::Calendar(CalendarUnit::Hour) => elapsed(3_600_000),
        Unit::Calendar(CalendarUnit::Day) => days(1),
        Unit::Calendar(CalendarUnit::Week) => days(7),
        Unit::Calendar(CalendarUnit::Month) => months(1),
        Unit::Calendar(CalendarUnit::Quarter) => months(3),
        Unit::Calendar(CalendarUnit::Year) => months(12),
    }
}

fn wrong(reason: &str, steps: &str) -> QueryError {
    QueryError::new(ErrorType::DateParse, format!("{reason} [{steps}]"))
}

#[cfg(test)]
mod tests;

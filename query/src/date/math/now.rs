//! How long a text of date math stands for the same instant, while `now` goes on.
//!
//! Does: say of a text whether it depends on the time of the request, and in which steps. Does not: evaluate it.
//! Called by: `canonical`, for answers that are kept. Read first: [`now_use`].

use super::{Step, Unit};
use crate::date::CalendarUnit;
use crate::date::DAY_MS;

/// How a text depends on the time of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NowUse {
    /// Not at all.
    Free,
    /// It may stand for another instant each millisecond.
    Exact,
    /// In UTC it stands for the same instant from one multiple of so many milliseconds to the next; ≥ 1,000.
    Each(i64),
}

/// Returns how `text`, where it is read as a date, depends on the time of the request.
///
/// What is rounded stays the same between two multiples of the unit it is rounded to, and of what was added before.
/// Weeks and longer units count as days: they begin with one.
pub fn now_use(text: &str) -> NowUse {
    let Some(steps) = text.strip_prefix("now") else {
        return NowUse::Free;
    };
    if !steps.is_empty() && !steps.starts_with(['+', '-', '/']) {
        return NowUse::Free;
    }
    let (mut rest, mut width) = (steps, 0);
    while let Some(operator) = rest.chars().next() {
        let Ok(step) = Step::read(operator, &rest[operator.len_utf8()..], steps) else {
            return NowUse::Exact;
        };
        let unit = width_of(step.unit);
        let Some(amount) = step.amount else {
            return NowUse::Each(common_divisor(width, unit));
        };
        width = common_divisor(width, amount.saturating_abs().saturating_mul(unit));
        rest = step.rest;
    }
    NowUse::Exact
}

/// Returns the milliseconds of a unit; of those that are longer than a day, of a day.
fn width_of(unit: Unit) -> i64 {
    match unit {
        Unit::Second => 1_000,
        Unit::Calendar(CalendarUnit::Minute) => 60_000,
        Unit::Calendar(CalendarUnit::Hour) => 3_600_000,
        Unit::Calendar(
            CalendarUnit::Day
            | CalendarUnit::Week
            | CalendarUnit::Month
            | CalendarUnit::Quarter
            | CalendarUnit::Year,
        ) => DAY_MS,
    }
}

/// Returns the largest number that divides both; of 0 and a number, that number.
pub fn common_divisor(one: i64, other: i64) -> i64 {
    let (mut larger, mut smaller) = (one, other);
    while smaller != 0 {
        (larger, smaller) = (smaller, larger % smaller);
    }
    larger
}

#[cfg(test)]
mod tests {
    use super::super::parse_date_math;
    use super::*;
    use crate::date::{DateFormatter, TimeZone};

    #[test]
    fn what_is_rounded_stays_for_as_long_as_its_unit() {
        for (text, expected) in [
            ("2020-01-01||/d", NowUse::Free),
            ("nowhere", NowUse::Free),
            ("now playing", NowUse::Free),
            ("now", NowUse::Exact),
            ("now-1h", NowUse::Exact),
            ("now/x", NowUse::Exact),
            ("now/d", NowUse::Each(DAY_MS)),
            ("now-7d/d", NowUse::Each(DAY_MS)),
            ("now/d-5s", NowUse::Each(DAY_MS)),
            ("now/M", NowUse::Each(DAY_MS)),
            ("now+1h/d", NowUse::Each(3_600_000)),
            ("now-30s/m", NowUse::Each(30_000)),
            ("now/s", NowUse::Each(1_000)),
        ] {
            assert_eq!(now_use(text), expected, "{text}");
        }
    }

    #[test]
    fn a_rounded_time_is_the_same_within_its_step() {
        let formatter = DateFormatter::parse_pattern("epoch_millis").expect("a pattern");
        let read = |text: &str, now: i64, up: bool| {
            parse_date_math(text, now, &formatter, up, &TimeZone::UTC).expect("date math")
        };
        for text in [
            "now/d",
            "now-7d/d",
            "now+1h/d",
            "now-30s/m",
            "now-1M/w",
            "now/s+3d",
        ] {
            let NowUse::Each(width) = now_use(text) else {
                panic!("{text} is rounded");
            };
            for bucket in [0, 1, 20_553, 29_456_789] {
                let start = bucket * width;
                for up in [false, true] {
                    let (first, last) = (read(text, start, up), read(text, start + width - 1, up));
                    assert_eq!(first, last, "{text} {bucket}");
                }
            }
        }
    }
}

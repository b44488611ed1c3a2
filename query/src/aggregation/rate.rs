//! `rate`: documents or values of a date histogram's bucket, by the time that the bucket takes.
//!
//! Source: Elasticsearch reference, *Rate aggregation*; `Rounding.roundingSize`.

use serde::Serialize;

use super::{CalendarUnit, DateInterval};
use crate::date::{TimeZone, next_bucket};
use crate::error::QueryError;

/// Milliseconds of units that are always equally long.
const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;

/// A unit of time: of milliseconds, or of months.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum RateUnit {
    /// So many milliseconds.
    Millis(i64),
    /// So many months.
    Months(i64),
}

impl RateUnit {
    /// Returns the unit called `name`, as calendar intervals are.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "second" | "1s" => Self::Millis(SECOND),
            "minute" | "1m" => Self::Millis(MINUTE),
            "hour" | "1h" => Self::Millis(HOUR),
            "day" | "1d" => Self::Millis(DAY),
            "week" | "1w" => Self::Millis(WEEK),
            "month" | "1M" => Self::Months(1),
            "quarter" | "1q" => Self::Months(3),
            "year" | "1y" => Self::Months(12),
            _ => return None,
        })
    }

    fn of(interval: DateInterval) -> Self {
        match interval {
            DateInterval::Fixed(width_ms) => Self::Millis(width_ms),
            DateInterval::Calendar(unit) => match unit {
                CalendarUnit::Minute => Self::Millis(MINUTE),
                CalendarUnit::Hour => Self::Millis(HOUR),
                CalendarUnit::Day => Self::Millis(DAY),
                CalendarUnit::Week => Self::Millis(WEEK),
                CalendarUnit::Month => Self::Months(1),
                CalendarUnit::Quarter => Self::Months(3),
                CalendarUnit::Year => Self::Months(12),
            },
        }
    }
}

/// How long the buckets of a date histogram are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BucketLength {
    /// Their interval.
    pub interval: DateInterval,
    /// IANA name or offset in which they begin; default UTC.
    pub time_zone: Option<String>,
    /// Their shift in milliseconds.
    pub offset_ms: i64,
    /// The place of the histogram among the sources of a `composite`; `None` where it is none.
    pub source: Option<usize>,
}

impl BucketLength {
    /// Refuses months in buckets that are not made of months.
    ///
    /// # Errors
    /// `illegal_argument_exception`.
    pub fn check(&self, unit: Option<RateUnit>) -> Result<(), QueryError> {
        match (unit, RateUnit::of(self.interval)) {
            (Some(RateUnit::Months(_)), RateUnit::Millis(_)) => Err(QueryError::illegal(
                "Cannot use month-based rate unit with a histogram whose interval is not month-based, only week, \
                 day, hour, minute and second are supported for this histogram",
            )),
            _ => Ok(()),
        }
    }

    /// Returns the length of the bucket that begins at `key_ms` in `unit`; 1 without one.
    ///
    /// # Errors
    /// `illegal_argument_exception` for an unknown time zone.
    pub fn in_unit(&self, key_ms: i64, unit: Option<RateUnit>) -> Result<f64, QueryError> {
        let Some(unit) = unit else {
            return Ok(1.0);
        };
        let (length, unit) = match (RateUnit::of(self.interval), unit) {
            (RateUnit::Millis(length), RateUnit::Millis(unit))
            | (RateUnit::Months(length), RateUnit::Months(unit)) => (length, unit),
            (_, RateUnit::Millis(unit)) => (self.length_ms(key_ms)?, unit),
            (RateUnit::Millis(_), RateUnit::Months(_)) => {
                self.check(Some(unit))?;
                (1, 1)
            }
        };
        Ok(length as f64 / unit as f64)
    }

    /// Returns how long a bucket of the calendar is.
    fn length_ms(&self, key_ms: i64) -> Result<i64, QueryError> {
        let DateInterval::Calendar(unit) = self.interval else {
            return Ok(1);
        };
        let zone = self.time_zone.as_deref();
        let zone = zone.map_or(Ok(TimeZone::UTC), TimeZone::parse)?;
        let begin = key_ms.saturating_sub(self.offset_ms);
        Ok(next_bucket(begin, unit, &zone).saturating_sub(begin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(interval: DateInterval) -> BucketLength {
        BucketLength {
            interval,
            time_zone: None,
            offset_ms: 0,
            source: None,
        }
    }

    #[test]
    fn buckets_are_measured_in_units() {
        // 2024-02-01, a month of 29 days.
        let february = 1_706_745_600_000;
        for (interval, unit, expected) in [
            (DateInterval::Fixed(90_000), "minute", 1.5),
            (DateInterval::Calendar(CalendarUnit::Week), "day", 7.0),
            (DateInterval::Calendar(CalendarUnit::Month), "day", 29.0),
            (
                DateInterval::Calendar(CalendarUnit::Month),
                "year",
                1.0 / 12.0,
            ),
            (DateInterval::Calendar(CalendarUnit::Year), "month", 12.0),
            (
                DateInterval::Calendar(CalendarUnit::Day),
                "second",
                86_400.0,
            ),
        ] {
            let unit = RateUnit::named(unit);
            let found = length(interval).in_unit(february, unit).expect("fits");
            assert_eq!(found, expected, "{interval:?} {unit:?}");
        }
        let day = length(DateInterval::Calendar(CalendarUnit::Day));
        assert_eq!(day.in_unit(february, None).expect("fits"), 1.0);
        assert!(day.check(RateUnit::named("month")).is_err());
        assert!(day.in_unit(february, RateUnit::named("1y")).is_err());
        assert_eq!(RateUnit::named("fortnight"), None);
    }
}

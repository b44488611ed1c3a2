//! Time zones: fixed offsets and IANA regions.

use std::fmt;

use chrono::{DateTime, Datelike, MappedLocalTime, NaiveDateTime, Offset, TimeZone as _};
use chrono_tz::Tz;

use super::DAY_MS;
use crate::error::{ErrorType, QueryError};

/// Years between which regional rules are asked; outside, the rules of the edge hold.
const RULE_YEARS: std::ops::RangeInclusive<i32> = 1..=9_999;

/// A time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeZone {
    /// Seconds east of UTC, -64,800 to 64,800.
    Fixed(i32),
    /// A region of the IANA database.
    Region(Tz),
}

impl TimeZone {
    /// Coordinated universal time.
    pub const UTC: Self = Self::Fixed(0);

    /// Reads `Z`, an offset (`+01:00`, `+0100`, `+1`, `UTC+1`) or an IANA name.
    ///
    /// # Errors
    /// `illegal_argument_exception` for any other text.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        if matches!(text, "Z" | "z" | "UTC" | "GMT" | "UT") {
            return Ok(Self::UTC);
        }
        let digits = ["UTC", "GMT", "UT"]
            .iter()
            .find_map(|name| text.strip_prefix(name))
            .unwrap_or(text);
        if let Some((seconds, "")) = read_offset(digits) {
            return Ok(Self::Fixed(seconds));
        }
        text.parse().map(Self::Region).map_err(|_| {
            let reason = format!("unknown time-zone ID: [{text}]");
            QueryError::new(ErrorType::IllegalArgument, reason)
        })
    }

    /// Returns the milliseconds east of UTC that hold at an instant.
    pub fn offset_ms(&self, utc_ms: i64) -> i64 {
        match self {
            Self::Fixed(seconds) => i64::from(*seconds) * 1_000,
            Self::Region(region) => {
                let at = rule_time(utc_ms);
                offset_of(&region.offset_from_utc_datetime(&at))
            }
        }
    }

    /// Returns what clocks show at an instant, as milliseconds.
    pub(super) fn to_local(self, utc_ms: i64) -> i64 {
        utc_ms.saturating_add(self.offset_ms(utc_ms))
    }

    /// Returns the first instant at which clocks have reached `local_ms`.
    ///
    /// A time that clocks show twice is its first occurrence; a time they skip is the change.
    pub(super) fn first_instant(self, local_ms: i64) -> i64 {
        match self.local_offsets(local_ms) {
            Some((earliest, _)) => local_ms.saturating_sub(earliest),
            None => self.change_over(local_ms),
        }
    }

    /// Returns the instant of a local time as `java.time` chooses it: the first of two; a time in
    /// a gap is moved on by the length of the gap.
    pub(super) fn resolve(self, local_ms: i64) -> i64 {
        match self.local_offsets(local_ms) {
            Some((earliest, _)) => local_ms.saturating_sub(earliest),
            None => {
                let before = self.change_over(local_ms).saturating_sub(1);
                local_ms.saturating_sub(self.offset_ms(before))
            }
        }
    }

    /// Returns the offsets under which clocks show `local_ms`, earliest instant first.
    fn local_offsets(self, local_ms: i64) -> Option<(i64, i64)> {
        match self {
            Self::Fixed(seconds) => Some((i64::from(seconds) * 1_000, i64::from(seconds) * 1_000)),
            Self::Region(region) => {
                let at = rule_time(local_ms);
                match region.offset_from_local_datetime(&at) {
                    MappedLocalTime::Single(one) => Some((offset_of(&one), offset_of(&one))),
                    MappedLocalTime::Ambiguous(first, last) => {
                        let (a, b) = (offset_of(&first), offset_of(&last));
                        Some((a.max(b), a.min(b)))
                    }
                    MappedLocalTime::None => None,
                }
            }
        }
    }

    /// Finds the change of the clock that skips `local_ms`.
    fn change_over(self, local_ms: i64) -> i64 {
        let (mut before, mut after) = (
            local_ms.saturating_sub(2 * DAY_MS),
            local_ms.saturating_add(2 * DAY_MS),
        );
        while after - before > 1 {
            let middle = before + (after - before) / 2;
            if self.to_local(middle) >= local_ms {
                after = middle;
            } else {
                before = middle;
            }
        }
        after
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(0) => f.write_str("Z"),
            Self::Fixed(seconds) => f.write_str(&write_offset(*seconds, true)),
            Self::Region(region) => f.write_str(region.name()),
        }
    }
}

/// Writes an offset as `+HH:mm` or `+HHmm`, with seconds when there are any.
pub(super) fn write_offset(seconds: i32, with_colon: bool) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let size = seconds.unsigned_abs();
    let (hours, minutes, rest) = (size / 3_600, size / 60 % 60, size % 60);
    let colon = if with_colon { ":" } else { "" };
    let mut text = format!("{sign}{hours:02}{colon}{minutes:02}");
    if rest != 0 {
        text.push_str(&format!("{colon}{rest:02}"));
    }
    text
}

/// Reads `+H`, `+HH`, `+HHmm`, `+HH:mm`, each optionally with seconds; returns the rest too.
pub(super) fn read_offset(text: &str) -> Option<(i32, &str)> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let width = rest.bytes().take(2).take_while(u8::is_ascii_digit).count();
    let hours: i32 = rest.get(..width)?.parse().ok()?;
    let mut rest = &rest[width..];
    let mut parts = [0; 2];
    if width == 2 {
        let has_colon = rest.starts_with(':');
        for part in &mut parts {
            let Some((value, after)) = read_sexagesimal(rest, has_colon) else {
                break;
            };
            (*part, rest) = (value, after);
        }
    }
    let seconds = sign * (hours * 3_600 + parts[0] * 60 + parts[1]);
    (seconds.abs() <= 18 * 3_600).then_some((seconds, rest))
}

/// Reads two digits below 60, after a colon if there are any.
fn read_sexagesimal(text: &str, has_colon: bool) -> Option<(i32, &str)> {
    let digits = if has_colon {
        text.strip_prefix(':')?
    } else {
        text
    };
    let two = digits
        .get(..2)
        .filter(|two| two.bytes().all(|b| b.is_ascii_digit()))?;
    let value = two.parse().ok().filter(|value| *value < 60)?;
    Some((value, &digits[2..]))
}

fn offset_of(offset: &impl Offset) -> i64 {
    i64::from(offset.fix().local_minus_utc()) * 1_000
}

/// Returns the time to ask rules for, cut to the years in which they are kept.
fn rule_time(ms: i64) -> NaiveDateTime {
    let time = DateTime::from_timestamp_millis(ms).filter(|time| RULE_YEARS.contains(&time.year()));
    // 0001-01-02 and 9999-12-30, in seconds.
    let edge = if ms < 0 {
        -62_135_510_400
    } else {
        253_402_128_000
    };
    time.or_else(|| DateTime::from_timestamp(edge, 0))
        .unwrap_or_default()
        .naive_utc()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_read_by_offset_and_by_name() {
        for (text, seconds) in [
            ("Z", 0),
            ("UTC", 0),
            ("+01:00", 3_600),
            ("-0830", -30_600),
            ("+1", 3_600),
            ("UTC+2", 7_200),
            ("+18:00", 64_800),
            ("+01:02:03", 3_723),
        ] {
            assert_eq!(
                TimeZone::parse(text),
                Ok(TimeZone::Fixed(seconds)),
                "{text}"
            );
        }
        assert!(matches!(
            TimeZone::parse("Europe/Paris"),
            Ok(TimeZone::Region(_))
        ));
        for bad in ["", "Mars/Base", "+19:00", "+1:00x", "+aa", "++1", "é"] {
            assert!(TimeZone::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn skipped_and_repeated_local_times_have_one_instant() {
        let berlin = TimeZone::parse("Europe/Berlin").unwrap();
        // 2020-03-29: 02:00 becomes 03:00 at 01:00 UTC.
        let change = 1_585_443_600_000;
        let local = change + 3_600_000;
        assert_eq!(berlin.first_instant(local + 1_800_000), change);
        assert_eq!(berlin.resolve(local + 1_800_000), change + 1_800_000);
        // 2020-10-25: 03:00 becomes 02:00 at 01:00 UTC; 02:30 is first at 00:30 UTC.
        let back = 1_603_587_600_000;
        assert_eq!(berlin.first_instant(back + 5_400_000), back - 1_800_000);
    }
}

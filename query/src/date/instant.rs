//! [`Instant`], and the commonest way to write one, read at once: `2014-11-18T14:30:01Z`, or `…01.123Z`.

use std::ops::Range;

use gleaner_model::mapping::NANOS_PER_MILLI;

use super::{DateFormatter, civil, format};

/// A point in time, to the nanosecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant {
    ms: i64,
    /// Nanoseconds behind the millisecond, 0 to 999,999.
    nanos: i64,
}

impl Instant {
    /// Returns the start of a millisecond, counted from the epoch.
    pub fn from_millis(ms: i64) -> Self {
        Self { ms, nanos: 0 }
    }

    /// Returns the nanosecond that is so far from the epoch.
    pub fn from_nanos(nanos: i64) -> Self {
        Self {
            ms: nanos.div_euclid(NANOS_PER_MILLI),
            nanos: nanos.rem_euclid(NANOS_PER_MILLI),
        }
    }

    /// Returns the nanosecond `nanos` of the millisecond `ms`; of more than a millisecond has, its last.
    pub(super) fn within(ms: i64, nanos: i64) -> Self {
        let nanos = nanos.clamp(0, NANOS_PER_MILLI - 1);
        Self { ms, nanos }
    }

    /// Returns milliseconds since the epoch, without what is finer.
    pub fn millis(self) -> i64 {
        self.ms
    }

    /// Returns milliseconds since the epoch as a decimal number, as `epoch_millis` reads it to the nanosecond.
    pub fn epoch_millis(self) -> String {
        format::write_epoch(self, 1)
    }

    /// Returns the nanoseconds behind the millisecond, 0 to 999,999.
    pub(super) fn nanos_of_milli(self) -> i64 {
        self.nanos
    }

    /// Returns nanoseconds since the epoch.
    ///
    /// # Errors
    /// Why a `date_nanos` cannot hold it: it is before the epoch, or after `2262-04-11T23:47:16.854775807Z`.
    pub fn to_nanos(self) -> Result<i64, String> {
        let nanos = self.ms.checked_mul(NANOS_PER_MILLI);
        let nanos = nanos.and_then(|nanos| nanos.checked_add(self.nanos));
        match (self.ms < 0, nanos) {
            (false, Some(nanos)) => Ok(nanos),
            (true, _) => Err(format!(
                "date[{self}] is before the epoch in 1970 and cannot be stored in nanosecond resolution"
            )),
            (false, None) => Err(format!(
                "date[{self}] is after 2262-04-11T23:47:16.854775807 and cannot be stored in nanosecond \
                 resolution"
            )),
        }
    }

    /// Returns nanoseconds since the epoch; what 64 bits do not hold, before 1677 and after 2262, as the first or the last.
    pub fn saturating_nanos(self) -> i64 {
        let nanos = i128::from(self.ms) * i128::from(NANOS_PER_MILLI);
        civil::saturate(nanos + i128::from(self.nanos))
    }
}

impl std::fmt::Display for Instant {
    /// Writes it as `strict_date_optional_time` does.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match DateFormatter::parse_pattern("strict_date_optional_time") {
            Ok(format) => f.write_str(&format.write(*self)),
            Err(_) => write!(f, "{}", self.ms),
        }
    }
}

/// Reads an instant of that form. `None` for any other text, also for days that do not exist: that one
/// is for [`super::parse`] to say.
pub(super) fn read(text: &str) -> Option<Instant> {
    let (head, rest) = text.as_bytes().split_first_chunk::<19>()?;
    let nano = match rest {
        b"Z" => 0,
        [b'.', digits @ .., b'Z'] if matches!(digits.len(), 3 | 6 | 9) => {
            let missing = 9_u32.saturating_sub(u32::try_from(digits.len()).ok()?);
            number(digits)? * 10_i64.pow(missing)
        }
        _ => return None,
    };
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|(at, mark)| head[*at] != *mark) {
        return None;
    }
    let at = |range: Range<usize>| number(&head[range]);
    let (year, month, day) = (at(0..4)?, at(5..7)?, at(8..10)?);
    let (hour, minute, second) = (at(11..13)?, at(14..16)?, at(17..19)?);
    let is_day =
        (1..=12).contains(&month) && (1..=civil::days_in_month(year, month)).contains(&day);
    if !is_day || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = (hour * 60 + minute) * 60 + second;
    let days = civil::days_from_civil(year, month, day);
    let ms = civil::at(days, seconds * 1_000 + nano / NANOS_PER_MILLI);
    Some(Instant::within(ms, nano % NANOS_PER_MILLI))
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number, digit| {
        let is_digit = digit.is_ascii_digit();
        is_digit.then(|| number * 10 + i64::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::date::zone::TimeZone;
    use crate::date::{DateFormatter, named, parse};

    /// Reads item by item, as every format is read.
    fn read_by_items(name: &str, text: &str, round_up: bool) -> Option<Instant> {
        let format = named::find(name).expect("a name").expect("a format");
        parse::read(&format.read, text, &TimeZone::UTC, round_up)
    }

    #[test]
    fn instants_are_read_and_all_else_is_left() {
        let millis = |ms| Some(Instant::from_millis(ms));
        assert_eq!(read("1970-01-02T00:00:01Z"), millis(86_401_000));
        assert_eq!(read("1970-01-01T00:00:00.007Z"), millis(7));
        assert_eq!(read("2000-02-29T23:59:59Z"), millis(951_868_799_000));
        for (text, nanos) in [
            ("1970-01-01T00:00:00.007008Z", 7_008_000),
            ("1970-01-01T00:00:00.007008009Z", 7_008_009),
            ("1969-12-31T23:59:59.999999999Z", -1),
        ] {
            assert_eq!(read(text), Some(Instant::from_nanos(nanos)), "{text}");
        }
        for other in [
            "",
            "2014-11-18",
            "2014-11-18T14:30:01",
            "2014-11-18T14:30:01z",
            "2014-11-18T14:30:01.1Z",
            "2014-11-18T14:30:01+01:00",
            "2014-11-18T24:00:00Z",
            "2014-02-29T00:00:00Z",
            "2014-13-01T00:00:00Z",
            "2014-00-01T00:00:00Z",
            "+014-11-18T14:30:01Z",
            "2014-11-18T14:30:01Zä",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_the_format_says(
            text in "[0-9]{4}-[0-3][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.([0-9]{3}|[0-9]{6}|[0-9]{9}))?Z",
            (at, other) in (0_usize..30, "[0-9TZ:. +-]"),
        ) {
            prop_assert_eq!(read(&text), read_by_items("strict_date_optional_time", &text, false));
            let mut changed = text.clone();
            if at < changed.len() {
                changed.replace_range(at..=at, &other);
            }
            for (name, text) in named::TAKING_INSTANTS.iter().flat_map(|name| [(name, &text), (name, &changed)]) {
                let format = DateFormatter::parse_pattern(name).expect("a format");
                for round_up in [false, true] {
                    let found = format.read_in(text, &TimeZone::UTC, round_up).ok();
                    prop_assert_eq!(found, read_by_items(name, text, round_up), "{} {}", name, text);
                }
            }
        }
    }

    #[test]
    fn milliseconds_with_a_fraction_are_read_back_to_the_nanosecond() {
        let format = DateFormatter::parse_pattern("epoch_millis").expect("a format");
        for (nanos, text) in [
            (0, "0"),
            (-1, "-0.000001"),
            (1_500_000, "1.5"),
            (i64::MIN, "-9223372036854.775808"),
            (i64::MAX, "9223372036854.775807"),
        ] {
            let instant = Instant::from_nanos(nanos);
            assert_eq!(instant.epoch_millis(), text);
            let read = format.read_in(text, &TimeZone::UTC, false);
            assert_eq!(read.ok(), Some(instant), "{text}");
        }
    }

    #[test]
    fn nanoseconds_are_those_of_the_years_that_64_bits_hold() {
        let format = DateFormatter::parse_pattern("strict_date_optional_time").expect("a format");
        let read = |text| {
            let read = format.read_in(text, &TimeZone::UTC, false);
            read.expect("an instant").to_nanos()
        };
        assert_eq!(read("1970-01-01T00:00:00.000000001Z"), Ok(1));
        assert_eq!(read("2262-04-11T23:47:16.854775807Z"), Ok(i64::MAX));
        let late = read("2262-04-11T23:47:16.854775808Z").expect_err("too late");
        assert!(
            late.starts_with("date[2262-04-11T23:47:16.854775808Z] is after"),
            "{late}"
        );
        let early = read("1969-12-31T23:59:59.999999999Z").expect_err("too early");
        assert!(
            early.starts_with("date[1969-12-31T23:59:59.999999999Z] is before"),
            "{early}"
        );
        for (instant, nanos) in [
            (Instant::from_nanos(-1), -1),
            (Instant::from_nanos(i64::MIN), i64::MIN),
            (Instant::from_nanos(i64::MIN + 1), i64::MIN + 1),
            (Instant::from_nanos(i64::MAX), i64::MAX),
            (Instant::from_millis(i64::MIN), i64::MIN),
            (Instant::from_millis(i64::MAX), i64::MAX),
        ] {
            assert_eq!(instant.saturating_nanos(), nanos);
        }
    }

    #[test]
    fn the_end_of_a_second_is_its_last_millisecond() {
        let format = DateFormatter::parse_pattern("strict_date_optional_time||epoch_millis");
        let format = format.expect("a format");
        let read = |text| format.parse_in(text, &TimeZone::UTC, true).ok();
        assert_eq!(read("1970-01-01T00:00:01Z"), Some(1_999));
        assert_eq!(read("1970-01-01T00:00:01.5Z"), Some(1_500));
        assert_eq!(read("1970-01-01T00:00:01.500Z"), Some(1_500));
    }
}

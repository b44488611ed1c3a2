//! The commonest way to write an instant, read at once: `2014-11-18T14:30:01Z`, or `…01.123Z`.

use std::ops::Range;

use super::civil;

/// Reads an instant of that form. `None` for any other text, also for days that do not exist: that one
/// is for [`super::parse`] to say.
pub(super) fn read(text: &str) -> Option<i64> {
    let (head, rest) = text.as_bytes().split_first_chunk::<19>()?;
    let ms = match rest {
        b"Z" => 0,
        [b'.', digits @ .., b'Z'] if digits.len() == 3 => number(digits)?,
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
    Some(civil::at(days, seconds * 1_000 + ms))
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
    fn read_by_items(name: &str, text: &str, round_up: bool) -> Option<i64> {
        let format = named::find(name).expect("a name").expect("a format");
        parse::read(&format.read, text, &TimeZone::UTC, round_up)
    }

    #[test]
    fn instants_are_read_and_all_else_is_left() {
        assert_eq!(read("1970-01-02T00:00:01Z"), Some(86_401_000));
        assert_eq!(read("1970-01-01T00:00:00.007Z"), Some(7));
        assert_eq!(read("2000-02-29T23:59:59Z"), Some(951_868_799_000));
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
            text in "[0-9]{4}-[0-3][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{3})?Z",
            (at, other) in (0_usize..24, "[0-9TZ:. +-]"),
        ) {
            prop_assert_eq!(read(&text), read_by_items("strict_date_optional_time", &text, false));
            let mut changed = text.clone();
            if at < changed.len() {
                changed.replace_range(at..=at, &other);
            }
            for (name, text) in named::TAKING_INSTANTS.iter().flat_map(|name| [(name, &text), (name, &changed)]) {
                let format = DateFormatter::parse_pattern(name).expect("a format");
                for round_up in [false, true] {
                    let found = format.parse_in(text, &TimeZone::UTC, round_up).ok();
                    prop_assert_eq!(found, read_by_items(name, text, round_up), "{} {}", name, text);
                }
            }
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

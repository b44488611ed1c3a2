//! The named formats.
//!
//! Each is a pattern with letters of our own (see [`pattern::compile`]): `f`, a fraction of 1
//! to 9 digits with its point, `g`, one of 3 that is only written, and `z`, any zone or offset; `x` is the ISO week year. The table
//! holds the strict form; the form without `strict_` reads any number of digits (of years up to 5)
//! and writes the same. The `basic_` forms have no separators and are always strict.
//!
//! A strict year is read from 4 digits, behind `-` too: what has more is left to the next format,
//! such as `epoch_millis`. Later years are still written with their sign and all digits.
//! Source: `DateFormatters` of Elasticsearch 8, where parsers and printers differ in this.

use super::pattern::{self, Item};
use crate::error::QueryError;

const OPTIONAL_TIME: &str = "uuuu[-MM[-dd]]['T'[HH[:mm[:ss[f]]][z]]]";

/// Formats that read every instant which [`super::instant::read`] reads, for the same.
pub(super) const TAKING_INSTANTS: [&str; 4] = [
    "strict_date_optional_time",
    "date_optional_time",
    "strict_date_optional_time_nanos",
    "date_optional_time_nanos",
];

const NAMED: &[(&str, &str)] = &[
    ("date_optional_time", OPTIONAL_TIME),
    ("date_optional_time_nanos", OPTIONAL_TIME),
    ("iso8601", OPTIONAL_TIME),
    ("basic_date", "uuuuMMdd"),
    ("basic_date_time", "uuuuMMdd'T'HHmmss[f]z"),
    ("basic_date_time_no_millis", "uuuuMMdd'T'HHmmssz"),
    ("basic_ordinal_date", "uuuuDDD"),
    ("basic_ordinal_date_time", "uuuuDDD'T'HHmmss[f]z"),
    ("basic_ordinal_date_time_no_millis", "uuuuDDD'T'HHmmssz"),
    ("basic_time", "HHmmss[f]z"),
    ("basic_time_no_millis", "HHmmssz"),
    ("basic_t_time", "'T'HHmmss[f]z"),
    ("basic_t_time_no_millis", "'T'HHmmssz"),
    ("basic_week_date", "xxxx'W'wwe"),
    ("basic_week_date_time", "xxxx'W'wwe'T'HHmmss[f]z"),
    ("basic_week_date_time_no_millis", "xxxx'W'wwe'T'HHmmssz"),
    ("date", "uuuu-MM-dd"),
    ("date_hour", "uuuu-MM-dd'T'HH"),
    ("date_hour_minute", "uuuu-MM-dd'T'HH:mm"),
    ("date_hour_minute_second", "uuuu-MM-dd'T'HH:mm:ss"),
    ("date_hour_minute_second_fraction", "uuuu-MM-dd'T'HH:mm:ssf"),
    ("date_hour_minute_second_millis", "uuuu-MM-dd'T'HH:mm:ssf"),
    ("date_time", "uuuu-MM-dd'T'HH:mm:ss[f]z"),
    ("date_time_no_millis", "uuuu-MM-dd'T'HH:mm:ssz"),
    ("hour", "HH"),
    ("hour_minute", "HH:mm"),
    ("hour_minute_second", "HH:mm:ss"),
    ("hour_minute_second_fraction", "HH:mm:ssf"),
    ("hour_minute_second_millis", "HH:mm:ssf"),
    ("ordinal_date", "uuuu-DDD"),
    ("ordinal_date_time", "uuuu-DDD'T'HH:mm:ss[f]z"),
    ("ordinal_date_time_no_millis", "uuuu-DDD'T'HH:mm:ssz"),
    ("time", "HH:mm:ss[f]z"),
    ("time_no_millis", "HH:mm:ssz"),
    ("t_time", "'T'HH:mm:ss[f]z"),
    ("t_time_no_millis", "'T'HH:mm:ssz"),
    ("week_date", "xxxx-'W'ww-e"),
    ("week_date_time", "xxxx-'W'ww-e'T'HH:mm:ss[f]z"),
    ("week_date_time_no_millis", "xxxx-'W'ww-e'T'HH:mm:ssz"),
    ("weekyear", "xxxx"),
    ("weekyear_week", "xxxx-'W'ww"),
    ("weekyear_week_day", "xxxx-'W'ww-e"),
    ("year", "uuuu"),
    ("year_month", "uuuu-MM"),
    ("year_month_day", "uuuu-MM-dd"),
];

/// Items of a named format: how it is read and how it is written.
pub(super) struct NamedFormat {
    pub(super) read: Vec<Item>,
    pub(super) write: Vec<Item>,
}

/// Returns the format of that name; `None` where there is none.
pub(super) fn find(name: &str) -> Option<Result<NamedFormat, QueryError>> {
    let (base, is_strict) = match name.strip_prefix("strict_") {
        Some(base) => (base, true),
        None => (name, name.starts_with("basic_")),
    };
    let (_, strict) = NAMED.iter().find(|(known, _)| *known == base)?;
    let lenient = collapse(strict);
    let read = if is_strict { strict } else { lenient.as_str() };
    let written = match base.ends_with("_second_millis") {
        true => strict.replace('f', "g"),
        false => (*strict).to_owned(),
    };
    let compiled = pattern::compile(read, true)
        .and_then(|read| Ok((read, pattern::compile(&written, true)?)))
        .map(|(read, write)| NamedFormat { read, write });
    Some(compiled)
}

/// Makes one letter of each run of equal letters.
fn collapse(pattern: &str) -> String {
    let mut collapsed = String::with_capacity(pattern.len());
    for letter in pattern.chars() {
        if !(letter.is_ascii_alphabetic() && collapsed.ends_with(letter)) {
            collapsed.push(letter);
        }
    }
    collapsed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_format_compiles() {
        for (name, _) in NAMED {
            assert!(find(name).is_some_and(|named| named.is_ok()), "{name}");
            let strict = format!("strict_{name}");
            assert!(find(&strict).is_some_and(|named| named.is_ok()), "{name}");
        }
        assert!(find("dateOptionalTime").is_none());
    }
}

//! Sizes and times as people write them: `512mb`, `30s`. The units are those of the dialect.

use std::{fmt, str::FromStr, time::Duration};

use gleaner_query::{
    QueryError,
    units::{parse_bytes, parse_time},
};
use serde::{Deserialize, Serialize};

/// Nanoseconds of a millisecond, the finest time that is written down.
const NANOS_PER_MS: u32 = 1_000_000;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct ByteSize(pub(crate) u64);

/// A length of time, in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Span(pub(crate) Duration);

impl ByteSize {
    /// Returns the bytes as the platform counts memory.
    pub(crate) fn in_memory(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for ByteSize {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        parse_bytes(text, "size").map(Self)
    }
}

impl FromStr for Span {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        // No limit is the longest time there is.
        let time = parse_time(text, "time")?.unwrap_or(Duration::from_millis(u64::MAX));
        if !time.subsec_nanos().is_multiple_of(NANOS_PER_MS) {
            return Err(QueryError::illegal(format!(
                "failed to parse setting [time] with value [{text}] as a time value: expected whole \
                 milliseconds"
            )));
        }
        Ok(Self(time))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("gb", 30), ("mb", 20), ("kb", 10)];
        let fits = |shift: u32| self.0 > 0 && self.0.is_multiple_of(1 << shift);
        match units.into_iter().find(|(_, shift)| fits(*shift)) {
            Some((unit, shift)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{}b", self.0),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            whole if whole >= u128::from(u64::MAX) => f.write_str("-1"),
            whole if whole.is_multiple_of(1000) => write!(f, "{}s", whole / 1000),
            whole => write!(f, "{whole}ms"),
        }
    }
}

impl From<ByteSize> for String {
    fn from(size: ByteSize) -> Self {
        size.to_string()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

impl TryFrom<String> for ByteSize {
    type Error = QueryError;

    fn try_from(text: String) -> Result<Self, QueryError> {
        text.parse()
    }
}

impl TryFrom<String> for Span {
    type Error = QueryError;

    fn try_from(text: String) -> Result<Self, QueryError> {
        text.parse()
    }
}

/// So much a second: `50/s`, `2000ms/s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance(pub(crate) u32);

impl FromStr for Allowance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix("/s").unwrap_or(text);
        let number = number.strip_suffix("ms").unwrap_or(number);
        match number.trim().parse() {
            Ok(number) if number > 0 => Ok(Self(number)),
            _ => Err("wanted so much a second, at least 1: 50/s, 2000ms/s".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_was_read() {
        for text in ["512mb", "1gb", "7b", "1536b", "3kb", "0b"] {
            assert_eq!(text.parse::<ByteSize>().expect("a size").to_string(), text);
        }
        for text in ["30s", "1500ms", "1ms", "-1", "0s"] {
            assert_eq!(text.parse::<Span>().expect("a time").to_string(), text);
        }
        assert_eq!("2m".parse::<Span>().expect("a time").to_string(), "120s");
        assert!("12".parse::<ByteSize>().is_err() && "soon".parse::<Span>().is_err());
    }

    #[test]
    fn times_finer_than_a_millisecond_are_refused() {
        for text in ["500micros", "1500micros", "1nanos"] {
            let error = text.parse::<Span>().expect_err("too fine").to_string();
            assert!(error.contains(text), "{error}");
            assert!(error.contains("whole milliseconds"), "{error}");
        }
        let whole = "2000micros".parse::<Span>().expect("a time");
        assert_eq!(whole.to_string(), "2ms");
    }

    #[test]
    fn allowances_are_a_second() {
        for (text, expected) in [("50/s", 50), ("2000ms/s", 2_000), ("7", 7)] {
            assert_eq!(text.parse(), Ok(Allowance(expected)), "{text}");
        }
        for wrong in ["", "0/s", "-1/s", "5/m", "x"] {
            assert!(wrong.parse::<Allowance>().is_err(), "{wrong}");
        }
    }
}

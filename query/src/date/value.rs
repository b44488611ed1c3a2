//! Dates as requests give them: texts, date math, and numbers.
//!
//! One rule for documents, queries and aggregations: the format decides what a number says, as it does for
//! text. Under `strict_date_optional_time||epoch_millis` 2018 is a year, and what has more digits than a year
//! milliseconds; under `epoch_second` both are seconds. `docs/decisions/0035-dialect-of-clients.md` says why.

use serde_json::Value;

use super::{DateFormatter, Instant, TimeZone, math};
use crate::error::QueryError;
use crate::json::scalar_text;

/// How the dates of one place in a request are read.
#[derive(Debug)]
pub struct DateReader<'a> {
    /// What the texts look like.
    pub formatter: &'a DateFormatter,
    /// Where texts without a zone of their own are from.
    pub zone: &'a TimeZone,
    /// The request's time, in milliseconds since the epoch.
    pub now_ms: i64,
}

impl DateReader<'_> {
    /// Reads a date; with `round_up` as [`parse_date_math`] does. A number that the format cannot read is
    /// milliseconds since the epoch, as Elasticsearch 8 takes it.
    ///
    /// # Errors
    /// `parse_exception` where the format does not read it.
    pub fn read(&self, value: &Value, round_up: bool) -> Result<i64, QueryError> {
        self.read_instant(value, round_up).map(Instant::millis)
    }

    /// As [`Self::read`], to the nanosecond.
    ///
    /// # Errors
    /// `parse_exception` where the format does not read it.
    pub fn read_instant(&self, value: &Value, round_up: bool) -> Result<Instant, QueryError> {
        let number = value.as_number().and_then(serde_json::Number::as_f64);
        let text = match (number.and_then(number_text), scalar_text(value)) {
            (Some(text), _) | (None, Some(text)) => text,
            (None, None) => value.to_string(),
        };
        let read = math::evaluate(&text, self, round_up);
        match (read, number) {
            (Err(refusal), Some(_)) => {
                let ms = text.parse().map_err(|_| refusal)?;
                Ok(Instant::from_millis(ms))
            }
            (read, _) => read,
        }
    }
}

/// Returns the digits of a whole number, however it is written in JSON: `2018.0` is 2018.
pub fn number_text(number: f64) -> Option<String> {
    // 2^53: above it a double no longer holds every whole number.
    let is_whole = number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0;
    is_whole.then(|| format!("{}", number as i64))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &Value, pattern: &str) -> Option<i64> {
        let formatter = DateFormatter::parse_pattern(pattern).expect("a pattern");
        let reader = DateReader {
            formatter: &formatter,
            zone: &TimeZone::UTC,
            now_ms: 0,
        };
        reader.read(value, false).ok()
    }

    #[test]
    fn the_format_says_what_a_number_is() {
        let default = "strict_date_optional_time||epoch_millis";
        for (value, pattern, expected) in [
            (json!(2018), default, Some(1_514_764_800_000)),
            (json!(2018.0), default, Some(1_514_764_800_000)),
            (json!("2018"), default, Some(1_514_764_800_000)),
            (json!(20_180), default, Some(20_180)),
            (json!(-5), default, Some(-5)),
            (
                json!(1_420_070_400_001_i64),
                default,
                Some(1_420_070_400_001),
            ),
            (
                json!(1_420_070_400),
                "epoch_second",
                Some(1_420_070_400_000),
            ),
            (json!(20_180_102), "yyyyMMdd", Some(1_514_851_200_000)),
            // Nothing in the format takes it.
            (
                json!(1_514_851_200_000_i64),
                "yyyy-MM-dd",
                Some(1_514_851_200_000),
            ),
            (json!("1514851200000"), "yyyy-MM-dd", None),
            (json!(1.5), "yyyy-MM-dd", None),
            (json!(true), default, None),
        ] {
            assert_eq!(read(&value, pattern), expected, "{value} {pattern}");
        }
    }
}

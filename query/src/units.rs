//! Times and sizes with units: `500ms`, `10mb`.

use std::time::Duration;

use crate::error::QueryError;

/// Nanoseconds of each unit of time; the longest suffix that fits is taken.
const TIME_UNITS: [(&str, u64); 7] = [
    ("nanos", 1),
    ("micros", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// Bytes of each unit of size.
const SIZE_UNITS: [(&str, u64); 11] = [
    ("kb", 1 << 10),
    ("mb", 1 << 20),
    ("gb", 1 << 30),
    ("tb", 1 << 40),
    ("pb", 1 << 50),
    ("k", 1 << 10),
    ("m", 1 << 20),
    ("g", 1 << 30),
    ("t", 1 << 40),
    ("p", 1 << 50),
    ("b", 1),
];

/// Reads a time such as `1s` or `500ms` for the setting called `name`; `-1` is no limit (`None`).
///
/// # Errors
/// `illegal_argument_exception` when there is no unit (only `0` and `-1` need none), the number is
/// negative or a fraction, or the time is longer than 584 years.
pub fn parse_time(text: &str, name: &str) -> Result<Option<Duration>, QueryError> {
    let trimmed = text.trim();
    match trimmed {
        "-1" => return Ok(None),
        "0" => return Ok(Some(Duration::ZERO)),
        _ => {}
    }
    let refuse = |why: &str| {
        QueryError::illegal(format!(
            "failed to parse setting [{name}] with value [{text}] as a time value: {why}"
        ))
    };
    let (number, nanos) = split_unit(trimmed, &TIME_UNITS)
        .ok_or_else(|| refuse("unit is missing or unrecognized"))?;
    if number.contains('.') {
        return Err(refuse("fractional time values are not supported"));
    }
    let number: u64 = number
        .parse()
        .map_err(|_| refuse("expected a whole number, 0 or more, before the unit"))?;
    let total = number
        .checked_mul(nanos)
        .ok_or_else(|| refuse("the time is too long"))?;
    Ok(Some(Duration::from_nanos(total)))
}

/// Reads a size such as `10mb` for the setting called `name`, in bytes.
///
/// # Errors
/// `illegal_argument_exception` when there is no unit (only `0` needs none), the number is
/// negative, or the size does not fit 64 bits.
pub fn parse_bytes(text: &str, name: &str) -> Result<u64, QueryError> {
    let lower = text.trim().to_ascii_lowercase();
    if lower == "0" {
        return Ok(0);
    }
    let refuse = |why: &str| {
        QueryError::illegal(format!(
            "failed to parse setting [{name}] with value [{text}] as a size in bytes: {why}"
        ))
    };
    let (number, unit) =
        split_unit(&lower, &SIZE_UNITS).ok_or_else(|| refuse("unit is missing or unrecognized"))?;
    if let Ok(whole) = number.parse::<u64>() {
        return whole
            .checked_mul(unit)
            .ok_or_else(|| refuse("the size is too large"));
    }
    let fraction: f64 = number
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && *number >= 0.0)
        .ok_or_else(|| refuse("expected a number, 0 or more, before the unit"))?;
    let bytes = fraction * unit as f64;
    if bytes >= u64::MAX as f64 {
        return Err(refuse("the size is too large"));
    }
    Ok(bytes as u64)
}

fn split_unit<'a>(text: &'a str, units: &[(&str, u64)]) -> Option<(&'a str, u64)> {
    units
        .iter()
        .find_map(|(unit, size)| Some((text.strip_suffix(unit)?.trim_end(), *size)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_have_units() {
        let time = |text| parse_time(text, "timeout").ok().flatten();
        assert_eq!(time("1s"), Some(Duration::from_secs(1)));
        assert_eq!(time("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(time("2m"), Some(Duration::from_secs(120)));
        assert_eq!(time("3micros"), Some(Duration::from_micros(3)));
        assert_eq!(time("5nanos"), Some(Duration::from_nanos(5)));
        assert_eq!(time("1d"), Some(Duration::from_secs(86_400)));
        assert_eq!(parse_time("-1", "timeout"), Ok(None));
        assert_eq!(
            parse_time("10", "timeout").expect_err("no unit").reason,
            "failed to parse setting [timeout] with value [10] as a time value: \
             unit is missing or unrecognized"
        );
        for wrong in ["", "s", "-2s", "1.5h", "99999999999999999999d", "9999999d"] {
            assert!(parse_time(wrong, "timeout").is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_have_units() {
        let size = |text| parse_bytes(text, "budget").ok();
        assert_eq!(size("10mb"), Some(10 << 20));
        assert_eq!(size("1GB"), Some(1 << 30));
        assert_eq!(size("1.5kb"), Some(1536));
        assert_eq!(size("7b"), Some(7));
        assert_eq!(size("0"), Some(0));
        for wrong in ["", "10", "-1b", "nanb", "1e300pb", "99999pb"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn units_never_panic(text in "\\PC{0,20}") {
            let _time = parse_time(&text, "x");
            let _size = parse_bytes(&text, "x");
        }
    }
}

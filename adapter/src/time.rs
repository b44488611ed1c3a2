//! Times as log lines write them.

use chrono::{DateTime, FixedOffset, NaiveDateTime, Utc};

/// Formats with an offset.
const WITH_OFFSET: [&str; 3] = [
    "%Y-%m-%d %H:%M:%S%.f%:z",
    "%Y-%m-%dT%H:%M:%S%.f%z",
    "%Y-%m-%d %H:%M:%S%.f %z",
];

/// Formats without one; they are read as UTC.
const WITHOUT_OFFSET: [&str; 4] = [
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y/%m/%d %H:%M:%S%.f",
    "%b %d, %Y %I:%M:%S %p",
];

/// Reads a time; one without an offset is UTC.
pub(crate) fn parse(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    if let Ok(time) = DateTime::parse_from_rfc2822(text) {
        return Some(time.to_utc());
    }
    let with_offset = |format: &&str| DateTime::parse_from_str(text, format).ok();
    if let Some(time) = WITH_OFFSET.iter().find_map(with_offset) {
        return Some(time.to_utc());
    }
    // Java and Python write the fraction of a second behind a comma.
    let dotted = text.replace(',', ".");
    let without = |format: &&str| {
        let of_text = |text: &str| NaiveDateTime::parse_from_str(text, format).ok();
        of_text(text).or_else(|| of_text(&dotted))
    };
    let bare = text.strip_suffix('Z').unwrap_or(text);
    for zone in [" UTC", " GMT"] {
        if let Some(text) = text.strip_suffix(zone) {
            return parse(text);
        }
    }
    if let Some(time) = WITHOUT_OFFSET.iter().find_map(without) {
        return Some(time.and_utc());
    }
    let is_number = !bare.is_empty()
        && bare
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_number
        .then(|| bare.parse().ok())
        .flatten()
        .and_then(from_number)
}

/// Reads seconds, milliseconds, microseconds or nanoseconds since 1970, by how large the number is.
pub(crate) fn from_number(number: f64) -> Option<DateTime<Utc>> {
    // From 2001 to 2286, as dates of logs are.
    let scale = match number {
        1e9..1e10 => 1e6,
        1e12..1e13 => 1e3,
        1e15..1e16 => 1.0,
        1e18..1e19 => 1e-3,
        _ => return None,
    };
    DateTime::from_timestamp_micros((number * scale) as i64)
}

/// Reads the time of an access log: `10/Oct/2000:13:55:36 -0700`.
pub(crate) fn parse_access(text: &str) -> Option<DateTime<Utc>> {
    let time: DateTime<FixedOffset> =
        DateTime::parse_from_str(text, "%d/%b/%Y:%H:%M:%S %z").ok()?;
    Some(time.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_moment_is_read_however_it_is_written() {
        let wanted = DateTime::parse_from_rfc3339("2026-03-01T12:30:05.250Z")
            .expect("a time")
            .to_utc();
        for text in [
            "2026-03-01T12:30:05.250Z",
            "2026-03-01T13:30:05.250+01:00",
            "2026-03-01T13:30:05.250+0100",
            "2026-03-01 12:30:05.250",
            "2026-03-01 12:30:05,250",
            "2026-03-01 13:30:05.250 +0100",
            "1772368205.250",
            "1772368205250",
        ] {
            let found = parse(text);
            assert_eq!(
                found.map(|time| time.timestamp_millis()),
                Some(wanted.timestamp_millis()),
                "{text}"
            );
        }
        assert_eq!(parse("42"), None);
        assert_eq!(parse("soon"), None);
    }
}

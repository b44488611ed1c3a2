//! Date math against the reference's own examples, and never a panic.

use proptest::prelude::*;

use super::*;

fn date(text: &str) -> i64 {
    DateFormatter::parse_pattern("strict_date_optional_time")
        .unwrap()
        .parse(text)
        .unwrap()
}

fn evaluate(text: &str, round_up: bool, zone: &str) -> Result<i64, QueryError> {
    let formatter = DateFormatter::parse_pattern("strict_date_optional_time||epoch_millis")?;
    let now = date("2001-01-01T12:00:00");
    parse_date_math(text, now, &formatter, round_up, &TimeZone::parse(zone)?)
}

#[test]
fn examples_of_the_reference_hold() {
    for (text, round_up, zone, expected) in [
        ("now", false, "Z", "2001-01-01T12:00:00"),
        ("now+1h", false, "Z", "2001-01-01T13:00:00"),
        ("now-1h/d", false, "Z", "2001-01-01T00:00:00"),
        (
            "2001.02.01||+1M/d".replace('.', "-").as_str(),
            false,
            "Z",
            "2001-03-01T00:00:00",
        ),
        ("now/d", true, "Z", "2001-01-01T23:59:59.999"),
        ("2014-11-18||/M", false, "Z", "2014-11-01"),
        ("2014-11-18||/M", true, "Z", "2014-11-30T23:59:59.999"),
        ("2014-11-18", true, "Z", "2014-11-18T23:59:59.999"),
        ("2014-11", true, "Z", "2014-11-01T23:59:59.999"),
        ("2014-11-18T14", true, "Z", "2014-11-18T14:59:59.999"),
        ("2014-11-18||/s", true, "Z", "2014-11-18T00:00:00.999"),
        ("2014-11-18||/w", false, "Z", "2014-11-17"),
        ("2014-11-18", false, "+01:00", "2014-11-17T23:00:00"),
        (
            "2014-11-18T00:00:00Z||/d",
            false,
            "-05:00",
            "2014-11-17T05:00:00",
        ),
        ("2024-01-31||+1M", false, "Z", "2024-02-29"),
        ("2024-02-29||+1y", false, "Z", "2025-02-28"),
        // 23-hour day: the day after is one calendar day on.
        (
            "2020-03-28T12:00||+1d",
            false,
            "Europe/Berlin",
            "2020-03-29T10:00:00",
        ),
        ("1420070400001", false, "Z", "2015-01-01T00:00:00.001"),
    ] {
        assert_eq!(evaluate(text, round_up, zone), Ok(date(expected)), "{text}");
    }
}

#[test]
fn wrong_steps_are_named() {
    for (text, reason) in [
        ("now*1d", "operator not supported for date math [*1d]"),
        ("now+1", "truncated date math [+1]"),
        ("now+1x", "unit [x] not supported for date math [+1x]"),
        (
            "now/2d",
            "rounding `/` can only be used on single unit types [/2d]",
        ),
    ] {
        assert_eq!(evaluate(text, false, "Z").unwrap_err().reason, reason);
    }
    assert!(evaluate("soon||+1d", false, "Z").is_err());
}

proptest! {
    #[test]
    fn no_text_and_no_instant_panics(text in "(now|-?[0-9]{1,19}\\|\\|)?([-+/][0-9]{0,10}[yMwdhHms]){0,6}|\\PC{0,20}",
                                     now in any::<i64>(), round_up: bool, zone in 0..4) {
        let zone = TimeZone::parse(["Z", "Europe/Berlin", "-18:00", "Australia/Lord_Howe"][zone as usize]).unwrap();
        let formatter = DateFormatter::parse_pattern("strict_date_optional_time||epoch_millis").unwrap();
        drop(parse_date_math(&text, now, &formatter, round_up, &zone));
    }
}

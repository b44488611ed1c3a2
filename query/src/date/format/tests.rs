//! Formats by table, and the law that what was written is read back.

use proptest::prelude::*;

use super::*;

fn utc(pattern: &str, text: &str) -> Result<String, QueryError> {
    let iso = DateFormatter::parse_pattern("strict_date_optional_time")?;
    Ok(iso.format(DateFormatter::parse_pattern(pattern)?.parse(text)?))
}

#[test]
fn text_is_read_by_format() {
    let standard = "strict_date_optional_time||epoch_millis";
    for (pattern, text, expected) in [
        (standard, "2014", "2014-01-01T00:00:00.000Z"),
        (standard, "2014-11-18T14:30", "2014-11-18T14:30:00.000Z"),
        (
            standard,
            "2014-11-18T14:30:01.5+02:00",
            "2014-11-18T12:30:01.500Z",
        ),
        (
            standard,
            "2014-11-18T14:30:01,123456789-0100",
            "2014-11-18T15:30:01.123Z",
        ),
        (standard, "2014-11-18T14Z", "2014-11-18T14:00:00.000Z"),
        (standard, "1420070400001", "2015-01-01T00:00:00.001Z"),
        (standard, "-1", "1969-12-31T23:59:59.999Z"),
        (
            "date_optional_time",
            "2014-1-8T1:2",
            "2014-01-08T01:02:00.000Z",
        ),
        ("epoch_second", "1.5", "1970-01-01T00:00:01.500Z"),
        ("epoch_second", "-1.5", "1969-12-31T23:59:58.500Z"),
        ("basic_date", "20141118", "2014-11-18T00:00:00.000Z"),
        (
            "basic_date_time",
            "20141118T010203.004Z",
            "2014-11-18T01:02:03.004Z",
        ),
        ("basic_ordinal_date", "2014322", "2014-11-18T00:00:00.000Z"),
        ("basic_week_date", "2014W472", "2014-11-18T00:00:00.000Z"),
        ("strict_week_date", "2014-W47-2", "2014-11-18T00:00:00.000Z"),
        ("hour_minute_second", "01:02:03", "1970-01-01T01:02:03.000Z"),
        ("year_month", "2014-11", "2014-11-01T00:00:00.000Z"),
        (
            "yyyy/MM/dd HH:mm:ss Z||yyyy/MM/dd Z",
            "2014/11/18 +0100",
            "2014-11-17T23:00:00.000Z",
        ),
        (
            "yyyy/MM/dd HH:mm:ss",
            "2014/11/18 01:02:03",
            "2014-11-18T01:02:03.000Z",
        ),
        (
            "EEE, dd MMM uuuu HH:mm:ss XXX",
            "Tue, 18 Nov 2014 01:02:03 +01:00",
            "2014-11-18T00:02:03.000Z",
        ),
        (
            "dd MMMM yyyy h:mm a",
            "18 November 2014 12:30 PM",
            "2014-11-18T12:30:00.000Z",
        ),
        (
            "yyyyMMddHHmmssSSS",
            "20141118010203004",
            "2014-11-18T01:02:03.004Z",
        ),
        ("yy-M-d", "14-1-8", "2014-01-08T00:00:00.000Z"),
        (
            "yyyy-MM-dd'T'HH''mm",
            "2014-11-18T01'02",
            "2014-11-18T01:02:00.000Z",
        ),
        ("uuuu[-MM[-dd]]", "2014-11", "2014-11-01T00:00:00.000Z"),
        (
            "yyyy-MM-dd HH:mm VV",
            "2014-11-18 01:00 Europe/Berlin",
            "2014-11-18T00:00:00.000Z",
        ),
    ] {
        assert_eq!(
            utc(pattern, text).as_deref(),
            Ok(expected),
            "{pattern} on {text}"
        );
    }
}

#[test]
fn the_mark_of_java_time_in_elasticsearch_6_is_passed_over() {
    for (pattern, text, expected) in [
        ("8yyyy-MM-dd", "2014-11-18", "2014-11-18T00:00:00.000Z"),
        (
            "8uuuu-MM-dd||epoch_millis",
            "1420070400001",
            "2015-01-01T00:00:00.001Z",
        ),
        (
            "8strict_date_optional_time",
            "2014-11-18T14Z",
            "2014-11-18T14:00:00.000Z",
        ),
    ] {
        let read = utc(pattern, text);
        assert_eq!(read.as_deref(), Ok(expected), "{pattern} on {text}");
    }
}

#[test]
fn years_have_the_digits_of_their_format() {
    let standard = "strict_date_optional_time||epoch_millis";
    for (pattern, text, expected) in [
        (standard, "-10000", "1969-12-31T23:59:50.000Z"),
        (standard, "-86400000", "1969-12-31T00:00:00.000Z"),
        (standard, "-292278993", "1969-12-28T14:48:41.007Z"),
        (standard, "-0044-03-15", "-0044-03-15T00:00:00.000Z"),
        ("basic_date", "-00440315", "-0044-03-15T00:00:00.000Z"),
        (
            "date_optional_time",
            "12014-1-8",
            "+12014-01-08T00:00:00.000Z",
        ),
        ("uuuu-MM-dd", "+12014-01-01", "+12014-01-01T00:00:00.000Z"),
    ] {
        let read = utc(pattern, text);
        assert_eq!(read.as_deref(), Ok(expected), "{pattern} on {text}");
    }
}

#[test]
fn text_that_is_no_date_is_refused_by_name() {
    for (pattern, text) in [
        ("strict_date_optional_time", "2014-2-3"),
        ("strict_date_optional_time", "20140"),
        ("strict_date_optional_time||epoch_millis", "+12014-01-01"),
        (
            "strict_date_optional_time||epoch_millis",
            "-292278993-01-01",
        ),
        ("strict_year", "-86400000"),
        ("strict_date", "+2014-01-01"),
        ("basic_date", "120140101"),
        ("date_optional_time", "292014-1-8"),
        ("uuuu-MM-dd", "+2014-01-01"),
        ("uuuu-MM-dd", "-292278993-01-01"),
        ("uuuu-MM-dd XXX", "-292275055-05-17 +18:00"),
        ("strict_date", "2014-02-30"),
        ("strict_date", "2014-13-01"),
        ("strict_date", "2014-01-01x"),
        ("strict_date", ""),
        ("EEE yyyy-MM-dd", "Mon 2014-11-18"),
        ("strict_week_date", "2014-W53-1"),
        ("ordinal_date", "2014-366"),
        ("epoch_millis", "1e3"),
    ] {
        let error = utc(pattern, text).unwrap_err();
        assert_eq!(error.kind, ErrorType::DateParse, "{pattern} on {text}");
        assert!(error.reason.contains(text));
    }
}

#[test]
fn wrong_patterns_are_refused_by_name() {
    for bad in [
        "", "8", "nope", "yyyy[", "yyyy]", "'open", "MMMMM", "a||", "yyyy{",
    ] {
        let error = DateFormatter::parse_pattern(bad).unwrap_err();
        assert_eq!(error.kind, ErrorType::IllegalArgument, "{bad}");
    }
    assert!(DateFormatter::parse_pattern(&"[".repeat(500)).is_err());
}

#[test]
fn the_first_alternative_writes_in_the_zone() {
    let ms = 1_416_272_523_004;
    for (pattern, zone, expected) in [
        (
            "strict_date_optional_time||epoch_millis",
            "Z",
            "2014-11-18T01:02:03.004Z",
        ),
        (
            "strict_date_optional_time",
            "+01:00",
            "2014-11-18T02:02:03.004+01:00",
        ),
        (
            "strict_date_optional_time",
            "America/New_York",
            "2014-11-17T20:02:03.004-05:00",
        ),
        ("epoch_millis", "+01:00", "1416272523004"),
        ("epoch_second", "Z", "1416272523.004"),
        ("yyyy-MM-dd", "Z", "2014-11-18"),
        ("date_optional_time", "Z", "2014-11-18T01:02:03.004Z"),
        (
            "EEEE d MMM yy, hh a X",
            "-08:00",
            "Monday 17 Nov 14, 05 PM -08",
        ),
        ("YYYY-'W'ww", "Z", "2014-W47"),
        ("DDD HH:mm:ss.SSS Z", "Z", "322 01:02:03.004 +0000"),
    ] {
        let formatter = DateFormatter::parse_pattern(pattern).unwrap();
        let zone = TimeZone::parse(zone).unwrap();
        assert_eq!(formatter.format_in(ms, &zone), expected, "{pattern}");
    }
}

#[test]
fn quarters_are_written_and_read() {
    let format = |pattern: &str| DateFormatter::parse_pattern(pattern).expect("a pattern");
    let day = |text: &str| format("uuuu-MM-dd").parse(text).expect("a day");
    for (date, quarter, first) in [
        ("2024-01-01", "1", "2024-01-01"),
        ("2024-03-31", "1", "2024-01-01"),
        ("2024-04-01", "2", "2024-04-01"),
        ("2024-12-31", "4", "2024-10-01"),
    ] {
        assert_eq!(format("q").format(day(date)), quarter);
        assert_eq!(
            format("uuuu-'Q'Q").format(day(date)),
            format!("2024-Q{quarter}")
        );
        assert_eq!(
            format("QQ uuuu").format(day(date)),
            format!("0{quarter} 2024")
        );
        for pattern in ["uuuu-QQQ", "QQQQ uuuu", "uuuuq"] {
            let text = format(pattern).format(day(date));
            assert_eq!(format(pattern).parse(&text), Ok(day(first)), "{text}");
        }
    }
    assert_eq!(format("QQQQ").format(day("2024-07-01")), "3rd quarter");
    let whole = format("uuuu-MM-dd QQQ");
    assert_eq!(whole.parse("2024-05-06 Q2"), Ok(day("2024-05-06")));
    assert!(
        whole.parse("2024-05-06 Q1").is_err(),
        "May is in the second"
    );
    assert!(format("uuuuQ").parse("20245").is_err());
    assert!(DateFormatter::parse_pattern("QQQQQ").is_err());
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(ms in -9_000_000_000_000_000_i64..9_000_000_000_000_000, pattern in 0..6) {
        let pattern = [
            "strict_date_optional_time", "strict_date_time", "epoch_millis", "epoch_second",
            "strict_week_date_time", "uuuu-MM-dd EEE HH:mm:ss.SSSSSS XXX",
        ][pattern as usize];
        // Strict years are read from 4 digits.
        let ms = if pattern.starts_with("strict_date") { ms % 250_000_000_000_000 } else { ms };
        let formatter = DateFormatter::parse_pattern(pattern).unwrap();
        prop_assert_eq!(formatter.parse(&formatter.format(ms)), Ok(ms));
        let zone = TimeZone::parse("+05:45").unwrap();
        prop_assert_eq!(formatter.parse(&formatter.format_in(ms, &zone)), Ok(ms));
    }

    #[test]
    fn no_instant_panics(ms in any::<i64>(), zone in 0..3) {
        let zone = TimeZone::parse(["Z", "Europe/Berlin", "-18:00"][zone as usize]).unwrap();
        for pattern in ["strict_date_optional_time", "strict_week_date", "epoch_second", "G y D EEE k K h QQQ"] {
            DateFormatter::parse_pattern(pattern).unwrap().format_in(ms, &zone);
        }
    }

    #[test]
    fn no_text_panics(pattern in "[uyMdHhmsSXZGEaekVzwYDQq'\\[\\] :.-]{0,16}|\\PC{0,12}", text in "[-+0-9TZ:., ]{0,30}|\\PC{0,20}") {
        if let Ok(formatter) = DateFormatter::parse_pattern(&pattern) {
            drop(formatter.parse_in(&text, &TimeZone::UTC, true));
        }
        for named in ["date_optional_time||epoch_second", "basic_week_date_time", "time"] {
            drop(DateFormatter::parse_pattern(named).unwrap().parse(&text));
        }
    }
}

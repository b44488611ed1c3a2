//! Buckets around changes of the clock, and their law.

use proptest::prelude::*;

use super::*;
use crate::date::DateFormatter;

const UNITS: [CalendarUnit; 7] = [
    CalendarUnit::Minute,
    CalendarUnit::Hour,
    CalendarUnit::Day,
    CalendarUnit::Week,
    CalendarUnit::Month,
    CalendarUnit::Quarter,
    CalendarUnit::Year,
];

fn bucket(text: &str, unit: CalendarUnit, zone: &str) -> (String, String) {
    let iso = DateFormatter::parse_pattern("strict_date_optional_time").unwrap();
    let zone = TimeZone::parse(zone).unwrap();
    let ms = iso.parse(text).unwrap();
    let write = |ms| iso.format(ms).replace(":00.000Z", "");
    (
        write(round_down(ms, unit, &zone)),
        write(next_bucket(ms, unit, &zone)),
    )
}

/// Instant, unit, zone; start of its bucket and of the next.
const TABLE: [(&str, CalendarUnit, &str, &str, &str); 13] = [
    (
        "2014-11-18T10:20:30",
        CalendarUnit::Minute,
        "Z",
        "2014-11-18T10:20",
        "2014-11-18T10:21",
    ),
    (
        "2014-11-18T10:20:30",
        CalendarUnit::Week,
        "Z",
        "2014-11-17T00:00",
        "2014-11-24T00:00",
    ),
    (
        "2014-11-18T10:20:30",
        CalendarUnit::Quarter,
        "Z",
        "2014-10-01T00:00",
        "2015-01-01T00:00",
    ),
    (
        "2014-11-18T23:20:30",
        CalendarUnit::Day,
        "+01:00",
        "2014-11-18T23:00",
        "2014-11-19T23:00",
    ),
    (
        "1969-12-31T23:59:59",
        CalendarUnit::Year,
        "Z",
        "1969-01-01T00:00",
        "1970-01-01T00:00",
    ),
    // Berlin: the day of the change has 23 and 25 hours.
    (
        "2020-03-29T12:00",
        CalendarUnit::Day,
        "Europe/Berlin",
        "2020-03-28T23:00",
        "2020-03-29T22:00",
    ),
    (
        "2020-10-25T12:00",
        CalendarUnit::Day,
        "Europe/Berlin",
        "2020-10-24T22:00",
        "2020-10-25T23:00",
    ),
    // Berlin: 02:00 to 03:00 comes twice, each its own bucket.
    (
        "2020-10-25T00:30",
        CalendarUnit::Hour,
        "Europe/Berlin",
        "2020-10-25T00:00",
        "2020-10-25T01:00",
    ),
    (
        "2020-10-25T01:30",
        CalendarUnit::Hour,
        "Europe/Berlin",
        "2020-10-25T01:00",
        "2020-10-25T02:00",
    ),
    // Lord Howe moves by half an hour: the odd half belongs to the hour before.
    (
        "2020-10-03T15:45",
        CalendarUnit::Hour,
        "Australia/Lord_Howe",
        "2020-10-03T14:30",
        "2020-10-03T16:00",
    ),
    // Sao Paulo, 2018-11-04: midnight does not exist, the day starts at 01:00 local.
    (
        "2018-11-04T12:00",
        CalendarUnit::Day,
        "America/Sao_Paulo",
        "2018-11-04T03:00",
        "2018-11-05T02:00",
    ),
    // Kathmandu: +05:45.
    (
        "2020-01-01T00:20",
        CalendarUnit::Hour,
        "Asia/Kathmandu",
        "2020-01-01T00:15",
        "2020-01-01T01:15",
    ),
    // Apia skipped 2011-12-30.
    (
        "2011-12-30T12:00",
        CalendarUnit::Day,
        "Pacific/Apia",
        "2011-12-30T10:00",
        "2011-12-31T10:00",
    ),
];

#[test]
fn buckets_follow_calendar_and_clocks() {
    for (text, unit, zone, start, next) in TABLE {
        let expected = (start.to_owned(), next.to_owned());
        assert_eq!(bucket(text, unit, zone), expected, "{text} {zone}");
    }
}

fn zones() -> impl Strategy<Value = TimeZone> {
    prop::sample::select(vec![
        "Z",
        "+05:45",
        "-18:00",
        "Europe/Berlin",
        "America/Sao_Paulo",
        "Australia/Lord_Howe",
        "America/St_Johns",
        "Pacific/Apia",
        "Africa/Casablanca",
        "America/Havana",
        "Asia/Gaza",
    ])
    .prop_map(|name| TimeZone::parse(name).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn an_instant_lies_in_its_bucket(
        ms in prop_oneof![-3_000_000_000_000_i64..5_000_000_000_000, -8_000_000_000_000_000_i64..8_000_000_000_000_000],
        unit in prop::sample::select(UNITS.to_vec()), zone in zones(),
    ) {
        let start = round_down(ms, unit, &zone);
        let next = next_bucket(ms, unit, &zone);
        prop_assert!(start <= ms && ms < next, "{start} {ms} {next}");
        prop_assert_eq!(round_down(start, unit, &zone), start);
        prop_assert_eq!(round_down(next - 1, unit, &zone), start);
        prop_assert_eq!(round_down(next, unit, &zone), next);
    }

    #[test]
    fn no_instant_panics(ms in prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX)],
                         unit in prop::sample::select(UNITS.to_vec()), zone in zones()) {
        prop_assert!(round_down(ms, unit, &zone) <= ms);
        prop_assert!(next_bucket(ms, unit, &zone) > ms || ms >= i64::MAX - 400 * DAY_MS);
    }
}

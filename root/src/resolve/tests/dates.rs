//! Dates as numbers, and in the time zone of a query string.

use super::*;

const DAY_MS: i64 = 86_400_000;

fn between(first: i64, last: i64) -> Clause {
    let bound = |ms| Bound::Included(Scalar::Date(ms));
    range("d", bound(first), bound(last))
}

#[test]
fn the_format_of_the_field_says_what_a_number_is() {
    let query = json!({"range": {"d": {"gte": 20_200, "lt": 1971}}});
    let expected = range(
        "d",
        Bound::Included(Scalar::Date(20_200)),
        Bound::Excluded(Scalar::Date(365 * DAY_MS)),
    );
    assert_eq!(resolve(&query), expected);
    for one in [json!(1970), json!(1970.0), json!("1970")] {
        // Missing months and days are the first, the time of day is the last.
        assert_eq!(
            resolve(&json!({"term": {"d": one}})),
            between(0, DAY_MS - 1)
        );
    }
    let formatted = json!({"range": {"d": {"gte": 1971, "format": "yyyy"}}});
    let from = Bound::Included(Scalar::Date(365 * DAY_MS));
    assert_eq!(resolve(&formatted), range("d", from, Bound::Unbounded));
}

#[test]
fn numbers_of_match_are_texts() {
    let first_day = between(365 * DAY_MS, 366 * DAY_MS - 1);
    for kind in ["match", "match_phrase"] {
        let query = json!({kind: {"d": 1971}});
        assert_eq!(resolve(&query), first_day, "{kind}");
    }
}

#[test]
fn dates_of_named_fields_are_of_the_time_zone_of_a_query_string() {
    let hour_ms = 3_600_000;
    let expected = between(DAY_MS - hour_ms, 2 * DAY_MS - hour_ms - 1);
    for query in [
        json!({"query": "d:1970-01-02", "time_zone": "+01:00"}),
        json!({"query": "1970-01-02", "default_field": "d", "time_zone": "+01:00"}),
    ] {
        assert_eq!(resolve(&json!({"query_string": query})), expected);
    }
    let listed = json!({"query_string": {
        "query": "1970-01-02", "fields": ["d"], "time_zone": "+01:00",
    }});
    assert_eq!(resolve(&listed), between(DAY_MS, 2 * DAY_MS - 1));
    let title = json!({"query_string": {"query": "title:fox", "time_zone": "+01:00"}});
    assert_eq!(resolve(&title), term("title", "fox"));
}

#[test]
fn many_dates_are_values_where_they_are_to_the_millisecond() {
    let day = between(DAY_MS, 2 * DAY_MS - 1);
    let instants = Clause::AnyOf {
        field: path("d"),
        values: [3, 5].map(Scalar::Date).to_vec(),
    };
    let mixed = json!({"terms": {"d": [5, "1970-01-02", "1970-01-01T00:00:00.003Z"]}});
    let expected = Clause::Constant(Box::new(any_of(vec![day, instants])));
    assert_eq!(resolve(&mixed), expected);
    let many = |unit: &str| -> Value {
        let dates = (1..=1_025).map(|n| format!("1970-01-01||+{n}{unit}"));
        json!({"terms": {"d": dates.collect::<Vec<_>>()}})
    };
    let Clause::AnyOf { values, .. } = resolve(&many("d")) else {
        panic!("values");
    };
    assert_eq!(values.len(), 1_025);
    let apart = (1..=1_025).map(|n| format!("1970-01-01||+{}d/d", 2 * n));
    let apart = json!({"terms": {"d": apart.collect::<Vec<_>>()}});
    let error = try_resolve(&apart, &mut Expansions::default()).expect_err("refused");
    assert_eq!(error.kind, ErrorType::TooManyClauses);
    // Days in a row are one range.
    assert_eq!(resolve(&many("d/d")), between(DAY_MS, 1_026 * DAY_MS - 1));
}

#[test]
fn values_that_overlap_or_touch_are_one_range() {
    let days =
        json!({"terms": {"d": ["1970-01-04", "1970-01-02||/M", "1970-02-01", "1970-03-02"]}});
    let expected = vec![
        between(0, 32 * DAY_MS - 1),
        between(60 * DAY_MS, 61 * DAY_MS - 1),
    ];
    let expected = Clause::Constant(Box::new(any_of(expected)));
    assert_eq!(resolve(&days), expected);
    let halves = json!({"terms": {"ip": ["10.128.0.0/9", "10.0.0.0/9"]}});
    let whole = json!({"term": {"ip": "10.0.0.0/8"}});
    assert_eq!(resolve(&halves), resolve(&whole));
}

#[test]
fn zones_are_checked_where_no_date_is_asked_for() {
    for query in [
        json!({"range": {"n": {"gte": 1, "time_zone": "Mars/Olympus"}}}),
        json!({"query_string": {"query": "title:fox", "time_zone": "Mars/Olympus"}}),
    ] {
        let refused = try_resolve(&query, &mut Expansions::default());
        let expected = QueryError::illegal("unknown time-zone ID: [Mars/Olympus]");
        assert_eq!(refused, Err(expected), "{query}");
    }
}

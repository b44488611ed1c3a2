//! Dates: bounds in the field's format, time zones, empty and unmapped shards.

use gleaner_query::answer::{AggregationResult, AggregationValue, BucketKey};

use super::*;

fn index(when: &[i64]) -> Index {
    let mapping = mapping(&json!({
        "when": {"type": "date", "format": "epoch_second"},
        "day": {"type": "date"},
    }));
    let source = |second: &i64| json!({"when": second, "day": second * 1_000});
    let documents: Documents = when
        .iter()
        .enumerate()
        .map(|(i, second)| (format!("d{i}"), source(second)))
        .collect();
    let layout = Layout {
        shards: 3,
        segments: 1,
        has_deletes: false,
    };
    Index::new(&mapping, &documents, layout)
}

fn one(index: &Index, request: &Value) -> AggregationResult {
    let found = index.aggregate(&json!({ "x": request }), &[]);
    found.expect("it is good").remove(0)
}

/// Shown keys with counts.
fn shown(result: &AggregationResult) -> Vec<(String, u64)> {
    let AggregationValue::Buckets { buckets, .. } = &result.value else {
        panic!("not buckets: {result:?}");
    };
    let buckets = buckets.iter().map(|bucket| {
        let key = match &bucket.key {
            BucketKey::Range { key, .. } => Some(key.clone()),
            _ => bucket.key_as_string.clone(),
        };
        (key.expect("dates are shown"), bucket.doc_count)
    });
    buckets.collect()
}

#[test]
fn bounds_are_read_in_the_fields_format() {
    let index = index(&[1_000, 2_000, 3_000]);
    let ranges = json!([{"from": 1000, "to": 3000}, {"from": "3000"}]);
    let found = one(
        &index,
        &json!({"date_range": {"field": "when", "ranges": ranges}}),
    );
    assert_eq!(
        shown(&found),
        [("1000-3000".to_owned(), 2), ("3000-*".to_owned(), 1)]
    );
}

#[test]
fn a_number_for_missing_dates_is_of_milliseconds() {
    let mapping = mapping(&json!({"when": {"type": "date", "format": "epoch_second"}}));
    let index = Index::new(&mapping, &vec![("d".to_owned(), json!({}))], ONE);
    let found = |kind: &str| {
        one(
            &index,
            &json!({ kind: {"field": "when", "missing": 86_400_000} }),
        )
    };
    assert_eq!(shown(&found("terms")), [("86400".to_owned(), 1)]);
    let expected = AggregationValue::Number {
        value: Some(86_400_000.0),
        as_string: Some("86400".to_owned()),
    };
    assert_eq!(found("max").value, expected);
}

#[test]
fn a_text_for_missing_dates_is_of_the_requests_time_zone() {
    let mapping = mapping(&json!({"day": {"type": "date"}}));
    let index = Index::new(&mapping, &vec![("d".to_owned(), json!({}))], ONE);
    for field in ["day", "nothing"] {
        let found = |kind: &str, how: &str, what: Value| {
            let zone = "-08:00";
            one(
                &index,
                &json!({ kind: {"field": field, "missing": "2020-06-01", "time_zone": zone, how: what} }),
            )
        };
        let days = found("date_histogram", "calendar_interval", json!("day"));
        let expected = [("2020-06-01T00:00:00.000-08:00".to_owned(), 1)];
        assert_eq!(shown(&days), expected, "{field}");
        let ranges = found("date_range", "ranges", json!([{"from": "2020-06-01"}]));
        let expected = [("2020-06-01T00:00:00.000-08:00-*".to_owned(), 1)];
        assert_eq!(shown(&ranges), expected, "{field}");
    }
}

#[test]
fn ranges_over_an_unknown_field_still_have_dates() {
    let ranges = json!([{"from": "2020-01-01T00:00:00Z"}]);
    let found = one(
        &index(&[1]),
        &json!({"date_range": {"field": "nothing", "ranges": ranges}}),
    );
    assert_eq!(
        shown(&found),
        [("2020-01-01T00:00:00.000Z-*".to_owned(), 0)]
    );
}

#[test]
fn fixed_intervals_follow_the_clocks_of_a_zone() {
    // 2016-01-01T00:00Z is still the last day of 2015 in Phoenix.
    let found = one(
        &index(&[1_451_606_400]),
        &json!({"date_histogram": {"field": "day", "fixed_interval": "1d", "time_zone": "America/Phoenix"}}),
    );
    assert_eq!(
        shown(&found),
        [("2015-12-31T00:00:00.000-07:00".to_owned(), 1)]
    );
    // Clocks in Berlin go from 02:00 to 03:00 on 2020-03-29; days stay days.
    let hours: Vec<i64> = (0..48).map(|hour| 1_585_436_400 + hour * 3_600).collect();
    let found = one(
        &index(&hours),
        &json!({"date_histogram": {"field": "day", "fixed_interval": "24h", "time_zone": "Europe/Berlin"}}),
    );
    let expected = [
        ("2020-03-29T00:00:00.000+01:00", 23),
        ("2020-03-30T00:00:00.000+02:00", 24),
        ("2020-03-31T00:00:00.000+02:00", 1),
    ];
    assert_eq!(shown(&found), expected.map(|(key, n)| (key.to_owned(), n)));
}

#[test]
fn an_empty_index_knows_types_and_bounds() {
    let index = index(&[]);
    let extended = json!({"min": "2020-01-01", "max": "2020-01-02"});
    let found = one(
        &index,
        &json!({"date_histogram": {"field": "day", "calendar_interval": "day", "extended_bounds": extended}}),
    );
    let expected = ["2020-01-01T00:00:00.000Z", "2020-01-02T00:00:00.000Z"];
    assert_eq!(shown(&found), expected.map(|key| (key.to_owned(), 0)));
    let terms = one(&index, &json!({"terms": {"field": "day"}}));
    assert_eq!(terms.type_name, "lterms");
    let unmapped = one(&index, &json!({"terms": {"field": "nothing"}}));
    assert_eq!(unmapped.type_name, "sterms");
}

#[test]
fn one_bound_alone_is_of_the_fields_format() {
    const DAY: i64 = 86_400;
    let index = index(&[DAY, 3 * DAY]);
    let found = |field: &str, bounds: Value| {
        let request = json!({"field": field, "fixed_interval": "1d", "extended_bounds": bounds});
        let found = one(&index, &json!({ "date_histogram": request }));
        let counts = shown(&found).into_iter().map(|(_, count)| count);
        counts.collect::<Vec<_>>()
    };
    assert_eq!(found("when", json!({"min": 0})), [0, 1, 0, 1]);
    assert_eq!(found("when", json!({"max": 4 * DAY})), [1, 0, 1, 0]);
    assert_eq!(found("day", json!({"min": "1970-01-01"})), [0, 1, 0, 1]);
    assert_eq!(found("day", json!({"max": "1970-01-01"})), [1, 0, 1]);
    let none: [u64; 0] = [];
    assert_eq!(found("nothing", json!({"min": "1970-01-01"})), none);
}

#[test]
fn bounds_that_are_upside_down_are_refused() {
    let index = index(&[1]);
    for key in ["extended_bounds", "hard_bounds"] {
        let bounds = json!({"min": "1970-01-02", "max": "1970-01-01"});
        let request = json!({"field": "day", "fixed_interval": "1d", key: bounds});
        let refused = index.aggregate(&json!({"x": {"date_histogram": request}}), &[]);
        let reason = refused.expect_err("it is refused").to_string();
        let expected = "bounds: min [86400000] cannot be greater than max [0]";
        assert_eq!(reason, expected, "{key}");
    }
}

#[test]
fn means_of_dates_are_dates() {
    let found = one(&index(&[10, 21]), &json!({"avg": {"field": "day"}}));
    let expected = AggregationValue::Number {
        value: Some(15_500.0),
        as_string: Some("1970-01-01T00:00:15.500Z".to_owned()),
    };
    assert_eq!(found.value, expected);
}

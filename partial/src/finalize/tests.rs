//! Shapes of answers: orders, cuts, gaps, formats.

mod bounds;
mod edges;
mod top_metrics;
mod tuples;

use std::collections::BTreeMap;

use gleaner_query::answer::{AggregationResult, AggregationValue, Bucket as Answer, BucketKey};
use serde_json::{Value, json};

use super::*;
use crate::key::{Fraction, Key, ValueFormat, ValueKind};
use crate::numbers::Numbers;
use crate::terms::{COMPLETE_KEYS, TermBucket, Terms};
use crate::testing::parse;
use crate::{Bucket, Histogram, Ranges};

fn finalized(partial: Partial, request: &Value) -> Result<AggregationResult, EvaluationError> {
    let names = BTreeMap::new();
    let context = FinalizeContext {
        max_buckets: 20,
        ..FinalizeContext::new(&names)
    };
    let mut results =
        Aggregations(vec![partial]).finalize(&parse(&json!({"x": request})), &context)?;
    Ok(results.remove(0))
}

fn buckets(result: AggregationResult) -> Vec<Answer> {
    match result.value {
        AggregationValue::Buckets { buckets, .. } => buckets,
        other => panic!("not buckets: {other:?}"),
    }
}

fn keys_and_counts(result: AggregationResult) -> Vec<(String, u64)> {
    let shown = |bucket: Answer| {
        let key = match bucket.key {
            BucketKey::Text(text) | BucketKey::Unnamed(text) => text,
            BucketKey::I64(number) => number.to_string(),
            BucketKey::U64(number) => number.to_string(),
            BucketKey::F64(number) => number.to_string(),
            BucketKey::Range { key, .. } => key,
            BucketKey::Several { shown, .. } => shown.to_string(),
        };
        (bucket.key_as_string.unwrap_or(key), bucket.doc_count)
    };
    buckets(result).into_iter().map(shown).collect()
}

fn count(doc_count: u64) -> Bucket {
    Bucket {
        doc_count,
        ..Bucket::default()
    }
}

fn terms(kind: ValueKind, counts: &[(Key, u64)]) -> Partial {
    let bucket = |n: u64| TermBucket {
        bucket: count(n),
        error: 0,
    };
    Partial::Terms(Terms {
        format: ValueFormat {
            kind,
            ..ValueFormat::default()
        },
        buckets: counts
            .iter()
            .map(|(key, n)| (key.clone(), bucket(*n)))
            .collect(),
        ..Terms::default()
    })
}

fn text(key: &str) -> Key {
    Key::Text(key.to_owned())
}

#[test]
fn terms_are_ordered_by_count_then_key_and_cut() {
    let partial = terms(
        ValueKind::Keyword,
        &[
            (text("a"), 1),
            (text("b"), 5),
            (text("c"), 5),
            (text("d"), 2),
        ],
    );
    let result =
        finalized(partial, &json!({"terms": {"field": "f", "size": 2}})).expect("it is good");
    assert_eq!(result.type_name, "sterms");
    let AggregationValue::Buckets {
        terms: Some(totals),
        ..
    } = &result.value
    else {
        panic!("not terms: {result:?}");
    };
    assert_eq!((totals.sum_other, totals.error_upper_bound), (3, 0));
    assert_eq!(
        keys_and_counts(result),
        [("b".to_owned(), 5), ("c".to_owned(), 5)]
    );
}

#[test]
fn counts_that_stay_open_state_their_error() {
    for (bound, expected) in [(9, 9), (4, 0)] {
        let Partial::Terms(mut found) = terms(ValueKind::Keyword, &[(text("a"), 5)]) else {
            panic!("not terms");
        };
        found.bound = bound;
        let request = json!({"terms": {"field": "f", "size": 1}});
        let result = finalized(Partial::Terms(found), &request).expect("it is good");
        let AggregationValue::Buckets {
            terms: Some(totals),
            ..
        } = &result.value
        else {
            panic!("not terms: {result:?}");
        };
        assert_eq!(totals.error_upper_bound, expected, "{bound}");
    }
}

#[test]
fn finishing_ends_when_nobody_waits() {
    let names = BTreeMap::new();
    let context = FinalizeContext::new(&names);
    context.control.cancel();
    let request = parse(&json!({"x": {"terms": {"field": "f"}}}));
    let stopped = Aggregations::default().finalize(&request, &context);
    assert!(
        matches!(stopped, Err(EvaluationError::Cancelled)),
        "{stopped:?}"
    );
}

#[test]
fn terms_follow_the_order_asked_for() {
    let partial = || {
        terms(
            ValueKind::Long,
            &[(Key::I64(-1), 1), (Key::I64(3), 5), (Key::I64(20), 2)],
        )
    };
    for (order, expected) in [
        (json!({"_key": "asc"}), ["-1", "3", "20"]),
        (json!({"_key": "desc"}), ["20", "3", "-1"]),
        (json!({"_count": "asc"}), ["-1", "20", "3"]),
    ] {
        let request = json!({"terms": {"field": "f", "order": order}});
        let found = keys_and_counts(finalized(partial(), &request).expect("it is good"));
        let keys: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, expected);
    }
}

#[test]
fn booleans_and_dates_are_shown_as_words() {
    let request = json!({"terms": {"field": "f"}});
    let booleans = terms(ValueKind::Boolean, &[(Key::I64(0), 1), (Key::I64(1), 2)]);
    let found = finalized(booleans, &request).expect("it is good");
    assert_eq!(
        keys_and_counts(found),
        [("true".to_owned(), 2), ("false".to_owned(), 1)]
    );
    let dates = terms(ValueKind::Date, &[(Key::I64(0), 1)]);
    let found = finalized(dates, &request).expect("it is good");
    assert_eq!(
        keys_and_counts(found),
        [("1970-01-01T00:00:00.000Z".to_owned(), 1)]
    );
}

fn histogram(keys: &[(f64, u64)]) -> Partial {
    let format = ValueFormat {
        kind: ValueKind::Double,
        ..ValueFormat::default()
    };
    let buckets = keys
        .iter()
        .map(|(key, n)| (Key::F64(Fraction::from(*key)), count(*n)))
        .collect();
    Partial::Histogram(Histogram {
        format,
        extended: None,
        buckets,
    })
}

#[test]
fn gaps_of_histograms_are_filled_and_bounds_extended() {
    let request = json!({"histogram": {"field": "f", "interval": 5, "offset": 1, "extended_bounds": {"min": -4, "max": 16}}});
    let found = finalized(histogram(&[(0.0, 2), (2.0, 1)]), &request).expect("it is good");
    let expected = [(-4, 0), (1, 2), (6, 0), (11, 1), (16, 0)];
    assert_eq!(
        keys_and_counts(found),
        expected.map(|(key, n)| (key.to_string(), n))
    );
    let request = json!({"histogram": {"field": "f", "interval": 5, "min_doc_count": 1, "order": {"_key": "desc"}}});
    let found = finalized(histogram(&[(0.0, 2), (2.0, 1)]), &request).expect("it is good");
    assert_eq!(
        keys_and_counts(found),
        [("10".to_owned(), 1), ("0".to_owned(), 2)]
    );
}

#[test]
fn filters_with_names_may_be_a_list() {
    let two = json!({"a": {"match_all": {}}, "b": {"match_all": {}}});
    let text = |key: &str| BucketKey::Text(key.to_owned());
    let named = vec![text("a"), text("b"), text("rest")];
    let unnamed = ["0", "1", "rest"].map(|key| BucketKey::Unnamed(key.to_owned()));
    let unnamed = unnamed.to_vec();
    for (filters, is_keyed, expected) in [
        (&two, true, (true, named.clone())),
        (&two, false, (false, named)),
        (&json!([{}, {}]), true, (false, unnamed)),
    ] {
        let request =
            json!({"filters": {"filters": filters, "keyed": is_keyed, "other_bucket_key": "rest"}});
        let partial = Partial::Filters(vec![count(1), count(2), count(3)]);
        let found = finalized(partial, &request).expect("it is good");
        assert_eq!(found.type_name, "filters");
        let AggregationValue::Buckets { buckets, keyed, .. } = found.value else {
            panic!("not buckets");
        };
        let keys: Vec<_> = buckets.into_iter().map(|bucket| bucket.key).collect();
        assert_eq!((keyed, keys), expected, "{request}");
    }
}

#[test]
fn too_many_buckets_are_refused_before_they_are_made() {
    let request = json!({"histogram": {"field": "f", "interval": 1}});
    let refused = finalized(histogram(&[(0.0, 1), (1e15, 1)]), &request).expect_err("too many");
    assert!(matches!(
        refused,
        EvaluationError::TooManyBuckets { limit: 20 }
    ));
    let request =
        json!({"histogram": {"field": "f", "interval": 1, "extended_bounds": {"min": -1e300}}});
    let refused = finalized(histogram(&[(0.0, 1)]), &request).expect_err("too many");
    assert!(matches!(
        refused,
        EvaluationError::TooManyBuckets { limit: 20 }
    ));
    let dates = Partial::Histogram(Histogram {
        format: ValueFormat {
            kind: ValueKind::Date,
            ..ValueFormat::default()
        },
        extended: None,
        buckets: [(Key::I64(0), count(1)), (Key::I64(i64::MAX / 2), count(1))].into(),
    });
    let request = json!({"date_histogram": {"field": "f", "calendar_interval": "day"}});
    assert!(matches!(
        finalized(dates, &request),
        Err(EvaluationError::TooManyBuckets { .. })
    ));
}

#[test]
fn calendar_gaps_follow_the_time_zone() {
    // 2020-03-28 and 2020-03-30, midnight in Berlin; clocks change in between.
    let (first, last) = (1_585_350_000_000, 1_585_519_200_000);
    let dates = Partial::Histogram(Histogram {
        format: ValueFormat {
            kind: ValueKind::Date,
            pattern: Some("yyyy-MM-dd'T'HH:mmXXX".to_owned()),
            time_zone: Some("Europe/Berlin".to_owned()),
        },
        extended: None,
        buckets: [(Key::I64(first), count(1)), (Key::I64(last), count(1))].into(),
    });
    let request = json!({"date_histogram": {"field": "f", "calendar_interval": "1d", "time_zone": "Europe/Berlin"}});
    let found = keys_and_counts(finalized(dates, &request).expect("it is good"));
    let expected = [
        "2020-03-28T00:00+01:00",
        "2020-03-29T00:00+01:00",
        "2020-03-30T00:00+02:00",
    ];
    assert_eq!(
        found
            .iter()
            .map(|(key, _)| key.as_str())
            .collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn no_partial_results_give_the_results_of_no_documents() {
    let request = parse(&json!({
        "t": {"terms": {"field": "f"}},
        "r": {"range": {"field": "f", "ranges": [{"to": 5}, {"from": 5, "to": 7.5}, {"from": 7.5}]}},
        "a": {"avg": {"field": "f"}},
        "s": {"sum": {"field": "f"}},
        "c": {"cardinality": {"field": "f"}},
        "m": {"missing": {"field": "f"}, "aggs": {"n": {"max": {"field": "g"}}}},
    }));
    let names = BTreeMap::new();
    let results = Aggregations::default()
        .finalize(&request, &FinalizeContext::new(&names))
        .expect("it is good");
    let types: Vec<&str> = results.iter().map(|result| result.type_name).collect();
    assert_eq!(
        types,
        ["sterms", "range", "avg", "sum", "cardinality", "missing"]
    );
    let keys = keys_and_counts(results[1].clone());
    assert_eq!(
        keys.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(),
        ["*-5.0", "5.0-7.5", "7.5-*"]
    );
    assert_eq!(
        results[2].value,
        AggregationValue::Number {
            value: None,
            as_string: None
        }
    );
    assert_eq!(
        results[3].value,
        AggregationValue::Number {
            value: Some(0.0),
            as_string: None
        }
    );
}

fn numbers(kind: ValueKind, values: &[f64]) -> Partial {
    let mut numbers = Numbers::new(true);
    values.iter().for_each(|value| numbers.add(*value));
    let format = ValueFormat {
        kind,
        ..ValueFormat::default()
    };
    Partial::Numbers { format, numbers }
}

#[test]
fn numbers_of_booleans_are_shown_as_words() {
    let found = finalized(
        numbers(ValueKind::Boolean, &[0.0, 1.0]),
        &json!({"max": {"field": "f"}}),
    );
    let expected = AggregationValue::Number {
        value: Some(1.0),
        as_string: Some("true".to_owned()),
    };
    assert_eq!(found.expect("it is good").value, expected);
    let ranges = Partial::Ranges(Ranges {
        format: ValueFormat {
            kind: ValueKind::Boolean,
            ..ValueFormat::default()
        },
        ranges: Vec::new(),
    });
    let request = json!({"range": {"field": "f", "ranges": [{"to": 1}]}});
    let found = finalized(ranges, &request).expect("it is good");
    assert_eq!(keys_and_counts(found), [("*-true".to_owned(), 0)]);
}

#[test]
fn whole_keys_keep_every_digit_in_a_format() {
    let Partial::Terms(mut found) = terms(ValueKind::Long, &[(Key::I64((1 << 53) + 1), 1)]) else {
        panic!("not terms");
    };
    found.format.pattern = Some("0.0".to_owned());
    let request = json!({"terms": {"field": "f", "format": "0.0"}});
    let found = finalized(Partial::Terms(found), &request).expect("it is good");
    assert_eq!(
        keys_and_counts(found),
        [("9007199254740993.0".to_owned(), 1)]
    );
}

/// Keys of `terms` over keywords with these partial results below, in the order asked for.
fn ordered(buckets: &[(&str, &[&[f64]])], order: &str, direction: &str, sub: &Value) -> String {
    let bucket = |values: &[&[f64]]| TermBucket {
        bucket: Bucket {
            doc_count: 1,
            sub: Aggregations(
                values
                    .iter()
                    .map(|values| numbers(ValueKind::Double, values))
                    .collect(),
            ),
        },
        error: 0,
    };
    let partial = Partial::Terms(Terms {
        buckets: buckets
            .iter()
            .map(|(key, values)| (text(key), bucket(values)))
            .collect(),
        ..Terms::default()
    });
    let request = json!({"terms": {"field": "f", "order": {order: direction}}, "aggs": sub});
    let found = finalized(partial, &request).expect("it is good");
    let keys = keys_and_counts(found).into_iter().map(|(key, _)| key);
    keys.collect()
}

#[test]
fn buckets_are_ordered_by_all_that_extended_stats_have() {
    let buckets: [(&str, &[&[f64]]); 3] =
        [("a", &[&[]]), ("b", &[&[1.0, 3.0]]), ("c", &[&[2.0, 2.0]])];
    let sub = json!({"s": {"extended_stats": {"field": "g"}}});
    for (by, direction, expected) in [
        ("s.variance", "asc", "cba"),
        ("s.variance", "desc", "bca"),
        ("s.variance_sampling", "asc", "cba"),
        ("s.std_deviation_sampling", "desc", "bca"),
        ("s.std_upper", "desc", "bca"),
        ("s.std_lower", "desc", "cba"),
        ("s.sum_of_squares", "desc", "bca"),
    ] {
        assert_eq!(ordered(&buckets, by, direction, &sub), expected, "{by}");
    }
}

#[test]
fn a_path_may_be_a_name_with_points() {
    let buckets: [(&str, &[&[f64]]); 2] = [("k", &[&[1.0], &[5.0]]), ("l", &[&[2.0], &[3.0]])];
    let sub = json!({"a": {"max": {"field": "g"}}, "a.b": {"min": {"field": "g"}}});
    assert_eq!(ordered(&buckets, "a.b", "desc", &sub), "kl");
}

#[test]
fn keys_that_were_cut_in_the_order_of_another_type_are_asked_for_again() {
    let request = json!({"terms": {"field": "k", "size": 5, "order": {"_key": "asc"}}});
    let wanted = parse(&json!({ "x": request }));
    // Two shards hold the numbers below 100, one of them as words.
    type ToKey = fn(i64) -> Key;
    let types: [(ValueKind, ToKey); 2] = [
        (ValueKind::Long, Key::I64),
        (ValueKind::Keyword, |n| Key::Text(n.to_string())),
    ];
    let answer = |asked: &[Aggregation]| {
        let AggregationKind::Terms(request) = &asked[0].kind else {
            panic!("other than asked: {asked:?}");
        };
        let mut merged = Aggregations::default();
        for (kind, key) in types {
            let counts: Vec<(Key, u64)> = (0..100).map(|n| (key(n), 1)).collect();
            let Partial::Terms(mut list) = terms(kind, &counts) else {
                panic!("terms are terms");
            };
            list.truncate(request, COMPLETE_KEYS);
            let shard = Aggregations(vec![Partial::Terms(list)]);
            merged.merge(shard).expect("one request");
        }
        merged
    };
    let mut first = answer(&wanted);
    let again = first.refine(&wanted).expect("one request");
    let again = again.expect("10 came before 2");
    let mut second = answer(&again);
    assert!(second.refine(&again).expect("one request").is_none());
    let partial = first.refined_by(second, &again).0.remove(0);
    let expected = [0, 1, 2, 3, 4].map(|n: i32| (n.to_string(), 2));
    let found = finalized(partial, &request).expect("it is good");
    assert_eq!(keys_and_counts(found), expected);
}

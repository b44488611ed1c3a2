//! Scripts over buckets in which something is missing.

use gleaner_query::Limits;
use gleaner_query::aggregation::parse_aggregations;
use gleaner_query::answer::BucketKey;
use serde_json::{Value, json};

use super::*;

/// Buckets of a sum each; `None` has no number.
fn buckets(sales: &[Option<f64>]) -> AggregationValue {
    let bucket = |(key, value): (i64, &Option<f64>)| Bucket {
        key: BucketKey::I64(key),
        key_as_string: None,
        doc_count: 1,
        beside: Vec::new(),
        sub: vec![AggregationResult {
            name: "sales".to_owned(),
            type_name: "sum",
            meta: None,
            value: AggregationValue::Number {
                value: *value,
                as_string: None,
            },
        }],
    };
    AggregationValue::Buckets {
        buckets: (0..).zip(sales).map(bucket).collect(),
        keyed: false,
        terms: None,
        beside: Vec::new(),
    }
}

/// Returns the keys of the buckets that a pipeline leaves, each with its number. Their sums are 1, 4, none and 2: the
/// first has no `change` from the one before, that of the second is 3, and those of the others are no numbers.
fn run(pipeline: &Value) -> Result<Vec<(i64, Option<f64>)>, EvaluationError> {
    let body = json!({"months": {"histogram": {"field": "month", "interval": 1}, "aggs": {
        "sales": {"sum": {"field": "price"}},
        "change": {"derivative": {"buckets_path": "sales"}},
        "made": pipeline,
    }}});
    let aggregations = parse_aggregations(&body, &Limits::default()).expect("good");
    let mut results = vec![AggregationResult {
        name: "months".to_owned(),
        type_name: "histogram",
        meta: None,
        value: buckets(&[Some(1.0), Some(4.0), None, Some(2.0)]),
    }];
    apply(&mut results, &aggregations, &[], &Control::unlimited())?;
    let AggregationValue::Buckets { buckets, .. } = &results[0].value else {
        panic!("not buckets: {results:?}");
    };
    let numbers = buckets.iter().map(|bucket| {
        let mut made = bucket.sub.iter().filter(|result| result.name == "made");
        let number = made.next().map(|result| match result.value {
            AggregationValue::Number { value, .. } => value.unwrap_or(f64::NAN),
            _ => panic!("not a number: {result:?}"),
        });
        let BucketKey::I64(key) = bucket.key else {
            panic!("not a number: {bucket:?}");
        };
        (key, number)
    });
    Ok(numbers.collect())
}

fn numbers(path: &str, gaps: &str, script: &str) -> Vec<Option<f64>> {
    let made = run(&json!({"bucket_script": {
        "buckets_path": {"x": path}, "gap_policy": gaps, "script": script,
    }}));
    let made = made.expect("numbers").into_iter();
    made.map(|(_, number)| number).collect()
}

#[test]
fn a_bucket_gets_nothing_where_a_script_returns_null() {
    let numbers = numbers("sales", "skip", "params.x > 3 ? null : params.x * 2");
    assert_eq!(numbers, [Some(2.0), None, None, Some(4.0)]);
}

#[test]
fn gaps_come_before_scripts_unless_they_count_as_0() {
    let guarded = "params.x == null ? -1 : params.x";
    for gaps in ["skip", "keep_values"] {
        let sales = numbers("sales", gaps, guarded);
        assert_eq!(sales, [Some(1.0), Some(4.0), None, Some(2.0)], "{gaps}");
        let changes = numbers("change", gaps, guarded);
        assert_eq!(changes, [None, Some(3.0), None, None], "{gaps}");
    }
    let sales = numbers("sales", "insert_zeros", guarded);
    assert_eq!(sales, [Some(1.0), Some(4.0), Some(0.0), Some(2.0)]);
    let changes = numbers("change", "insert_zeros", guarded);
    assert_eq!(changes, [Some(-1.0), Some(3.0), Some(0.0), Some(0.0)]);
}

#[test]
fn selectors_see_null_where_nothing_was_made() {
    let kept = |script: &str| {
        let made = run(&json!({"bucket_selector": {
            "buckets_path": {"x": "change"}, "script": script,
        }}));
        made.map(|made| made.into_iter().map(|(key, _)| key).collect::<Vec<i64>>())
    };
    let guarded = kept("params.x != null && params.x > 0").expect("a condition");
    assert_eq!(guarded, [1]);
    assert_eq!(kept("params.x == null").expect("a condition"), [0]);
    assert_eq!(kept("params.x != null").expect("a condition"), [1, 2, 3]);
    let refused = kept("params.x > 0").expect_err("null").to_string();
    let wanted = "null stands where a number must";
    assert!(refused.contains(wanted), "{refused}");
}

//! `matrix_stats`, and percentiles of an HDR histogram.

use gleaner_query::answer::AggregationValue;

use super::kinds::{of, one};
use super::*;

#[test]
fn matrices_are_of_documents_that_have_all_fields() {
    let documents = of(&[
        json!({"n": [1, 3], "price": 8.0}),
        json!({"n": 4, "price": 6.0}),
        json!({"n": 9}),
        json!({"price": 1.0}),
    ]);
    let shown = |request: Value| match one(&documents, &request).value {
        AggregationValue::Shown(shown) => {
            Value::Object(shown.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
        }
        other => panic!("not a matrix: {other:?}"),
    };
    let found = shown(json!({"matrix_stats": {"fields": ["n", "price"]}}));
    assert_eq!(found["doc_count"], 2);
    assert_eq!(found["fields"][0]["name"], "n");
    assert_eq!(found["fields"][0]["mean"], 3.0);
    assert_eq!(found["fields"][1]["variance"], 2.0);
    assert_eq!(found["fields"][0]["covariance"]["price"], -2.0);
    assert_eq!(found["fields"][0]["covariance"]["n"], 2.0);
    let correlation = &found["fields"][1]["correlation"];
    assert_eq!(correlation["price"], 1.0);
    let with_n = correlation["n"].as_f64().expect("a number");
    assert!((with_n + 1.0).abs() < 1e-15, "{with_n}");
    let found = shown(json!({"matrix_stats": {
        "fields": ["n", "price"], "mode": "sum", "missing": {"n": 0, "price": 5},
    }}));
    assert_eq!(found["doc_count"], 4);
    assert_eq!(found["fields"][0]["mean"], 17.0 / 4.0);
    let found = shown(json!({"matrix_stats": {"fields": ["n", "nothing"]}}));
    assert_eq!(found, json!({"doc_count": 0}));
}

#[test]
fn tall_histograms_answer_the_ends_of_their_parts() {
    let documents = of(&[
        json!({"n": 1, "price": 151.0}),
        json!({"n": 51}),
        json!({"n": 101}),
        json!({"n": 151, "price": -1.0}),
    ]);
    let found = one(
        &documents,
        &json!({"percentiles": {"field": "n", "percents": [25, 50], "hdr": {}}}),
    );
    let AggregationValue::Percentiles { values, .. } = found.value else {
        panic!("not percentiles: {found:?}");
    };
    assert_eq!(values, [(25.0, Some(1.0)), (50.0, Some(51.030_273_437_5))]);
    assert_eq!(found.type_name, "hdr_percentiles");
    let found = one(
        &documents,
        &json!({"percentile_ranks": {"field": "n", "values": [100.9], "hdr": {}}}),
    );
    let AggregationValue::Percentiles { values, .. } = found.value else {
        panic!("not ranks: {found:?}");
    };
    assert_eq!(values, [(100.9, Some(50.0))]);
}

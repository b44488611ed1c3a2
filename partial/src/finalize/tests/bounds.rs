//! Histograms of which one of the `extended_bounds` is not given.

use super::*;

#[test]
fn one_bound_alone_extends_its_side_of_what_there_is() {
    let keys = |bounds: Value, keys: &[(f64, u64)]| {
        let request =
            json!({"histogram": {"field": "f", "interval": 5, "extended_bounds": bounds}});
        let found = finalized(histogram(keys), &request).expect("it is good");
        let found = keys_and_counts(found).into_iter().map(|(key, _)| key);
        found.collect::<Vec<_>>()
    };
    let some = [(1.0, 2), (2.0, 1)];
    for (bounds, expected) in [
        (json!({"min": -1}), vec!["-5", "0", "5", "10"]),
        (json!({"max": 17}), vec!["5", "10", "15"]),
        // Behind all there is, such a bound adds nothing.
        (json!({"min": 50}), vec!["5", "10"]),
        (json!({"max": -50}), vec!["5", "10"]),
    ] {
        assert_eq!(keys(bounds.clone(), &some), expected, "{bounds}");
        assert!(keys(bounds.clone(), &[]).is_empty(), "{bounds}");
    }
    assert_eq!(keys(json!({"min": 3, "max": 5}), &[]), ["0", "5"]);
}

fn dates(extended: (i64, i64), starts: &[i64]) -> Partial {
    Partial::Histogram(Histogram {
        format: ValueFormat {
            kind: ValueKind::Date,
            pattern: Some("yyyy-MM-dd".to_owned()),
            ..ValueFormat::default()
        },
        extended: Some(extended),
        buckets: starts
            .iter()
            .map(|start| (Key::I64(*start), count(1)))
            .collect(),
    })
}

#[test]
fn one_bound_alone_extends_its_side_of_dates() {
    const DAY: i64 = 86_400_000;
    let request = json!({"date_histogram": {"field": "f", "fixed_interval": "1d"}});
    let ends = |partial: Partial| {
        let found = keys_and_counts(finalized(partial, &request).expect("it is good"));
        let key = |at: Option<&(String, u64)>| at.map(|(key, _)| key.clone()).unwrap_or_default();
        (key(found.first()), key(found.last()))
    };
    let shown = |first: &str, last: &str| (first.to_owned(), last.to_owned());
    for (bounds, expected) in [
        ((-DAY, i64::MIN), shown("1969-12-31", "1970-01-02")),
        ((5 * DAY, i64::MIN), shown("1970-01-01", "1970-01-02")),
        ((i64::MAX, 3 * DAY + 1), shown("1970-01-01", "1970-01-04")),
        ((i64::MAX, -DAY), shown("1970-01-01", "1970-01-02")),
    ] {
        assert_eq!(ends(dates(bounds, &[0, DAY])), expected, "{bounds:?}");
        assert_eq!(ends(dates(bounds, &[])), shown("", ""), "{bounds:?}");
    }
    assert_eq!(
        ends(dates((0, DAY), &[])),
        shown("1970-01-01", "1970-01-02")
    );
    let refused = finalized(dates((i64::MIN / 2, i64::MIN), &[0]), &request);
    assert!(matches!(
        refused,
        Err(EvaluationError::TooManyBuckets { .. })
    ));
}

//! Buckets of nothing, rare keys, and bounds of shards that do not know the field.

use super::*;

#[test]
fn the_least_and_the_greatest_of_nothing_stand_at_the_ends() {
    let buckets: [(&str, &[&[f64]]); 2] = [("a", &[&[]]), ("b", &[&[1.0]])];
    for (metric, direction, expected) in [
        ("min", "asc", "ba"),
        ("min", "desc", "ab"),
        ("max", "asc", "ab"),
        ("max", "desc", "ba"),
        ("avg", "asc", "ba"),
        ("avg", "desc", "ba"),
    ] {
        let sub = json!({"m": {metric: {"field": "g"}}});
        let found = ordered(&buckets, "m", direction, &sub);
        assert_eq!(found, expected, "{metric} {direction}");
    }
}

#[test]
fn rare_keys_count_with_the_others() {
    let counts = [(text("a"), 5), (text("b"), 1), (text("c"), 1)];
    let request = json!({"terms": {"field": "f", "size": 1, "min_doc_count": 2}});
    let result = finalized(terms(ValueKind::Keyword, &counts), &request).expect("it is good");
    let AggregationValue::Buckets { terms, .. } = &result.value else {
        panic!("not terms: {result:?}");
    };
    assert_eq!(terms.as_ref().map(|totals| totals.sum_other), Some(2));
}

#[test]
fn bounds_are_those_of_who_knows_the_field() {
    let part = |kind, extended| Histogram {
        format: ValueFormat {
            kind,
            ..ValueFormat::default()
        },
        extended: Some(extended),
        buckets: BTreeMap::new(),
    };
    let unknown = || part(ValueKind::Unmapped, (0, 1));
    let known = || part(ValueKind::Date, (5, 6));
    for (first, second) in [(unknown(), known()), (known(), unknown())] {
        let mut merged = Aggregations(vec![Partial::Histogram(first)]);
        let other = Aggregations(vec![Partial::Histogram(second)]);
        merged.merge(other).expect("of one request");
        let Partial::Histogram(merged) = &merged.0[0] else {
            panic!("not a histogram");
        };
        assert_eq!(merged.extended, Some((5, 6)));
    }
}

#[test]
fn what_is_copied_to_join_buckets_is_charged() {
    use crate::control::{Ledger, MemoryAccount};

    let values: Vec<(f64, u64)> = (0..2_000).map(|i| (f64::from(i), 1)).collect();
    let request = json!({"x": {"variable_width_histogram": {"field": "f", "buckets": 2}}});
    let finalize = |limit| {
        let account = MemoryAccount::root("request", limit);
        let names = BTreeMap::new();
        let context = FinalizeContext {
            ledger: Some(Arc::new(Ledger::open(&account).expect("there is memory"))),
            ..FinalizeContext::new(&names)
        };
        Aggregations(vec![histogram(&values)]).finalize(&parse(&request), &context)
    };
    assert!(finalize(1 << 20).is_ok());
    let refused = finalize(100_000);
    assert!(
        matches!(refused, Err(EvaluationError::CircuitBreaking { .. })),
        "{refused:?}"
    );
}

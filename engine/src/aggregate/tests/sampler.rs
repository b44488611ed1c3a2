//! `sampler` and `diversified_sampler`, against the best documents as a loop finds them.

use std::collections::BTreeSet;

use gleaner_query::answer::AggregationValue;

use super::kinds::{SPREAD, of, shown};
use super::*;

/// Returns how many documents a sample has, and their numbers.
fn sampled(documents: &Documents, request: &Value) -> (u64, Vec<Value>) {
    let request = json!({"x": {
        (request["kind"].as_str().expect("a name")): request["body"],
        "aggs": {"numbers": {"terms": {"field": "n", "size": 100, "order": {"_key": "asc"}}}},
    }});
    let index = Index::new(&fields(), documents, SPREAD);
    let found = index.aggregate(&request, &[]).expect("it is good");
    let AggregationValue::Single { doc_count, sub } = &found[0].value else {
        panic!("not one bucket: {found:?}");
    };
    let numbers = shown(&sub[0]).into_iter().map(|(key, _)| key);
    (*doc_count, numbers.collect())
}

/// Returns where a document stands: scores come of ids.
fn score(i: usize) -> (std::cmp::Reverse<u64>, u64) {
    let hash = gleaner_model::hash::tie_break_hash(&format!("d{i}"));
    (std::cmp::Reverse(hash % 97), hash)
}

#[test]
fn a_sample_is_of_the_best_documents_of_all_shards() {
    let sources: Vec<Value> = (0..40)
        .map(|i| json!({"n": i, "ok": i % 2 == 0, "tag": "t"}))
        .collect();
    let documents = of(&sources);
    let mut best: Vec<usize> = (0..40).collect();
    best.sort_unstable_by_key(|i| score(*i));
    let numbers = |chosen: &[usize]| -> Vec<Value> {
        let chosen: BTreeSet<usize> = chosen.iter().copied().collect();
        chosen.into_iter().map(|i| json!(i)).collect()
    };

    let plain = json!({"kind": "sampler", "body": {"shard_size": 5}});
    assert_eq!(sampled(&documents, &plain), (5, numbers(&best[..5])));

    let two_of_each = |even: bool| {
        best.iter()
            .copied()
            .filter(move |i| (i % 2 == 0) == even)
            .take(2)
    };
    let unlike: Vec<usize> = two_of_each(true).chain(two_of_each(false)).collect();
    let diverse =
        json!({"kind": "diversified_sampler", "body": {"field": "ok", "max_docs_per_value": 2}});
    assert_eq!(sampled(&documents, &diverse), (4, numbers(&unlike)));

    // None has a value: they have that in common.
    let none = json!({"kind": "diversified_sampler", "body": {"field": "price"}});
    assert_eq!(sampled(&documents, &none), (1, numbers(&best[..1])));
}

#[test]
fn documents_of_several_values_are_not_told_apart() {
    let documents = of(&[json!({"tag": ["a", "b"]})]);
    let index = Index::new(&fields(), &documents, SPREAD);
    let refused = index.aggregate(
        &json!({"x": {"diversified_sampler": {"field": "tag"}}}),
        &[],
    );
    let refused = refused.expect_err("it has two").to_string();
    assert!(
        refused.contains("must be a single valued-field"),
        "{refused}"
    );
}

#[test]
fn what_stands_for_missing_values_is_the_value_of_others_too() {
    // Scores come of ids; the second best has what the best has, by `missing`.
    let mut best: Vec<usize> = (0..3).collect();
    best.sort_unstable_by_key(|i| score(*i));
    let tags = [Some("x"), None, Some("y")];
    let mut sources = vec![json!({}); 3];
    for (place, tag) in best.iter().zip(tags) {
        sources[*place] = json!({"n": place, "tag": tag});
    }
    let documents = of(&sources);
    let request = json!({"x": {
        "diversified_sampler": {"field": "tag", "missing": "x", "shard_size": 2},
        "aggs": {"numbers": {"terms": {"field": "n"}}},
    }});
    let mut wanted = vec![json!(best[0]), json!(best[2])];
    wanted.sort_unstable_by_key(Value::as_u64);
    for layout in [ONE, SPREAD] {
        let index = Index::new(&fields(), &documents, layout);
        let found = index.aggregate(&request, &[]).expect("it is good");
        let AggregationValue::Single { sub, .. } = &found[0].value else {
            panic!("not one bucket: {found:?}");
        };
        let mut numbers: Vec<Value> = shown(&sub[0]).into_iter().map(|(key, _)| key).collect();
        numbers.sort_unstable_by_key(Value::as_u64);
        assert_eq!(numbers, wanted, "{layout:?}");
    }
}

//! Each aggregation against a loop over the documents.

use std::collections::{BTreeMap, BTreeSet};

use gleaner_query::answer::{AggregationResult, AggregationValue, BucketKey};
use gleaner_query::source::values_at;

use super::*;

fn one(documents: &Documents, request: &Value) -> AggregationResult {
    let layout = Layout {
        shards: 2,
        segments: 3,
        has_deletes: true,
    };
    let index = Index::new(&fields(), documents, layout);
    index
        .aggregate(&json!({"x": request}), &[])
        .expect("it is good")
        .remove(0)
}

/// Keys (numbers as text) with counts.
fn counts(result: &AggregationResult) -> Vec<(String, u64)> {
    let AggregationValue::Buckets { buckets, .. } = &result.value else {
        panic!("not buckets: {result:?}");
    };
    let key = |key: &BucketKey| match key {
        BucketKey::Text(text) | BucketKey::Unnamed(text) => text.clone(),
        BucketKey::I64(number) => number.to_string(),
        BucketKey::U64(number) => number.to_string(),
        BucketKey::F64(number) => number.to_string(),
        BucketKey::Range { key, .. } => key.clone(),
        BucketKey::Several { shown, .. } => shown.to_string(),
    };
    buckets
        .iter()
        .map(|bucket| (key(&bucket.key), bucket.doc_count))
        .collect()
}

fn number(result: &AggregationResult) -> Option<f64> {
    match &result.value {
        AggregationValue::Number { value, .. } => *value,
        other => panic!("not a number: {other:?}"),
    }
}

/// All values of a field, per document.
fn values<T>(documents: &Documents, field: &str, read: impl Fn(&Value) -> T) -> Vec<Vec<T>> {
    let of = |source: &Value| values_at(source, field).into_iter().map(&read).collect();
    documents.iter().map(|(_, source)| of(source)).collect()
}

fn numbers(documents: &Documents, field: &str) -> Vec<Vec<f64>> {
    values(documents, field, |value| value.as_f64().expect("a number"))
}

/// Counts documents per key: each document once per key.
fn count_by<K: Ord + Clone>(keys: impl IntoIterator<Item = Vec<K>>) -> BTreeMap<K, u64> {
    let mut counts = BTreeMap::new();
    for list in keys {
        for key in list.into_iter().collect::<BTreeSet<K>>() {
            *counts.entry(key).or_default() += 1;
        }
    }
    counts
}

fn best<K: Ord + ToString>(counts: BTreeMap<K, u64>, size: usize) -> Vec<(String, u64)> {
    let mut counts: Vec<(K, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
        .into_iter()
        .take(size)
        .map(|(key, count)| (key.to_string(), count))
        .collect()
}

#[test]
fn top_hits_say_what_is_asked_of_their_writes() {
    let documents: Documents = vec![("d".to_owned(), json!({"tag": "a"}))];
    let asked = |body: Value| {
        let found = one(&documents, &json!({ "top_hits": body }));
        let AggregationValue::TopHits {
            has_version,
            has_seq_no,
            ..
        } = found.value
        else {
            panic!("not hits: {found:?}");
        };
        (has_version, has_seq_no)
    };
    assert_eq!(asked(json!({})), (false, false));
    assert_eq!(asked(json!({"version": true})), (true, false));
    assert_eq!(asked(json!({"seq_no_primary_term": true})), (false, true));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn terms_count_documents_per_key(documents in documents(0..90)) {
        let tags = values(&documents, "tag", |tag| tag.as_str().expect("text").to_owned());
        let found = one(&documents, &json!({"terms": {"field": "tag", "size": 4}}));
        prop_assert_eq!(counts(&found), best(count_by(tags), 4));
        let whole = values(&documents, "n", |n| n.as_i64().expect("whole"));
        let found = one(&documents, &json!({"terms": {"field": "n", "size": 7}}));
        prop_assert_eq!(counts(&found), best(count_by(whole), 7));
    }

    #[test]
    fn ranges_and_histograms_count_documents_per_bucket(documents in documents(1..90)) {
        let n = numbers(&documents, "n");
        let within = |from: f64, to: f64| n.iter().filter(|list| list.iter().any(|v| *v >= from && *v < to)).count() as u64;
        let found = one(&documents, &json!({"range": {"field": "n", "ranges": [{"from": -5, "to": 5}, {"to": 0}]}}));
        let expected = [("*-0.0".to_owned(), within(f64::NEG_INFINITY, 0.0)), ("-5.0-5.0".to_owned(), within(-5.0, 5.0))];
        prop_assert_eq!(counts(&found), expected);
        let prices = numbers(&documents, "price");
        let steps = prices.iter().map(|list| list.iter().map(|p| (p / 100_000.0).floor() as i64 * 100_000).collect());
        let found = one(&documents, &json!({"histogram": {"field": "price", "interval": 100_000, "min_doc_count": 1}}));
        let expected: Vec<(String, u64)> = count_by(steps).into_iter().map(|(key, n)| (key.to_string(), n)).collect();
        prop_assert_eq!(counts(&found), expected);
    }

    #[test]
    fn days_are_cut_at_midnight(documents in documents(1..60)) {
        const DAY: i64 = 86_400_000;
        let days = values(&documents, "when", |ms| ms.as_i64().expect("a date").div_euclid(DAY) * DAY);
        for interval in [json!({"calendar_interval": "day"}), json!({"fixed_interval": "24h"})] {
            let mut request = json!({"date_histogram": {"field": "when", "min_doc_count": 1}});
            request["date_histogram"].as_object_mut().expect("an object").extend(interval.as_object().expect("an object").clone());
            let expected: Vec<(String, u64)> = count_by(days.clone()).into_iter().map(|(key, n)| (key.to_string(), n)).collect();
            prop_assert_eq!(counts(&one(&documents, &request)), expected);
        }
    }

    #[test]
    fn metrics_agree_with_loops(documents in documents(0..90)) {
        let all: Vec<f64> = numbers(&documents, "n").into_iter().flatten().collect();
        let sum: f64 = all.iter().sum();
        let some = |value: f64| (!all.is_empty()).then_some(value);
        let metric = |name: &str| number(&one(&documents, &json!({name: {"field": "n"}})));
        prop_assert_eq!(metric("sum"), Some(sum));
        prop_assert_eq!(metric("avg"), some(sum / all.len() as f64));
        prop_assert_eq!(metric("min"), some(all.iter().copied().fold(f64::INFINITY, f64::min)));
        prop_assert_eq!(metric("max"), some(all.iter().copied().fold(f64::NEG_INFINITY, f64::max)));
        prop_assert_eq!(metric("value_count"), Some(all.len() as f64));
        let distinct: BTreeSet<i64> = all.iter().map(|v| *v as i64).collect();
        prop_assert_eq!(metric("cardinality"), Some(distinct.len() as f64));
    }

    #[test]
    fn missing_counts_documents_without_values(documents in documents(0..90)) {
        let expected = documents.iter().filter(|(_, source)| source.get("tag").is_none()).count() as u64;
        let found = one(&documents, &json!({"missing": {"field": "tag"}}));
        let is_expected = matches!(found.value, AggregationValue::Single { doc_count, .. } if doc_count == expected);
        prop_assert!(is_expected, "{:?}", found);
    }

    #[test]
    fn top_hits_are_the_first_of_the_order(documents in documents(1..60)) {
        let found = one(&documents, &json!({"top_hits": {"size": 5, "sort": [{"price": {"order": "desc"}}]}}));
        let AggregationValue::TopHits { total, hits, .. } = &found.value else {
            panic!("not hits: {found:?}");
        };
        prop_assert_eq!(*total, documents.len() as u64);
        let mut prices: Vec<f64> = numbers(&documents, "price").into_iter().flatten().collect();
        prices.sort_by(|a, b| b.total_cmp(a));
        let sorted: Vec<f64> = hits.iter().filter_map(|hit| hit.sort[0].as_f64()).collect();
        prop_assert_eq!(&sorted[..], &prices[..prices.len().min(5)]);
        prop_assert!(hits.iter().all(|hit| hit.index == "library" && hit.source.is_some()));
    }
}

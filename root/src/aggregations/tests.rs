//! Shards that left terms out are asked again.

use gleaner_partial::key::{Key, ValueFormat, ValueKind};
use gleaner_partial::terms::{TermBucket, Terms};
use gleaner_partial::{Bucket, Partial};
use gleaner_query::answer::{AggregationValue, BucketKey};
use gleaner_query::search::parse_search;
use serde_json::json;

use super::*;
use crate::plan::Target;
use crate::search::SearchOptions;
use crate::testing::{Fixture, index, limits};

/// Counts of terms that a shard lists; none that it does not list is above `bound`.
fn listed(counts: &[(&str, u64)], bound: u64) -> Bytes {
    let bucket = |doc_count| TermBucket {
        bucket: Bucket {
            doc_count,
            ..Bucket::default()
        },
        error: 0,
    };
    let buckets = counts.iter();
    let buckets = buckets.map(|(key, count)| (Key::Text((*key).to_owned()), bucket(*count)));
    let terms = Terms {
        format: ValueFormat {
            kind: ValueKind::Keyword,
            ..ValueFormat::default()
        },
        buckets: buckets.collect(),
        bound,
        ..Terms::default()
    };
    let partials = Aggregations(vec![Partial::Terms(terms)]);
    partials.encode().expect("it is encoded")
}

#[tokio::test]
async fn shards_are_asked_again_until_no_count_is_open() {
    let mapping = json!({"properties": {"tag": {"type": "keyword"}}});
    let fixture = Fixture::new([index(1, &mapping)]);
    *fixture.leaf.partials.lock() = [
        // What is not listed may be more frequent than what is.
        listed(&[("a", 5)], 9),
        listed(&[("a", 5)], 9),
        // It cannot, but each may be found where it is not listed.
        listed(&[("a", 5)], 2),
        listed(&[("b", 6)], 2),
        listed(&[("a", 5), ("b", 1)], 0),
        listed(&[("a", 3), ("b", 6)], 0),
    ]
    .into();
    let body = json!({"size": 0, "aggs": {"x": {"terms": {"field": "tag", "size": 1}}}});
    let request = parse_search(body.to_string().as_bytes(), &limits()).expect("a good search");
    let (target, options) = (Target::default(), SearchOptions::default());
    let found = fixture.root.search(&target, &request, &options);
    let response = found.await.expect("answered");
    let AggregationValue::Buckets { buckets, terms, .. } = &response.aggregations[0].value else {
        panic!("not buckets: {response:?}");
    };
    assert_eq!(buckets[0].key, BucketKey::Text("a".to_owned()));
    assert_eq!(buckets[0].doc_count, 8);
    assert_eq!(terms.map(|totals| totals.error_upper_bound), Some(0));
    assert!(fixture.leaf.partials.lock().is_empty());
}

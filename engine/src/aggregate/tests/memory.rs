//! What takes memory is paid for, and what takes time can be called off.

use std::sync::Arc;

use gleaner_model::{IndexUuid, ShardKey, ShardNumber};
use gleaner_partial::EvaluationError;
use gleaner_partial::control::{Control, MemoryAccount};
use gleaner_partial::{Aggregations, Partial};
use gleaner_query::resolved::Clause;
use roaring::RoaringBitmap;

use super::*;
use crate::aggregate::{AggregationEnv, FilterDocuments, Plan, testing};
use crate::error::EngineError;
use crate::view::{SegmentView, View};

struct NoFilters;

impl FilterDocuments for NoFilters {
    fn documents(
        &self,
        _: &View,
        _: &SegmentView,
        _: &Clause,
    ) -> Result<Arc<RoaringBitmap>, EngineError> {
        unreachable!("there are no filters")
    }
}

/// Aggregates `docs` of one segment within `limit` bytes.
fn attempt(
    documents: &Documents,
    request: &Value,
    docs: &[u32],
    limit: u64,
    control: &Control,
) -> Result<Aggregations, EngineError> {
    let view = single(documents).views().remove(0);
    let query = testing::query(testing::parse(&json!({ "x": request })), vec![]);
    let memory = MemoryAccount::root("request", limit);
    let env = AggregationEnv {
        view: &view,
        shard: ShardKey {
            index: IndexUuid([1; 16]),
            shard: ShardNumber(0),
        },
        documents: &NoFilters,
        memory: &memory,
        control,
    };
    let plan = Plan::new(&query, env)?;
    let mut aggregator = plan.segment(0)?;
    for docs in docs.chunks(4_096) {
        let scores = vec![1.0; docs.len()];
        aggregator.collect_block(docs, Some(scores.as_slice()))?;
    }
    let segment = aggregator.finish()?;
    plan.finish(vec![segment])
}

fn numbers(num: usize) -> Documents {
    (0..num)
        .map(|i| (format!("d{i}"), json!({ "n": i })))
        .collect()
}

#[test]
fn keys_without_documents_are_paid_for_and_can_be_called_off() {
    let request = json!({"terms": {"field": "n", "min_doc_count": 0}});
    let control = Control::unlimited();
    let attempt =
        |limit, control: &Control| attempt(&numbers(3_000), &request, &[], limit, control);
    assert!(attempt(1 << 20, &control).is_ok());
    let refused = attempt(100_000, &control);
    assert!(
        matches!(
            refused,
            Err(EngineError::Evaluation(
                EvaluationError::CircuitBreaking { .. }
            ))
        ),
        "{refused:?}"
    );
    control.cancel();
    let stopped = attempt(1 << 20, &control);
    assert!(
        matches!(
            stopped,
            Err(EngineError::Evaluation(EvaluationError::Cancelled))
        ),
        "{stopped:?}"
    );
}

#[test]
fn the_content_of_top_hits_is_paid_for() {
    let long = "x".repeat(10_000);
    let documents: Documents = (0..200)
        .map(|i| (format!("d{i}"), json!({"n": i, "body": long})))
        .collect();
    let docs: Vec<u32> = (0..200).collect();
    let control = Control::unlimited();
    let attempt = |source: &Value| {
        let best = json!({"top_hits": {"size": 1, "_source": source}});
        let request = json!({"terms": {"field": "n"}, "aggs": {"best": best}});
        attempt(&documents, &request, &docs, 1 << 20, &control)
    };
    assert!(attempt(&json!(["n"])).is_ok());
    let refused = attempt(&json!(true));
    assert!(
        matches!(
            refused,
            Err(EngineError::Evaluation(
                EvaluationError::CircuitBreaking { .. }
            ))
        ),
        "{refused:?}"
    );
}

#[test]
fn the_combinations_of_one_document_are_paid_for() {
    let tags: Vec<String> = (0..200).map(|tag| format!("t{tag}")).collect();
    let numbers: Vec<u32> = (0..200).collect();
    let documents = vec![("d".to_owned(), json!({"tag": tags, "n": numbers}))];
    let request = json!({"multi_terms": {"terms": [{"field": "tag"}, {"field": "n"}]}, "aggs": {"m": {"max": {"field": "n"}}}});
    let control = Control::unlimited();
    let found = attempt(&documents, &request, &[0], 1 << 20, &control);
    assert!(
        matches!(
            found,
            Err(EngineError::Evaluation(
                EvaluationError::CircuitBreaking { .. }
            ))
        ),
        "{found:?}"
    );
    let found = attempt(&documents, &request, &[0], 1 << 30, &control);
    assert!(found.is_ok(), "{found:?}");
}

#[test]
fn reading_terms_can_be_called_off() {
    let documents: Documents = (0..100)
        .map(|i| (format!("d{i}"), json!({"tag": format!("t{i}")})))
        .collect();
    let docs: Vec<u32> = (0..100).collect();
    for request in [
        json!({"terms": {"field": "tag", "include": ["t1", "t2", "t3"]}}),
        json!({"cardinality": {"field": "tag"}}),
    ] {
        let control = Control::unlimited();
        let attempt = || attempt(&documents, &request, &docs, 1 << 20, &control);
        assert!(attempt().is_ok());
        control.cancel();
        let stopped = attempt();
        assert!(
            matches!(
                stopped,
                Err(EngineError::Evaluation(EvaluationError::Cancelled))
            ),
            "{stopped:?}"
        );
    }
}

#[test]
fn what_was_counted_in_time_is_finished_although_it_is_late() {
    let documents: Documents = (0..100)
        .map(|i| (format!("d{i}"), json!({"n": i, "tag": format!("t{i}")})))
        .collect();
    let docs: Vec<u32> = (0..100).collect();
    let late = Control::until(std::time::Instant::now());
    for request in [
        json!({"cardinality": {"field": "tag"}}),
        json!({"terms": {"field": "n", "min_doc_count": 0}}),
    ] {
        let found = attempt(&documents, &request, &docs, 1 << 20, &late);
        assert!(found.is_ok(), "{found:?}");
    }
}

#[test]
fn keys_that_leave_a_page_are_not_held() {
    // Each document comes before all that were seen, and pushes one out.
    let num = 3_000;
    let documents: Documents = (0..num)
        .map(|i| (format!("d{i}"), json!({ "n": num - i })))
        .collect();
    let docs: Vec<u32> = (0..num).collect();
    let sources = json!([{"n": {"terms": {"field": "n"}}}]);
    let pages = json!({"composite": {"size": 3, "sources": sources}});
    let mut with_metric = pages.clone();
    with_metric["aggs"] = json!({"m": {"max": {"field": "n"}}});
    for request in [pages, with_metric] {
        let found = attempt(&documents, &request, &docs, 150_000, &Control::unlimited());
        let found = found.expect("a page is small");
        let Partial::Tuples(tuples) = &found.0[0] else {
            panic!("not a page: {found:?}");
        };
        let counts: Vec<u64> = tuples.buckets.values().map(|b| b.doc_count).collect();
        assert_eq!(counts, [1, 1, 1]);
        for (at, bucket) in tuples.buckets.values().enumerate() {
            for metric in &bucket.sub.0 {
                let Partial::Numbers { numbers, .. } = metric else {
                    panic!("not a number: {metric:?}");
                };
                assert_eq!((numbers.count, numbers.max), (1, at as f64 + 1.0));
            }
        }
    }
}

/// Returns the number of documents, and of those that the only sub-aggregation has seen, of each key of a page.
fn seen(found: &Aggregations) -> Vec<(u64, u64)> {
    let Partial::Tuples(tuples) = &found.0[0] else {
        panic!("not a page: {found:?}");
    };
    let seen = |bucket: &gleaner_partial::Bucket| match &bucket.sub.0[0] {
        Partial::Numbers { numbers, .. } => (bucket.doc_count, numbers.count),
        other => panic!("not a number: {other:?}"),
    };
    tuples.buckets.values().map(seen).collect()
}

fn pages(size: usize) -> Value {
    let sources = json!([{"n": {"terms": {"field": "n"}}}]);
    let mut pages = json!({"composite": {"size": size, "sources": sources}});
    pages["aggs"] = json!({"m": {"max": {"field": "n"}}});
    pages
}

#[test]
fn documents_of_a_page_do_not_wait_in_any_number() {
    let docs: Vec<u32> = (0..100).cycle().take(200_000).collect();
    let control = Control::unlimited();
    let found = attempt(&numbers(100), &pages(50), &docs, 1_000_000, &control);
    let found = found.expect("few wait");
    assert_eq!(seen(&found), [(2_000, 2_000); 50]);
}

#[test]
fn a_page_whose_documents_came_too_late_says_that_it_is_not_whole() {
    // The counts are done before the first look at the clock.
    let docs: Vec<u32> = (0..3_000).collect();
    let late = Control::until(std::time::Instant::now());
    let found = attempt(&numbers(3_000), &pages(3_000), &docs, 1 << 24, &late);
    let seen = seen(&found.expect("what was counted"));
    assert_eq!(seen.len(), 3_000);
    assert!(seen.iter().any(|(counted, metric)| counted != metric));
    assert!(late.check_whole().is_err());
}

#[test]
fn ranges_over_the_same_buckets_are_walked_once() {
    let ranges: Vec<Value> = (0..2_000)
        .map(|i| json!({"gte": i, "lt": 60_000 - i % 7}))
        .collect();
    let documents = vec![("d".to_owned(), json!({ "span": ranges }))];
    let request = json!({"histogram": {"field": "span", "interval": 1}});
    let control = Control::unlimited();
    let found = attempt(&documents, &request, &[0], 1 << 30, &control);
    let found = found.expect("no range has too many buckets");
    let Partial::Histogram(histogram) = &found.0[0] else {
        panic!("not a histogram: {found:?}");
    };
    assert_eq!(histogram.buckets.len(), 60_000);
    assert!(histogram.buckets.values().all(|b| b.doc_count == 1));
    // Some 60,000 buckets, and the ranges.
    let num_looks = control.num_looks();
    assert!((10..20).contains(&num_looks), "{num_looks}");
}

#[test]
fn ranges_over_many_buckets_are_counted_in_blocks_of_any_size() {
    let spans = (0..70).map(|i| json!({"span": {"gte": 0, "lt": 65_000}, "n": i}));
    let documents: Documents = spans
        .enumerate()
        .map(|(i, source)| (format!("d{i}"), source))
        .collect();
    let docs: Vec<u32> = (0..70).collect();
    let request = json!({"histogram": {"field": "span", "interval": 1}});
    let control = Control::unlimited();
    let found = attempt(&documents, &request, &docs, 1 << 30, &control);
    let found = found.expect("no range has too many buckets");
    let Partial::Histogram(histogram) = &found.0[0] else {
        panic!("not a histogram: {found:?}");
    };
    assert_eq!(histogram.buckets.len(), 65_000);
    assert!(histogram.buckets.values().all(|b| b.doc_count == 70));
}

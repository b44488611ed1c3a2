//! What takes memory is paid for, and what takes time can be called off.

use std::sync::Arc;

use gleaner_model::{IndexUuid, ShardKey, ShardNumber};
use gleaner_query::resolved::Clause;
use roaring::RoaringBitmap;

use super::*;
use crate::aggregate::{AggregationEnv, FilterDocuments, Plan, testing};
use crate::control::{Control, MemoryAccount};
use crate::error::EngineError;
use crate::partial::{Aggregations, Partial};
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
    (docs, limit): (&[u32], u64),
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
    let scores = vec![1.0; docs.len()];
    aggregator.collect_block(docs, Some(scores.as_slice()))?;
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
        |limit, control: &Control| attempt(&numbers(3_000), &request, (&[], limit), control);
    assert!(attempt(1 << 20, &control).is_ok());
    let refused = attempt(100_000, &control);
    assert!(
        matches!(refused, Err(EngineError::CircuitBreaking { .. })),
        "{refused:?}"
    );
    control.cancel();
    let stopped = attempt(1 << 20, &control);
    assert!(
        matches!(stopped, Err(EngineError::Cancelled)),
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
        attempt(&documents, &request, (&docs, 1 << 20), &control)
    };
    assert!(attempt(&json!(["n"])).is_ok());
    let refused = attempt(&json!(true));
    assert!(
        matches!(refused, Err(EngineError::CircuitBreaking { .. })),
        "{refused:?}"
    );
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
        let attempt = || attempt(&documents, &request, (&docs, 1 << 20), &control);
        assert!(attempt().is_ok());
        control.cancel();
        let stopped = attempt();
        assert!(
            matches!(stopped, Err(EngineError::Cancelled)),
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
        let found = attempt(&documents, &request, (&docs, 1 << 20), &late);
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
        let found = attempt(
            &documents,
            &request,
            (&docs, 150_000),
            &Control::unlimited(),
        );
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
    let found = attempt(&documents, &request, (&docs, 1 << 30), &control);
    let found = found.expect("no range has too many buckets");
    let Partial::Histogram(histogram) = &found.0[0] else {
        panic!("not a histogram: {found:?}");
    };
    assert_eq!(histogram.buckets.len(), 65_000);
    assert!(histogram.buckets.values().all(|b| b.doc_count == 70));
}

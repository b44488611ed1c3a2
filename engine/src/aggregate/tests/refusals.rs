//! What cannot be aggregated is refused by name.

use gleaner_partial::EvaluationError;

use super::*;
use crate::error::EngineError;

fn refused(request: &Value) -> String {
    let documents = vec![("d".to_owned(), json!({"tag": "a", "body": "text", "n": 1}))];
    let result = single(&documents).aggregate(&json!({"x": request}), &[]);
    match result {
        Err(error @ EngineError::Evaluation(EvaluationError::Query(_))) => error.to_string(),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn fields_without_fitting_values_are_refused() {
    for (request, start) in [
        (
            json!({"terms": {"field": "body"}}),
            "Fielddata is disabled on [body]",
        ),
        (
            json!({"avg": {"field": "tag"}}),
            "Field [tag] of type [keyword] is not supported for aggregation [avg]",
        ),
        (
            json!({"avg": {"field": "_index"}}),
            "Field [_index] of type [keyword] is not supported for aggregation [avg]",
        ),
        (
            json!({"terms": {"field": "n", "include": "1.*"}}),
            "Aggregation [x] cannot support regular expression",
        ),
        (
            json!({"rare_terms": {"field": "price"}}),
            "RareTerms aggregation does not support floating point fields.",
        ),
        (
            json!({"significant_terms": {"field": "price"}}),
            "No support for examining floating point numerics",
        ),
        (
            json!({"ip_range": {"field": "tag", "ranges": [{"to": "::1"}]}}),
            "Field [tag] of type [keyword] is not supported for aggregation [ip_range]",
        ),
        (
            json!({"ip_prefix": {"field": "n", "prefix_length": 8}}),
            "Field [n] of type [long] is not supported for aggregation [ip_prefix]",
        ),
        (
            json!({"matrix_stats": {"fields": ["n", "tag"]}}),
            "Field [tag] of type [keyword] is not supported for aggregation [matrix_stats]",
        ),
        (
            json!({"percentiles": {"field": "price", "missing": -1, "hdr": {}}}),
            "The value [-1.0] is out of bounds for a histogram of [hdr]",
        ),
        (
            json!({"weighted_avg": {"value": {"field": "n"}, "weight": {"field": "tag"}}}),
            "Field [tag] of type [keyword] is not supported for aggregation [weighted_avg]",
        ),
        (
            json!({"geohash_grid": {"field": "n"}}),
            "Field [n] of type [long] is not supported for aggregation [geohash_grid]",
        ),
        (
            json!({"geotile_grid": {"field": "span"}}),
            "Field [span] of type [long_range] is not supported for aggregation [geotile_grid]",
        ),
        (
            json!({"composite": {"sources": [{"a": {"histogram": {"field": "tag", "interval": 3}}}]}}),
            "Field [tag] of type [keyword] is not supported for aggregation [composite]",
        ),
        (
            json!({"composite": {"sources": [{"a": {"terms": {"field": "when"}}}], "after": {"a": "x"}}}),
            "failed to parse date field [x]",
        ),
    ] {
        let reason = refused(&request);
        assert!(reason.starts_with(start), "{reason}");
    }
}

#[test]
fn formats_that_write_no_numbers_are_refused() {
    for request in [
        json!({"sum": {"field": "n", "format": "0.0.0"}}),
        json!({"terms": {"field": "price", "format": "0.0.0"}}),
        json!({"histogram": {"field": "span", "interval": 1, "format": "0.0.0"}}),
        json!({"weighted_avg": {"value": {"field": "n"}, "weight": {"field": "n"}, "format": "0.0.0"}}),
    ] {
        let reason = refused(&request);
        let expected = "Multiple decimal separators in pattern \"0.0.0\"";
        assert_eq!(reason, expected, "{request}");
    }
    // Of a field that is unknown here it may be a format of dates elsewhere.
    let documents = vec![("d".to_owned(), json!({"n": 1}))];
    let asked = json!({"x": {"max": {"field": "nothing", "format": "yyyy.MM.dd"}}});
    assert!(single(&documents).aggregate(&asked, &[]).is_ok());
}

#[test]
fn formats_that_write_no_dates_are_refused() {
    let ranges = json!([{"from": "2020-01-01"}]);
    for (kind, more) in [
        ("terms", json!({})),
        ("max", json!({})),
        ("stats", json!({})),
        ("percentiles", json!({})),
        ("date_range", json!({ "ranges": ranges })),
        ("date_histogram", json!({"calendar_interval": "day"})),
    ] {
        let request = |field: &str, format: &str| {
            let mut request = json!({ kind: more });
            request[kind]["field"] = json!(field);
            request[kind]["format"] = json!(format);
            request
        };
        let reason = refused(&request("when", "foo"));
        assert!(
            reason.starts_with("Invalid format: [foo]: "),
            "{kind}: {reason}"
        );
        if kind.starts_with("date_") {
            let reason = refused(&request("nothing", "foo"));
            assert!(
                reason.starts_with("Invalid format: [foo]: "),
                "{kind}: {reason}"
            );
        } else {
            let documents = vec![("d".to_owned(), json!({"n": 1}))];
            let asked = json!({"x": request("n", "'n' 0")});
            assert!(single(&documents).aggregate(&asked, &[]).is_ok(), "{kind}");
        }
    }
}

#[test]
fn buckets_beyond_the_memory_limit_are_refused() {
    use gleaner_partial::control::{Control, MemoryAccount};

    use crate::aggregate::{AggregationEnv, Plan, testing};

    struct NoFilters;
    impl crate::aggregate::FilterDocuments for NoFilters {
        fn documents(
            &self,
            _: &crate::View,
            _: &crate::SegmentView,
            _: &gleaner_query::resolved::Clause,
        ) -> Result<std::sync::Arc<roaring::RoaringBitmap>, EngineError> {
            unreachable!("there are no filters")
        }
    }

    let documents: Documents = (0..3_000)
        .map(|i| (format!("d{i}"), json!({"n": i})))
        .collect();
    let view = single(&documents).views().remove(0);
    let query = testing::query(
        testing::parse(&json!({"x": {"terms": {"field": "n"}}})),
        vec![],
    );
    let memory = MemoryAccount::root("request", 100_000);
    let control = Control::unlimited();
    let shard = gleaner_model::ShardKey {
        index: gleaner_model::IndexUuid([1; 16]),
        shard: gleaner_model::ShardNumber(0),
    };
    let env = AggregationEnv {
        view: &view,
        shard,
        documents: &NoFilters,
        memory: &memory,
        control: &control,
    };
    let plan = Plan::new(&query, env).expect("it is good");
    let mut aggregator = plan.segment(0).expect("there is one segment");
    let docs: Vec<u32> = (0..3_000).collect();
    let outcome = aggregator.collect_block(&docs, None);
    assert!(
        matches!(
            outcome,
            Err(EngineError::Evaluation(
                EvaluationError::CircuitBreaking { .. }
            ))
        ),
        "{outcome:?}"
    );
    drop(aggregator);
    drop(plan);
    assert_eq!(memory.held_bytes(), 0);
}

//! Aggregations with keys of their own: what they refuse, and by which words.

use super::*;
use crate::aggregation::check_top_metrics;

fn refused(request: &Value) -> String {
    reason(&json!({ "a": request }))
}

fn source(source: &Value) -> Value {
    json!({"composite": {"sources": [source]}})
}

#[test]
fn sources_of_pages_are_refused_by_name() {
    for (request, expected) in [
        (json!({"composite": {}}), "[sources] must hold 1 to 32"),
        (
            source(&json!({"x": {"geohash_grid": {"field": "g"}}})),
            "invalid source type: [geohash_grid]",
        ),
        (
            source(&json!({"x": {"terms": {"field": "t", "missing": "-"}}})),
            "[missing] is not supported in [composite]",
        ),
        (
            source(&json!({"x": {"terms": {"field": "t", "size": 3}}})),
            "unknown field [size]",
        ),
        (
            source(&json!({"x": {"terms": {"field": "t", "missing_order": "last"}}})),
            "missing_order can only be set if missing_bucket is true",
        ),
        (
            source(&json!({"x": {"histogram": {"field": "n"}}})),
            "[interval] must be >0",
        ),
        (
            json!({"composite": {"sources": [{"x": {"terms": {"field": "t"}}}, {"x": {"terms": {"field": "t"}}}]}}),
            "found duplicates: [x]",
        ),
        (
            json!({"composite": {"after": {}, "sources": [{"x": {"terms": {"field": "t"}}}]}}),
            "[after] has 0 value(s) but [sources] has 1",
        ),
        (
            json!({"composite": {"after": {"y": 1}, "sources": [{"x": {"terms": {"field": "t"}}}]}}),
            "Missing value for [after.x]",
        ),
        (
            json!({"composite": {"after": {"x": null}, "sources": [{"x": {"terms": {"field": "t"}}}]}}),
            "Invalid value for [after.x]: [null]",
        ),
        (
            json!({"terms": {"field": "t"}, "aggs": {"b": source(&json!({"x": {"terms": {"field": "t"}}}))}}),
            "cannot be used with a parentAggregation of type: [terms]",
        ),
    ] {
        let reason = refused(&request);
        assert!(reason.contains(expected), "{reason}");
    }
    let below =
        json!({"filter": {}, "aggs": {"b": source(&json!({"x": {"terms": {"field": "t"}}}))}});
    assert!(parse(&json!({ "a": below })).is_ok());
}

#[test]
fn samples_of_a_wrong_size_are_refused_by_name() {
    for (request, expected) in [
        (
            json!({"sampler": {"shard_size": 0}}),
            "[shard_size] must be greater than 0. Found [0] in [a]",
        ),
        (
            json!({"sampler": {"shard_size": 10_001}}),
            "[shard_size] must be less than or equal to [10000]. Found [10001] in [a]",
        ),
        (
            json!({"diversified_sampler": {"shard_size": 5}}),
            "Required one of fields [field, script], but none were specified. ",
        ),
        (
            json!({"diversified_sampler": {"field": "t", "execution_hint": "mop"}}),
            "Unknown `execution_hint`: [mop], expected any of [map, global_ordinals, bytes_hash]",
        ),
    ] {
        let reason = refused(&request);
        assert!(reason.contains(expected), "{reason}");
    }
}

#[test]
fn other_keys_are_refused_by_name() {
    for (request, expected) in [
        (
            json!({"terms": {"field": "t", "include": {"partition": 2, "num_partitions": 2}}}),
            "[partition] must be less than [num_partitions]",
        ),
        (
            json!({"terms": {"field": "t", "exclude": ["x"], "include": {"partition": 0, "num_partitions": 2}}}),
            "Cannot specify any excludes",
        ),
        (
            json!({"rare_terms": {"field": "t", "max_doc_count": 101}}),
            "[max_doc_count] must be smaller than or equal to [100]",
        ),
        (
            json!({"significant_terms": {"field": "t", "jlp": {}}}),
            "[significant_terms] unknown field [jlp] did you mean [jlh]?",
        ),
        (
            json!({"significant_terms": {"field": "t", "jlh": {}, "gnd": {}}}),
            "more than one way of comparing",
        ),
        (
            json!({"significant_terms": {"field": "t", "script_heuristic": {}}}),
            "[script_heuristic] is not supported",
        ),
        (
            json!({"multi_terms": {"terms": [{"field": "t"}]}}),
            "at least 2 fields",
        ),
        (
            json!({"ip_range": {"field": "i", "ranges": [{"mask": "10.0.0.0/33"}]}}),
            "Expected [ip/prefix] but was [10.0.0.0/33]",
        ),
        (
            json!({"ip_range": {"field": "i", "ranges": [{"to": "x"}]}}),
            "'x' is not an IP string literal.",
        ),
        (
            json!({"ip_prefix": {"field": "i", "prefix_length": 33}}),
            "[prefix_length] must be in range [0, 32]",
        ),
        (
            json!({"auto_date_histogram": {"field": "d", "buckets": 9_999}}),
            "[buckets] must be less than or equal to 2184",
        ),
        (
            json!({"geohash_grid": {"field": "g", "precision": 13}}),
            "Invalid geohash aggregation precision of 13",
        ),
        (
            json!({"geo_distance": {"field": "g", "ranges": [{"to": 1}]}}),
            "must define an [origin]",
        ),
        (
            json!({"geo_distance": {"field": "g", "origin": "1,1", "distance_type": "plane", "ranges": [{"to": 1}]}}),
            "[distance_type] of [plane] is not supported",
        ),
        (
            json!({"weighted_avg": {"value": {"field": "n"}}}),
            "[weight] field name must not be null",
        ),
        (
            json!({"percentile_ranks": {"field": "n"}}),
            "[values] must hold 1 to 1024 numbers",
        ),
        (
            json!({"top_metrics": {"metrics": {"field": "n"}}}),
            "[sort] must not be null",
        ),
        (
            json!({"top_metrics": {"metrics": {"field": "n"}, "sort": "d", "size": 101}}),
            "must not be more than [100]",
        ),
    ] {
        let reason = refused(&request);
        assert!(reason.contains(expected), "{reason}");
    }
}

#[test]
fn how_many_documents_top_metrics_may_have_is_for_the_index_to_say() {
    let top = json!({"top_metrics": {"metrics": {"field": "n"}, "sort": "d", "size": 11}});
    let inside = json!({"a": {"filter": {"match_all": {}}, "aggs": {"b": top}}});
    let parsed = parse(&inside).expect("an index may allow it");
    let fault = check_top_metrics(&parsed, 10).expect_err("too many");
    let reason = "[top_metrics.size] must not be more than [10] but was [11]. This limit can be set by changing \
                  the [index.top_metrics_max_size] index level setting.";
    assert_eq!(fault.reason, reason);
    assert_eq!(check_top_metrics(&parsed, 11), Ok(()));
}

#[test]
fn what_significant_text_does_not_do_is_refused_by_name() {
    for (body, expected) in [
        (
            json!({"field": "t", "filter_duplicate_text": true}),
            "does not support [filter_duplicate_text]",
        ),
        (
            json!({"field": "t", "missing": "x"}),
            "[significant_text] unknown field [missing]",
        ),
        (json!({}), "Required one of fields"),
    ] {
        let reason = refused(&json!({ "significant_text": body }));
        assert!(reason.contains(expected), "{reason}");
    }
}

#[test]
fn p_values_are_refused_by_name() {
    for kind in ["significant_terms", "significant_text"] {
        let reason = refused(&json!({kind: {"field": "t", "p_value": {}}}));
        assert_eq!(reason, format!("[{kind}] [p_value] is not supported"));
    }
}

#[test]
fn options_of_matrices_and_histograms_of_values_are_refused_by_name() {
    for (request, expected) in [
        (
            json!({"matrix_stats": {"fields": []}}),
            "[fields] must hold 1 to 32 fields",
        ),
        (
            json!({"matrix_stats": {"fields": ["n", "n"]}}),
            "holds [n] twice",
        ),
        (
            json!({"matrix_stats": {"fields": ["_id"]}}),
            "cannot hold [_id]",
        ),
        (
            json!({"matrix_stats": {"fields": "n", "missing": {"m": 1}}}),
            "[m], which is not among [fields]",
        ),
        (
            json!({"matrix_stats": {"fields": "n", "mode": "first"}}),
            "Illegal value for mode: [first]",
        ),
        (
            json!({"percentiles": {"field": "n", "hdr": {"number_of_significant_value_digits": 6}}}),
            "must be between 0 and 5. Found [6]",
        ),
        (
            json!({"percentiles": {"field": "n", "hdr": {}, "tdigest": {}}}),
            "Only one percentiles method should be declared",
        ),
        (
            json!({"percentile_ranks": {"field": "n", "values": [1], "hdr": {"digits": 3}}}),
            "unknown field [digits]",
        ),
    ] {
        let reason = refused(&request);
        assert!(reason.contains(expected), "{reason}");
    }
}

#[test]
fn networks_are_the_addresses_between_two() {
    let of =
        |mask: &str| match kind(&json!({"ip_range": {"field": "i", "ranges": [{"mask": mask}]}})) {
            AggregationKind::IpRange(request) => (request.ranges[0].from, request.ranges[0].to),
            other => panic!("not ranges: {other:?}"),
        };
    assert_eq!(
        of("10.0.0.0/8"),
        (Some(0xffff_0a00_0000), Some(0xffff_0b00_0000))
    );
    assert_eq!(of("::/24"), (None, Some(0x100 << 96)));
    assert_eq!(of("::/0"), (None, None));
    assert_eq!(of("ff00::/8"), (Some(0xff << 120), None));
}

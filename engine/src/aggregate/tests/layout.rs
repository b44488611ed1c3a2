//! The same documents give the same answer, to the bit, however they lie.

use std::ops::Bound;

use gleaner_model::FieldPath;
use gleaner_partial::Partial;
use gleaner_query::answer::AggregationValue;
use gleaner_query::resolved::{Clause, Scalar};

use super::super::testing::parse;
use super::*;

/// One of everything, nested.
fn request() -> Value {
    let metrics = json!({
        "total": {"sum": {"field": "price"}},
        "stats": {"extended_stats": {"field": "price"}},
        "distinct": {"cardinality": {"field": "tag", "precision_threshold": 3}},
        "spread": {"percentiles": {"field": "n"}},
        "best": {"top_hits": {"size": 2, "_source": ["n"]}},
        "sorted": {"top_hits": {"size": 3, "from": 1, "sort": [{"n": {"order": "desc", "mode": "min"}}, "tag"], "docvalue_fields": ["when"]}},
    });
    json!({
        "tags": {"terms": {"field": "tag", "size": 5, "missing": "none"}, "aggs": {
            "months": {"date_histogram": {"field": "when", "calendar_interval": "month", "time_zone": "Europe/Berlin"}, "aggs": metrics},
            "avg": {"avg": {"field": "price"}},
        }},
        "by_price": {"terms": {"field": "tag", "order": {"stats.max": "asc"}}, "aggs": {"stats": {"stats": {"field": "price"}}}},
        "numbers": {"terms": {"field": "n", "order": {"_key": "desc"}, "min_doc_count": 2}},
        "all_tags": {"filter": {"term": {"tag": "t1"}}, "aggs": {"zero": {"terms": {"field": "tag", "min_doc_count": 0, "size": 50}}}},
        "bigs": {"terms": {"field": "big"}},
        "prices": {"terms": {"field": "price", "size": 3}},
        "oks": {"terms": {"field": "ok"}},
        "ips": {"terms": {"field": "from", "exclude": ["10.0.0.1"]}},
        "some": {"terms": {"field": "tag", "include": "t[0-3]", "exclude": ["t2"]}},
        "ranges": {"range": {"field": "n", "ranges": [{"to": 0}, {"from": -5, "to": 5}, {"from": 5}]}, "aggs": {"m": {"max": {"field": "when"}}}},
        "dates": {"date_range": {"field": "when", "ranges": [{"to": "2020-03-01||/M"}, {"from": "now-6M/M"}]}},
        "steps": {"histogram": {"field": "price", "interval": 250_000, "offset": 10}, "aggs": {"c": {"value_count": {"field": "tag"}}}},
        "weeks": {"date_histogram": {"field": "when", "fixed_interval": "7d", "offset": "+6h", "min_doc_count": 1}},
        "named": {"filters": {"other_bucket_key": "rest", "filters": {"a": {"term": {"tag": "t1"}}, "b": {"range": {"n": {"gte": 0}}}}}, "aggs": {"p": {"percentiles": {"field": "price", "percents": [10, 50]}}}},
        "none": {"missing": {"field": "price"}, "aggs": {"ips": {"cardinality": {"field": "from"}}}},
        "all": {"global": {}, "aggs": {"total": {"sum": {"field": "price"}}}},
    })
}

/// One of everything that came later.
fn later() -> Value {
    let inside = json!({
        "mean": {"weighted_avg": {"value": {"field": "n"}, "weight": {"field": "price"}}},
        "ranks": {"percentile_ranks": {"field": "price", "values": [-5e5, 0, 5e5]}},
        "tall": {"percentiles": {"field": "when", "hdr": {"number_of_significant_value_digits": 2}}},
        "below": {"percentile_ranks": {"field": "when", "values": [1.5e12], "hdr": {}}},
        "matrix": {"matrix_stats": {"fields": ["price", "n", "when"], "missing": {"n": 3}, "mode": "max"}},
        "spread": {"median_absolute_deviation": {"field": "price"}},
        "newest": {"top_metrics": {"metrics": [{"field": "price"}, {"field": "tag"}], "sort": {"n": "desc"}, "size": 2}},
        "box": {"geo_bounds": {"field": "place"}},
        "middle": {"geo_centroid": {"field": "place"}},
        "best": {"top_hits": {"size": 1, "_source": false}},
    });
    json!({
        "pages": {"composite": {"size": 6, "after": {"tag": "t1", "n": 3, "month": null}, "sources": [
            {"tag": {"terms": {"field": "tag", "order": "desc", "missing_bucket": true}}},
            {"n": {"histogram": {"field": "n", "interval": 3, "missing_bucket": true, "missing_order": "last"}}},
            {"month": {"date_histogram": {"field": "when", "calendar_interval": "month", "missing_bucket": true}}},
        ]}, "aggs": inside},
        "cells": {"composite": {"size": 4, "sources": [
            {"tile": {"geotile_grid": {"field": "place", "precision": 2}}},
            {"from": {"terms": {"field": "from"}}},
            {"ok": {"terms": {"field": "ok", "missing_bucket": true, "missing_order": "first"}}},
        ]}},
        "pairs": {"multi_terms": {"size": 5, "terms": [{"field": "tag"}, {"field": "ok", "missing": false}]}, "aggs": inside},
        "rare": {"rare_terms": {"field": "tag", "max_doc_count": 3}, "aggs": {"m": {"max": {"field": "n"}}}},
        "part": {"terms": {"field": "tag", "include": {"partition": 1, "num_partitions": 3}}},
        "tags": {"terms": {"field": "tag", "size": 3}, "aggs": {
            "typical": {"significant_terms": {"field": "from", "min_doc_count": 1, "chi_square": {"include_negatives": true}}},
        }},
        "typical": {"significant_terms": {"field": "tag", "min_doc_count": 1, "percentage": {}, "background_filter": {"term": {"tag": "t1"}}}, "aggs": inside},
        "meeting": {"adjacency_matrix": {"filters": {"a": {"term": {"tag": "t1"}}, "b": {"range": {"n": {"gte": 0}}}}}, "aggs": inside},
        "nets": {"ip_range": {"field": "from", "missing": "::1", "ranges": [{"mask": "10.0.0.0/30"}, {"from": "::3"}]}, "aggs": inside},
        "prefixes": {"ip_prefix": {"field": "from", "prefix_length": 31}},
        "dates": {"auto_date_histogram": {"field": "when", "buckets": 7, "time_zone": "America/New_York"}, "aggs": {"m": {"max": {"field": "n"}}}},
        "widths": {"variable_width_histogram": {"field": "price", "buckets": 4}, "aggs": {"m": {"max": {"field": "n"}}}},
        "hashes": {"geohash_grid": {"field": "place", "precision": 1, "size": 4}, "aggs": inside},
        "tiles": {"geotile_grid": {"field": "place", "precision": 3, "bounds": {"top_left": "60,-100", "bottom_right": "-30,90"}}},
        "far": {"geo_distance": {"field": "place", "origin": "25,35", "unit": "km", "ranges": [{"to": 4000}, {"from": 4000}]}, "aggs": inside},
        "spans": {"histogram": {"field": "span", "interval": 4, "hard_bounds": {"min": -12, "max": 12}}, "aggs": {"m": {"max": {"field": "n"}}}},
        "stays": {"date_histogram": {"field": "stay", "calendar_interval": "month", "offset": "+1d"}},
        "filled": {"missing": {"field": "price", "missing": 1}},
        "wide": {"extended_stats": {"field": "price", "sigma": 0.5}},
        "few": {"sampler": {"shard_size": 7}, "aggs": inside},
        "unlike": {"diversified_sampler": {"field": "ok", "missing": true, "shard_size": 5, "max_docs_per_value": 3}, "aggs": {
            "tags": {"terms": {"field": "tag", "order": {"one>m": "desc"}}, "aggs": {"one": {"sampler": {"shard_size": 1}, "aggs": {"m": {"max": {"field": "n"}}}}}},
            "typical": {"significant_terms": {"field": "tag", "min_doc_count": 1}},
            "words": {"significant_text": {"field": "words", "min_doc_count": 2, "gnd": {"background_is_superset": true}}, "aggs": inside},
        }},
        "words": {"significant_text": {"field": "words", "min_doc_count": 1, "chi_square": {"include_negatives": true}}, "aggs": inside},
    })
}

/// The queries inside [`later`], in order of appearance.
fn later_filters() -> Vec<Clause> {
    let [tag, _, range] = filters().try_into().expect("three");
    vec![tag.clone(), tag, range]
}

fn filters() -> Vec<Clause> {
    let tag = Clause::Term {
        field: FieldPath::new("tag"),
        term: "t1".to_owned(),
    };
    let range = Clause::Range {
        field: FieldPath::new("n"),
        lower: Bound::Included(Scalar::I64(0)),
        upper: Bound::Unbounded,
    };
    vec![tag.clone(), tag, range]
}

const LAYOUTS: [Layout; 5] = [
    Layout {
        shards: 3,
        segments: 1,
        has_deletes: false,
    },
    Layout {
        shards: 8,
        segments: 1,
        has_deletes: true,
    },
    Layout {
        shards: 1,
        segments: 6,
        has_deletes: false,
    },
    Layout {
        shards: 1,
        segments: 6,
        has_deletes: true,
    },
    Layout {
        shards: 3,
        segments: 6,
        has_deletes: true,
    },
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn layout_changes_nothing(documents in documents(1..150)) {
        let expected = single(&documents).aggregate(&request(), &filters()).expect("it is good");
        for layout in LAYOUTS {
            let index = Index::new(&fields(), &documents, layout);
            let mut found = index.aggregate(&request(), &filters()).expect("it is good");
            let mut wanted = expected.clone();
            found.iter_mut().chain(&mut wanted).for_each(forget_places);
            for (found, wanted) in found.iter().zip(&wanted) {
                prop_assert_eq!(found, wanted, "{:?}", layout);
            }
        }
    }

    #[test]
    fn layout_changes_nothing_of_what_came_later(documents in documents(1..60)) {
        let expected = single(&documents).aggregate(&later(), &later_filters()).expect("it is good");
        for layout in LAYOUTS {
            let index = Index::new(&fields(), &documents, layout);
            let mut found = index.aggregate(&later(), &later_filters()).expect("it is good");
            let mut wanted = expected.clone();
            found.iter_mut().chain(&mut wanted).for_each(forget_places);
            for (found, wanted) in found.iter().zip(&wanted) {
                prop_assert_eq!(found, wanted, "{:?}", layout);
            }
        }
    }
}

#[test]
fn hits_below_many_keys_are_read_for_those_that_can_win() {
    let source = |i: usize| match i % 20 {
        0 => json!({"tag": format!("often{}", i % 7), "n": i}),
        _ => json!({"tag": format!("t{i}"), "n": i}),
    };
    let documents: Documents = (0..11_000).map(|i| (format!("d{i}"), source(i))).collect();
    let request = json!({"tags": {
        "terms": {"field": "tag", "size": 4},
        "aggs": {"best": {"top_hits": {"size": 1}}, "newest": {"top_hits": {"size": 2, "sort": [{"n": "desc"}]}}},
    }});
    // One shard has too many keys to read documents for all of them, each of three has not.
    let found = |layout, is_cut: bool| {
        let index = Index::new(&fields(), &documents, layout);
        for shard in index.partials(&parse(&request), &[]).expect("it is good") {
            let [Partial::Terms(terms)] = &shard.0[..] else {
                panic!("not terms: {shard:?}");
            };
            assert_eq!(terms.buckets.len() < 100, is_cut);
        }
        let mut found = index.aggregate(&request, &[]).expect("it is good");
        found.iter_mut().for_each(forget_places);
        found
    };
    let cut = found(ONE, true);
    assert_eq!(cut, found(Layout { shards: 3, ..ONE }, false));
    let AggregationValue::Buckets { buckets, .. } = &cut[0].value else {
        panic!("not buckets: {cut:?}");
    };
    let counts: Vec<u64> = buckets.iter().map(|bucket| bucket.doc_count).collect();
    assert_eq!(counts, [79, 79, 79, 79]);
}

/// Hits say which shard they are in and which write they came from: that is the layout itself.
fn forget_places(result: &mut gleaner_query::answer::AggregationResult) {
    match &mut result.value {
        AggregationValue::Buckets { buckets, .. } => {
            buckets
                .iter_mut()
                .flat_map(|bucket| &mut bucket.sub)
                .for_each(forget_places);
        }
        AggregationValue::Single { sub, .. } => sub.iter_mut().for_each(forget_places),
        AggregationValue::TopHits { hits, .. } => {
            for hit in hits {
                hit.shard = 0;
                hit.content.seq_no.0 = 0;
                hit.content.version.0 = 0;
            }
        }
        // What is not there equals nothing, not even itself.
        AggregationValue::TopMetrics { numbers, .. } => {
            let numbers = numbers.iter_mut().map(|(_, number)| number);
            numbers.for_each(|number| *number = number.filter(|number| !number.is_nan()));
        }
        _ => {}
    }
}

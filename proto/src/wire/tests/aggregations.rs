//! Aggregations as requests have them, with each of their options.

use gleaner_query::Limits;
use gleaner_query::aggregation::{
    AdjacencyAggregation, AggregationKind, SignificantTermsAggregation, TextTerms, Words,
    parse_aggregations,
};
use gleaner_query::dsl::Query;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

/// One of the kinds that no strategy of their own makes.
pub(super) fn kind() -> impl Strategy<Value = AggregationKind> {
    let mut kinds: Vec<AggregationKind> = requests().iter().map(parsed).collect();
    kinds.push(AggregationKind::Background {
        filter: None,
        words: None,
    });
    kinds.push(AggregationKind::Background {
        filter: Some(3),
        words: Some(words()),
    });
    select(kinds)
}

fn parsed(request: &Value) -> AggregationKind {
    let parsed = parse_aggregations(&json!({ "a": request }), &Limits::default());
    let kind = parsed.expect("it is good").remove(0).kind;
    // What leaves do not read does not travel.
    match kind {
        AggregationKind::Adjacency(adjacency) => {
            let named = |(name, _)| (name, Query::MatchNone);
            AggregationKind::Adjacency(AdjacencyAggregation {
                filters: adjacency.filters.into_iter().map(named).collect(),
                ..adjacency
            })
        }
        AggregationKind::SignificantTerms(terms) => {
            AggregationKind::SignificantTerms(SignificantTermsAggregation {
                background: terms.background.as_ref().map(|_| Query::MatchNone),
                text: terms.text.map(|text| TextTerms {
                    compared: Some(words()),
                    ..text
                }),
                ..terms
            })
        }
        other => other,
    }
}

fn words() -> Words {
    Words {
        field: "t".to_owned(),
        terms: vec!["x".to_owned(), String::new()],
    }
}

fn requests() -> Vec<Value> {
    vec![
        json!({"percentile_ranks": {"field": "n", "values": [1, 2.5], "keyed": false}}),
        json!({"percentile_ranks": {"field": "n", "values": [1], "hdr": {"number_of_significant_value_digits": 0}}}),
        json!({"percentiles": {"field": "n", "hdr": {"number_of_significant_value_digits": 5}}}),
        json!({"matrix_stats": {"fields": ["n", "w"], "missing": {"w": 2.5}, "mode": "median"}}),
        json!({"median_absolute_deviation": {"field": "n", "missing": 3}}),
        json!({"weighted_avg": {"value": {"field": "n"}, "weight": {"field": "w", "missing": 1}, "format": "0.0"}}),
        json!({"top_metrics": {"metrics": [{"field": "n"}, {"field": "t"}], "sort": {"d": "desc"}, "size": 3}}),
        json!({"composite": {"size": 7, "after": {"t": "x", "h": 5, "d": null, "g": "3/1/2"}, "sources": [
            {"t": {"terms": {"field": "t", "order": "desc"}}},
            {"h": {"histogram": {"field": "n", "interval": 5}}},
            {"d": {"date_histogram": {"field": "d", "calendar_interval": "month", "time_zone": "Europe/Berlin",
                "offset": "1h", "format": "yyyy", "missing_bucket": true, "missing_order": "last"}}},
            {"g": {"geotile_grid": {"field": "g", "precision": 3, "missing_bucket": true, "missing_order": "first",
                "bounds": {"top_left": "50,1", "bottom_right": "40,9"}}}},
        ]}}),
        json!({"composite": {"sources": [{"d": {"date_histogram": {"field": "d", "fixed_interval": "3s"}}}]}}),
        json!({"multi_terms": {"terms": [{"field": "t", "missing": "-"}, {"field": "n"}], "size": 3,
            "min_doc_count": 2, "order": {"_key": "asc"}, "show_term_doc_count_error": true}}),
        json!({"rare_terms": {"field": "t", "max_doc_count": 5, "include": "a.*", "exclude": ["ab"]}}),
        json!({"rare_terms": {"field": "t", "include": {"partition": 1, "num_partitions": 4}}}),
        json!({"significant_terms": {"field": "t", "size": 3, "background_filter": {"term": {"t": "a"}}}}),
        json!({"significant_terms": {"field": "t", "min_doc_count": 9, "chi_square": {"include_negatives": true}}}),
        json!({"significant_terms": {"field": "t", "mutual_information": {"background_is_superset": false}}}),
        json!({"significant_terms": {"field": "t", "gnd": {}, "exclude": ["x"]}}),
        json!({"significant_terms": {"field": "t", "percentage": {}, "include": ["x"]}}),
        json!({"significant_text": {"field": "t", "source_fields": ["a", "b.c"], "jlh": {}}}),
        json!({"sampler": {"shard_size": 7}}),
        json!({"diversified_sampler": {"field": "t", "max_docs_per_value": 3, "missing": "-"}}),
        json!({"adjacency_matrix": {"separator": "+", "show_only_intersecting": true,
            "filters": {"a": {"match_all": {}}, "b": {"term": {"t": "a"}}}}}),
        json!({"ip_range": {"field": "i", "keyed": true, "missing": "::1",
            "ranges": [{"mask": "10.0.0.0/8"}, {"key": "low", "to": "::9"}, {"from": "::9"}]}}),
        json!({"ip_prefix": {"field": "i", "prefix_length": 64, "is_ipv6": true, "append_prefix_length": true,
            "min_doc_count": 2, "keyed": true}}),
        json!({"auto_date_histogram": {"field": "d", "buckets": 5, "time_zone": "Asia/Tokyo", "minimum_interval": "day"}}),
        json!({"variable_width_histogram": {"field": "n", "buckets": 4}}),
        json!({"geohash_grid": {"field": "g", "precision": 6, "size": 9,
            "bounds": {"top_left": "50,1", "bottom_right": "40,9"}}}),
        json!({"geotile_grid": {"field": "g", "precision": 0}}),
        json!({"geo_distance": {"field": "g", "origin": "50,1", "unit": "km", "keyed": true,
            "ranges": [{"to": 5}, {"from": 5, "to": 9, "key": "near"}]}}),
        json!({"geo_bounds": {"field": "g", "wrap_longitude": false}}),
        json!({"geo_centroid": {"field": "g"}}),
    ]
}

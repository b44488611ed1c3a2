//! Aggregations of each kind: over terms, numbers, documents and points.
//!
//! Does: draw them, by family. Does not: search, or draw aggregations that look into their buckets, as `buckets` and
//! `pipelines` do. Called by: `families` and `alike`. Read first: [`FAMILIES`].

use gleaner_datasets::Random;
use serde_json::{Value, json};

use crate::alike::pick;
use crate::corpus::word;
use crate::families::{Evidence, Family, frequent};
use crate::wide::point;

/// The kinds, by what they are over.
pub(crate) const FAMILIES: &[Family] = &[
    Family {
        name: "wide aggregation of terms",
        members: &[
            "terms",
            "terms of a partition",
            "terms of flattened",
            "terms of nested in root",
            "terms of text",
            "rare_terms",
            "multi_terms",
            "composite",
            "significant_terms",
            "significant_text",
        ],
        evidence: Evidence::Probe,
        draw: of_terms,
    },
    Family {
        name: "wide aggregation of numbers",
        members: &[
            "histogram",
            "range",
            "variable_width_histogram",
            "cardinality",
            "percentiles tdigest",
            "percentiles hdr",
            "percentile_ranks tdigest",
            "percentile_ranks hdr",
            "median_absolute_deviation",
            "weighted_avg",
            "matrix_stats",
            "top_metrics",
        ],
        evidence: Evidence::Probe,
        draw: of_numbers,
    },
    Family {
        name: "wide aggregation of documents",
        members: &[
            "auto_date_histogram",
            "date_histogram",
            "adjacency_matrix",
            "ip_range",
            "sampler",
            "diversified_sampler",
        ],
        evidence: Evidence::Probe,
        draw: of_documents,
    },
    Family {
        name: "wide aggregation of points",
        members: &[
            "geo_distance",
            "geohash_grid",
            "geotile_grid",
            "geo_bounds",
            "geo_centroid",
        ],
        evidence: Evidence::Probe,
        draw: of_points,
    },
];

/// What many are computed with, in each bucket.
fn total() -> Value {
    json!({"total": {"sum": {"field": "number"}}})
}

fn figures() -> Value {
    json!({"figures": {"stats": {"field": "number"}}})
}

fn probe(aggregation: &Value) -> Value {
    json!({"aggs": {"probe": aggregation}})
}

fn of_terms(random: &mut Random, member: &str) -> Value {
    let aggregation = match member {
        "terms" => {
            json!({"terms": {"field": "tag", "size": pick(random, &[2, 10])}, "aggs": figures()})
        }
        "terms of a partition" => json!({"terms": {
            "field": "number", "size": 50,
            "include": {"partition": random.below(3), "num_partitions": 3},
        }, "aggs": total()}),
        "terms of flattened" => {
            let name = pick(random, &["attrs", "attrs.color", "attrs.size"]);
            json!({"terms": {"field": name}, "aggs": total()})
        }
        "terms of nested in root" => json!({"terms": {"field": "parts.name"}, "aggs": total()}),
        "terms of text" => json!({
            "terms": {
                "field": "body_again", "size": pick(random, &[1, 10]), "order": {"_key": "asc"},
            },
            "aggs": {
                "different": {"cardinality": {"field": "body_again"}},
                "most": {"top_metrics": {
                    "metrics": {"field": "number"}, "sort": {"body_again": "desc"},
                }},
            },
        }),
        // Of many documents each number has more; few have some words.
        "rare_terms" => json!({"rare_terms": {
            "field": pick(random, &["number", "labels"]), "max_doc_count": 2,
        }}),
        "multi_terms" => json!({"multi_terms": {
            "terms": [{"field": "tag"}, {"field": "number", "missing": 0}],
            "size": pick(random, &[3, 20]),
        }, "aggs": total()}),
        "composite" => json!({"composite": {"size": pick(random, &[1, 5]), "sources": [
            {"tag": {"terms": {"field": "tag", "missing_bucket": true}}},
            {"step": {"histogram": {"field": "number", "interval": 9}}},
        ]}, "aggs": figures()}),
        _ => return significant(random, member),
    };
    probe(&aggregation)
}

/// Terms that are more frequent among what is found than among all: what is found must be less than all.
fn significant(random: &mut Random, member: &str) -> Value {
    let by_tag = member == "significant_terms" && random.chance(1, 2);
    let aggregation = match by_tag {
        true => json!({member: {"field": "tag", "min_doc_count": 1}, "aggs": figures()}),
        false => json!({member: {"field": "body_again", "min_doc_count": 2, "size": 5}}),
    };
    let mut parts = probe(&aggregation);
    parts["query"] = json!({"match": {"body": frequent(random)}});
    parts
}

fn of_numbers(random: &mut Random, member: &str) -> Value {
    let aggregation = match member {
        "histogram" => json!({"histogram": {
            "field": "number", "interval": pick(random, &[7, 20]),
        }, "aggs": figures()}),
        "range" => json!({"range": {
            "field": "number", "ranges": [{"to": 0}, {"from": -10, "to": 20}],
        }}),
        "variable_width_histogram" => json!({"variable_width_histogram": {
            "field": "number", "buckets": 4,
        }, "aggs": figures()}),
        "cardinality" => json!({"cardinality": {"field": "number"}}),
        "percentiles tdigest" => json!({"percentiles": {"field": "number"}}),
        "percentile_ranks tdigest" => {
            json!({"percentile_ranks": {"field": "number", "values": [-10, 0, 12.5]}})
        }
        "percentiles hdr" | "percentile_ranks hdr" => by_digits(random, member),
        "median_absolute_deviation" => json!({"median_absolute_deviation": {"field": "number"}}),
        "weighted_avg" => json!({"weighted_avg": {
            "value": {"field": "number"}, "weight": {"field": "wanted"},
        }}),
        "matrix_stats" => json!({"matrix_stats": {
            "fields": ["number", "wanted", "at"],
            "missing": {"wanted": 1},
            "mode": pick(random, &["avg", "min", "max", "sum", "median"]),
        }}),
        _ => json!({"top_metrics": {
            "metrics": [{"field": "number"}, {"field": "tag"}],
            "sort": {"at": pick(random, &["asc", "desc"])},
            "size": 3,
        }}),
    };
    probe(&aggregation)
}

/// Percentiles, or percentages, of which so many digits are exact.
fn by_digits(random: &mut Random, member: &str) -> Value {
    let digits = json!({"number_of_significant_value_digits": random.below(6)});
    // Small numbers, and such as lie close together far from 0: milliseconds of the year 2026.
    let name = pick(random, &["wanted", "at"]);
    let mut body = json!({"field": name, "hdr": digits});
    if member == "percentiles hdr" {
        return json!({"percentiles": body});
    }
    body["values"] = match name {
        "wanted" => json!([1, 2, 5]),
        _ => json!([1, 1_770_000_000_000_u64, 1_775_000_000_000_u64]),
    };
    json!({ "percentile_ranks": body })
}

fn of_documents(random: &mut Random, member: &str) -> Value {
    let aggregation = match member {
        "auto_date_histogram" => json!({"auto_date_histogram": {
            "field": "at", "buckets": pick(random, &[3, 10, 50]),
        }, "aggs": total()}),
        "date_histogram" => {
            json!({"date_histogram": {"field": "at", "calendar_interval": "week"}, "aggs": {
                "total": {"sum": {"field": "number"}},
                "change": {"derivative": {"buckets_path": "total"}},
                "so_far": {"cumulative_sum": {"buckets_path": "total"}},
                "mean": {"moving_fn": {
                    "buckets_path": "total",
                    "window": 3,
                    "script": "MovingFunctions.unweightedAvg(values)",
                }},
            }})
        }
        "adjacency_matrix" => json!({"adjacency_matrix": {"filters": {
            "a": {"term": {"tag": "t1"}},
            "b": {"range": {"number": {"gte": 0}}},
            "c": {"match": {"body": word(random)}},
        }}, "aggs": total()}),
        "ip_range" => json!({"ip_range": {"field": "address", "ranges": [
            {"mask": "10.0.0.0/29"}, {"from": "10.0.0.20"}, {"to": "10.0.0.5"},
        ]}, "aggs": total()}),
        _ => sample(random, member),
    };
    probe(&aggregation)
}

/// An aggregation over the best documents.
fn sample(random: &mut Random, member: &str) -> Value {
    let kind = pick(random, &["significant_terms", "significant_text"]);
    let typical = json!({kind: {"field": "body_again", "min_doc_count": 1, "size": 5}});
    let options = match member {
        "sampler" => json!({"shard_size": pick(random, &[1, 20, 1_000])}),
        _ => json!({
            "field": "number", "shard_size": 30, "max_docs_per_value": pick(random, &[1, 3]),
        }),
    };
    json!({member: options, "aggs": {"typical": typical, "total": {"sum": {"field": "number"}}}})
}

fn of_points(random: &mut Random, member: &str) -> Value {
    let aggregation = match member {
        "geo_distance" => json!({"geo_distance": {
            "field": "place", "origin": point(random), "unit": "km",
            "ranges": [{"to": 300}, {"from": 300, "to": 900}, {"from": 900}],
        }, "aggs": total()}),
        "geohash_grid" => json!({"geohash_grid": {
            "field": "place", "precision": pick(random, &[2, 4]),
        }, "aggs": total()}),
        "geotile_grid" => json!({
            "geotile_grid": {"field": "place", "precision": 6},
            "aggs": total(),
        }),
        _ => return extent(random, member),
    };
    probe(&aggregation)
}

/// Where the points of all documents lie, or those of each tile.
fn extent(random: &mut Random, member: &str) -> Value {
    let extent = json!({member: {"field": pick(random, &["place", "home"])}});
    match random.chance(1, 2) {
        true => probe(&extent),
        false => json!({"aggs": {"tiles": {
            "geotile_grid": {"field": "place", "precision": 6},
            "aggs": {"probe": extent},
        }}}),
    }
}

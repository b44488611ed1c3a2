//! Searches of the wider dialect: queries by places of words, by likeness, by functions and by distances, and the
//! aggregations beside the plain ones.

use gleaner_datasets::Random;
use serde_json::{Value, json};

use crate::alike::{beginning, field, pick, words};
use crate::corpus::{CONSTANT, word};

/// Draws a query.
pub(crate) fn query(random: &mut Random) -> Value {
    match random.below(16) {
        0 => json!({"intervals": {field(random): intervals(random, 2)}}),
        1 => spans(random),
        2 => json!({"combined_fields": {
            "query": words(random, 3),
            "fields": ["title^2", "body_again"],
            "operator": pick(random, &["or", "and"]),
        }}),
        3 => json!({"multi_match": {
            "query": words(random, 3),
            "fields": ["title^1.5", "body_again"],
            "type": "cross_fields",
            "tie_breaker": pick(random, &[0.0, 0.5]),
        }}),
        4 => json!({"more_like_this": {
            "fields": ["title", "body"],
            "like": words(random, 8),
            "min_term_freq": 1,
            "min_doc_freq": pick(random, &[1, 5]),
            "max_query_terms": pick(random, &[2, 25]),
            "minimum_should_match": pick(random, &["1", "30%"]),
        }}),
        5 => terms_set(random),
        6 => function(random),
        7 => json!({"distance_feature": match random.chance(1, 2) {
            true => json!({"field": "at", "origin": "2026-01-15", "pivot": pick(random, &["1d", "30d"])}),
            false => json!({"field": "place", "origin": point(random), "pivot": "300km"}),
        }}),
        8 => json!({"rank_feature": {
            "field": pick(random, &["weight", "topics.sport", "topics.all"]),
            "saturation": pick(random, &[json!({"pivot": 7}), json!({})]),
        }}),
        9 => places(random),
        10 => json!({"multi_match": {
            "query": format!("{} {}", word(random), beginning(random)),
            "type": "bool_prefix",
            "fields": ["typed", "typed._2gram", "typed._3gram"],
        }}),
        11 => json!({"bool": {
            "should": [
                {"match": {"parts.text": words(random, 2)}},
                {"term": {"parts.name": pick(random, &["p0", "p3"])}},
            ],
        }}),
        13 => words_alone(random),
        14 => unsaid(random),
        15 => {
            let curves = [
                json!({"linear": {}}),
                json!({"saturation": {}}),
                json!({"sigmoid": {"pivot": 5, "exponent": 0.6}}),
            ];
            let mut feature = pick(random, &curves);
            feature["field"] = json!("cost");
            json!({ "rank_feature": feature })
        }
        _ => json!({"bool": {
            "should": [
                {"constant_score": {"filter": {"term": {"attrs.color": pick(random, &["red", "blue"])}}}},
                {"term": {"attrs": pick(random, &["red", "big", "7"])}},
                {"prefix": {"attrs.size": pick(random, &["b", "sm"])}},
                {"wildcard": {"line": format!("*{}*", beginning(random))}},
                {"range": {"span": {"gte": random.below(40), "lte": 60, "relation": "within"}}},
            ],
            "minimum_should_match": pick(random, &[1, 1, 2]),
        }}),
    }
}

fn terms_set(random: &mut Random) -> Value {
    let mut set = json!({"terms": [word(random), word(random), word(random)]});
    match random.chance(1, 2) {
        true => set["minimum_should_match_field"] = json!("wanted"),
        false => {
            let minimum = pick(random, &[json!(2), json!("50%"), json!(-1)]);
            set["minimum_should_match"] = minimum;
        }
    }
    json!({"terms_set": {pick(random, &["body", "once"]): set}})
}

/// Words of fields that know less of them than others do.
fn words_alone(random: &mut Random) -> Value {
    let name = pick(random, &["once", "often", "flat"]);
    match random.below(5) {
        0 => json!({"match": {name: {
            "query": words(random, 3), "fuzziness": "AUTO", "max_expansions": 5,
        }}}),
        1 => json!({"combined_fields": {
            "query": words(random, 3),
            "fields": ["once", "flat^2"],
        }}),
        2 => {
            let text = format!("{} {}", word(random), beginning(random));
            json!({"match_bool_prefix": {name: text}})
        }
        3 => json!({"bool": {"should": [
            {"fuzzy": {"labels": {"value": word(random)}}},
            {"multi_match": {
                "query": word(random), "type": "cross_fields", "fields": ["labels", "tag^2"],
            }},
            {"constant_score": {"filter": {"range": {"labels": {"gte": "wob2", "lt": "wob3"}}}}},
            {"match": {"labels": {"query": word(random), "boost": 3}}},
        ]}}),
        _ => json!({"query_string": {
            "query": format!("{} {}~1", word(random), word(random)),
            "fields": ["once", "often^2", "flat"],
        }}),
    }
}

/// Values that documents have without saying them.
fn unsaid(random: &mut Random) -> Value {
    let filters = [
        json!({"term": {"set": CONSTANT}}),
        json!({"exists": {"field": "set"}}),
        json!({"prefix": {"set": "o"}}),
        json!({"bool": {"must_not": {"term": {"set": "two"}}}}),
        json!({"exists": {"field": "home"}}),
        json!({"geo_distance": {"distance": "1km", "home": [15, 50]}}),
    ];
    json!({"bool": {
        "must": {"match": {field(random): words(random, 3)}},
        "filter": pick(random, &filters),
    }})
}

fn degrees(random: &mut Random) -> (f64, f64) {
    let latitude = random.below(20) as f64 + 40.5;
    (latitude, random.below(20) as f64 + 5.25)
}

fn point(random: &mut Random) -> Value {
    let (latitude, longitude) = degrees(random);
    json!({"lat": latitude, "lon": longitude})
}

/// Puts a point under `field`. Some are said to be beyond the earth, and brought back.
fn add_point(random: &mut Random, field: &str, options: &mut Value) {
    let (mut latitude, mut longitude) = degrees(random);
    let method = pick(random, &["STRICT", "IGNORE_MALFORMED", "COERCE", "COERCE"]);
    match (method, random.below(3)) {
        ("COERCE", 0) => longitude += 360.0,
        // Over the pole.
        ("COERCE", 1) => (latitude, longitude) = (180.0 - latitude, longitude - 180.0),
        _ => {}
    }
    options[field] = json!({"lat": latitude, "lon": longitude});
    options["validation_method"] = json!(method);
}

/// What is near a point or in a box.
fn places(random: &mut Random) -> Value {
    let name = pick(random, &["place", "place", "home"]);
    if random.chance(1, 3) {
        let turn = pick(random, &[0.0, 360.0, -360.0]);
        let corners = corners(random, turn);
        return json!({"geo_bounding_box": {name: corners, "validation_method": "COERCE"}});
    }
    let mut options = json!({"distance": pick(random, &["100km", "900km"])});
    add_point(random, name, &mut options);
    json!({ "geo_distance": options })
}

/// Opposite corners of a box, `turn` degrees further east than they need be.
pub(crate) fn corners(random: &mut Random, turn: f64) -> Value {
    let (south, west) = degrees(random);
    let north = south + 0.5 + random.below(8) as f64;
    let east = west + 0.25 + random.below(10) as f64;
    json!({
        "top_left": {"lat": north, "lon": west + turn},
        "bottom_right": {"lat": south, "lon": east + turn},
    })
}

/// A word without its ending: few words begin with it, as prefixes in places may stand for 128 words at most.
fn stem(random: &mut Random) -> String {
    let word = word(random);
    word.split_inclusive('k')
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn intervals(random: &mut Random, depth: usize) -> Value {
    match random.below(5) {
        0 if depth > 0 => json!({"any_of": {
            "intervals": [intervals(random, depth - 1), intervals(random, depth - 1)],
        }}),
        1 if depth > 0 => json!({"all_of": {
            "intervals": [intervals(random, depth - 1), intervals(random, depth - 1)],
            "ordered": random.chance(1, 2),
            "max_gaps": pick(random, &[-1, 0, 5]),
        }}),
        2 => json!({"prefix": {"prefix": stem(random)}}),
        4 => {
            let patterns = ["wob[0-9]k.*".to_owned(), format!("{}(s|ed)?", stem(random))];
            json!({"regexp": {"pattern": pick(random, &patterns)}})
        }
        _ => json!({"match": {
            "query": words(random, 2),
            "max_gaps": pick(random, &[-1, 0, 3]),
            "ordered": random.chance(1, 2),
        }}),
    }
}

fn spans(random: &mut Random) -> Value {
    let name = field(random);
    let mut term = || json!({"span_term": {name: word(random)}});
    let near = json!({"span_near": {"clauses": [term(), term()], "slop": 4, "in_order": false}});
    let either = json!({"span_or": {"clauses": [term(), term()]}});
    let prefix = json!({"span_multi": {"match": {"prefix": {name: {"value": stem(random)}}}}});
    match random.below(5) {
        0 => near,
        1 => json!({"span_first": {"match": either, "end": 5}}),
        2 => json!({"span_not": {"include": near, "exclude": prefix}}),
        3 => json!({"span_containing": {"big": near, "little": either}}),
        _ => json!({"span_near": {"clauses": [either, prefix], "slop": 6, "in_order": true}}),
    }
}

fn function(random: &mut Random) -> Value {
    let one = match random.below(4) {
        0 => json!({"field_value_factor": {"field": "wanted", "modifier": "log1p", "missing": 1}}),
        1 => json!({"gauss": {"number": {"origin": 0, "scale": 15, "decay": 0.4}}}),
        2 => json!({"exp": {"place": {"origin": point(random), "scale": "200km"}}}),
        _ => json!({"random_score": {"seed": random.below(1_000), "field": "number"}}),
    };
    let mut weighed = one;
    weighed["weight"] = json!(pick(random, &[0.5, 2.0]));
    json!({"function_score": {
        "query": {"match": {field(random): words(random, 2)}},
        "functions": [weighed, {"filter": {"term": {"tag": "t1"}}, "weight": 3}],
        "score_mode": pick(random, &["sum", "multiply", "avg", "max"]),
        "boost_mode": pick(random, &["multiply", "sum", "replace"]),
    }})
}

/// Draws an aggregation.
pub(crate) fn aggregation(random: &mut Random) -> Value {
    let total = json!({"total": {"sum": {"field": "number"}}});
    match random.below(19) {
        0 => json!({"multi_terms": {
            "terms": [{"field": "tag"}, {"field": "number", "missing": 0}],
            "size": pick(random, &[3, 20]),
        }, "aggs": total}),
        1 => json!({"adjacency_matrix": {"filters": {
            "a": {"term": {"tag": "t1"}},
            "b": {"range": {"number": {"gte": 0}}},
            "c": {"match": {"body": word(random)}},
        }}, "aggs": total}),
        2 => {
            json!({"auto_date_histogram": {"field": "at", "buckets": pick(random, &[3, 10, 50])}, "aggs": total})
        }
        3 => json!({"weighted_avg": {"value": {"field": "number"}, "weight": {"field": "wanted"}}}),
        4 => json!({"percentile_ranks": {"field": "number", "values": [-10, 0, 12.5]}}),
        5 => json!({"median_absolute_deviation": {"field": "number"}}),
        6 => json!({"top_metrics": {
            "metrics": [{"field": "number"}, {"field": "tag"}],
            "sort": {"at": pick(random, &["asc", "desc"])},
            "size": 3,
        }}),
        7 => {
            json!({"geohash_grid": {"field": "place", "precision": pick(random, &[2, 4])}, "aggs": total})
        }
        8 => json!({"geotile_grid": {"field": "place", "precision": 6}, "aggs": {
            "box": {"geo_bounds": {"field": "place"}},
            "middle": {"geo_centroid": {"field": "place"}},
        }}),
        9 => json!({"geo_distance": {
            "field": "place", "origin": point(random), "unit": "km",
            "ranges": [{"to": 300}, {"from": 300, "to": 900}, {"from": 900}],
        }, "aggs": total}),
        10 => json!({"date_histogram": {"field": "at", "calendar_interval": "week"}, "aggs": {
            "total": {"sum": {"field": "number"}},
            "change": {"derivative": {"buckets_path": "total"}},
            "so_far": {"cumulative_sum": {"buckets_path": "total"}},
            "mean": {"moving_fn": {
                "buckets_path": "total", "window": 3, "script": "MovingFunctions.unweightedAvg(values)",
            }},
        }}),
        11 => json!({"terms": {
            "field": "number", "size": 50,
            "include": {"partition": random.below(3), "num_partitions": 3},
        }, "aggs": total}),
        12 => {
            json!({"terms": {"field": pick(random, &["attrs", "attrs.color", "attrs.size", "parts.name"])}, "aggs": total})
        }
        13 => {
            json!({"terms": {"field": "body_again", "size": pick(random, &[1, 10]), "order": {"_key": "asc"}}, "aggs": {
                "different": {"cardinality": {"field": "body_again"}},
                "most": {"top_metrics": {"metrics": {"field": "number"}, "sort": {"body_again": "desc"}}},
            }})
        }
        14 => {
            let kind = pick(random, &["significant_terms", "significant_text"]);
            json!({kind: {"field": "body_again", "min_doc_count": 2, "size": 5}})
        }
        15 => {
            let what = pick(random, &["percentiles", "percentile_ranks"]);
            let digits = json!({"number_of_significant_value_digits": random.below(6)});
            // Small numbers, and such as lie close together far from 0.
            let field = pick(random, &["wanted", "at"]);
            let mut body = json!({"field": field, "hdr": digits});
            if what == "percentile_ranks" {
                body["values"] = json!([1, 2, 5]);
            }
            json!({ what: body })
        }
        16 => json!({"matrix_stats": {
            "fields": ["number", "wanted", "at"],
            "missing": {"wanted": 1},
            "mode": pick(random, &["avg", "min", "max", "sum", "median"]),
        }}),
        17 => sample(random),
        _ => json!({"ip_range": {"field": "address", "ranges": [
            {"mask": "10.0.0.0/29"}, {"from": "10.0.0.20"}, {"to": "10.0.0.5"},
        ]}, "aggs": total}),
    }
}

/// Draws an aggregation over the best documents.
fn sample(random: &mut Random) -> Value {
    let kind = pick(random, &["significant_terms", "significant_text"]);
    let typical = json!({kind: {"field": "body_again", "min_doc_count": 1, "size": 5}});
    let sub = json!({"typical": typical, "total": {"sum": {"field": "number"}}});
    let most = pick(random, &[1, 3]);
    match random.below(2) {
        0 => json!({"sampler": {"shard_size": pick(random, &[1, 20, 1_000])}, "aggs": sub}),
        _ => json!({
            "diversified_sampler": {"field": "number", "shard_size": 30, "max_docs_per_value": most},
            "aggs": sub,
        }),
    }
}

/// Draws an order by a distance.
pub(crate) fn by_distance(random: &mut Random) -> Value {
    let mut options = json!({
        "order": pick(random, &["asc", "desc"]),
        "unit": pick(random, &["m", "km"]),
    });
    add_point(random, "place", &mut options);
    json!([{ "_geo_distance": options }, {"number": "asc"}])
}

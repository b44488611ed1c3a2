//! Queries of the wider dialect: by places of words, by likeness, by functions and by distances, over fields of each
//! type.
//!
//! Does: draw them, by family. Does not: search, or draw aggregations, as `aggregations` does. Called by: `families`
//! and `alike`. Read first: [`QUERIES`].

use gleaner_datasets::Random;
use serde_json::{Value, json};

use crate::alike::{beginning, field, named, pick, words};
use crate::corpus::{CONSTANT, word};
use crate::families::{Evidence, Family, draw_parts};

/// Queries by what they look at.
pub(crate) const QUERIES: &[Family] = &[
    Family {
        name: "wide query of places of words",
        members: &[
            "intervals match",
            "intervals all_of",
            "intervals any_of",
            "span_near",
            "span_first",
            "span_not",
            "span_containing",
            "span_multi",
        ],
        evidence: Evidence::Hits,
        draw: by_places_of_words,
    },
    Family {
        name: "wide query of words",
        members: &[
            "combined_fields",
            "cross_fields",
            "more_like_this",
            "terms_set by a field",
            "terms_set by a number",
            "function_score",
            "search_as_you_type",
            "nested in root",
        ],
        evidence: Evidence::Hits,
        draw: by_words,
    },
    // Of fields that know less of their words than others do.
    Family {
        name: "wide query of words alone",
        members: &[
            "fuzzy match",
            "combined_fields",
            "match_bool_prefix",
            "counted keyword",
            "query_string",
        ],
        evidence: Evidence::Hits,
        draw: by_words_alone,
    },
    Family {
        name: "wide query of values",
        members: &[
            "distance_feature of dates",
            "distance_feature of points",
            "rank_feature",
            "rank_feature of costs",
            "geo_distance",
            "geo_bounding_box",
            "flattened",
            "wildcard",
            "several types",
            "constant_keyword",
            "null_value that exists",
            "null_value by distance",
        ],
        evidence: Evidence::Hits,
        draw: by_values,
    },
];

/// What goes with any query.
pub(crate) const FAMILIES: &[Family] = &[
    Family {
        name: "named queries",
        members: &["names"],
        evidence: Evidence::MatchedQueries { have_scores: false },
        draw: by_names,
    },
    Family {
        name: "named queries",
        members: &["names with scores"],
        evidence: Evidence::MatchedQueries { have_scores: true },
        draw: by_names,
    },
    Family {
        name: "sort",
        members: &["_geo_distance"],
        evidence: Evidence::Hits,
        draw: sorted,
    },
];

/// Draws a query.
pub(crate) fn query(random: &mut Random) -> Value {
    let mut parts = draw_parts(random, QUERIES);
    parts["query"].take()
}

fn by_names(random: &mut Random, _: &str) -> Value {
    json!({"query": named(random)})
}

fn sorted(random: &mut Random, _: &str) -> Value {
    json!({"sort": by_distance(random)})
}

fn by_places_of_words(random: &mut Random, member: &str) -> Value {
    let rule = match member {
        "intervals match" => near_words(random),
        "intervals all_of" => all_of(random, 1),
        "intervals any_of" => any_of(random, 1),
        _ => return json!({"query": spans(random, member)}),
    };
    json!({"query": {"intervals": {field(random): rule}}})
}

fn by_words(random: &mut Random, member: &str) -> Value {
    let query = match member {
        "combined_fields" => json!({"combined_fields": {
            "query": words(random, 3),
            "fields": ["title^2", "body_again"],
            "operator": pick(random, &["or", "and"]),
        }}),
        "cross_fields" => json!({"multi_match": {
            "query": words(random, 3),
            "fields": ["title^1.5", "body_again"],
            "type": "cross_fields",
            "tie_breaker": pick(random, &[0.0, 0.5]),
        }}),
        "more_like_this" => json!({"more_like_this": {
            "fields": ["title", "body"],
            "like": words(random, 8),
            "min_term_freq": 1,
            "min_doc_freq": pick(random, &[1, 5]),
            "max_query_terms": pick(random, &[2, 25]),
            "minimum_should_match": pick(random, &["1", "30%"]),
        }}),
        "terms_set by a field" | "terms_set by a number" => terms_set(random, member),
        "function_score" => function(random),
        "search_as_you_type" => json!({"multi_match": {
            "query": format!("{} {}", word(random), beginning(random)),
            "type": "bool_prefix",
            "fields": ["typed", "typed._2gram", "typed._3gram"],
        }}),
        _ => json!({"bool": {
            "should": [
                {"match": {"parts.text": words(random, 2)}},
                {"term": {"parts.name": pick(random, &["p0", "p3"])}},
            ],
        }}),
    };
    json!({ "query": query })
}

fn terms_set(random: &mut Random, member: &str) -> Value {
    let mut set = json!({"terms": [word(random), word(random), word(random)]});
    if member == "terms_set by a field" {
        set["minimum_should_match_field"] = json!("wanted");
    } else {
        let minimum = pick(random, &[json!(2), json!("50%"), json!(-1)]);
        set["minimum_should_match"] = minimum;
    }
    json!({"terms_set": {pick(random, &["body", "once"]): set}})
}

fn by_words_alone(random: &mut Random, member: &str) -> Value {
    let name = pick(random, &["once", "often", "flat"]);
    let query = match member {
        "fuzzy match" => json!({"match": {name: {
            "query": words(random, 3), "fuzziness": "AUTO", "max_expansions": 5,
        }}}),
        "combined_fields" => json!({"combined_fields": {
            "query": words(random, 3),
            "fields": ["once", "flat^2"],
        }}),
        "match_bool_prefix" => {
            let text = format!("{} {}", word(random), beginning(random));
            json!({"match_bool_prefix": {name: text}})
        }
        "counted keyword" => json!({"bool": {"should": [
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
    };
    json!({ "query": query })
}

fn by_values(random: &mut Random, member: &str) -> Value {
    let query = match member {
        "distance_feature of dates" => json!({"distance_feature": {
            "field": "at", "origin": "2026-01-15", "pivot": pick(random, &["1d", "30d"]),
        }}),
        "distance_feature of points" => json!({"distance_feature": {
            "field": "place", "origin": point(random), "pivot": "300km",
        }}),
        "rank_feature" => json!({"rank_feature": {
            "field": pick(random, &["weight", "topics.sport", "topics.all"]),
            "saturation": pick(random, &[json!({"pivot": 7}), json!({})]),
        }}),
        "rank_feature of costs" => by_cost(random),
        "geo_distance" => near_point(random),
        "geo_bounding_box" => {
            let name = pick(random, &["place", "place", "home"]);
            let turn = pick(random, &[0.0, 360.0, -360.0]);
            let corners = corners(random, turn);
            json!({"geo_bounding_box": {name: corners, "validation_method": "COERCE"}})
        }
        "flattened" => flattened(random),
        "wildcard" => json!({"wildcard": {"line": format!("*{}*", beginning(random))}}),
        "several types" => json!({"bool": {
            "should": [
                flattened(random),
                flattened(random),
                {"wildcard": {"line": format!("*{}*", beginning(random))}},
                {"range": {"span": {"gte": random.below(40), "lte": 60, "relation": "within"}}},
            ],
            "minimum_should_match": pick(random, &[1, 1, 2]),
        }}),
        _ => unsaid(random, member),
    };
    json!({ "query": query })
}

fn by_cost(random: &mut Random) -> Value {
    let curves = [
        json!({"linear": {}}),
        json!({"saturation": {}}),
        json!({"sigmoid": {"pivot": 5, "exponent": 0.6}}),
    ];
    let mut feature = pick(random, &curves);
    feature["field"] = json!("cost");
    json!({ "rank_feature": feature })
}

/// Values under one key of an object, or under any.
fn flattened(random: &mut Random) -> Value {
    let queries = [
        json!({"constant_score": {"filter": {
            "term": {"attrs.color": pick(random, &["red", "blue"])},
        }}}),
        json!({"term": {"attrs": pick(random, &["red", "big", "7"])}}),
        json!({"prefix": {"attrs.size": pick(random, &["b", "sm"])}}),
    ];
    pick(random, &queries)
}

/// Values that documents have without saying them.
fn unsaid(random: &mut Random, member: &str) -> Value {
    let filter = match member {
        "constant_keyword" => pick(
            random,
            &[
                json!({"term": {"set": CONSTANT}}),
                json!({"exists": {"field": "set"}}),
                json!({"prefix": {"set": "o"}}),
                json!({"bool": {"must_not": {"term": {"set": "two"}}}}),
            ],
        ),
        "null_value that exists" => json!({"exists": {"field": "home"}}),
        _ => json!({"geo_distance": {"distance": "1km", "home": [15, 50]}}),
    };
    json!({"bool": {
        "must": {"match": {field(random): words(random, 3)}},
        "filter": filter,
    }})
}

fn degrees(random: &mut Random) -> (f64, f64) {
    let latitude = random.below(20) as f64 + 40.5;
    (latitude, random.below(20) as f64 + 5.25)
}

/// A point in the area where documents have theirs.
pub(crate) fn point(random: &mut Random) -> Value {
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

/// What is near a point.
fn near_point(random: &mut Random) -> Value {
    let name = pick(random, &["place", "place", "home"]);
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
        0 if depth > 0 => any_of(random, depth - 1),
        1 if depth > 0 => all_of(random, depth - 1),
        2 => json!({"prefix": {"prefix": stem(random)}}),
        4 => {
            let patterns = ["wob[0-9]k.*".to_owned(), format!("{}(s|ed)?", stem(random))];
            json!({"regexp": {"pattern": pick(random, &patterns)}})
        }
        _ => near_words(random),
    }
}

fn any_of(random: &mut Random, depth: usize) -> Value {
    json!({"any_of": {
        "intervals": [intervals(random, depth), intervals(random, depth)],
    }})
}

fn all_of(random: &mut Random, depth: usize) -> Value {
    json!({"all_of": {
        "intervals": [intervals(random, depth), intervals(random, depth)],
        "ordered": random.chance(1, 2),
        "max_gaps": pick(random, &[-1, 0, 5]),
    }})
}

fn near_words(random: &mut Random) -> Value {
    json!({"match": {
        "query": words(random, 2),
        "max_gaps": pick(random, &[-1, 0, 3]),
        "ordered": random.chance(1, 2),
    }})
}

/// A word for a query that does not analyze it: in one of two cases a frequent one, which is a term of stemmed fields
/// too.
fn term(random: &mut Random) -> String {
    match random.chance(1, 2) {
        true => format!("wob{}k", random.below(3)),
        false => word(random),
    }
}

fn spans(random: &mut Random, member: &str) -> Value {
    let name = field(random);
    let mut clause = || json!({"span_term": {name: term(random)}});
    let near = json!({"span_near": {
        "clauses": [clause(), clause()], "slop": 4, "in_order": false,
    }});
    let either = json!({"span_or": {"clauses": [clause(), clause()]}});
    let prefix = json!({"span_multi": {"match": {"prefix": {name: {"value": stem(random)}}}}});
    match member {
        "span_near" => near,
        "span_first" => json!({"span_first": {"match": either, "end": 5}}),
        "span_not" => json!({"span_not": {"include": near, "exclude": prefix}}),
        "span_containing" => json!({"span_containing": {"big": near, "little": either}}),
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

/// Draws an order by a distance.
pub(crate) fn by_distance(random: &mut Random) -> Value {
    let mut options = json!({
        "order": pick(random, &["asc", "desc"]),
        "unit": pick(random, &["m", "km"]),
    });
    add_point(random, "place", &mut options);
    json!([{ "_geo_distance": options }, {"number": "asc"}])
}

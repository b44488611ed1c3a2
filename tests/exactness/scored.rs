//! Scores by functions of a document, scored anew, by the index, and hits that stand for others.

use gleaner_datasets::Random;
use serde_json::{Value, json};

use crate::alike::{field, pick, words};
use crate::families::{Evidence, Family, frequent};

/// Modes of `function_score`, for scores of functions among themselves.
const SCORE_MODES: &[&str] = &["multiply", "sum", "avg", "first", "max", "min"];
/// And with the score of the query.
const BOOST_MODES: &[&str] = &["multiply", "replace", "sum", "avg", "max", "min"];
/// Modes of `rescore`.
const RESCORE_MODES: &[&str] = &["total", "multiply", "avg", "max", "min"];

/// Queries that score by more than words.
pub(crate) const FAMILIES: &[Family] = &[
    Family {
        name: "function_score score_mode",
        members: SCORE_MODES,
        evidence: Evidence::Hits,
        draw: by_score_mode,
    },
    Family {
        name: "function_score boost_mode",
        members: BOOST_MODES,
        evidence: Evidence::Hits,
        draw: by_boost_mode,
    },
    Family {
        name: "field_value_factor",
        members: &[
            "none",
            "log",
            "log1p",
            "log2p",
            "ln",
            "ln1p",
            "ln2p",
            "square",
            "sqrt",
            "reciprocal",
        ],
        evidence: Evidence::Hits,
        draw: by_modifier,
    },
    Family {
        name: "decay",
        members: &["gauss", "exp", "linear"],
        evidence: Evidence::Hits,
        draw: by_decay,
    },
    Family {
        name: "function_score",
        members: &["random_score of a field", "random_score of ids", "weight"],
        evidence: Evidence::Hits,
        draw: by_one_function,
    },
    Family {
        name: "rank_feature",
        members: &["saturation", "log", "sigmoid", "linear"],
        evidence: Evidence::Hits,
        draw: by_curve,
    },
    Family {
        name: "rescore",
        members: RESCORE_MODES,
        evidence: Evidence::Hits,
        draw: rescored,
    },
    Family {
        name: "search",
        members: &["indices_boost"],
        evidence: Evidence::Hits,
        draw: by_index,
    },
    Family {
        name: "collapse",
        members: &["inner_hits"],
        evidence: Evidence::InnerHits,
        draw: collapsed,
    },
];

/// Returns a search of a `function_score` with these functions and modes.
fn scored_by(random: &mut Random, functions: &Value, modes: [&str; 2]) -> Value {
    let [score_mode, boost_mode] = modes;
    let mut body = json!({
        "query": {"match": {field(random): frequent(random)}},
        "functions": functions,
        "score_mode": score_mode,
        "boost_mode": boost_mode,
        "boost": pick(random, &[1.0, 1.0, 2.5]),
    });
    if random.chance(1, 3) {
        body["max_boost"] = json!(pick(random, &[0.5, 4.0]));
    }
    if random.chance(1, 4) {
        body["min_score"] = json!(pick(random, &[0.1, 1.0]));
    }
    json!({"query": {"function_score": body}})
}

/// Functions of which several, one or none are for a document.
fn several(random: &mut Random) -> Value {
    let least = random.below(60) as i64 - 40;
    json!([
        {
            "filter": {"range": {"number": {"gte": least}}},
            "field_value_factor": {"field": "wanted"},
        },
        {"filter": {"term": {"tag": "t1"}}, "weight": pick(random, &[0.5, 3.0])},
        {
            "filter": {"terms": {"tag": ["t0", "t1", "t2"]}},
            "gauss": {"number": {"origin": 0, "scale": 15, "decay": 0.4}},
            "weight": pick(random, &[1.0, 2.0]),
        },
        {
            "filter": {"match": {"body": words(random, 2)}},
            "random_score": {"seed": random.below(1_000), "field": "serial"},
        },
    ])
}

fn by_score_mode(random: &mut Random, member: &str) -> Value {
    let functions = several(random);
    let other = pick(random, BOOST_MODES);
    scored_by(random, &functions, [member, other])
}

fn by_boost_mode(random: &mut Random, member: &str) -> Value {
    let functions = several(random);
    let other = pick(random, SCORE_MODES);
    scored_by(random, &functions, [other, member])
}

/// A function of values of at least 1: of smaller ones logarithms would be negative, which is refused.
fn by_modifier(random: &mut Random, member: &str) -> Value {
    let factor = json!({
        "field": pick(random, &["wanted", "price"]),
        "factor": pick(random, &[1.0, 2.5]),
        "modifier": member,
        "missing": pick(random, &[1, 2]),
    });
    let functions = json!([{"field_value_factor": factor}]);
    let mode = pick(random, BOOST_MODES);
    scored_by(random, &functions, ["multiply", mode])
}

fn by_decay(random: &mut Random, member: &str) -> Value {
    let (name, mut options) = match random.below(4) {
        0 => (
            pick(random, &["number", "price", "half"]),
            json!({"origin": random.below(30), "scale": 12.5, "offset": pick(random, &[0, 3])}),
        ),
        1 => (
            pick(random, &["at", "moment"]),
            json!({"origin": "2026-03-10", "scale": "20d", "offset": pick(random, &["0d", "36h"])}),
        ),
        _ => (
            pick(random, &["place", "home"]),
            json!({"origin": {"lat": 48.5, "lon": 11.25}, "scale": "300km", "offset": "20km"}),
        ),
    };
    if random.chance(1, 2) {
        options["decay"] = json!(pick(random, &[0.1, 0.5, 0.9]));
    }
    let mut decay = json!({name: options});
    if random.chance(1, 2) {
        decay["multi_value_mode"] = json!(pick(random, &["min", "max", "avg", "sum"]));
    }
    let functions = json!([{member: decay, "weight": pick(random, &[1.0, 3.0])}]);
    let mode = pick(random, BOOST_MODES);
    scored_by(random, &functions, ["sum", mode])
}

fn by_one_function(random: &mut Random, member: &str) -> Value {
    let seed = random.below(1_000);
    let function = match member {
        "random_score of a field" => {
            let name = pick(random, &["number", "serial", "wanted"]);
            json!({"random_score": {"seed": seed, "field": name}})
        }
        "random_score of ids" => json!({"random_score": {"seed": seed}}),
        _ => json!({"weight": pick(random, &[0.0, 0.25, 7.0])}),
    };
    let functions = json!([function]);
    let mode = pick(random, BOOST_MODES);
    scored_by(random, &functions, ["multiply", mode])
}

fn by_curve(random: &mut Random, member: &str) -> Value {
    let options = match member {
        "saturation" => pick(random, &[json!({"pivot": 7}), json!({})]),
        "log" => json!({"scaling_factor": pick(random, &[1.0, 4.5])}),
        "sigmoid" => json!({"pivot": pick(random, &[2, 9]), "exponent": pick(random, &[0.6, 2.0])}),
        _ => json!({}),
    };
    json!({"query": {"rank_feature": {
        "field": pick(random, &["weight", "topics.sport", "topics.news", "topics.all"]),
        member: options,
        "boost": pick(random, &[1.0, 0.3]),
    }}})
}

/// Two steps, one after the other, of different windows.
fn rescored(random: &mut Random, member: &str) -> Value {
    let by_words = json!({"match": {field(random): words(random, 3)}});
    let by_number = json!({"function_score": {
        "query": {"range": {"number": {"gte": 0}}},
        "functions": [{"field_value_factor": {"field": "wanted", "modifier": "ln2p"}}],
        "boost_mode": "replace",
    }});
    let first = json!({
        "rescore_query": by_words,
        "query_weight": pick(random, &[1.0, 0.7]),
        "rescore_query_weight": pick(random, &[1.2, 3.0]),
        "score_mode": member,
    });
    let second = json!({
        "rescore_query": by_number,
        "rescore_query_weight": 0.5,
        "score_mode": pick(random, RESCORE_MODES),
    });
    json!({
        "query": {"match": {field(random): frequent(random)}},
        "rescore": [
            {"window_size": pick(random, &[12, 50]), "query": first},
            {"window_size": pick(random, &[3, 20]), "query": second},
        ],
    })
}

/// Factors by names, of which the first one that is the index's counts.
fn by_index(random: &mut Random, _: &str) -> Value {
    let factor = pick(random, &[0.3, 2.0]);
    json!({
        "query": {"match": {field(random): frequent(random)}},
        "indices_boost": [{"lists": 5.0}, {"*": factor}, {"*": 9.0}],
    })
}

/// The best hit of each value, and others that it stands for, in orders of their own.
fn collapsed(random: &mut Random, _: &str) -> Value {
    json!({
        "query": {"match": {field(random): frequent(random)}},
        "collapse": {"field": pick(random, &["tag", "number", "serial"]), "inner_hits": [
            {"name": "best", "size": pick(random, &[1, 3]), "from": pick(random, &[0, 1])},
            {"name": "late", "sort": [{"at": "desc"}, {"number": "asc"}], "fields": ["at"]},
            {"name": "different", "collapse": {"field": "wanted"}, "size": 3},
        ]},
    })
}

//! Queries by places: of words in texts, and of points on the earth.

use gleaner_datasets::Random;
use serde_json::{Value, json};

use crate::alike::{field, pick};
use crate::families::{Evidence, Family};

/// Rules of `intervals`, their filters, and areas.
pub(crate) const FAMILIES: &[Family] = &[
    Family {
        name: "intervals",
        members: &["prefix", "wildcard", "regexp", "fuzzy", "range"],
        evidence: Evidence::Hits,
        draw: by_rule,
    },
    Family {
        name: "intervals filter",
        members: &[
            "after",
            "before",
            "contained_by",
            "containing",
            "overlapping",
            "not_contained_by",
            "not_containing",
            "not_overlapping",
        ],
        evidence: Evidence::Hits,
        draw: by_relation,
    },
    Family {
        name: "geo_polygon",
        members: &["place", "home"],
        evidence: Evidence::Hits,
        draw: by_area,
    },
];

fn intervals(random: &mut Random, rule: &Value) -> Value {
    json!({"query": {"intervals": {field(random): rule}}})
}

/// A frequent word.
fn short(random: &mut Random) -> Value {
    json!({"match": {"query": pick(random, &["wob0k", "wob1k"])}})
}

/// Two frequent words, whatever is between them.
fn long(random: &mut Random) -> Value {
    let gaps = pick(random, &[-1, 6]);
    json!({"match": {"query": "wob0k wob1k", "max_gaps": gaps}})
}

/// A rule for several words, alone or near another word. Each stands for fewer words than a rule may.
fn by_rule(random: &mut Random, member: &str) -> Value {
    let digit = random.below(3);
    let options = match member {
        "prefix" => json!({"prefix": format!("wob{digit}k")}),
        "wildcard" => json!({"pattern": pick(random, &["wob1?k", "wob?k"])}),
        "regexp" => json!({"pattern": "wob[0-3]k(s|ed)?"}),
        "fuzzy" => json!({
            "term": format!("wob{digit}x"),
            "fuzziness": 1,
            "prefix_length": pick(random, &[0, 3]),
            "transpositions": random.chance(1, 2),
        }),
        _ => json!({"gte": "wob1k", pick(random, &["lt", "lte"]): "wob20k"}),
    };
    let rule = json!({member: options});
    if random.chance(1, 2) {
        return intervals(random, &rule);
    }
    let mode = pick(random, &["ordered", "unordered", "unordered_no_overlap"]);
    let near = json!({"all_of": {
        "intervals": [rule, short(random)],
        "mode": mode,
        "max_gaps": pick(random, &[-1, 8]),
    }});
    intervals(random, &near)
}

/// Intervals that stand to another one as the member says.
fn by_relation(random: &mut Random, member: &str) -> Value {
    let (mut rule, other) = match member {
        "containing" => (long(random), short(random)),
        "not_containing" => (long(random), json!({"match": {"query": "wob2k"}})),
        "after" | "before" | "not_overlapping" => (short(random), short(random)),
        _ => (short(random), long(random)),
    };
    rule["match"]["filter"] = json!({member: other});
    intervals(random, &rule)
}

/// A polygon of four to six corners; edges of some cross each other.
fn by_area(random: &mut Random, member: &str) -> Value {
    let corner = |random: &mut Random| {
        let (lat, lon) = (random.below(84), random.below(84));
        json!({"lat": 39.5 + lat as f64 / 4.0, "lon": 4.5 + lon as f64 / 4.0})
    };
    let number = 4 + random.below(3);
    let corners: Vec<Value> = (0..number).map(|_| corner(random)).collect();
    json!({"query": {"geo_polygon": {member: {"points": corners}}}})
}

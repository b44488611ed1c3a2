//! Types of fields beside those that the other queries look at: dates of nanoseconds, numbers of odd widths, ranges.

use gleaner_datasets::Random;
use serde_json::{Value, json};

use crate::alike::pick;
use crate::families::{Evidence, Family};

/// The least value of `serial`: none of them is a `long`.
const FIRST_SERIAL: u64 = 1 << 63;

/// Queries of, and aggregations over, fields of each type.
pub(crate) const FAMILIES: &[Family] = &[
    Family {
        name: "field type",
        members: &[
            "date_nanos",
            "token_count",
            "unsigned_long",
            "scaled_float",
            "half_float",
            "binary",
            "alias",
            "boolean",
        ],
        evidence: Evidence::Hits,
        draw: of_type,
    },
    Family {
        name: "range field",
        members: &[
            "integer_range intersects",
            "integer_range within",
            "integer_range contains",
            "long_range intersects",
            "long_range within",
            "long_range contains",
            "float_range intersects",
            "float_range within",
            "float_range contains",
            "double_range intersects",
            "double_range within",
            "double_range contains",
            "date_range intersects",
            "date_range within",
            "date_range contains",
            "ip_range intersects",
            "ip_range within",
            "ip_range contains",
        ],
        evidence: Evidence::Hits,
        draw: of_range,
    },
    Family {
        name: "aggregation over",
        members: &[
            "date_nanos",
            "token_count",
            "unsigned_long",
            "scaled_float",
            "half_float",
            "alias",
            "boolean",
            "ranges",
        ],
        evidence: Evidence::Probe,
        draw: over_type,
    },
];

/// Returns the fields with their types.
pub(crate) fn fields() -> Vec<(&'static str, Value)> {
    vec![
        ("moment", json!({"type": "date_nanos"})),
        (
            "length",
            json!({"type": "token_count", "analyzer": "standard"}),
        ),
        ("serial", json!({"type": "unsigned_long"})),
        (
            "price",
            json!({"type": "scaled_float", "scaling_factor": 100}),
        ),
        ("half", json!({"type": "half_float"})),
        ("blob", json!({"type": "binary", "doc_values": true})),
        ("worth", json!({"type": "alias", "path": "price"})),
        ("flag", json!({"type": "boolean"})),
        ("route", json!({"type": "ip"})),
        ("longs", json!({"type": "long_range"})),
        ("floats", json!({"type": "float_range"})),
        ("doubles", json!({"type": "double_range"})),
        ("days", json!({"type": "date_range"})),
        ("addresses", json!({"type": "ip_range"})),
    ]
}

/// Adds values of most of the fields to a document.
pub(crate) fn add(random: &mut Random, source: &mut Value) {
    let (month, day) = (1 + random.below(6), 1 + random.below(28));
    let nanos = random.below(1_000_000_000);
    source["moment"] = json!(format!("2026-{month:02}-{day:02}T10:20:30.{nanos:09}Z"));
    if source["title"].is_string() {
        source["length"] = source["title"].clone();
    }
    source["serial"] = json!(FIRST_SERIAL + random.below(6));
    if random.chance(9, 10) {
        // At least 1, of two decimals.
        source["price"] = json!((100 + random.below(4_000)) as f64 / 100.0);
    }
    source["half"] = json!(random.below(160) as f64 / 4.0 - 5.0);
    if random.chance(1, 2) {
        source["blob"] = json!(pick(random, &["AAAA", "c29tZSBieXRlcw=="]));
    }
    source["flag"] = json!(random.chance(2, 3));
    source["route"] = json!(format!("2001:db8::{:x}", random.below(40)));
    let from = random.below(50);
    let to = from + random.below(12);
    source["longs"] = json!({"gte": from, "lt": to + 1});
    source["floats"] = json!({"gt": from as f64 / 2.0 - 0.1, "lte": to});
    source["doubles"] = json!({"gte": from as f64 / 3.0, "lte": to as f64 / 3.0});
    source["days"] = json!({
        "gte": format!("2026-{month:02}-{day:02}"),
        "lte": format!("2026-{:02}-{day:02}", month + random.below(4)),
    });
    source["addresses"] = match random.chance(1, 3) {
        true => json!(format!("10.0.0.{}/30", from & !3)),
        false => json!({"gte": format!("10.0.0.{from}"), "lte": format!("10.0.0.{to}")}),
    };
}

/// Documents by a field of the type, by score or in its order, with what it shows.
fn of_type(random: &mut Random, member: &str) -> Value {
    let least = random.below(20);
    let (name, query) = match member {
        "date_nanos" => {
            let month = 1 + random.below(5);
            let from = format!("2026-{month:02}-10T10:20:30.123456789Z");
            ("moment", json!({"range": {"moment": {"gte": from}}}))
        }
        "token_count" => ("length", json!({"terms": {"length": [1, least, 3]}})),
        "unsigned_long" => {
            let serial = FIRST_SERIAL + least % 6;
            ("serial", json!({"term": {"serial": serial}}))
        }
        "scaled_float" => (
            "price",
            json!({"range": {"price": {"gt": 1.005, "lt": least + 2}}}),
        ),
        "half_float" => ("half", json!({"range": {"half": {"gte": least}}})),
        "binary" => ("blob", json!({"exists": {"field": "blob"}})),
        "alias" => ("worth", json!({"range": {"worth": {"gte": least}}})),
        _ => ("flag", json!({"term": {"flag": random.chance(1, 2)}})),
    };
    let mut parts = json!({"query": query});
    if name == "blob" {
        return parts;
    }
    parts["fields"] = json!([name]);
    if random.chance(1, 2) {
        parts["sort"] = json!([{name: pick(random, &["asc", "desc"])}, {"number": "asc"}]);
    }
    parts
}

/// Documents of which a range has what is asked for, is in it, or holds it.
fn of_range(random: &mut Random, member: &str) -> Value {
    let (kind, relation) = member.split_once(' ').expect("a type and a relation");
    // What is to be held must be short, what is to hold others long.
    let (width, months) = match relation {
        "contains" => (random.below(2), 0),
        _ => (10 + random.below(20), 3),
    };
    let from = random.below(40);
    let to = from + width;
    let (name, mut bounds) = match kind {
        "integer_range" => ("span", json!({"gte": from, "lte": to})),
        "long_range" => ("longs", json!({"gte": from, "lt": to + 1})),
        "float_range" => (
            "floats",
            json!({"gte": from as f64 / 2.0, "lte": to as f64 / 2.0 + 0.25}),
        ),
        "double_range" => (
            "doubles",
            json!({"gt": from as f64 / 3.0 - 0.01, "lte": to as f64 / 3.0}),
        ),
        "date_range" => {
            let (month, day) = (1 + from % 6, 1 + from % 28);
            let (first, last) = (format!("2026-{month:02}-{day:02}"), month + months);
            let last = format!("2026-{last:02}-28");
            ("days", json!({"gte": first, "lte": last}))
        }
        _ => (
            "addresses",
            json!({"gte": format!("10.0.0.{from}"), "lte": format!("10.0.0.{to}")}),
        ),
    };
    bounds["relation"] = json!(relation);
    json!({"query": {"range": {name: bounds}}})
}

fn over_type(random: &mut Random, member: &str) -> Value {
    let total = json!({"total": {"sum": {"field": "number"}}});
    let mut probe = match member {
        "date_nanos" => json!({"date_histogram": {
            "field": "moment", "calendar_interval": pick(random, &["week", "month"]),
        }}),
        "token_count" => json!({"terms": {"field": "length"}}),
        "unsigned_long" => json!({"terms": {
            "field": "serial", "size": 3, "order": {"_key": pick(random, &["asc", "desc"])},
        }}),
        "scaled_float" => json!({"histogram": {
            "field": "price", "interval": pick(random, &[2.5, 9.0]),
        }}),
        "half_float" => json!({"range": {
            "field": "half", "ranges": [{"to": 0}, {"from": 0, "to": 12.5}, {"from": 12.5}],
        }}),
        "boolean" => json!({"terms": {"field": "flag"}}),
        "alias" => return json!({"aggs": {"probe": {"stats": {"field": "worth"}}}}),
        _ => {
            let names = ["span", "longs", "floats", "doubles", "days", "addresses"];
            let name = pick(random, &names);
            let kind = pick(random, &["value_count", "cardinality"]);
            return json!({"aggs": {"probe": {kind: {"field": name}}}});
        }
    };
    probe["aggs"] = total;
    json!({"aggs": {"probe": probe}})
}

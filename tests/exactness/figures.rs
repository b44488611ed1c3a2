//! Aggregations of which each way of counting must come up: networks, deviations, parts of terms, ways of comparing.

use gleaner_datasets::Random;
use serde_json::{Value, json};

use crate::alike::pick;
use crate::families::{Evidence, Family, frequent};

/// Aggregations by their options.
pub(crate) const FAMILIES: &[Family] = &[
    Family {
        name: "ip_prefix",
        members: &["IPv4", "IPv6"],
        evidence: Evidence::Probe,
        draw: networks,
    },
    Family {
        name: "extended_stats",
        members: &["sigma"],
        evidence: Evidence::Probe,
        draw: deviations,
    },
    Family {
        name: "terms",
        members: &["2 partitions", "5 partitions", "7 partitions"],
        evidence: Evidence::Probe,
        draw: partition,
    },
    Family {
        name: "significant_terms",
        members: &[
            "jlh",
            "chi_square",
            "mutual_information",
            "gnd",
            "percentage",
        ],
        evidence: Evidence::Probe,
        draw: significant,
    },
];

fn networks(random: &mut Random, member: &str) -> Value {
    // Addresses of the other version are in no bucket.
    let is_ipv6 = member == "IPv6";
    let (field, length) = match is_ipv6 {
        true => ("route", pick(random, &[32, 125, 128])),
        false => ("address", pick(random, &[0, 8, 28, 30, 32])),
    };
    json!({"aggs": {"probe": {
        "ip_prefix": {
            "field": field,
            "prefix_length": length,
            "is_ipv6": is_ipv6,
            "append_prefix_length": random.chance(1, 2),
            "min_doc_count": pick(random, &[1, 3]),
            "keyed": random.chance(1, 2),
        },
        "aggs": {"total": {"sum": {"field": "number"}}},
    }}})
}

fn deviations(random: &mut Random, _: &str) -> Value {
    let fields = ["number", "wanted", "price", "half", "at"];
    json!({"aggs": {"probe": {"extended_stats": {
        "field": pick(random, &fields),
        "sigma": pick(random, &[0.0, 0.5, 3.0]),
    }}}})
}

fn partition(random: &mut Random, member: &str) -> Value {
    let number = member
        .split(' ')
        .next()
        .and_then(|text| text.parse::<u64>().ok());
    let number = number.unwrap_or(2);
    json!({"aggs": {"probe": {
        "terms": {
            "field": pick(random, &["number", "labels", "body_again", "serial"]),
            "size": 200,
            "include": {"partition": random.below(number), "num_partitions": number},
        },
        "aggs": {"total": {"sum": {"field": "number"}}},
    }}})
}

fn significant(random: &mut Random, member: &str) -> Value {
    let options = match member {
        "chi_square" | "mutual_information" => {
            json!({"include_negatives": random.chance(1, 2)})
        }
        _ => json!({}),
    };
    let mut body = json!({
        "field": pick(random, &["body_again", "labels"]),
        "min_doc_count": pick(random, &[1, 3]),
        "size": pick(random, &[3, 20]),
        member: options,
    });
    if random.chance(1, 3) {
        body["background_filter"] = json!({"match_all": {}});
    }
    json!({
        "query": {"match": {"body": frequent(random)}},
        "aggs": {"probe": {"significant_terms": body}},
    })
}

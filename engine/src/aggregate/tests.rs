//! Aggregations against naive computation, and the same for any layout.

mod dates;
mod keys;
mod kinds;
mod layout;
mod memory;
mod metadata;
mod moments;
mod naive;
mod refusals;
mod sampler;
mod whole;

use std::sync::Arc;

use gleaner_model::Mapping;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::testing::{Documents, Index, Layout, mapping};

/// A mapping with a field of each type.
fn fields() -> Arc<Mapping> {
    mapping(&json!({
        "tag": {"type": "keyword", "copy_to": "words"},
        "words": {"type": "text", "fielddata": true},
        "n": {"type": "long"},
        "big": {"type": "unsigned_long"},
        "price": {"type": "double"},
        "when": {"type": "date"},
        "ok": {"type": "boolean"},
        "from": {"type": "ip"},
        "body": {"type": "text"},
        "place": {"type": "geo_point"},
        "span": {"type": "long_range"},
        "stay": {"type": "date_range"},
    }))
}

/// A document with values, several values or none in each field.
fn document() -> impl Strategy<Value = Value> {
    let tags = prop::collection::vec(0_u8..12, 0..4);
    let numbers = prop::collection::vec(-20_i64..20, 0..3);
    // Decimals that the JSON reader reads exactly; few of their sums are exact.
    let price = prop::option::of((-1_000_000_000..1_000_000_000).prop_map(|n| f64::from(n) / 1e3));
    let when = prop::option::of(1_577_000_000_000_i64..1_594_000_000_000);
    let place = (-3_i32..4, -5_i32..6).prop_map(|(lat, lon)| json!([lon * 35, lat * 25]));
    let others = (
        prop::option::of(any::<bool>()),
        prop::option::of(0_u8..6),
        prop::option::of(0_u64..4),
        prop::collection::vec(place, 0..3),
    );
    (tags, numbers, price, when, others).prop_map(
        |(tags, numbers, price, when, (ok, from, big, places))| {
            let mut source = json!({});
            if !tags.is_empty() {
                source["tag"] = tags.iter().map(|tag| format!("t{tag}")).collect();
            }
            if !numbers.is_empty() {
                source["n"] = json!(numbers);
            }
            if let Some(price) = price {
                source["price"] = json!(price);
            }
            if let Some(when) = when {
                source["when"] = json!(when);
            }
            if let Some(ok) = ok {
                source["ok"] = json!(ok);
            }
            if let Some(from) = from {
                source["from"] = json!(if from < 4 {
                    format!("10.0.0.{from}")
                } else {
                    format!("::{from}")
                });
            }
            if let Some(when) = when {
                source["stay"] = json!({"gte": when, "lt": when + 5_000_000_000});
            }
            if let (Some(least), Some(greatest)) = (numbers.iter().min(), numbers.iter().max()) {
                source["span"] =
                    json!([{"gte": least, "lte": greatest}, {"gt": least, "lt": greatest + 9}]);
            }
            if !places.is_empty() {
                source["place"] = json!(places);
            }
            if let Some(big) = big {
                source["big"] = json!(u64::MAX - big);
            }
            source
        },
    )
}

fn documents(num: std::ops::Range<usize>) -> impl Strategy<Value = Documents> {
    prop::collection::vec(document(), num).prop_map(|sources| {
        sources
            .into_iter()
            .enumerate()
            .map(|(i, source)| (format!("d{i}"), source))
            .collect()
    })
}

const ONE: Layout = Layout {
    shards: 1,
    segments: 1,
    has_deletes: false,
};

fn single(documents: &Documents) -> Index {
    Index::new(&fields(), documents, ONE)
}

//! Aggregations against naive computation, and the same for any layout.

mod dates;
mod keys;
mod layout;
mod memory;
mod naive;
mod refusals;

use std::sync::Arc;

use gleaner_model::Mapping;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::testing::{Documents, Index, Layout, mapping};

/// A mapping with a field of each type.
fn fields() -> Arc<Mapping> {
    mapping(&json!({
        "tag": {"type": "keyword"},
        "n": {"type": "long"},
        "big": {"type": "unsigned_long"},
        "price": {"type": "double"},
        "when": {"type": "date"},
        "ok": {"type": "boolean"},
        "from": {"type": "ip"},
        "body": {"type": "text"},
    }))
}

/// A document with values, several values or none in each field.
fn document() -> impl Strategy<Value = Value> {
    let tags = prop::collection::vec(0_u8..12, 0..4);
    let numbers = prop::collection::vec(-20_i64..20, 0..3);
    // Decimals that the JSON reader reads exactly; few of their sums are exact.
    let price = prop::option::of((-1_000_000_000..1_000_000_000).prop_map(|n| f64::from(n) / 1e3));
    let when = prop::option::of(1_577_000_000_000_i64..1_594_000_000_000);
    let others = (
        prop::option::of(any::<bool>()),
        prop::option::of(0_u8..6),
        prop::option::of(0_u64..4),
    );
    (tags, numbers, price, when, others).prop_map(
        |(tags, numbers, price, when, (ok, from, big))| {
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

//! Changes of requests: of values in their bodies, of bytes, of parameters.

use gleaner_datasets::Random;
use serde_json::{Value, json};

use crate::requests::pick;

/// Values that mean something to one reader or another.
fn odd_value(random: &mut Random) -> Value {
    let odd = [
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(1),
        json!(1.5),
        json!(-0.0),
        json!(1e300),
        json!(i64::MIN),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(9_007_199_254_740_993_u64),
        json!(""),
        json!([]),
        json!({}),
        json!([[]]),
        json!({"": {}}),
        json!("*"),
        json!("_ignored"),
        json!("_doc_count"),
        json!("now-1M/M"),
        json!("-9223372036854775808"),
        json!("2020-02-30"),
        json!("\u{10ffff}\u{fffe}"),
        json!("ſK\u{0301}İ"),
        json!("POINT (1 2)"),
        json!("a".repeat(300)),
        json!("title"),
        json!("growing"),
    ];
    odd[random.below(odd.len() as u64) as usize].clone()
}

/// Keys that readers know.
const KEYS: &[&str] = &[
    "query",
    "field",
    "fields",
    "value",
    "boost",
    "_name",
    "filter",
    "must",
    "should",
    "size",
    "from",
    "order",
    "missing",
    "format",
    "aggs",
    "type",
    "properties",
    "analyzer",
    "settings",
    "mappings",
    "index",
    "dest",
    "source",
    "script",
    "nested",
    "path",
    "term",
    "terms",
    "match",
    "range",
    "exists",
    "bool",
    "_id",
    "_index",
    "doc",
    "upsert",
    "text",
    "max_gaps",
    "",
    "a.b",
    "..",
    "_ignored",
];

/// Changes a value at one place; `other` is a value of another request.
pub(super) fn value(random: &mut Random, root: &mut Value, other: Option<&Value>) {
    let num_nodes = count(root);
    let mut left = random.below(num_nodes as u64) as usize;
    let node = node_at(root, &mut left);
    let Some(node) = node else { return };
    match (random.below(8), node) {
        (0 | 1, node) => *node = odd_value(random),
        (2, Value::Object(entries)) => {
            if let Some(key) = any_key(random, entries) {
                entries.remove(&key);
            }
        }
        (3, Value::Object(entries)) => {
            if let Some(key) = any_key(random, entries)
                && let Some(inner) = entries.remove(&key)
            {
                entries.insert(pick(random, KEYS).to_owned(), inner);
            }
        }
        (2 | 3, Value::Array(items)) if !items.is_empty() => {
            let at = random.below(items.len() as u64) as usize;
            let again = items[at].clone();
            items.extend(std::iter::repeat_n(again, 1 + random.below(40) as usize));
        }
        (4, node) => *node = json!([node.take()]),
        (5, node) => *node = json!({pick(random, KEYS): node.take()}),
        (6, node) => {
            if let Some(other) = other {
                *node = other.clone();
            }
        }
        (_, Value::String(text)) => text_in(random, text),
        (_, Value::Number(number)) => {
            let near = number.as_f64().unwrap_or_default();
            let factors = [-1.0, 0.0, 0.5, 1e3, 1e9, 1e18];
            let factor = factors[random.below(factors.len() as u64) as usize];
            *number = serde_json::Number::from_f64(near * factor).unwrap_or_else(|| 0.into());
        }
        (_, node) => *node = odd_value(random),
    }
}

fn any_key(random: &mut Random, entries: &serde_json::Map<String, Value>) -> Option<String> {
    let at = random.below(entries.len().max(1) as u64) as usize;
    entries.keys().nth(at).cloned()
}

fn text_in(random: &mut Random, text: &mut String) {
    let pieces = [
        "*",
        "?",
        "\\",
        "\"",
        "~2",
        "^",
        "(",
        ")",
        "[",
        " OR ",
        "..",
        ",",
        "\0",
        "\u{10ffff}",
        "é",
        "1",
        "-",
        ":",
        "/",
        "{index}",
        "<now/d>",
    ];
    let piece = pick(random, &pieces);
    let ends: Vec<usize> = text
        .char_indices()
        .map(|(at, _)| at)
        .chain([text.len()])
        .collect();
    let at = ends[random.below(ends.len() as u64) as usize];
    match random.below(3) {
        0 => text.truncate(at),
        1 => text.insert_str(at, piece),
        _ => *text = format!("{piece}{text}{piece}"),
    }
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(entries) => entries.values().map(count).sum(),
        _ => 0,
    }
}

/// Returns the node with this number, in the order of reading.
fn node_at<'v>(value: &'v mut Value, left: &mut usize) -> Option<&'v mut Value> {
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    let children: Vec<&'v mut Value> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(entries) => entries.values_mut().collect(),
        _ => Vec::new(),
    };
    children.into_iter().find_map(|child| {
        let size = count(child);
        if *left < size {
            return node_at(child, left);
        }
        *left -= size;
        None
    })
}

/// Changes a body byte by byte.
pub(super) fn bytes(random: &mut Random, body: &mut Vec<u8>) {
    for _ in 0..1 + random.below(3) {
        let at = random.below(body.len() as u64 + 1) as usize;
        match random.below(4) {
            0 if at < body.len() => body[at] ^= 1 << random.below(8),
            1 => body.truncate(at),
            2 => drop(body.splice(at..at, *b"\\u0000")),
            _ => body.insert(at, b"{}[]\",:\n\xff0"[random.below(10) as usize]),
        }
    }
}

/// Returns a parameter: one of the route's own, with some value.
pub(super) fn parameter(random: &mut Random, own: &[&'static str]) -> String {
    let values = [
        "",
        "true",
        "false",
        "-1",
        "0",
        "1",
        "7",
        "1m",
        "*",
        "*,-*",
        "title",
        "_all",
        "n:desc",
        "%00",
        "json",
        "index",
        "wait_for",
        "99999999999999999999",
        "open,closed",
        "title:wor*",
    ];
    let name = match own.is_empty() {
        true => "pretty",
        false => pick(random, own),
    };
    format!("{name}={}", pick(random, &values))
}

//! Random documents with fields that the mapping does not have yet.

use gleaner_datasets::Random;
use serde_json::{Map, Value, json};

/// Fields of each kind.
const NUM_EACH: u64 = 4;

/// A kind of field: the beginning of its names, how it is declared, and the values that it takes.
struct Kind {
    prefix: &'static str,
    declared: fn() -> Value,
    draw: fn(&mut Random) -> Value,
}

/// What inference makes of the values has to be what is declared.
const KINDS: [Kind; 6] = [
    Kind {
        prefix: "n",
        declared: || json!({"type": "long"}),
        draw: |random| json!(random.below(7)),
    },
    Kind {
        prefix: "f",
        declared: || json!({"type": "float"}),
        draw: |random| json!(random.below(9) as f64 / 4.0 + 0.125),
    },
    Kind {
        prefix: "t",
        declared: || json!({"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}),
        draw: |random| json!(text(random)),
    },
    Kind {
        prefix: "b",
        declared: || json!({"type": "boolean"}),
        draw: |random| json!(random.chance(1, 2)),
    },
    Kind {
        prefix: "d",
        declared: || json!({"type": "date"}),
        draw: |random| json!(format!("2024-02-{:02}T10:00:00Z", 1 + random.below(28))),
    },
    Kind {
        prefix: "k",
        declared: || json!({"type": "keyword", "fields": {"words": {"type": "text"}}}),
        draw: |random| json!(text(random)),
    },
];

/// Where fields stand: at the root, and in objects.
const OBJECTS: [&str; 3] = ["", "o.", "o.p."];

/// Documents with their ids.
pub(super) type Documents = Vec<(String, Value)>;

/// Returns the paths of all fields that documents may have, with the prefix of their kind.
pub(super) fn paths() -> impl Iterator<Item = (&'static str, String)> {
    KINDS.iter().flat_map(|kind| {
        let numbers = 0..NUM_EACH;
        numbers.flat_map(move |number| {
            OBJECTS.map(|object| (kind.prefix, format!("{object}{}{number}", kind.prefix)))
        })
    })
}

/// Returns the mapping that has all fields.
pub(super) fn declared() -> Value {
    let mut levels = [Map::new(), Map::new(), Map::new()];
    for kind in &KINDS {
        for number in 0..NUM_EACH {
            for level in &mut levels {
                level.insert(format!("{}{number}", kind.prefix), (kind.declared)());
            }
        }
    }
    let [mut root, mut outer, inner] = levels;
    outer.insert("p".to_owned(), json!({"properties": inner}));
    root.insert("o".to_owned(), json!({"properties": outer}));
    json!({"dynamic": "strict", "properties": root})
}

/// Returns the mapping to which documents bring all fields.
pub(super) fn brought() -> Value {
    let keyword = json!({"type": "keyword", "fields": {"words": {"type": "text"}}});
    json!({"dynamic_templates": [{"keywords": {"match": "k*", "mapping": keyword}}]})
}

/// Draws documents; later ones have fields that earlier ones do not have.
pub(super) fn draw(random: &mut Random, num_documents: u64) -> Documents {
    let of = |at| {
        let mut source = Map::new();
        for _ in 0..random.below(4) {
            let kind = &KINDS[random.below(KINDS.len() as u64) as usize];
            let known = 1 + at * NUM_EACH / num_documents;
            let name = format!("{}{}", kind.prefix, random.below(known));
            let value = several(random, kind.draw);
            put(random, &mut source, name, value);
        }
        (format!("d{at}"), Value::Object(source))
    };
    (0..num_documents).map(of).collect()
}

/// Draws documents of which many do not agree in what a field is.
pub(super) fn draw_conflicting(random: &mut Random, num_documents: u64) -> Documents {
    let of = |at| {
        let mut source = Map::new();
        for _ in 0..=random.below(3) {
            let kind = &KINDS[random.below(KINDS.len() as u64) as usize];
            let value = several(random, kind.draw);
            let value = match random.below(5) {
                0 => json!({"x": value}),
                _ => value,
            };
            source.insert(format!("c{}", random.below(12)), value);
        }
        (format!("d{at}"), Value::Object(source))
    };
    (0..num_documents).map(of).collect()
}

/// Draws a value, or an array of them, or nothing at all.
fn several(random: &mut Random, draw: fn(&mut Random) -> Value) -> Value {
    match random.below(8) {
        0 => Value::Null,
        1 => json!([draw(random), null, [draw(random)]]),
        2 => json!([]),
        _ => draw(random),
    }
}

/// Puts a value at the root, or into an object, which may be written as a path.
fn put(random: &mut Random, source: &mut Map<String, Value>, name: String, value: Value) {
    let (name, value) = match random.below(6) {
        0 => (format!("o.{name}"), value),
        1 => (format!("o.p.{name}"), value),
        2 => ("o".to_owned(), json!({name: value})),
        3 => ("o".to_owned(), json!({"p": {name: value}})),
        4 => ("o".to_owned(), json!([{name: value}, {"p": {}}])),
        _ => (name, value),
    };
    // A path may stand once in a document.
    let has_object = source.keys().any(|known| known.starts_with('o'));
    if !(name.starts_with('o') && has_object) {
        source.insert(name, value);
    }
}

fn text(random: &mut Random) -> String {
    let words = ["red", "green", "blue", "old", "new"];
    let num_words = 1 + random.below(3);
    let word = |_| words[random.below(5) as usize];
    (0..num_words).map(word).collect::<Vec<_>>().join(" ")
}

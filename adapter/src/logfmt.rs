//! logfmt: `level=info msg="it starts" port=80`.

use serde_json::{Map, Value};

use crate::json;
use crate::record::Record;

/// Reads a line all of whose words are pairs, two at least; words of prose with a `=` among them are none.
pub(crate) fn read(line: &str) -> Option<Record> {
    let mut rest = line.trim();
    let mut pairs = Map::new();
    while !rest.is_empty() {
        let end = rest.find(['=', ' ', '"'])?;
        let (name, after) = rest.split_at(end);
        let after = after.strip_prefix('=')?;
        if name.is_empty() {
            return None;
        }
        let (value, behind) = value(after)?;
        // A name may stand twice.
        match pairs.get_mut(name) {
            None => {
                pairs.insert(name.to_owned(), value);
            }
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
        rest = behind.trim_start();
    }
    (pairs.len() >= 2).then(|| json::of_pairs(pairs, "logfmt"))
}

/// Reads a value, quoted or not, and returns what stands behind it.
fn value(text: &str) -> Option<(Value, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        return Some((typed(word), rest));
    };
    let mut unescaped = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((unescaped.into(), &quoted[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => unescaped.push('\n'),
                't' => unescaped.push('\t'),
                'r' => unescaped.push('\r'),
                other => unescaped.push(other),
            },
            other => unescaped.push(other),
        }
    }
    None
}

/// Numbers and truth values that stand without quotes are such; a number that would be written otherwise stays text.
fn typed(word: &str) -> Value {
    match word {
        "true" => true.into(),
        "false" => false.into(),
        word => match serde_json::from_str::<serde_json::Number>(word) {
            Ok(number) if number.to_string() == word => number.into(),
            _ => word.into(),
        },
    }
}

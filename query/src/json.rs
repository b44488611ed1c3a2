//! JSON as the dialect reads it: bounded in depth, without duplicate keys, with the place of a fault.

mod object;
mod similar;

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

pub use object::ObjectReader;
pub use similar::did_you_mean;

use crate::error::{ErrorType, Place, QueryError};
use crate::limits::Limits;

/// Reads one JSON value that fills `body`, keeping the order of keys.
///
/// Depth is counted while reading, so no level beyond [`Limits::json_depth`] is ever entered.
///
/// # Errors
/// `x_content_parse_exception` with the place: not JSON, not UTF-8, too deep, a key given twice,
/// a number beyond a double's range, or text after the value.
pub fn read(body: &[u8], limits: &Limits) -> Result<Value, QueryError> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let tree = Tree {
        levels_left: limits.json_depth,
        limit: limits.json_depth,
    };
    tree.deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|fault| refuse(&fault))
}

fn refuse(fault: &serde_json::Error) -> QueryError {
    let (line, column) = (fault.line(), fault.column());
    let text = fault.to_string();
    // serde_json ends its text with the place; the dialect begins with it.
    let reason = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(reason, _)| reason);
    QueryError {
        kind: ErrorType::XContentParse,
        reason: format!("[{line}:{column}] {reason}"),
        place: Some(Place { line, column }),
    }
}

/// Names the JSON token `value` starts with, as the dialect's messages do.
pub fn token_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "VALUE_NULL",
        Value::Bool(_) => "VALUE_BOOLEAN",
        Value::Number(_) => "VALUE_NUMBER",
        Value::String(_) => "VALUE_STRING",
        Value::Array(_) => "START_ARRAY",
        Value::Object(_) => "START_OBJECT",
    }
}

/// Returns the text of a string, number or boolean; `None` for the rest.
pub fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Bytes of a value of a list or an object, beside its text: they grow by doubling.
const VALUE_BYTES: usize = 2 * size_of::<Value>();

/// Bytes of a list beside its values: it begins with room for four.
const LIST_BYTES: usize = 3 * size_of::<Value>();

/// Bytes of an object beside its values: it begins with room for three entries, and with a table of them.
const OBJECT_BYTES: usize = 3 * size_of::<(usize, String)>() + 3 * size_of::<Value>();

/// Returns the bytes that the values of a JSON text take once they are a [`Value`], at most: many times the text where
/// they are small. Some nanosecond per byte.
pub fn tree_bytes(text: &[u8]) -> usize {
    let (mut num_bytes, mut is_text, mut is_escaped) = (text.len() + VALUE_BYTES, false, false);
    for byte in text {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_text,
            b'"' => is_text = !is_text,
            _ if is_text => {}
            b',' | b':' => num_bytes += VALUE_BYTES,
            b'[' => num_bytes += LIST_BYTES + VALUE_BYTES,
            b'{' => num_bytes += OBJECT_BYTES + VALUE_BYTES,
            _ => {}
        }
    }
    num_bytes
}

/// Builds a [`Value`] level by level.
#[derive(Clone, Copy)]
struct Tree {
    levels_left: usize,
    limit: usize,
}

impl Tree {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        let levels_left = self.levels_left.checked_sub(1).ok_or_else(|| {
            E::custom(format_args!(
                "document depth exceeds the maximum of [{}] levels",
                self.limit
            ))
        })?;
        Ok(Self {
            levels_left,
            ..self
        })
    }
}

impl<'de> DeserializeSeed<'de> for Tree {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Value, E> {
        Number::from_f64(number)
            .map(Value::Number)
            .ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom(format_args!("duplicate field '{key}'")));
            }
            object.insert(key, entries.next_value_seed(inner)?);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reason(body: &str) -> String {
        read(body.as_bytes(), &Limits::default())
            .expect_err(body)
            .reason
    }

    #[test]
    fn small_values_take_many_times_their_text() {
        let value = size_of::<Value>();
        for (item, least) in [
            ("0", value),
            ("[0]", value + 4 * value),
            (
                r#"{"a":0}"#,
                value + 3 * (value + size_of::<(usize, String)>()),
            ),
        ] {
            let text = format!("[{}]", vec![item; 1_000].join(","));
            let (least, told) = (1_000 * least, tree_bytes(text.as_bytes()));
            assert!(
                (least..4 * least).contains(&told),
                "{item}: {told} of {least}"
            );
        }
        let text = format!(r#""{}\\\" {}""#, ",:[{".repeat(1_000), "[".repeat(1_000));
        assert!(
            tree_bytes(text.as_bytes()) < 2 * text.len(),
            "no text is looked into"
        );
    }

    #[test]
    fn faults_name_their_place() {
        assert!(reason("{\n \"a\": }").starts_with("[2:7] "));
        assert!(reason("{\"a\":1,\"a\":2}").contains("duplicate field 'a'"));
        assert!(reason("{} x").contains("trailing characters"));
        assert!(reason("").contains("EOF"));
        assert!(reason("1e999").contains("out of range"));
    }

    #[test]
    fn depth_is_refused_before_it_is_entered() {
        let limits = Limits::default();
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(read(nested(64).as_bytes(), &limits).is_ok());
        let fault = read("[".repeat(1_000_000).as_bytes(), &limits).expect_err("deep");
        assert!(fault.reason.contains("depth exceeds the maximum of [64]"));
        let fault = read(nested(65).as_bytes(), &limits).expect_err("deep");
        assert_eq!(fault.place.map(|place| place.line), Some(1));
    }

    #[test]
    fn bad_utf8_is_refused() {
        assert!(read(b"\"\xff\"", &Limits::default()).is_err());
    }

    proptest! {
        #[test]
        fn reading_never_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _outcome = read(&body, &Limits::default());
        }

        #[test]
        fn reading_agrees_with_serde_json(text in "[\\[\\]{}\":,0-9a-c ]{0,30}") {
            if let Ok(value) = read(text.as_bytes(), &Limits::default()) {
                prop_assert_eq!(Some(value), serde_json::from_str(&text).ok());
            }
        }
    }
}

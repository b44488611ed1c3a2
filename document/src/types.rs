//! What a document says of the types of its fields: of each list what its first value and its objects say.
//!
//! Does: read a document into an object that has each path once, however many objects its lists hold, since a new field
//! is what its first value suggests. Does not: say what fields that makes (`gleaner_query::mapping` does). Called by:
//! [`crate::Growth`]. Read first: [`Types`].

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

/// Values that are kept of one document, objects among them: some 100 MB.
const MOST_VALUES: usize = 200_000;

/// A document, of which each path has a value of each kind once.
pub(crate) struct Types(pub(crate) Map<String, Value>);

impl<'de> Deserialize<'de> for Types {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (mut document, mut left) = (Map::new(), MOST_VALUES);
        let object = Object {
            entries: &mut document,
            left: &mut left,
        };
        deserializer.deserialize_map(object)?;
        Ok(Self(document))
    }
}

/// Reads an object into what others at its place have left.
struct Object<'a> {
    entries: &'a mut Map<String, Value>,
    left: &'a mut usize,
}

/// Reads a value into what others at its place have left.
struct Place<'a> {
    known: &'a mut Value,
    left: &'a mut usize,
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(key) = entries.next_key::<String>()? {
            let known = match self.entries.entry(key) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(free) => {
                    let left = self.left.checked_sub(1);
                    *self.left = left.ok_or_else(|| {
                        A::Error::custom(format_args!(
                            "the document has more than [{MOST_VALUES}] different fields"
                        ))
                    })?;
                    free.insert(Value::Null)
                }
            };
            let left = &mut *self.left;
            entries.next_value_seed(Place { known, left })?;
        }
        Ok(())
    }
}

impl Place<'_> {
    /// Keeps a plain value where there is none yet. One that stands beside objects stands in a list with them, in
    /// the order in which they came.
    fn keep(self, value: impl FnOnce() -> Value) {
        match self.known {
            Value::Null => *self.known = value(),
            Value::Object(_) => {
                let object = self.known.take();
                *self.known = Value::Array(vec![object, value()]);
            }
            _ => {}
        }
    }
}

/// Returns the object among what is kept of a place.
fn object_of(known: &mut Value) -> Option<&mut Map<String, Value>> {
    if !matches!(known, Value::Array(_) | Value::Object(_)) {
        let first = known.take();
        let object = Value::Object(Map::new());
        *known = match first {
            Value::Null => object,
            scalar => Value::Array(vec![scalar, object]),
        };
    }
    match known {
        Value::Array(both) => both.iter_mut().find_map(Value::as_object_mut),
        object => object.as_object_mut(),
    }
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, flag: bool) -> Result<(), E> {
        self.keep(|| Value::Bool(flag));
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.keep(|| Value::from(number));
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.keep(|| Value::from(number));
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.keep(|| Number::from_f64(number).map_or(Value::Null, Value::Number));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.keep(|| Value::from(text));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self { known, left } = self;
        loop {
            let item = Place {
                known: &mut *known,
                left: &mut *left,
            };
            if items.next_element_seed(item)?.is_none() {
                return Ok(());
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<(), A::Error> {
        let Self { known, left } = self;
        match object_of(known) {
            Some(object) => Object {
                entries: object,
                left,
            }
            .visit_map(entries),
            None => Err(A::Error::custom("an object was not kept")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn types(text: &str) -> Result<Value, String> {
        let read: Result<Types, _> = serde_json::from_str(text);
        let read = read.map_err(|error| error.to_string())?;
        Ok(Value::Object(read.0))
    }

    #[test]
    fn each_path_is_kept_once() {
        for (text, expected) in [
            (
                r#"{"a":1,"b":"x","c":{"d":null}}"#,
                json!({"a": 1, "b": "x", "c": {"d": null}}),
            ),
            (r#"{"a":[null,[],[2,"x"],3]}"#, json!({"a": 2})),
            (r#"{"a":[]}"#, json!({"a": null})),
            (
                r#"{"a":[{"b":1},{"c":[{"d":1.5},{"d":2}]},{"b":"x"}]}"#,
                json!({"a": {"b": 1, "c": {"d": 1.5}}}),
            ),
            (
                r#"{"a":[1,{"b":2},"x",{"c":3}]}"#,
                json!({"a": [1, {"b": 2, "c": 3}]}),
            ),
            (
                r#"{"a":[{"b":2},1,{"c":3}]}"#,
                json!({"a": [{"b": 2, "c": 3}, 1]}),
            ),
        ] {
            assert_eq!(types(text), Ok(expected), "{text}");
        }
        assert!(types("[1]").is_err());
    }

    #[test]
    fn objects_without_number_take_the_room_of_one() {
        let many = format!(r#"{{"a":[{}]}}"#, vec![r#"{"b":1}"#; 300_000].join(","));
        assert_eq!(types(&many), Ok(json!({"a": {"b": 1}})));
        let keys: Vec<String> = (0..=MOST_VALUES).map(|n| format!(r#""k{n}":1"#)).collect();
        let refused = types(&format!("{{{}}}", keys.join(",")));
        assert!(refused.is_err_and(|why| why.contains("different fields")));
    }
}

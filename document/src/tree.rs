//! Parts of a document that are read as trees: values take many times their text, so they are counted while they are
//! made.
//!
//! Called by: the walk, for fields whose values are objects or lists. Read first: [`Tree`].

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Bytes that all trees of a document may take together.
pub(crate) const MOST_BYTES: usize = 128 << 20;

/// Bytes of a value in its list or object, which grow by doubling.
const VALUE_BYTES: usize = 2 * size_of::<Value>();

/// Bytes of a list beside its values: it begins with room for four.
const LIST_BYTES: usize = 3 * size_of::<Value>();

/// Bytes of an object beside its values: it begins with room for three entries, and with a table of them.
const OBJECT_BYTES: usize = 3 * size_of::<(usize, String, Value)>();

/// Builds a tree while there is room for it.
pub(crate) struct Tree<'b> {
    /// Bytes that are left.
    pub(crate) left: &'b mut usize,
}

impl Tree<'_> {
    fn take<E: Error>(&mut self, bytes: usize) -> Result<(), E> {
        let left = self.left.checked_sub(bytes);
        *self.left = left.ok_or_else(|| E::custom(too_large()))?;
        Ok(())
    }

    fn inside(&mut self) -> Tree<'_> {
        Tree { left: self.left }
    }
}

/// Says why there is no tree.
pub(crate) fn too_large() -> String {
    format!(
        "objects and lists that fields are read from take more than [{MOST_BYTES}] bytes of memory"
    )
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(mut self, deserializer: D) -> Result<Value, D::Error> {
        self.take(VALUE_BYTES)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<Value, E> {
        self.take(text.len())?;
        Ok(Value::from(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Value, A::Error> {
        self.take(LIST_BYTES)?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.inside())? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<Value, A::Error> {
        self.take(OBJECT_BYTES)?;
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            self.take(size_of::<(usize, String)>() + key.len())?;
            object.insert(key, entries.next_value_seed(self.inside())?);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, mut left: usize) -> Result<Value, serde_json::Error> {
        let mut json = serde_json::Deserializer::from_str(text);
        Tree { left: &mut left }.deserialize(&mut json)
    }

    #[test]
    fn a_tree_is_the_value_while_there_is_room() {
        let text = r#"{"a":[1,-2,0.5,true,null,"x"],"b":{"c":18446744073709551615}}"#;
        let expected: Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(read(text, 10_000).ok(), Some(expected));
        let refused = read(text, 1_000).expect_err("there is no room");
        assert!(refused.to_string().contains("bytes of memory"), "{refused}");
    }
}

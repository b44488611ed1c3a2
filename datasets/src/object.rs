//! A JSON object as its members, without building a tree: checked, and kept byte for byte.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{DatasetError, Document, Place};

/// The system field that holds the identifier; it is no part of `_source`.
const ID_FIELD: &str = "_id";

/// The top-level members of an object, in the order in which they stand.
pub(crate) struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Reads `text`, which must be one whole object.
    pub(crate) fn of(text: &'a str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }

    /// Returns the first member called `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| *value)
    }

    /// Returns the member `name` when it is a string, or a number as it is written.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let raw = self.get(name)?.get();
        if raw.starts_with('"') {
            return serde_json::from_str(raw).ok();
        }
        let is_number = raw.starts_with(|first: char| first == '-' || first.is_ascii_digit());
        is_number.then(|| raw.to_owned())
    }

    /// Writes the object again without the member `name`; values stay as they were.
    pub(crate) fn without(&self, name: &str) -> String {
        let kept = self.0.iter().filter(|(key, _)| key != name);
        let members: Vec<String> = kept
            .map(|(key, value)| format!("{}:{}", quoted(key), value.get()))
            .collect();
        format!("{{{}}}", members.join(","))
    }
}

/// Returns `text` as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Makes a document of one JSON object. With `id_field`, that field must hold its identifier.
///
/// The object is kept as it stands; only `_id` is taken out, as it is not allowed inside.
pub(crate) fn document(
    text: &str,
    id_field: Option<&str>,
    place: impl Fn() -> Place,
) -> Result<Document, DatasetError> {
    let members = Members::of(text).map_err(|fault| DatasetError::json(place(), fault, text))?;
    let Some(field) = id_field else {
        return Ok(Document {
            id: None,
            source: text.to_owned(),
        });
    };
    let id = members.text(field).filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| DatasetError::NoId {
        place: place(),
        field: field.to_owned(),
        text: text.to_owned(),
    })?;
    let source = if field == ID_FIELD {
        members.without(ID_FIELD)
    } else {
        text.to_owned()
    };
    Ok(Document {
        id: Some(id),
        source,
    })
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor).map(Members)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(Key(key)) = map.next_key()? {
            members.push((key, map.next_value()?));
        }
        Ok(members)
    }
}

/// A key: borrowed where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> Place {
        Place {
            input: "x".into(),
            line: 1,
            column: 1,
        }
    }

    #[test]
    fn the_source_is_kept_byte_for_byte() {
        let text = r#"{ "n": 1.10, "id": 7, "deep": {"a": [1 , 2]} }"#;
        let document = document(text, Some("id"), here).expect("an object");
        assert_eq!(
            document,
            Document {
                id: Some("7".into()),
                source: text.into()
            }
        );
    }

    #[test]
    fn a_system_id_is_taken_out_and_the_other_values_stay() {
        let text = r#"{"a\n":1.10,"_id":"x\"y","b":12345678901234567890123}"#;
        let document = document(text, Some("_id"), here).expect("an object");
        assert_eq!(document.id.as_deref(), Some("x\"y"));
        assert_eq!(
            document.source,
            r#"{"a\n":1.10,"b":12345678901234567890123}"#
        );
    }

    #[test]
    fn what_is_no_object_or_has_no_id_is_refused() {
        for text in ["[1]", "{\"a\":1", "{} {}", "12", ""] {
            assert!(
                matches!(document(text, None, here), Err(DatasetError::Json { .. })),
                "{text}"
            );
        }
        for text in ["{}", r#"{"id":null}"#, r#"{"id":""}"#, r#"{"id":[1]}"#] {
            let found = document(text, Some("id"), here);
            assert!(matches!(found, Err(DatasetError::NoId { .. })), "{text}");
        }
    }

    #[test]
    fn deep_nesting_does_not_exhaust_the_stack() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
        // Whether it is refused is the server's choice; here it must only not abort.
        drop(document(&deep, None, here));
    }
}

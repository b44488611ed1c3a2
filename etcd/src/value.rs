//! Values of keys: JSON objects that say what they are and in which format.
//!
//! A value of a newer format is refused by name. Who writes a value again keeps the fields that it does not know: a
//! newer version may have written them, and a cluster is upgraded one node at a time.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    /// Its name, as `kind` says it.
    pub(crate) name: &'static str,
    /// The newest format that is read and written, as `format` says it.
    pub(crate) format: u32,
}

/// The value of the key `cluster`.
pub(crate) const CLUSTER: Kind = kind("cluster");
/// The value of the key `meta`, where API keys lie in the key `security`. Versions that read format 1 alone would take such
/// a state for one without keys, and let everyone in.
pub(crate) const META: Kind = Kind {
    name: "meta",
    format: 2,
};
/// The value of the key `meta` with the API keys in it.
pub(crate) const META_WITH_KEYS: Kind = kind("meta");
/// The value of the key `security`.
pub(crate) const SECURITY: Kind = kind("security");
/// The value of the key `templates`.
pub(crate) const TEMPLATES: Kind = kind("templates");
/// The value of a key `index/…`.
pub(crate) const INDEX: Kind = kind("index");
/// The value of a key `node/…`.
pub(crate) const NODE: Kind = kind("node");
/// The value of a key `name/…`.
pub(crate) const NAME: Kind = kind("name");
/// The value of a key `alive/…`.
pub(crate) const ALIVE: Kind = kind("alive");
/// The value of a key `shown/…`.
pub(crate) const SHOWN: Kind = kind("shown");
/// The value of a key with marks of copies.
pub(crate) const MARKS: Kind = kind("marks");
/// The value of a key with how often a node was started.
pub(crate) const STARTS: Kind = kind("starts");
/// The value of a key `unreachable/…`: the process that is meant.
pub(crate) const UNREACHABLE: Kind = kind("unreachable");

const fn kind(name: &'static str) -> Kind {
    Kind { name, format: 1 }
}

/// What every value begins with.
#[derive(Deserialize)]
struct Head {
    kind: String,
    format: u32,
}

impl Kind {
    /// Reads a value.
    ///
    /// # Errors
    /// What is wrong: another kind, a newer format, no such JSON.
    pub(crate) fn decode<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, String> {
        let head: Head = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let Self { name, format } = self;
        if head.kind != name {
            return Err(format!("it is of the kind `{}`, not `{name}`", head.kind));
        }
        if head.format > format {
            let found = head.format;
            return Err(format!(
                "it has format {found}, this version reads up to {format}: start a newer version"
            ));
        }
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }

    /// Returns the bytes of `value`, with the fields of the `stored` one that `T` does not know.
    ///
    /// # Errors
    /// A value that has no such JSON.
    pub(crate) fn encode<T>(self, value: &T, stored: Option<&[u8]>) -> serde_json::Result<Vec<u8>>
    where
        T: Serialize + DeserializeOwned,
    {
        let mut object = self.object(value)?;
        if let Some(stored) = stored {
            let read: T = serde_json::from_slice(stored)?;
            let unknown = unknown_fields(serde_json::from_slice(stored)?, &self.object(&read)?);
            graft(unknown, &mut object);
        }
        serde_json::to_vec(&object)
    }

    fn object(self, value: &impl Serialize) -> serde_json::Result<Map<String, Value>> {
        let mut object = Map::new();
        object.insert("kind".to_owned(), self.name.into());
        object.insert("format".to_owned(), self.format.into());
        if let Value::Object(fields) = serde_json::to_value(value)? {
            object.extend(fields);
        }
        Ok(object)
    }
}

/// What a value holds and this version does not know.
enum Extra {
    /// The whole field.
    Field(Value),
    /// Fields within an object that it knows.
    Within(Vec<(String, Extra)>),
}

/// Returns the fields of `stored` that are not among the `known` ones, at any depth of objects in objects. What lies
/// in a list is not looked at.
fn unknown_fields(stored: Map<String, Value>, known: &Map<String, Value>) -> Vec<(String, Extra)> {
    let unknown = |(name, value): (String, Value)| match (known.get(&name), value) {
        (None, value) => Some((name, Extra::Field(value))),
        (Some(Value::Object(known)), Value::Object(stored)) => {
            let inner = unknown_fields(stored, known);
            (!inner.is_empty()).then_some((name, Extra::Within(inner)))
        }
        (Some(_), _) => None,
    };
    stored.into_iter().filter_map(unknown).collect()
}

/// Adds `unknown` fields to `object`, where what holds them is still there.
fn graft(unknown: Vec<(String, Extra)>, object: &mut Map<String, Value>) {
    for (name, unknown) in unknown {
        match (object.get_mut(&name), unknown) {
            (None, Extra::Field(value)) => drop(object.insert(name, value)),
            (Some(Value::Object(inner)), Extra::Within(unknown)) => graft(unknown, inner),
            (Some(_), _) | (None, Extra::Within(_)) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample {
        number: u32,
        named: BTreeMap<String, Inner>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Inner {
        text: String,
    }

    const SAMPLE: Kind = kind("sample");

    fn inner(text: &str) -> Inner {
        Inner {
            text: text.to_owned(),
        }
    }

    #[test]
    fn another_kind_and_a_newer_format_are_refused_by_name() {
        let value = Sample {
            number: 1,
            named: BTreeMap::new(),
        };
        let bytes = SAMPLE.encode(&value, None).expect("it has a form");
        assert_eq!(SAMPLE.decode(&bytes), Ok(value));
        let refused = |text: &str| {
            let read: Result<Sample, String> = SAMPLE.decode(text.as_bytes());
            read.expect_err(text)
        };
        let newer = refused(r#"{"kind": "sample", "format": 2, "number": 1, "named": {}}"#);
        assert!(newer.contains("format 2"), "{newer}");
        let other = refused(r#"{"kind": "meta", "format": 1}"#);
        assert!(other.contains("`meta`"), "{other}");
        for bad in ["", "{}", "[]", "null", r#"{"kind": "sample", "format": 1}"#] {
            refused(bad);
        }
    }

    #[test]
    fn fields_that_are_not_known_are_kept_while_what_holds_them_is_there() {
        let stored = r#"{"kind": "sample", "format": 1, "number": 1, "later": [1],
            "named": {"a": {"text": "x", "colour": "red"}, "b": {"text": "y", "colour": "blue"}}}"#;
        let next = Sample {
            number: 2,
            named: [("a".to_owned(), inner("z")), ("c".to_owned(), inner("w"))].into(),
        };
        let bytes = SAMPLE.encode(&next, Some(stored.as_bytes()));
        let written: Value = serde_json::from_slice(&bytes.expect("encoded")).expect("JSON");
        let wanted = serde_json::json!({"kind": "sample", "format": 1, "number": 2, "later": [1],
            "named": {"a": {"text": "z", "colour": "red"}, "c": {"text": "w"}}});
        assert_eq!(written, wanted);
    }
}

//! The body of an update, alone or on a bulk's line.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use gleaner_proto::write::{Condition, Update};
use gleaner_query::json::{did_you_mean, tree_bytes};
use gleaner_query::search::parse_source_filter;
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::ApiError;
use crate::request::target::WriteConditions;

/// An update as asked for, with a condition that its body may carry.
pub(in crate::routes) struct UpdateBody {
    pub(in crate::routes) update: Update,
    pub(in crate::routes) condition: Condition,
}

/// The keys there are, for hints.
const KNOWN: [&str; 9] = [
    "doc",
    "upsert",
    "script",
    "doc_as_upsert",
    "scripted_upsert",
    "detect_noop",
    "_source",
    "if_seq_no",
    "if_primary_term",
];

/// Most bytes that the body takes as parsed JSON, documents left out: flags and names of fields take less.
const MOST_TREE_BYTES: usize = 16 << 20;

/// The keys as they stand; documents stay text.
#[derive(Default)]
struct Keys<'a> {
    doc: Option<&'a RawValue>,
    upsert: Option<&'a RawValue>,
    script: Option<&'a RawValue>,
    doc_as_upsert: Option<Value>,
    scripted_upsert: Option<Value>,
    detect_noop: Option<Value>,
    source: Option<Value>,
    if_seq_no: Option<i64>,
    if_primary_term: Option<i64>,
    /// The first of the keys that there are not.
    unknown: Option<String>,
}

impl<'de> Deserialize<'de> for Keys<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(Self::default())
    }
}

impl<'de> Visitor<'de> for Keys<'de> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<Self, A::Error> {
        let mut seen = Vec::with_capacity(KNOWN.len());
        while let Some(key) = entries.next_key::<Cow<'de, str>>()? {
            let Some(known) = KNOWN.into_iter().find(|known| key == *known) else {
                entries.next_value::<IgnoredAny>()?;
                self.unknown.get_or_insert_with(|| key.into_owned());
                continue;
            };
            if seen.contains(&known) {
                return Err(A::Error::duplicate_field(known));
            }
            seen.push(known);
            match known {
                "doc" => self.doc = entries.next_value()?,
                "upsert" => self.upsert = entries.next_value()?,
                "script" => self.script = entries.next_value()?,
                "if_seq_no" => self.if_seq_no = entries.next_value()?,
                "if_primary_term" => self.if_primary_term = entries.next_value()?,
                "doc_as_upsert" => self.doc_as_upsert = small(&mut entries)?,
                "scripted_upsert" => self.scripted_upsert = small(&mut entries)?,
                "detect_noop" => self.detect_noop = small(&mut entries)?,
                _ => self.source = small(&mut entries)?,
            }
        }
        Ok(self)
    }
}

/// Reads a value that is no document.
fn small<'de, A: MapAccess<'de>>(entries: &mut A) -> Result<Option<Value>, A::Error> {
    let Some(text) = entries.next_value::<Option<&'de RawValue>>()? else {
        return Ok(None);
    };
    if tree_bytes(text.get().as_bytes()) > MOST_TREE_BYTES {
        return Err(A::Error::custom(
            "a value beside the documents is too large",
        ));
    }
    let value = serde_json::from_str(text.get());
    value.map(Some).map_err(A::Error::custom)
}

/// Reads `{"doc": …, "upsert": …, …}`.
///
/// # Errors
/// 400 for what is not such an object, for scripts, and for a body without anything to do.
pub(in crate::routes) fn parse(body: &[u8]) -> Result<UpdateBody, ApiError> {
    if body.trim_ascii().is_empty() {
        return Err(ApiError::validation(&[
            "script or doc is missing".to_owned()
        ]));
    }
    let keys = read(body)?;
    let scripted_upsert = flag("scripted_upsert", keys.scripted_upsert.as_ref())?;
    if keys.script.is_some() || scripted_upsert.unwrap_or(false) {
        return Err(ApiError::unsupported("script"));
    }
    let doc_as_upsert = flag("doc_as_upsert", keys.doc_as_upsert.as_ref())?.unwrap_or(false);
    let detect_noop = flag("detect_noop", keys.detect_noop.as_ref())?.unwrap_or(true);
    let doc = object("doc", keys.doc)?;
    let upsert = object("upsert", keys.upsert)?;
    if doc.is_none() {
        let reason = if doc_as_upsert {
            "doc must be specified if doc_as_upsert is enabled"
        } else {
            "script or doc is missing"
        };
        return Err(ApiError::validation(&[reason.to_owned()]));
    }
    let returned_source = keys.source.as_ref().map(parse_source_filter).transpose()?;
    let wanted = WriteConditions {
        seq_no: keys.if_seq_no,
        term: keys.if_primary_term,
        ..WriteConditions::default()
    };
    let update = Update {
        doc,
        upsert,
        doc_as_upsert,
        detect_noop,
        retry_on_conflict: 0,
        returned_source,
    };
    Ok(UpdateBody {
        update,
        condition: wanted.condition()?,
    })
}

fn read(body: &[u8]) -> Result<Keys<'_>, ApiError> {
    let malformed = |error: serde_json::Error| {
        let reason = format!(
            "[{}:{}] [UpdateRequest] {error}",
            error.line(),
            error.column()
        );
        ApiError::new(
            http::StatusCode::BAD_REQUEST,
            "x_content_parse_exception",
            reason,
        )
    };
    let keys: Keys<'_> = serde_json::from_slice(body).map_err(malformed)?;
    match &keys.unknown {
        None => Ok(keys),
        Some(key) => {
            let hint = did_you_mean(key, KNOWN);
            Err(unread(&format!("unknown field [{key}]{hint}")))
        }
    }
}

/// Returns the refusal of a body that cannot be read.
fn unread(what: &str) -> ApiError {
    let reason = format!("[UpdateRequest] {what}");
    let kind = "x_content_parse_exception";
    ApiError::new(http::StatusCode::BAD_REQUEST, kind, reason)
}

/// Reads a boolean, which may also be given as text.
fn flag(key: &str, value: Option<&Value>) -> Result<Option<bool>, ApiError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(Value::String(text)) if text == "true" => Ok(Some(true)),
        Some(Value::String(text)) if text == "false" => Ok(Some(false)),
        Some(_) => Err(unread(&format!(
            "failed to parse field [{key}]: only [true] or [false] are allowed"
        ))),
    }
}

fn object(key: &str, raw: Option<&RawValue>) -> Result<Option<Bytes>, ApiError> {
    let Some(text) = raw.map(RawValue::get).filter(|text| *text != "null") else {
        return Ok(None);
    };
    if text.starts_with('{') {
        return Ok(Some(Bytes::copy_from_slice(text.as_bytes())));
    }
    Err(unread(&format!("[{key}] must be an object")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_stay_as_received() {
        let body = br#"{"doc": {"a":  1.50}, "doc_as_upsert": true, "_source": ["a"]}"#;
        let UpdateBody { update, condition } = parse(body).expect("an update");
        assert_eq!(update.doc.as_deref(), Some(&br#"{"a":  1.50}"#[..]));
        assert!(update.doc_as_upsert && update.detect_noop);
        assert_eq!(update.returned_source.expect("asked for").includes, ["a"]);
        assert_eq!(condition, Condition::None);
    }

    #[test]
    fn booleans_may_be_texts() {
        for (upsert, noop, expected) in [
            (r#""true""#, r#""false""#, (true, false)),
            (r#""false""#, r#""true""#, (false, true)),
            ("true", "false", (true, false)),
            ("null", "null", (false, true)),
        ] {
            let body = format!(
                r#"{{"doc": {{}}, "doc_as_upsert": {upsert}, "detect_noop": {noop}, "scripted_upsert": "false"}}"#
            );
            let update = parse(body.as_bytes()).expect(&body).update;
            assert_eq!((update.doc_as_upsert, update.detect_noop), expected);
        }
    }

    #[test]
    fn what_cannot_be_done_is_named() {
        for (body, part) in [
            ("{}", "script or doc is missing"),
            (r#"{"doc_as_upsert": true}"#, "doc must be specified"),
            (r#"{"script": "x"}"#, "[script] is not supported"),
            (
                r#"{"doc": {}, "scripted_upsert": "true"}"#,
                "[script] is not supported",
            ),
            (
                r#"{"doc": {}, "detect_noop": "yes"}"#,
                "failed to parse field [detect_noop]",
            ),
            (
                r#"{"doc": {}, "doc_as_upsert": 1}"#,
                "failed to parse field [doc_as_upsert]",
            ),
            (r#"{"dac": {}}"#, "unknown field [dac] did you mean [doc]?"),
            (r#"{"doc": 1}"#, "[doc] must be an object"),
            (r#"{"doc": "#, "[UpdateRequest]"),
        ] {
            let error = parse(body.as_bytes()).err().expect(body);
            assert!(error.reason().contains(part), "{body}: {}", error.reason());
        }
    }
}

//! Partial updates: the change merged into the document.
//!
//! What is not an object stays text, as it was written: a number that 64 bits do not hold is neither
//! rounded nor taken for its neighbour.

use std::borrow::Cow;

use bytes::Bytes;
use gleaner_model::DocumentId;
use gleaner_proto::write::{Update, WriteFault};
use gleaner_query::source::SourcePatterns;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::write::versions::Content;

/// Bytes of documents that the updates of a request have returned, unless one alone is larger: an answer is
/// held as a whole, and is one message.
const RETURNED_BYTES: usize = gleaner_proto::MAX_MESSAGE_BYTES / 2;

/// What an update makes of a document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum MergeResult {
    /// The same document: nothing is written.
    Noop(Bytes),
    /// A new document.
    Changed(Bytes),
}

/// Merges `update` into the live document, or makes it from the upsert.
pub(crate) fn merge(
    update: &Update,
    current: Option<&Content>,
    id: &DocumentId,
) -> Result<MergeResult, WriteFault> {
    let Some(current) = current else {
        let missing = || WriteFault::DocumentMissing { id: id.clone() };
        let whole = when_missing(update).ok_or_else(missing)?;
        return Ok(MergeResult::Changed(whole.clone()));
    };
    let Some(doc) = &update.doc else {
        return Ok(MergeResult::Noop(current.source.clone()));
    };
    let mut document = object(&current.source)?;
    let has_changed = document
        .merge(object(doc)?)
        .map_err(|error| malformed(&error))?;
    if !has_changed && update.detect_noop {
        return Ok(MergeResult::Noop(current.source.clone()));
    }
    let bytes = serde_json::to_vec(&document).map_err(|error| malformed(&error))?;
    Ok(MergeResult::Changed(bytes.into()))
}

/// Returns the document that an update makes when there is none.
pub(crate) fn when_missing(update: &Update) -> Option<&Bytes> {
    match (&update.upsert, &update.doc) {
        (_, Some(doc)) if update.doc_as_upsert => Some(doc),
        (upsert, _) => upsert.as_ref(),
    }
}

/// Returns what an update wants to see of the document it leaves.
pub(crate) fn returned(update: &Update, source: &Bytes) -> Option<Bytes> {
    let filter = update.returned_source.as_ref()?;
    // It was read as an object before.
    SourcePatterns::new(filter).filter(source, &|| true).ok()
}

/// As [`returned`], in an answer that has `held` bytes of documents.
///
/// # Errors
/// When the answer has no room for it beside those.
pub(crate) fn returned_beside(
    held: usize,
    update: &Update,
    source: &Bytes,
) -> Result<Option<Bytes>, WriteFault> {
    let returned = returned(update, source);
    let num_bytes = returned.as_ref().map_or(0, Bytes::len);
    if num_bytes == 0 || held == 0 || held + num_bytes <= RETURNED_BYTES {
        return Ok(returned);
    }
    Err(WriteFault::Rejected {
        code: "answer_full".into(),
        reason: format!(
            "the answer has [{held}] bytes of documents, [{num_bytes}] more are beyond [{RETURNED_BYTES}] \
             bytes: send this update in another request, or ask for less of `_source`"
        ),
    })
}

fn object(bytes: &Bytes) -> Result<Object<'_>, WriteFault> {
    serde_json::from_slice(bytes).map_err(|error| malformed(&error))
}

fn malformed(error: &serde_json::Error) -> WriteFault {
    WriteFault::Document {
        kind: "document_parsing_exception".into(),
        reason: "failed to parse".to_owned(),
        cause: Some(("x_content_parse_exception".into(), error.to_string())),
    }
}

/// A JSON object in the order in which it is written; of a key that stands twice, the last value.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Object<'a>(#[serde(borrow)] IndexMap<Cow<'a, str>, Member<'a>>);

/// What stands under a key.
#[derive(Serialize)]
#[serde(untagged)]
enum Member<'a> {
    /// As it is written.
    Text(&'a RawValue),
    /// An object that something was merged into.
    MergeResult(Object<'a>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Member<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(Self::Text)
    }
}

impl<'a> Object<'a> {
    /// Merges `change` in: objects are merged key by key, everything else is replaced. Returns whether
    /// anything changed. Depth is bounded by the document, which was read before.
    fn merge(&mut self, change: Object<'a>) -> Result<bool, serde_json::Error> {
        let mut has_changed = false;
        for (key, new) in change.0 {
            match self.0.get_mut(&key) {
                Some(old) => has_changed |= old.merge(new)?,
                None => {
                    self.0.insert(key, new);
                    has_changed = true;
                }
            }
        }
        Ok(has_changed)
    }
}

impl<'a> Member<'a> {
    fn merge(&mut self, new: Self) -> Result<bool, serde_json::Error> {
        let (Self::Text(old), Self::Text(text)) = (&*self, &new) else {
            *self = new;
            return Ok(true);
        };
        let (old, text) = (*old, *text);
        if old.get().starts_with('{') && text.get().starts_with('{') {
            let mut merged: Object<'a> = serde_json::from_str(old.get())?;
            let has_changed = merged.merge(serde_json::from_str(text.get())?)?;
            if has_changed {
                *self = Self::MergeResult(merged);
            }
            return Ok(has_changed);
        }
        let has_changed = !is_same(old, text)?;
        if has_changed {
            *self = new;
        }
        Ok(has_changed)
    }
}

/// Returns whether two values are the same: objects in whatever order, strings however they are
/// escaped, numbers only as they are written, since 64 bits do not tell all of them apart.
fn is_same(left: &RawValue, right: &RawValue) -> Result<bool, serde_json::Error> {
    let (left, right) = (left.get(), right.get());
    if left == right {
        return Ok(true);
    }
    match (left.as_bytes().first(), right.as_bytes().first()) {
        (Some(b'"'), Some(b'"')) => {
            let left: Cow<'_, str> = serde_json::from_str(left)?;
            Ok(left == serde_json::from_str::<Cow<'_, str>>(right)?)
        }
        (Some(b'['), Some(b'[')) => {
            let left: Vec<&RawValue> = serde_json::from_str(left)?;
            let right: Vec<&RawValue> = serde_json::from_str(right)?;
            all_same(left.len() == right.len(), left.into_iter().zip(right))
        }
        (Some(b'{'), Some(b'{')) => {
            let left: IndexMap<Cow<'_, str>, &RawValue> = serde_json::from_str(left)?;
            let right: IndexMap<Cow<'_, str>, &RawValue> = serde_json::from_str(right)?;
            let is_matched =
                left.len() == right.len() && left.keys().all(|k| right.contains_key(k));
            let pairs = left
                .iter()
                .filter_map(|(key, value)| Some((*value, *right.get(key)?)));
            all_same(is_matched, pairs)
        }
        _ => Ok(false),
    }
}

fn all_same<'a>(
    is_matched: bool,
    pairs: impl Iterator<Item = (&'a RawValue, &'a RawValue)>,
) -> Result<bool, serde_json::Error> {
    if !is_matched {
        return Ok(false);
    }
    for (left, right) in pairs {
        if !is_same(left, right)? {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> DocumentId {
        DocumentId::parse("1").expect("a good id")
    }

    fn content(source: &'static str) -> Content {
        Content {
            routing: None,
            source: Bytes::from_static(source.as_bytes()),
        }
    }

    fn change(doc: &'static str) -> Update {
        let doc = Some(Bytes::from_static(doc.as_bytes()));
        Update {
            doc,
            detect_noop: true,
            ..Update::default()
        }
    }

    #[test]
    fn objects_are_merged_and_the_rest_is_replaced() {
        let current = content(r#"{"a":{"b":1,"c":[1,2]},"d":1}"#);
        let merged = merge(
            &change(r#"{"a":{"c":[3]},"e":null}"#),
            Some(&current),
            &id(),
        );
        let expected = Bytes::from_static(br#"{"a":{"b":1,"c":[3]},"d":1,"e":null}"#);
        assert_eq!(merged, Ok(MergeResult::Changed(expected)));
    }

    #[test]
    fn a_change_that_changes_nothing_is_a_noop_unless_told_otherwise() {
        let current = content(r#"{"a":1}"#);
        let same = change(r#"{"a":1}"#);
        assert_eq!(
            merge(&same, Some(&current), &id()),
            Ok(MergeResult::Noop(current.source.clone()))
        );
        let forced = Update {
            detect_noop: false,
            ..same
        };
        assert!(matches!(
            merge(&forced, Some(&current), &id()),
            Ok(MergeResult::Changed(_))
        ));
    }

    fn merged(source: &'static str, doc: &'static str) -> Option<String> {
        match merge(&change(doc), Some(&content(source)), &id()).expect("merged") {
            MergeResult::Noop(_) => None,
            MergeResult::Changed(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    #[test]
    fn numbers_stay_as_they_are_written() {
        let source = r#"{"a":12345678901234567890123,"b":{"c":1.10,"d":1e2}}"#;
        assert_eq!(
            merged(source, r#"{"a":12345678901234567890124}"#).as_deref(),
            Some(r#"{"a":12345678901234567890124,"b":{"c":1.10,"d":1e2}}"#)
        );
        assert_eq!(
            merged(source, r#"{"b":{"d":-0}}"#).as_deref(),
            Some(r#"{"a":12345678901234567890123,"b":{"c":1.10,"d":-0}}"#)
        );
    }

    #[test]
    fn the_same_value_is_the_same_however_it_is_laid_out() {
        let source = r#"{"a": {"b": ["x", {"c": 1, "d": null}]}, "e": "\u00e9"}"#;
        assert_eq!(
            merged(source, r#"{"a":{"b":["x",{"d":null,"c":1}]},"e":"é"}"#),
            None
        );
        assert_eq!(merged(source, r#"{"a":{}}"#), None);
        assert!(merged(source, r#"{"a":{"b":["x",{"d":null,"c":2}]}}"#).is_some());
        assert!(merged(source, r#"{"a":{"b":["x"]}}"#).is_some());
        assert!(merged(source, r#"{"a":null}"#).is_some());
    }

    #[test]
    fn what_is_returned_is_what_was_asked_for() {
        let filter = gleaner_query::search::SourceFilter {
            includes: vec!["a.b".to_owned()],
            ..Default::default()
        };
        let asked = Update {
            returned_source: Some(filter),
            ..Update::default()
        };
        let source = Bytes::from_static(br#"{"a":{"b":1.10,"c":2},"d":3}"#);
        let expected = Bytes::from_static(br#"{"a":{"b":1.10}}"#);
        assert_eq!(returned(&asked, &source), Some(expected));
        assert_eq!(returned(&Update::default(), &source), None);
    }

    #[test]
    fn a_missing_document_is_upserted_or_reported() {
        let missing = merge(&change("{}"), None, &id());
        assert_eq!(missing, Err(WriteFault::DocumentMissing { id: id() }));
        let upsert = Update {
            doc_as_upsert: true,
            ..change(r#"{"a":1}"#)
        };
        assert!(matches!(
            merge(&upsert, None, &id()),
            Ok(MergeResult::Changed(_))
        ));
    }
}

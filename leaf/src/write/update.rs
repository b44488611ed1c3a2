//! Partial updates: the change merged into the document.
//!
//! What is not an object stays text, as it was written: a number that 64 bits do not hold is neither
//! rounded nor taken for its neighbour.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use gleaner_model::DocumentId;
use gleaner_proto::write::{Update, WriteFault};
use gleaner_query::source::SourcePatterns;
use indexmap::IndexMap;
use serde::Serialize;
use serde::de::{DeserializeSeed, Error as _, MapAccess, Visitor};
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
    let mut left = MOST_KEYS;
    let mut merged = || -> Result<_, serde_json::Error> {
        let mut document = Object::read(&current.source, &mut left)?;
        let change = Object::read(doc, &mut left)?;
        let has_changed = document.merge(change, &mut left)?;
        Ok((document, has_changed))
    };
    let (document, has_changed) = merged().map_err(|error| malformed(&error))?;
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

fn malformed(error: &serde_json::Error) -> WriteFault {
    WriteFault::Document {
        kind: "document_parsing_exception".into(),
        reason: "failed to parse".to_owned(),
        cause: Some(("x_content_parse_exception".into(), error.to_string())),
    }
}

/// Keys of the objects that are merged, at most: each takes some hundred bytes, however short it is.
const MOST_KEYS: usize = 1_000_000;

/// Items of two lists, or keys of two objects, that are compared; longer ones are taken to differ.
const MOST_COMPARED: usize = 250_000;

/// A JSON object in the order in which it is written; of a key that stands twice, the last value.
#[derive(Serialize)]
#[serde(transparent)]
struct Object<'a>(IndexMap<Cow<'a, str>, Member<'a>>);

/// Reads an object while so many keys are left.
struct Keys<'l>(&'l mut usize);

impl<'de> DeserializeSeed<'de> for Keys<'_> {
    type Value = Object<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<Object<'de>, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Object<'de>, A::Error> {
        let mut object = IndexMap::new();
        while let Some(key) = entries.next_key::<Cow<'de, str>>()? {
            let left = self.0.checked_sub(1);
            *self.0 = left.ok_or_else(|| {
                A::Error::custom(format_args!(
                    "more than [{MOST_KEYS}] keys are to be merged"
                ))
            })?;
            object.insert(key, Member::Text(entries.next_value()?));
        }
        Ok(Object(object))
    }
}

/// What stands under a key.
#[derive(Serialize)]
#[serde(untagged)]
enum Member<'a> {
    /// As it is written.
    Text(&'a RawValue),
    /// An object that something was merged into.
    MergeResult(Object<'a>),
}

impl<'a> Object<'a> {
    /// Reads an object, whose keys are taken from those that are left.
    fn read(text: &'a [u8], left: &mut usize) -> Result<Self, serde_json::Error> {
        let mut json = serde_json::Deserializer::from_slice(text);
        let object = Keys(left).deserialize(&mut json)?;
        json.end()?;
        Ok(object)
    }

    /// Merges `change` in: objects are merged key by key, everything else is replaced. Returns whether
    /// anything changed. Depth is bounded by the document, which was read before.
    fn merge(&mut self, change: Object<'a>, left: &mut usize) -> Result<bool, serde_json::Error> {
        let mut has_changed = false;
        for (key, new) in change.0 {
            match self.0.get_mut(&key) {
                Some(old) => has_changed |= old.merge(new, left)?,
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
    fn merge(&mut self, new: Self, left: &mut usize) -> Result<bool, serde_json::Error> {
        let (Self::Text(old), Self::Text(text)) = (&*self, &new) else {
            *self = new;
            return Ok(true);
        };
        let (old, text) = (*old, *text);
        if old.get().starts_with('{') && text.get().starts_with('{') {
            let before = *left;
            let mut merged = Object::read(old.get().as_bytes(), left)?;
            let change = Object::read(text.get().as_bytes(), left)?;
            let has_changed = merged.merge(change, left)?;
            match has_changed {
                true => *self = Self::MergeResult(merged),
                false => *left = before,
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
    let num_commas = |text: &str| text.bytes().filter(|byte| *byte == b',').count();
    if num_commas(left).max(num_commas(right)) > MOST_COMPARED {
        return Ok(false);
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
    fn more_keys_than_there_is_room_for_are_refused() {
        let keys = |numbers: std::ops::Range<usize>| {
            let keys: Vec<String> = numbers.map(|n| format!(r#""{n}":0"#)).collect();
            Bytes::from(format!(r#"{{"a":{{{}}}}}"#, keys.join(",")))
        };
        for (number, is_merged) in [(1_000, true), (MOST_KEYS / 2 + 1, false)] {
            let current = Content {
                routing: None,
                source: keys(0..number),
            };
            let update = Update {
                doc: Some(keys(number..2 * number)),
                ..Update::default()
            };
            let merged = merge(&update, Some(&current), &id());
            assert_eq!(merged.is_ok(), is_merged, "{number}");
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

//! Partial updates: the change merged into the document.

use bytes::Bytes;
use gleaner_model::DocumentId;
use gleaner_proto::write::{Update, WriteFault};
use serde_json::{Map, Value};

use crate::versions::Content;

/// What an update makes of a document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Merged {
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
) -> Result<Merged, WriteFault> {
    let Some(current) = current else {
        let whole = match (&update.upsert, &update.doc) {
            (Some(upsert), _) => upsert,
            (None, Some(doc)) if update.doc_as_upsert => doc,
            _ => return Err(WriteFault::DocumentMissing { id: id.clone() }),
        };
        return Ok(Merged::Changed(whole.clone()));
    };
    let Some(doc) = &update.doc else {
        return Ok(Merged::Noop(current.source.clone()));
    };
    let mut document = object(&current.source)?;
    let change = object(doc)?;
    let has_changed = merge_objects(&mut document, change);
    if !has_changed && update.detect_noop {
        return Ok(Merged::Noop(current.source.clone()));
    }
    let bytes = serde_json::to_vec(&document).map_err(|error| malformed(&error))?;
    Ok(Merged::Changed(bytes.into()))
}

fn object(bytes: &Bytes) -> Result<Map<String, Value>, WriteFault> {
    serde_json::from_slice(bytes).map_err(|error| malformed(&error))
}

fn malformed(error: &serde_json::Error) -> WriteFault {
    WriteFault::Document {
        kind: "mapper_parsing_exception".into(),
        reason: "failed to parse".to_owned(),
        cause: Some(("x_content_parse_exception".into(), error.to_string())),
    }
}

/// Merges `change` into `document`: objects are merged key by key, everything else is replaced.
/// Returns whether anything changed. Depth is bounded by the JSON reader (127 levels).
fn merge_objects(document: &mut Map<String, Value>, change: Map<String, Value>) -> bool {
    let mut has_changed = false;
    for (key, new) in change {
        match (document.get_mut(&key), new) {
            (Some(Value::Object(old)), Value::Object(new)) => {
                has_changed |= merge_objects(old, new);
            }
            (Some(old), new) if *old == new => {}
            (_, new) => {
                document.insert(key, new);
                has_changed = true;
            }
        }
    }
    has_changed
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
        assert_eq!(merged, Ok(Merged::Changed(expected)));
    }

    #[test]
    fn a_change_that_changes_nothing_is_a_noop_unless_told_otherwise() {
        let current = content(r#"{"a":1}"#);
        let same = change(r#"{"a":1}"#);
        assert_eq!(
            merge(&same, Some(&current), &id()),
            Ok(Merged::Noop(current.source.clone()))
        );
        let forced = Update {
            detect_noop: false,
            ..same
        };
        assert!(matches!(
            merge(&forced, Some(&current), &id()),
            Ok(Merged::Changed(_))
        ));
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
            Ok(Merged::Changed(_))
        ));
    }
}

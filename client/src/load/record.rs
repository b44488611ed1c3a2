//! One operation as it travels: an action line and, except for a delete, a source line.

use std::{borrow::Cow, collections::HashMap};

use gleaner_datasets::{
    Document,
    read::bulk::{Action, Operation},
};
use serde_json::value::RawValue;

use super::{
    batch::{Refusal, RefusedSource},
    identity::Identity,
};

/// Where an operation came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Which of the inputs, from 0.
    pub(crate) input: usize,
    /// How many documents stand before it in that input.
    pub(crate) position: u64,
}

/// An operation, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) place: Place,
    /// The action line, without its end.
    pub(crate) action: String,
    /// The source line, without its end.
    pub(crate) source: Option<String>,
    /// Is a second try that finds the document there our own first try? True where the id is ours, or the
    /// server made it for this record.
    pub(crate) has_derived_id: bool,
}

impl Record {
    /// Makes the operation that writes `document`.
    ///
    /// With `identity`, a document without an id gets one from it. With `routing_field`, the value
    /// of that field is its routing; a document without it is refused.
    pub(crate) fn of_document(
        document: Document,
        place: Place,
        identity: Option<&Identity>,
        routing_field: Option<&str>,
    ) -> Result<Self, Refusal> {
        let has_derived_id = document.id.is_none() && identity.is_some();
        let derived = || identity.map(|identity| identity.document_id(place.position));
        let routing = routing_field.map(|field| text_of(&document.source, field));
        let mut members = Vec::new();
        if let Some(id) = document.id.or_else(derived) {
            members.push(format!("\"_id\":{}", quoted(&id)));
        }
        if let Some(Some(routing)) = &routing {
            members.push(format!("\"routing\":{}", quoted(routing)));
        }
        let action = format!("{{\"index\":{{{}}}}}", members.join(","));
        let source = Some(in_one_line(document.source));
        let record = Self {
            place,
            action,
            source,
            has_derived_id,
        };
        match (routing, routing_field) {
            (Some(None), Some(field)) => Err(Refusal {
                place,
                reason: format!(
                    "routing field `{field}` is absent, or neither a string nor a number"
                ),
                what: RefusedSource::Record(record),
            }),
            _ => Ok(record),
        }
    }

    /// Makes the operation that a bulk file asks for; one without an id gets it from `identity`.
    pub(crate) fn of_operation(
        operation: Operation,
        place: Place,
        identity: Option<&Identity>,
    ) -> Self {
        let Operation {
            action,
            id,
            metadata,
            source,
            ..
        } = operation;
        let makes_a_document = matches!(action, Action::Index | Action::Create);
        let derived = identity.filter(|_| id.is_none() && makes_a_document);
        let metadata = in_one_line(metadata);
        let metadata = match derived {
            Some(identity) => with_id(&metadata, &identity.document_id(place.position)),
            None => metadata,
        };
        Self {
            place,
            action: format!("{{\"{}\":{metadata}}}", action.name()),
            source: source.map(in_one_line),
            has_derived_id: derived.is_some(),
        }
    }

    /// Makes it the creation of document `id`, which the server made for it at an earlier try; one that
    /// names its document stays as it is.
    pub(crate) fn with_made_id(mut self, id: &str) -> Self {
        let action: HashMap<&str, &RawValue> =
            serde_json::from_str(&self.action).unwrap_or_default();
        let metadata = action.get("index").or_else(|| action.get("create"));
        let unnamed = metadata.map(|metadata| metadata.get()).filter(|metadata| {
            let members: Option<HashMap<Cow<'_, str>, &RawValue>> =
                serde_json::from_str(metadata).ok();
            members.is_some_and(|members| !members.contains_key("_id"))
        });
        if let Some(metadata) = unnamed {
            self.action = format!("{{\"create\":{}}}", with_id(metadata, id));
            self.has_derived_id = true;
        }
        self
    }

    /// Returns the bytes it takes in a body.
    pub(crate) fn num_bytes(&self) -> usize {
        self.action.len() + self.source.as_ref().map_or(0, |source| source.len() + 1) + 1
    }

    /// Appends its lines to a body.
    pub(crate) fn write_to(&self, body: &mut Vec<u8>) {
        for line in [Some(&self.action), self.source.as_ref()]
            .into_iter()
            .flatten()
        {
            body.extend_from_slice(line.as_bytes());
            body.push(b'\n');
        }
    }
}

/// Takes line ends out of a JSON text: outside of strings they are white space, inside there are none.
fn in_one_line(text: String) -> String {
    if text.contains(['\n', '\r']) {
        text.replace(['\n', '\r'], " ")
    } else {
        text
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Returns a top-level member that is a string, or a number as it is written.
fn text_of(source: &str, field: &str) -> Option<String> {
    let members: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_str(source).ok()?;
    let raw = members.get(field)?.get();
    if raw.starts_with('"') {
        return serde_json::from_str(raw).ok();
    }
    raw.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        .then(|| raw.to_owned())
}

/// Puts `_id` in front of the members of an object that has none.
fn with_id(metadata: &str, id: &str) -> String {
    let members = metadata.trim().trim_start_matches('{').trim_start();
    let comma = if members.starts_with('}') { "" } else { "," };
    format!("{{\"_id\":{}{comma}{members}", quoted(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Place = Place {
        input: 0,
        position: 3,
    };

    fn identity() -> Identity {
        serde_json::from_value("0123456789abcdef0123456789abcdef".into()).expect("a text")
    }

    fn document(id: Option<&str>, source: &str) -> Document {
        Document {
            id: id.map(str::to_owned),
            source: source.to_owned(),
        }
    }

    #[test]
    fn a_document_of_several_lines_becomes_one() {
        let record =
            Record::of_document(document(Some("a\"b"), "{\n\"x\":\r\n1}"), HERE, None, None)
                .expect("a record");
        let mut body = Vec::new();
        record.write_to(&mut body);
        assert_eq!(body, b"{\"index\":{\"_id\":\"a\\\"b\"}}\n{ \"x\":  1}\n");
        assert_eq!(body.len(), record.num_bytes());
        assert!(!record.has_derived_id);
    }

    #[test]
    fn ids_are_derived_only_where_there_is_none() {
        let identity = identity();
        let of = |id| Record::of_document(document(id, "{}"), HERE, Some(&identity), None);
        let derived = of(None).expect("a record");
        assert!(derived.has_derived_id && derived.action.contains(&identity.document_id(3)));
        assert!(!of(Some("own")).expect("a record").has_derived_id);
        let chosen_there = Record::of_document(document(None, "{}"), HERE, None, None);
        assert_eq!(chosen_there.expect("a record").action, "{\"index\":{}}");
    }

    #[test]
    fn routing_is_a_string_or_a_number_of_the_source() {
        let of = |source: &str| {
            Record::of_document(document(None, source), HERE, None, Some("r"))
                .map(|record| record.action)
        };
        assert_eq!(
            of(r#"{"r":"x"}"#).expect("routed"),
            r#"{"index":{"routing":"x"}}"#
        );
        assert_eq!(
            of(r#"{"r":12}"#).expect("routed"),
            r#"{"index":{"routing":"12"}}"#
        );
        assert!(of(r#"{"r":null}"#).is_err() && of("{}").is_err());
    }

    #[test]
    fn a_bulk_operation_keeps_its_metadata_and_gains_an_id() {
        let identity = identity();
        let of = |action, id: Option<&str>, metadata: &str| {
            let operation = Operation {
                line: 1,
                action,
                id: id.map(str::to_owned),
                metadata: metadata.to_owned(),
                source: None,
            };
            Record::of_operation(operation, HERE, Some(&identity)).action
        };
        let id = identity.document_id(3);
        assert_eq!(
            of(Action::Create, None, "{ }"),
            format!(r#"{{"create":{{"_id":"{id}"}}}}"#)
        );
        assert_eq!(
            of(Action::Index, None, r#"{"_index":"a"}"#),
            format!(r#"{{"index":{{"_id":"{id}","_index":"a"}}}}"#)
        );
        assert_eq!(
            of(Action::Delete, Some("7"), r#"{"_id":"7"}"#),
            r#"{"delete":{"_id":"7"}}"#
        );
        assert_eq!(of(Action::Update, None, "{}"), r#"{"update":{}}"#);
    }

    #[test]
    fn only_an_operation_without_an_id_takes_the_one_that_was_made() {
        let of = |action: &str| {
            let record = Record {
                place: HERE,
                action: action.to_owned(),
                source: None,
                has_derived_id: false,
            };
            let named = record.with_made_id("m");
            (named.action, named.has_derived_id)
        };
        let created = r#"{"create":{"_id":"m","routing":"r"}}"#;
        for unnamed in [
            r#"{"index":{"routing":"r"}}"#,
            r#"{"create":{"routing":"r"}}"#,
        ] {
            assert_eq!(of(unnamed), (created.to_owned(), true));
        }
        for other in [
            r#"{"index":{"_id":"1"}}"#,
            r#"{"create":{"_id":"1"}}"#,
            r#"{"update":{}}"#,
            r#"{"delete":{"_id":"1"}}"#,
        ] {
            assert_eq!(of(other), (other.to_owned(), false));
        }
    }
}

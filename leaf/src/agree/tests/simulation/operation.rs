//! What the documents, writes and operations of a simulation are.

use bytes::Bytes;
use gleaner_model::{ChosenTemplates, DocumentId, Operation, OperationKind, PrimaryTerm, SeqNo};
use gleaner_proto::write::{Condition, Update, WriteAction, WriteItem};
use serde_json::Value;

/// The fields that updates change, one at a time.
pub(super) const FIELDS: [&str; 2] = ["a", "b"];

/// A write that a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Intent {
    /// Tells it from all others of a run; it stands in the document.
    pub(super) number: u64,
    pub(super) document: u8,
    pub(super) change: Change,
    /// The latest write that the document must have.
    pub(super) expected: Option<Latest>,
}

/// What a write does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Puts both fields.
    Put,
    /// As [`Change::Put`], where there is no document.
    Create,
    /// Changes one field.
    Update(usize),
    Delete,
}

/// The latest write of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Latest {
    pub(super) position: u64,
    pub(super) term: PrimaryTerm,
}

/// An operation, as it is at its position for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    /// Of the write that it is of; of a refresh one of its own.
    pub(super) number: u64,
    pub(super) term: PrimaryTerm,
    /// `None` for a refresh.
    pub(super) written: Option<Written>,
}

/// What an operation makes of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) document: u8,
    pub(super) version: u64,
    /// The values of [`FIELDS`]; `None` where it is deleted.
    pub(super) fields: Option<[u64; 2]>,
}

impl Intent {
    /// Returns it as a primary is asked for it.
    pub(super) fn item(&self) -> WriteItem {
        let number = self.number;
        let both = format!(r#"{{"n":{number},"a":{number},"b":{number}}}"#);
        let put = |create| WriteAction::Index {
            source: both.clone().into(),
            create,
        };
        let action = match self.change {
            Change::Put => put(false),
            Change::Create => put(true),
            Change::Update(field) => {
                let name = FIELDS[field];
                let doc = format!(r#"{{"n":{number},"{name}":{number}}}"#);
                WriteAction::Update(Update {
                    doc: Some(doc.into()),
                    detect_noop: true,
                    ..Update::default()
                })
            }
            Change::Delete => WriteAction::Delete,
        };
        // A deletion has no document that could hold its number.
        let is_deletion = self.change == Change::Delete;
        WriteItem {
            id: id_of(self.document),
            routing: is_deletion.then(|| number.to_string()),
            action,
            condition: self
                .expected
                .map_or(Condition::None, |latest| Condition::Is {
                    seq_no: SeqNo(latest.position),
                    term: latest.term,
                }),
            templates: ChosenTemplates::default(),
        }
    }
}

impl Record {
    pub(super) fn of(operation: &Operation) -> Self {
        let (number, written) = match &operation.kind {
            OperationKind::Index {
                id,
                version,
                source,
                ..
            } => {
                let [number, a, b] = values(source);
                let written = Written {
                    document: document_of(id),
                    version: version.0,
                    fields: Some([a, b]),
                };
                (number, Some(written))
            }
            OperationKind::Delete {
                id,
                version,
                routing,
            } => {
                let number = routing.as_ref().and_then(|text| text.parse().ok());
                let written = Written {
                    document: document_of(id),
                    version: version.0,
                    fields: None,
                };
                (number.expect("deletions have their numbers"), Some(written))
            }
            OperationKind::Refresh | OperationKind::NoOp => (operation.timestamp_ms as u64, None),
        };
        Self {
            number,
            term: operation.term,
            written,
        }
    }

    pub(super) fn decode(payload: &Bytes) -> Self {
        Self::of(&Operation::decode(payload).expect("an operation"))
    }
}

pub(super) fn id_of(document: u8) -> DocumentId {
    DocumentId::parse(&document.to_string()).expect("a good id")
}

pub(super) fn document_of(id: &DocumentId) -> u8 {
    id.as_str()
        .parse()
        .expect("one of a simulation's documents")
}

/// Returns the number of the last write of a document, and its fields.
fn values(source: &Bytes) -> [u64; 3] {
    let source: Value = serde_json::from_slice(source).expect("a document");
    ["n", FIELDS[0], FIELDS[1]].map(|name| source[name].as_u64().expect("a number"))
}

//! Bulk-action files: an action line, then a source line except after a delete.
//!
//! A fault in an action line ends the stream: whether a source line follows is then unknown, and
//! guessing could index an action as a document. An operation that lacks the `_id` it needs, and an update
//! that is no object, are one fault each.

use std::iter;

use serde_json::value::RawValue;

use super::{Options, lines::Lines};
use crate::{
    DatasetError, Document, Input, Place,
    object::{self, Members},
};

/// What an action line asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Write the document, whether or not it exists.
    Index,
    /// Write the document unless it exists.
    Create,
    /// Change parts of a document.
    Update,
    /// Delete a document.
    Delete,
}

impl Action {
    const NAMES: &[(&str, Self)] = &[
        ("index", Self::Index),
        ("create", Self::Create),
        ("update", Self::Update),
        ("delete", Self::Delete),
    ];

    /// Returns the key that stands for it on an action line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// One operation of a bulk file, as it stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The line of the action, from 1.
    pub line: u64,
    /// What to do.
    pub action: Action,
    /// The `_id` on the action line.
    pub id: Option<String>,
    /// The object behind the action's name, as it was read: `_index`, `routing`, versions.
    pub metadata: String,
    /// The source line as it was read: a document, or an update's body; `None` for a delete.
    pub source: Option<String>,
}

/// Reads all operations of a bulk file.
pub fn operations(
    input: Input,
    options: &Options,
) -> impl Iterator<Item = Result<Operation, DatasetError>> + Send + use<> {
    let mut lines = Lines::new(input, options.max_document_bytes);
    let mut has_ended = false;
    iter::from_fn(move || {
        if has_ended {
            return None;
        }
        let next = operation(&mut lines).transpose();
        has_ended = next
            .as_ref()
            .is_some_and(|next| next.as_ref().is_err_and(DatasetError::is_fatal));
        next
    })
}

/// Reads the documents of a bulk file that only indexes and creates.
pub(super) fn documents(
    input: Input,
    options: Options,
) -> impl Iterator<Item = Result<Document, DatasetError>> + Send {
    let name = input.name.clone();
    operations(input, &options).map(move |operation| {
        let Operation {
            line,
            action,
            id,
            source,
            ..
        } = operation?;
        let place = |line| Place {
            input: name.clone(),
            line,
            column: 1,
        };
        let source = source.filter(|_| matches!(action, Action::Index | Action::Create));
        let source = source.ok_or_else(|| {
            let seen = format!("saw `{}`, wanted only `index` and `create`", action.name());
            DatasetError::Layout {
                place: place(line),
                seen,
            }
        })?;
        let found = object::document(&source, options.id_field.as_deref(), || place(line + 1))?;
        Ok(Document {
            id: id.or(found.id),
            source: found.source,
        })
    })
}

fn operation(lines: &mut Lines) -> Result<Option<Operation>, DatasetError> {
    let Some(line) = lines.next_filled() else {
        return Ok(None);
    };
    let text = line.map_err(into_fatal)?.to_owned();
    let place = lines.place();
    let broken = |seen: String| DatasetError::Layout {
        place: place.clone(),
        seen,
    };
    let members = Members::of(&text).map_err(|error| broken(format!("not an action: {error}")))?;
    let named = Action::NAMES
        .iter()
        .find_map(|(name, action)| Some((*action, members.get(name)?)));
    let (action, metadata) =
        named.ok_or_else(|| broken("wanted `index`, `create`, `update` or `delete`".to_owned()))?;
    let details = Members::of(metadata.get())
        .map_err(|error| broken(format!("`{}`: {error}", action.name())))?;
    let (id, metadata) = match details.get("_id").map(RawValue::get) {
        // As servers read it: an id that is null is none, and the next one may be put in its place.
        Some("null") => (None, details.without("_id")),
        Some(truth @ ("true" | "false")) => (Some(truth.to_owned()), metadata.get().to_owned()),
        Some(_) => {
            let id = details.text("_id");
            let id = id.ok_or_else(|| broken("the `_id` is no text".to_owned()))?;
            (Some(id), metadata.get().to_owned())
        }
        None => (None, metadata.get().to_owned()),
    };
    let source = if action == Action::Delete {
        None
    } else {
        Some(source_line(lines)?)
    };
    let operation = Operation {
        line: place.line,
        action,
        id,
        metadata,
        source,
    };
    check(&operation, &text, place, lines.place())?;
    Ok(Some(operation))
}

/// Refuses what makes servers refuse all operations of a request, where only this one is at fault. The next
/// line is an action again.
fn check(
    operation: &Operation,
    action_line: &str,
    of_action: Place,
    of_source: Place,
) -> Result<(), DatasetError> {
    let source = operation.source.as_deref();
    let text = || match source {
        Some(source) => format!("{action_line}\n{source}"),
        None => action_line.to_owned(),
    };
    let needs_id = matches!(operation.action, Action::Update | Action::Delete);
    if needs_id && operation.id.as_deref().is_none_or(str::is_empty) {
        return Err(DatasetError::NoId {
            place: of_action,
            field: "_id".to_owned(),
            text: text(),
        });
    }
    let update = source.filter(|_| operation.action == Action::Update);
    match update.map(Members::of) {
        Some(Err(fault)) => Err(DatasetError::json(of_source, fault, &text())),
        _ => Ok(()),
    }
}

fn source_line(lines: &mut Lines) -> Result<String, DatasetError> {
    match lines.next_filled() {
        Some(line) => line.map(str::to_owned),
        None => Err(DatasetError::Layout {
            place: lines.place(),
            seen: "the file ends, wanted the source of the action above".to_owned(),
        }),
    }
}

fn into_fatal(error: DatasetError) -> DatasetError {
    match error {
        DatasetError::TooLong { place, .. } | DatasetError::NotUtf8 { place, .. } => {
            DatasetError::Layout {
                place,
                seen: "not an action line".to_owned(),
            }
        }
        other => other,
    }
}

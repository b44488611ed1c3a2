//! Nested objects: how many a document has, and which of their values it has itself.

use serde::de::Error;

use super::Walk;
use crate::plan::NodeKind;
use crate::{DocumentError, FieldValue};

/// Values that the fields of a document may have in all: some 100 MB.
const MOST_VALUES: usize = 2_000_000;

impl<'de> Walk<'_, 'de> {
    /// Counts an object that is nested; the one too many ends the walk.
    pub(super) fn enter<E: Error>(&mut self, number: u32) -> Result<(), E> {
        if !matches!(
            self.plan.node(number).kind,
            NodeKind::Object {
                is_nested: true,
                ..
            }
        ) {
            return Ok(());
        }
        self.num_nested += 1;
        match self.strict {
            Some(by) if self.num_nested > by.most_nested => {
                self.refuse(DocumentError::TooManyNested {
                    limit: by.most_nested,
                })
            }
            _ => Ok(()),
        }
    }

    /// Takes a value: the document itself has it, unless it lies in nested objects that keep it. Of a document that has too
    /// many nothing more is kept, and a strict walk refuses it at its end.
    pub(super) fn keep(&mut self, number: u32, value: FieldValue<'de>) {
        let num_values = self.found.values.len() + self.found.hidden.len();
        if self.strict.is_some() && num_values >= MOST_VALUES {
            self.refused = Some(DocumentError::TooManyValues { limit: MOST_VALUES });
            return;
        }
        if self.plan.node(number).is_in_root {
            self.found.values.push((number, value));
        } else if self.strict.is_some() {
            self.found.hidden.push((number, value));
        }
    }

    /// Returns the document's id; none where the walk is lenient.
    pub(super) fn id(&self) -> String {
        self.strict.map_or_else(String::new, |by| by.id.to_owned())
    }
}

//! Objects of `flattened` fields: each value inside becomes a term, and one behind its key.
//!
//! Source: Elasticsearch reference, *Flattened field type*; `FlattenedFieldParser`.

use std::collections::HashSet;
use std::rc::Rc;

use gleaner_model::FieldKind;
use gleaner_model::mapping::{KEY_END, KeywordKind};
use serde::de::Error;
use serde_json::Value;

use super::{Place, Walk, preview};
use crate::convert::MAX_TERM_BYTES;
use crate::mismatch::Mismatch;
use crate::plan::{Leaf, NodeKind};
use crate::{DocumentError, FieldValue};

/// Bytes that the values of an object may take, each with its key.
const MOST_BYTES: usize = 8 << 20;
/// Different keys that a document may have, in all such fields together: each is a column.
const MOST_KEYS: usize = 10_000;

/// What is wrong with a value that is no object.
pub(super) fn no_object() -> Mismatch {
    Mismatch::Malformed("Failed to parse object: expected an object of keys and values".to_owned())
}

impl Walk<'_, '_> {
    /// Returns the field at `place` where it takes objects of any keys.
    pub(super) fn flattened_at(&self, place: Place) -> Option<u32> {
        let Place::Node(number) = place else {
            return None;
        };
        let kind = &self.plan.node(number).kind;
        matches!(kind, NodeKind::Leaf(leaf) if leaf.kind.is_flattened()).then_some(number)
    }

    /// Gives the values of an object to its field, and behind their keys to the field below.
    pub(super) fn flattened<E: Error>(
        &mut self,
        number: u32,
        leaf: &Leaf,
        object: &Value,
    ) -> Result<(), E> {
        let mut entries = Entries {
            number,
            leaf,
            found: Vec::new(),
            keys: &mut self.flattened_keys,
            num_bytes: 0,
            has_rounded: false,
        };
        let read = entries.read(&Rc::from(""), 0, object);
        let (found, has_rounded) = (entries.found, entries.has_rounded);
        self.has_rounded |= has_rounded;
        if let Err(mismatch) = read {
            let refused: DocumentError = self.mismatch(number, leaf, &preview(object), mismatch);
            return self.refuse(refused);
        }
        for (key, text) in found {
            for keyed in &leaf.multi_fields {
                let term = format!("{key}{KEY_END}{text}");
                let value = FieldValue::Text(term.into());
                self.keep(*keyed, value);
            }
            let value = FieldValue::Text(text.into());
            self.keep(number, value);
        }
        Ok(())
    }
}

/// Keys and values of an object, in the order in which they stand.
struct Entries<'a> {
    /// The field.
    number: u32,
    leaf: &'a Leaf,
    found: Vec<(Rc<str>, String)>,
    /// Those of the document so far.
    keys: &'a mut HashSet<(u32, Rc<str>)>,
    num_bytes: usize,
    /// Whether there is a number that 64 bits do not hold as it is written.
    has_rounded: bool,
}

impl Entries<'_> {
    /// Reads what stands at `key`, which is made of `depth` names.
    fn read(&mut self, key: &Rc<str>, depth: u32, value: &Value) -> Result<(), Mismatch> {
        match value {
            Value::Object(entries) => {
                self.check_depth(depth)?;
                for (name, inner) in entries {
                    if name.contains(KEY_END) {
                        return Err(Mismatch::Malformed(format!(
                            "Keys in [flattened] fields cannot contain the reserved character \\0. Offending key: \
                             [{name}]."
                        )));
                    }
                    let key = match key.is_empty() {
                        true => Rc::from(name.as_str()),
                        false => Rc::from(format!("{key}.{name}")),
                    };
                    self.read(&key, depth + 1, inner)?;
                }
                Ok(())
            }
            Value::Array(items) => items
                .iter()
                .try_for_each(|item| self.read(key, depth, item)),
            Value::Null => match &self.leaf.kind {
                FieldKind::Keyword {
                    null_value: Some(text),
                    ..
                } => self.add(key, text.clone()),
                _ => Ok(()),
            },
            Value::String(text) => self.add(key, text.clone()),
            Value::Bool(_) => self.add(key, value.to_string()),
            Value::Number(number) => {
                self.has_rounded |= number.is_f64();
                self.add(key, number.to_string())
            }
        }
    }

    fn check_depth(&self, depth: u32) -> Result<(), Mismatch> {
        match &self.leaf.kind {
            FieldKind::Keyword {
                family: KeywordKind::Flattened { depth_limit },
                ..
            } if depth >= *depth_limit => Err(Mismatch::Malformed(format!(
                "The provided [flattened] field exceeds the maximum depth limit of [{depth_limit}]."
            ))),
            _ => Ok(()),
        }
    }

    fn add(&mut self, key: &Rc<str>, text: String) -> Result<(), Mismatch> {
        let FieldKind::Keyword { ignore_above, .. } = &self.leaf.kind else {
            return Ok(());
        };
        let is_longer = |limit: u32| text.chars().count() > limit as usize;
        if ignore_above.is_some_and(is_longer) {
            return Ok(());
        }
        if key.len() + KEY_END.len_utf8() + text.len() > MAX_TERM_BYTES {
            return Err(Mismatch::Immense);
        }
        self.num_bytes += key.len() + text.len();
        if self.num_bytes > MOST_BYTES {
            return Err(Mismatch::Malformed(format!(
                "The provided [flattened] field takes more than [{MOST_BYTES}] bytes, each value counted with its key."
            )));
        }
        if self.keys.insert((self.number, Rc::clone(key))) && self.keys.len() > MOST_KEYS {
            return Err(Mismatch::Malformed(format!(
                "The [flattened] fields of the document have more than [{MOST_KEYS}] different keys."
            )));
        }
        self.found.push((Rc::clone(key), text));
        Ok(())
    }
}

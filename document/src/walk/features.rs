//! Objects of `rank_features` fields: numbers by name.
//!
//! Source: Elasticsearch reference, *Rank features field type*; `RankFeaturesFieldMapper`.

use gleaner_model::{FieldKind, NumberKind};
use gleaner_query::encoded::Reading;
use serde::de::Error;
use serde_json::Value;

use super::{Walk, preview};
use crate::FieldValue;
use crate::convert::{MAX_TERM_BYTES, Scalar, read_number};
use crate::mismatch::Mismatch;
use crate::plan::Leaf;

/// Features that a document may have, in all fields together: each is a column.
const MOST_FEATURES: usize = 10_000;

/// Says that a value is no object.
pub(super) fn no_object(text: &str) -> Mismatch {
    Mismatch::Malformed(format!(
        "[rank_features] fields must be json objects, expected a START_OBJECT but got: [{text}]"
    ))
}

impl Walk<'_, '_> {
    /// Returns the document that keeps a field's values: nested objects that keep theirs are documents of their own.
    fn document_of(&self, number: u32) -> usize {
        match self.plan.node(number).is_in_root {
            true => 0,
            false => self.num_nested,
        }
    }

    /// Returns why a value of a `rank_feature` field is refused where the document has one already. A lenient walk
    /// takes what was taken.
    pub(super) fn second_feature(&mut self, number: u32, leaf: &Leaf) -> Option<Mismatch> {
        let FieldKind::Number {
            number: NumberKind::RankFeature { .. },
            ..
        } = leaf.kind
        else {
            return None;
        };
        let feature = (number, self.document_of(number), Box::from(""));
        if self.strict.is_none() || self.features.insert(feature) {
            return None;
        }
        let path = &self.plan.node(number).path;
        Some(Mismatch::Malformed(format!(
            "[rank_feature] fields do not support indexing multiple values for the same field [{path}] in the same \
             document"
        )))
    }

    /// Takes the features of an object, beside those of objects before it in the document.
    pub(super) fn features<E: Error>(
        &mut self,
        number: u32,
        leaf: &Leaf,
        object: &Value,
    ) -> Result<(), E> {
        let FieldKind::Number { number: kind, .. } = leaf.kind else {
            return Ok(());
        };
        let node = self.plan.node(number);
        let document = self.document_of(number);
        for (name, value) in object.as_object().into_iter().flatten() {
            let read = match check_name(name, self.features.len()) {
                Ok(()) => read(value, kind),
                Err(mismatch) => Err(mismatch),
            };
            match read {
                Ok(None) => {}
                Ok(Some(_))
                    if !self
                        .features
                        .insert((number, document, name.as_str().into())) =>
                {
                    let mismatch = Mismatch::Malformed(format!(
                        "[rank_features] fields do not support indexing multiple values for the same rank feature \
                         [{}.{name}] in the same document",
                        node.path
                    ));
                    return self.refuse(self.mismatch(number, leaf, &preview(object), mismatch));
                }
                Ok(Some(value)) => {
                    let name = name.as_str().into();
                    self.keep(number, FieldValue::Feature { name, value });
                }
                Err(mismatch) => {
                    return self.refuse(self.mismatch(number, leaf, &preview(object), mismatch));
                }
            }
        }
        Ok(())
    }
}

fn check_name(name: &str, num_names: usize) -> Result<(), Mismatch> {
    if name.contains('.') {
        return Err(Mismatch::Malformed(format!(
            "[rank_features] fields do not support dots in feature names but found [{name}]"
        )));
    }
    if name.len() > MAX_TERM_BYTES {
        return Err(Mismatch::Immense);
    }
    if num_names >= MOST_FEATURES {
        return Err(Mismatch::Malformed(format!(
            "[rank_features] fields take at most [{MOST_FEATURES}] features of a document"
        )));
    }
    Ok(())
}

/// Returns the value of a feature; none for `null`.
fn read(value: &Value, kind: NumberKind) -> Result<Option<f64>, Mismatch> {
    let scalar = match value {
        Value::Null => return Ok(None),
        Value::Number(number) => Scalar::F64(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Scalar::Text(text.as_str().into()),
        other => {
            return Err(Mismatch::Malformed(format!(
                "[rank_features] fields take hashes that map a feature to a strictly positive float, but got unexpected \
                 token [{other}]"
            )));
        }
    };
    match read_number(&scalar, kind, true, Reading::New)? {
        Some(FieldValue::F64(value)) => Ok(Some(value)),
        _ => Ok(None),
    }
}

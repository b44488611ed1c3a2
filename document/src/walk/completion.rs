//! Objects of `completion` fields: inputs with a weight.

use std::borrow::Cow;

use serde::de::Error;
use serde_json::Value;

use super::{Walk, preview};
use crate::completion;
use crate::convert::Scalar;
use crate::plan::Leaf;

impl Walk<'_, '_> {
    /// Gives each input of an object to its field and to the multi-fields.
    pub(super) fn completion<E: Error>(
        &mut self,
        number: u32,
        leaf: &Leaf,
        object: &Value,
    ) -> Result<(), E> {
        match completion::inputs(object) {
            Ok(inputs) => inputs
                .into_iter()
                .try_for_each(|input| self.value(number, leaf, &Scalar::Text(Cow::Owned(input)))),
            Err(mismatch) => self.refuse(self.mismatch(number, leaf, &preview(object), mismatch)),
        }
    }
}

//! Single values of one field, read from parsed JSON as the walk reads them from bytes.
//!
//! Does not: follow multi-fields or `copy_to`; who asks knows where a field's values stand. Called by
//! `fetch`, to show of `_source` what the index holds.

use std::borrow::Cow;

use gleaner_analysis::AnalyzerRegistry;
use gleaner_model::Field;
use serde_json::{Number, Value};

use super::FieldValue;
use super::convert::Scalar;
use super::plan::Leaf;

/// Reads values of one field.
pub struct FieldReader {
    leaf: Leaf,
}

impl FieldReader {
    /// Prepares `field`.
    pub fn new(field: &Field, analyzers: &AnalyzerRegistry) -> Self {
        Self {
            leaf: Leaf::new(field, analyzers),
        }
    }

    /// Returns what the index takes for `value`, for `null` what stands for it; `None` where nothing
    /// is indexed.
    pub fn read<'a>(&self, value: &'a Value) -> Option<FieldValue<'a>> {
        let scalar = match value {
            Value::Null => return self.leaf.null.clone(),
            Value::Bool(value) => Scalar::Bool(*value),
            Value::Number(number) => number_of(number)?,
            Value::String(text) => Scalar::Text(Cow::Borrowed(text)),
            Value::Array(_) | Value::Object(_) => return None,
        };
        self.leaf.read(&scalar).ok().flatten()
    }
}

fn number_of(number: &Number) -> Option<Scalar<'static>> {
    let integer = number.as_i64().map(Scalar::I64);
    integer
        .or_else(|| number.as_u64().map(Scalar::U64))
        .or_else(|| number.as_f64().map(Scalar::F64))
}

//! What is said of a document that the mapping refuses.

use serde_json::Value;

use super::Walk;
use crate::DocumentError;
use crate::mismatch::Mismatch;
use crate::plan::Leaf;

impl Walk<'_, '_> {
    pub(super) fn mismatch(
        &self,
        number: u32,
        leaf: &Leaf,
        text: &str,
        mismatch: Mismatch,
    ) -> DocumentError {
        let field = self.plan.node(number).path.to_string();
        let cause = match mismatch {
            Mismatch::Immense => return DocumentError::ImmenseTerm { field },
            Mismatch::TooMuch(fault) => return DocumentError::TooMuch { field, fault },
            Mismatch::Malformed(cause) => cause,
            Mismatch::OfField(cause) => format!("error parsing field [{field}], {cause}"),
            Mismatch::OtherConstant { constant, given } => format!(
                "[constant_keyword] field [{field}] only accepts values that are equal to the value defined in the \
                 mappings [{constant}], but got [{given}]"
            ),
        };
        DocumentError::Malformed {
            field,
            type_name: leaf.kind.type_name(),
            id: self.id(),
            preview: text.to_owned(),
            cause,
        }
    }

    pub(super) fn not_a_field(&self, name: &'static str, preview: String) -> DocumentError {
        DocumentError::Malformed {
            field: name.to_owned(),
            type_name: name,
            id: self.id(),
            preview,
            cause: format!(
                "Field [{name}] is a metadata field and cannot be added inside a document. Use the \
                 index API request parameters."
            ),
        }
    }

    /// A key that goes on below a plain field, seen from the object `from`.
    pub(super) fn below_leaf(
        &self,
        from: u32,
        key: &str,
        number: u32,
        leaf: &Leaf,
    ) -> DocumentError {
        let field = match self.plan.node(from).path.as_str() {
            "" => key.to_owned(),
            parent => format!("{parent}.{key}"),
        };
        DocumentError::BelowField {
            field,
            parent: self.plan.node(number).path.to_string(),
            type_name: leaf.kind.type_name(),
        }
    }

    pub(super) fn not_an_object(&self, number: u32) -> DocumentError {
        let field = self.plan.node(number).path.to_string();
        let name = field.rsplit('.').next().unwrap_or_default().to_owned();
        DocumentError::NotAnObject { field, name }
    }
}

/// Writes a value as the dialect previews it: `{a=1, b=[x, y]}`.
pub(super) fn preview(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(preview).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(entries) => {
            let entry = |(key, value): (&String, &Value)| format!("{key}={}", preview(value));
            let entries: Vec<String> = entries.iter().map(entry).collect();
            format!("{{{}}}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

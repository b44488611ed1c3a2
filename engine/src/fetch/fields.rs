//! `fields`: values taken from `_source` by path, as the mapping reads them.

use gleaner_model::{FieldKind, FieldPath, NumberKind};
use gleaner_query::date::DateFormatter;
use gleaner_query::search::FieldFormat;
use gleaner_query::source::values_at;
use indexmap::IndexMap;
use serde_json::Value;

use super::doc_values::Format;
use crate::aggregate::bounds;
use crate::error::EngineError;
use crate::view::View;

/// Fields to show.
pub(super) struct Plan {
    fields: Vec<FieldPlan>,
}

struct FieldPlan {
    path: FieldPath,
    /// Where its values stand in `_source`: for a multi-field its parent.
    source_path: FieldPath,
    kind: FieldKind,
    format: Format,
    /// Reads dates.
    dates: Option<DateFormatter>,
}

impl Plan {
    pub(super) fn new(view: &View, asked: &[FieldFormat]) -> Result<Self, EngineError> {
        let mapping = view.mapping();
        let mut fields = Vec::new();
        for FieldFormat {
            field: pattern,
            format,
        } in asked
        {
            for (path, field) in mapping.matching(pattern) {
                if matches!(field.kind, FieldKind::Object { .. }) {
                    continue;
                }
                let format = Format::new(&field.kind, format.as_deref())?;
                let source_path = source_path(path, field.is_multi_field);
                let kind = field.kind.clone();
                let dates = match &kind {
                    FieldKind::Date { format, .. } => Some(bounds::formatter(Some(&format.0))?),
                    _ => None,
                };
                fields.push(FieldPlan {
                    path: path.clone(),
                    source_path,
                    kind,
                    format,
                    dates,
                });
            }
        }
        Ok(Self { fields })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Adds the values of a document; fields without any are left out, nulls too.
    pub(super) fn read(&self, source: &Value, shown: &mut IndexMap<String, Vec<Value>>) {
        for field in &self.fields {
            let values = values_at(source, field.source_path.as_str());
            let values: Vec<Value> = values.into_iter().filter_map(|v| field.shown(v)).collect();
            if !values.is_empty() {
                shown.insert(field.path.to_string(), values);
            }
        }
    }
}

impl FieldPlan {
    fn shown(&self, value: &Value) -> Option<Value> {
        match (&self.kind, value) {
            (_, Value::Null) => None,
            (FieldKind::Date { .. }, value) => {
                // Numbers are read as their text is, as when they were indexed.
                let text = text_of(value);
                let ms = self.dates.as_ref()?.parse(&text).ok();
                let ms = ms.or_else(|| text.parse().ok())?;
                Some(self.format.date(ms))
            }
            (FieldKind::Number { number, .. }, Value::String(text)) => number_of(*number, text),
            (FieldKind::Boolean { .. }, Value::String(text)) => match text.as_str() {
                "true" => Some(Value::Bool(true)),
                "false" | "" => Some(Value::Bool(false)),
                _ => None,
            },
            (FieldKind::Keyword { ignore_above, .. }, value) => {
                let text = text_of(value);
                let is_kept =
                    ignore_above.is_none_or(|limit| text.chars().count() <= limit as usize);
                is_kept.then_some(Value::String(text))
            }
            (FieldKind::Text { .. }, value) => Some(Value::String(text_of(value))),
            (_, value) => Some(value.clone()),
        }
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A number given as text.
fn number_of(kind: NumberKind, text: &str) -> Option<Value> {
    match kind {
        NumberKind::UnsignedLong => text.parse::<u64>().ok().map(Value::from),
        kind if kind.is_integral() => text.parse::<i64>().ok().map(Value::from),
        _ => text.parse::<f64>().ok().map(Value::from),
    }
}

/// Returns where the values of a field stand in `_source`.
pub(super) fn source_path(path: &FieldPath, is_multi_field: bool) -> FieldPath {
    match path.as_str().rsplit_once('.') {
        Some((parent, _)) if is_multi_field => FieldPath::new(parent),
        _ => path.clone(),
    }
}

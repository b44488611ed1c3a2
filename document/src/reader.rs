//! Single values of one field, read from parsed JSON as the walk reads them from bytes.
//!
//! Does not: follow multi-fields or `copy_to`; who asks knows where a field's values stand. Called by
//! `fetch`, to show of `_source` what the index holds.

use std::borrow::Cow;

use gleaner_analysis::{AnalyzerRegistry, Meter};
use gleaner_model::{Field, FieldKind};
use gleaner_query::encoded::Reading;
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

    /// Returns by whose rules the index took values of the field.
    pub fn reading(&self) -> Reading {
        self.leaf.reading_as(Reading::Taken)
    }

    /// Returns what the index takes for `value`, for `null` what stands for it; `None` where nothing
    /// is indexed.
    pub fn read<'a>(&self, value: &'a Value) -> Option<FieldValue<'a>> {
        if value.is_null() {
            return self.leaf.null.clone();
        }
        let scalar = scalar_of(value)?;
        let meter = Meter::for_document();
        let read = self.leaf.read(&scalar, Reading::Taken, &meter);
        read.ok().flatten()
    }

    /// Returns whether the index leaves out `value` and counts its field among the `_ignored` ones. A list is
    /// looked at as one value.
    pub fn ignores(&self, value: &Value) -> bool {
        let leaf = &self.leaf;
        if value.is_null() {
            return false;
        }
        if let Some(read) = leaf.read_json(value, Reading::Taken) {
            return read.is_err() && leaf.ignores_malformed();
        }
        let Some(scalar) = scalar_of(value) else {
            return leaf.ignores_malformed();
        };
        match leaf.read(&scalar, Reading::Taken, &Meter::for_document()) {
            Ok(Some(_)) => false,
            // An empty text is no number, and none was ignored.
            Ok(None) => matches!(leaf.kind, FieldKind::Keyword { .. } | FieldKind::Completion),
            Err(_) => leaf.ignores_malformed(),
        }
    }
}

fn scalar_of(value: &Value) -> Option<Scalar<'_>> {
    match value {
        Value::Bool(value) => Some(Scalar::Bool(*value)),
        Value::Number(number) => number_of(number),
        Value::String(text) => Some(Scalar::Text(Cow::Borrowed(text))),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn number_of(number: &Number) -> Option<Scalar<'static>> {
    let integer = number.as_i64().map(Scalar::I64);
    integer
        .or_else(|| number.as_u64().map(Scalar::U64))
        .or_else(|| number.as_f64().map(Scalar::F64))
}

#[cfg(test)]
mod tests {
    use gleaner_query::mapping::{MappingRules, parse_mapping};
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_document_may_have_and_the_index_leaves_out_is_ignored() {
        for (declared, kept, ignored) in [
            (
                json!({"type": "keyword", "ignore_above": 3}),
                json!(["abc", 123, "", null]),
                json!(["abcd", 1234, false]),
            ),
            (
                json!({"type": "long", "ignore_malformed": true}),
                json!([1, "1", "", null]),
                json!(["one", true, {"n": 1}]),
            ),
            (
                json!({"type": "date", "format": "yyyy-MM-dd", "ignore_malformed": true}),
                json!(["2020-02-01"]),
                json!(["2020", 1_580_515_200_000_i64]),
            ),
            (
                json!({"type": "geo_point", "ignore_malformed": true}),
                json!(["1,2", {"lat": 1, "lon": 2}, [1, 2]]),
                json!(["nowhere", {"lat": 100, "lon": 2}, {}]),
            ),
            (json!({"type": "text"}), json!(["abcd", 1]), json!([])),
        ] {
            let mapping = json!({"properties": {"f": declared}});
            let mapping = parse_mapping(&mapping, None, &MappingRules::default());
            let mapping = mapping.expect("a good mapping");
            let field = mapping.field("f").expect("it is declared");
            let reader = FieldReader::new(field, &AnalyzerRegistry::builtin());
            let ignores = |value: &Value| reader.ignores(value);
            let listed = |values: &Value| values.as_array().cloned().unwrap_or_default();
            assert!(!listed(&kept).iter().any(ignores), "{declared}");
            assert!(listed(&ignored).iter().all(ignores), "{declared}");
        }
    }
}

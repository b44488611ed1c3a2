//! The texts of a document that a field is indexed with.
//!
//! Does: reads them from its `_source` as a shard does when it indexes the document: values copied from other fields,
//! `null_value`, `ignore_above`. Does not: analyze them. Called by: [`crate::term_vectors`] and queries that are made of
//! a document's words. Read first: [`texts_of`].

use gleaner_model::{FieldKind, FieldPath, Mapping};
use gleaner_query::json::scalar_text;
use gleaner_query::source::values_at;
use serde_json::Value;

/// Returns the texts that the field of `mapping` at `path` is indexed with, of a document with this `_source`: its own
/// values, and those that are copied to it.
pub(crate) fn texts_of(mapping: &Mapping, path: &FieldPath, source: &Value) -> Vec<String> {
    let Some((path, field)) = mapping.resolved(path.as_str()) else {
        return Vec::new();
    };
    let own = FieldPath::new(mapping.fed_from(path.as_str()));
    let fields = mapping.fields.iter();
    let copied = fields.filter(|(_, field)| field.copy_to.contains(&own));
    let paths = std::iter::once(&own).chain(copied.map(|(from, _)| from));
    let (null_value, ignore_above) = match &field.kind {
        FieldKind::Keyword {
            null_value,
            ignore_above,
            ..
        } => (null_value.as_ref(), *ignore_above),
        _ => (None, None),
    };
    let is_kept = |text: &String| {
        let most = ignore_above.map_or(usize::MAX, |most| most as usize);
        text.chars().count() <= most
    };
    let text_of = |value: &Value| match value {
        Value::Null => null_value.cloned(),
        value => scalar_text(value),
    };
    let values = paths.flat_map(|path| values_at(source, path.as_str()));
    values.filter_map(text_of).filter(is_kept).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::index;

    #[test]
    fn texts_are_those_that_a_shard_indexes() {
        let short = json!({"type": "keyword", "ignore_above": 3});
        let mapping = json!({"properties": {
            "title": {"type": "text", "copy_to": "all", "fields": {"short": short}},
            "tag": {"type": "keyword", "null_value": "none", "copy_to": ["all"]},
            "all": {"type": "text"},
        }});
        let index = index(1, &mapping);
        let source = json!({"title": ["one", "three"], "tag": ["b", null], "all": 7});
        for (path, expected) in [
            ("title", vec!["one", "three"]),
            ("title.short", vec!["one"]),
            ("tag", vec!["b", "none"]),
            ("all", vec!["7", "b", "one", "three"]),
            ("unknown", vec![]),
        ] {
            let texts = texts_of(&index.mapping, &FieldPath::new(path), &source);
            assert_eq!(texts, expected, "{path}");
        }
    }
}

//! `index.sort.*`: the order in which documents of an index are to lie.
//!
//! Does: check it, by itself and against the mapping. Does not: lay them so. Answers are the same: they are in the order
//! that a search asks for, and equal hits in that of the hashes of their ids.
//! Source: Elasticsearch reference, *Index Sorting*; `IndexSortConfig`.

use gleaner_model::{FieldKind, IndexSettings, Mapping};
use serde_json::{Map, Value};

use super::given::GivenSetting;
use super::wrong;
use crate::error::QueryError;

/// What is sorted by.
const FIELD: &str = "index.sort.field";

/// What may be said of each field, with its values.
const OF_FIELDS: [(&str, [&str; 2]); 3] = [
    ("index.sort.order", ["asc", "desc"]),
    ("index.sort.mode", ["min", "max"]),
    ("index.sort.missing", ["_last", "_first"]),
];

/// Checks one of the settings by itself.
///
/// # Errors
/// `illegal_argument_exception` naming a value that is none.
pub(super) fn check(given: &GivenSetting) -> Result<(), QueryError> {
    let texts = given.texts()?;
    let Some((name, allowed)) = OF_FIELDS.iter().find(|(name, _)| *name == given.key) else {
        return Ok(());
    };
    let is_none = |text: &&String| !allowed.contains(&text.as_str());
    match texts.iter().find(is_none) {
        None => Ok(()),
        Some(text) => Err(wrong(format!(
            "Illegal value [{text}] of [{name}], must be one of [{}]",
            allowed.join(", ")
        ))),
    }
}

/// Checks that as much is said of fields as there are.
///
/// # Errors
/// `illegal_argument_exception` with both.
pub(super) fn check_group(entries: &Map<String, Value>) -> Result<(), QueryError> {
    let fields = values(entries, FIELD)?.unwrap_or_default();
    for (name, _) in OF_FIELDS {
        if let Some(values) = values(entries, name)?.filter(|values| values.len() != fields.len()) {
            return Err(wrong(format!(
                "{FIELD}:[{}] {name}:[{}], size mismatch",
                fields.join(", "),
                values.join(", ")
            )));
        }
    }
    Ok(())
}

/// Refuses fields that an index cannot be sorted by: it is created with all of them, and they have columns.
///
/// # Errors
/// `illegal_argument_exception` naming the field.
pub(super) fn check_fields(settings: &IndexSettings, mapping: &Mapping) -> Result<(), QueryError> {
    for name in values(&settings.declared, FIELD)?.unwrap_or_default() {
        let Some(field) = mapping.fields.get(name.as_str()) else {
            return Err(wrong(format!("unknown index sort field:[{name}]")));
        };
        let is_of_numbers = |kind: &FieldKind| match kind {
            FieldKind::Number { number, .. } => number.positive_score_impact().is_none(),
            FieldKind::Boolean { .. } | FieldKind::Date { .. } => true,
            _ => false,
        };
        match &field.kind {
            FieldKind::Alias { .. } => {
                return Err(wrong(format!(
                    "Cannot use alias [{name}] as an index sort field"
                )));
            }
            FieldKind::Keyword { family, .. } if family.is_keyword() => {}
            kind if is_of_numbers(kind) => {}
            _ => return Err(wrong(format!("invalid index sort field:[{name}]"))),
        }
        if !field.kind.has_doc_values() {
            return Err(wrong(format!(
                "docvalues not found for index sort field:[{name}]"
            )));
        }
    }
    Ok(())
}

/// Returns the values of a setting; `None` where it is not given.
fn values(entries: &Map<String, Value>, key: &str) -> Result<Option<Vec<String>>, QueryError> {
    let value = entries.get(key).filter(|value| !value.is_null());
    let texts = value.map(|value| GivenSetting { key, value }.texts());
    texts.transpose()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::limits::Limits;
    use crate::settings::parse_create_index;

    fn created(sort: &Value) -> Result<(), String> {
        let body = json!({
            "settings": {"index": {"sort": sort}},
            "mappings": {"properties": {
                "at": {"type": "date"},
                "tag": {"type": "keyword"},
                "text": {"type": "text"},
                "bare": {"type": "long", "doc_values": false},
                "other": {"type": "alias", "path": "at"},
            }},
        });
        let created = parse_create_index(&body, &Limits::default());
        created.map(drop).map_err(|error| error.reason)
    }

    #[test]
    fn an_order_is_of_fields_with_columns() {
        for sort in [
            json!({"field": "at"}),
            json!({"field": ["at", "tag"], "order": ["desc", "asc"], "missing": ["_first", "_last"]}),
            json!({"field": "at", "order": "asc", "mode": "max"}),
        ] {
            assert_eq!(created(&sort), Ok(()), "{sort}");
        }
        for (sort, reason) in [
            (json!({"field": "none"}), "unknown index sort field:[none]"),
            (json!({"field": "text"}), "invalid index sort field:[text]"),
            (
                json!({"field": "bare"}),
                "docvalues not found for index sort field:[bare]",
            ),
            (
                json!({"field": "other"}),
                "Cannot use alias [other] as an index sort field",
            ),
            (
                json!({"field": "at", "order": ["asc", "desc"]}),
                "index.sort.field:[at] index.sort.order:[asc, desc], size mismatch",
            ),
            (
                json!({"order": "asc"}),
                "index.sort.field:[] index.sort.order:[asc], size mismatch",
            ),
            (
                json!({"field": "at", "mode": "sum"}),
                "Illegal value [sum] of [index.sort.mode], must be one of [min, max]",
            ),
        ] {
            assert_eq!(created(&sort), Err(reason.to_owned()), "{sort}");
        }
    }

    #[test]
    fn a_sorted_index_has_no_nested_objects() {
        let body = json!({
            "settings": {"index.sort.field": "at"},
            "mappings": {"properties": {"at": {"type": "date"}, "n": {"type": "nested"}}},
        });
        let refused = parse_create_index(&body, &Limits::default()).expect_err("refused");
        assert_eq!(
            refused.reason,
            "cannot have nested fields when index sort is activated"
        );
    }
}

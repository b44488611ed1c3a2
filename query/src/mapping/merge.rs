//! New declarations into the mapping in force, by Elasticsearch's rules: types and what shapes the
//! index cannot change; fields may be added; the rest is replaced.

use gleaner_model::mapping::{Codec, Included, KeywordKind, Resolution};
use gleaner_model::{DateFormat, Field, FieldKind, FieldPath, Mapping, MappingVersion, NumberKind};
use serde_json::{Map, Value};

use super::is_stored;
use super::properties::Draft;
use crate::error::QueryError;
use crate::json::scalar_text;

/// The type of texts that are matched and not scored.
pub(super) const MATCH_ONLY_TEXT: &str = "match_only_text";

/// Merges `drafts` in order; new fields come with version `since`.
pub(super) fn into(
    mapping: &mut Mapping,
    drafts: Vec<Draft>,
    since: MappingVersion,
) -> Result<(), QueryError> {
    let mut next = mapping.next_ordinal();
    for draft in drafts {
        let path = FieldPath::new(draft.path.as_str());
        match mapping.fields.get_mut(&path) {
            Some(field) => merge(field, draft)?,
            None => {
                mapping.fields.insert(path, number(draft, next, since));
                next += 1;
            }
        }
    }
    Ok(())
}

/// Gives a new field its ordinal.
pub(super) fn number(draft: Draft, ordinal: u32, since: MappingVersion) -> Field {
    Field {
        ordinal,
        since,
        kind: draft.kind,
        is_multi_field: draft.is_multi_field,
        copy_to: draft.copy_to,
        declared: draft.declared,
    }
}

fn merge(field: &mut Field, mut draft: Draft) -> Result<(), QueryError> {
    keep_resolution(&field.kind, &mut draft);
    let path = &draft.path;
    match (&mut field.kind, &draft.kind) {
        (
            FieldKind::Object {
                dynamic,
                enabled,
                nested,
                included,
            },
            FieldKind::Object {
                dynamic: new,
                nested: is_nested,
                included: wanted,
                ..
            },
        ) => {
            if nested != is_nested {
                let kind = |nested: bool| if nested { "a nested" } else { "a non nested" };
                return Err(objects(path, kind(*nested), kind(*is_nested)));
            }
            check_included(path, *included, *wanted)?;
            if let Some(FieldKind::Object {
                enabled: wanted, ..
            }) = draft
                .declared
                .contains_key("enabled")
                .then_some(&draft.kind)
                && wanted != enabled
            {
                return Err(QueryError::illegal(format!(
                    "the [enabled] parameter can't be updated for the object mapping [{path}]"
                )));
            }
            *dynamic = new.or(*dynamic);
            field.declared.extend(draft.declared);
            return Ok(());
        }
        (FieldKind::Object { .. }, _) => return Err(objects(path, "an object", "a non object")),
        (_, FieldKind::Object { .. }) => return Err(objects(path, "a non object", "an object")),
        _ => {}
    }
    let old = type_of(&field.kind, &field.declared);
    let new = type_of(&draft.kind, &draft.declared);
    if old != new || field.is_multi_field != draft.is_multi_field {
        return Err(QueryError::illegal(format!(
            "mapper [{path}] cannot be changed from type [{old}] to [{new}]"
        )));
    }
    let (mut old, mut new) = (fixed(&field.kind), fixed(&draft.kind));
    old.extend(fixed_as_declared(&field.kind, &field.declared));
    new.extend(fixed_as_declared(&draft.kind, &draft.declared));
    if !has_norms(&field.declared) {
        // The other way is allowed.
        old.push(("norms", "false".to_owned()));
        new.push(("norms", has_norms(&draft.declared).to_string()));
    }
    let pairs = old.into_iter().zip(new);
    let sets_value = field.kind.lacks_value();
    let conflicts: Vec<String> = pairs
        .filter(|((name, old), (_, new))| old != new && !(sets_value && *name == "value"))
        .map(|((name, old), (_, new))| {
            let from = shown_value(name, &old, &field.declared, &field.kind);
            let to = shown_value(name, &new, &draft.declared, &draft.kind);
            format!("\n\tCannot update parameter [{name}] from [{from}] to [{to}]")
        })
        .collect();
    if !conflicts.is_empty() {
        return Err(QueryError::illegal(format!(
            "Mapper for [{path}] conflicts with existing mapper:{}",
            conflicts.concat()
        )));
    }
    field.kind = draft.kind;
    field.copy_to = draft.copy_to;
    field.declared = draft.declared;
    Ok(())
}

/// A `date_nanos` of an earlier version goes on counting milliseconds.
fn keep_resolution(old: &FieldKind, draft: &mut Draft) {
    if let FieldKind::Date {
        resolution: old @ Resolution::MillisOfNanos,
        ..
    } = old
        && let FieldKind::Date {
            resolution, format, ..
        } = &mut draft.kind
        && resolution.is_nanos()
    {
        if !draft.declared.contains_key("format") {
            *format = DateFormat(old.default_format().to_owned());
        }
        *resolution = *old;
    }
}

/// Refuses to change which documents have the values of a nested object: those that are there would not follow.
fn check_included(path: &str, old: Included, new: Included) -> Result<(), QueryError> {
    let parameter = match (
        old.in_parent() == new.in_parent(),
        old.in_root() == new.in_root(),
    ) {
        (true, true) => return Ok(()),
        (false, _) => "include_in_parent",
        (true, false) => "include_in_root",
    };
    Err(QueryError::illegal(format!(
        "the [{parameter}] parameter can't be updated on a nested object mapping [{path}]"
    )))
}

fn objects(path: &str, old: &str, new: &str) -> QueryError {
    QueryError::illegal(format!(
        "can't merge {old} mapping [{path}] with {new} mapping"
    ))
}

/// Returns the type as declared; that of its kind where a type brings the field, which nobody declares then.
fn type_of<'a>(kind: &FieldKind, declared: &'a Map<String, Value>) -> &'a str {
    let declared = declared.get("type").and_then(Value::as_str);
    declared.unwrap_or_else(|| kind.type_name())
}

/// Returns the value of a parameter as a conflict shows it: the analyzer of a text that names none is the index's,
/// whatever it is.
fn shown_value<'v>(
    name: &str,
    value: &'v str,
    declared: &Map<String, Value>,
    kind: &FieldKind,
) -> &'v str {
    let is_implied = name == "analyzer"
        && matches!(kind, FieldKind::Text { .. })
        && declared.get("analyzer").is_none_or(Value::is_null);
    if is_implied { "default" } else { value }
}

/// Returns a number as text, the same for 5 and 5.0: earlier versions stored all as fractions.
fn number_text(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(fraction) if number.is_f64() => fraction.to_string(),
        _ => number.to_string(),
    }
}

/// Does the length of a field count in scores?
pub(crate) fn has_norms(declared: &Map<String, Value>) -> bool {
    declared.get("norms") != Some(&Value::Bool(false)) && !is_match_only(declared)
}

/// Is the field a `match_only_text`, of which all matches score the same?
pub fn is_match_only(declared: &Map<String, Value>) -> bool {
    let name = declared.get("type");
    name.is_some_and(|name| name == MATCH_ONLY_TEXT)
}

/// Does the index know where in a field its words stand?
pub fn has_positions(declared: &Map<String, Value>) -> bool {
    !matches!(index_options(declared), Some("docs" | "freqs"))
}

/// Does the index know how often a word stands in a field?
pub fn has_frequencies(declared: &Map<String, Value>) -> bool {
    index_options(declared) != Some("docs")
}

fn index_options(declared: &Map<String, Value>) -> Option<&str> {
    declared.get("index_options").and_then(Value::as_str)
}

/// Returns the parameters that cannot change and are kept as they were declared, with their values as
/// text.
fn fixed_as_declared(
    kind: &FieldKind,
    declared: &Map<String, Value>,
) -> Vec<(&'static str, String)> {
    let text = |name: &str, default: &str| {
        let value = declared.get(name).and_then(scalar_text);
        value.unwrap_or_else(|| default.to_owned())
    };
    let mut list = vec![
        ("store", is_stored(declared).to_string()),
        ("similarity", text("similarity", "null")),
    ];
    match kind {
        FieldKind::Text { .. } => {
            list.push(("index_options", text("index_options", "positions")));
        }
        FieldKind::Keyword { .. } => list.push(("index_options", text("index_options", "docs"))),
        _ => {}
    }
    if kind.is_of_points() {
        let given = declared.get("null_value").filter(|value| !value.is_null());
        let given = given.map_or_else(|| "null".to_owned(), Value::to_string);
        list.push(("null_value", given));
    }
    if *kind == FieldKind::Completion {
        list.extend([
            ("analyzer", text("analyzer", "simple")),
            ("preserve_separators", text("preserve_separators", "true")),
            (
                "preserve_position_increments",
                text("preserve_position_increments", "true"),
            ),
        ]);
    }
    list
}

/// Returns the parameters that cannot change, with their values as text; the list depends on the
/// type only.
fn fixed(kind: &FieldKind) -> Vec<(&'static str, String)> {
    let shown = |value: Option<String>| value.unwrap_or_else(|| "null".to_owned());
    let mut list = vec![
        ("index", kind.is_indexed().to_string()),
        ("doc_values", kind.has_doc_values().to_string()),
    ];
    match kind {
        FieldKind::Text {
            analyzer,
            fielddata,
            ..
        } => {
            list.push(("analyzer", analyzer.clone()));
            // The column is made when documents are written.
            list.push(("fielddata", fielddata.to_string()));
        }
        FieldKind::Keyword {
            family,
            normalizer,
            null_value,
            ..
        } => {
            match family {
                KeywordKind::Constant(value) => list.push(("value", value.clone())),
                KeywordKind::Unset => list.push(("value", shown(None))),
                _ => {}
            }
            list.push(("normalizer", shown(normalizer.clone())));
            list.push(("null_value", shown(null_value.clone())));
        }
        FieldKind::Number {
            number, null_value, ..
        } => {
            if let NumberKind::ScaledFloat { factor } = number {
                list.push(("scaling_factor", factor.to_string()));
            }
            if let NumberKind::TokenCount { counts_gaps } = number {
                list.push(("enable_position_increments", counts_gaps.to_string()));
            }
            if let Some(is_positive) = number.positive_score_impact() {
                list.push(("positive_score_impact", is_positive.to_string()));
            }
            list.push(("null_value", shown(null_value.as_ref().map(number_text))));
        }
        FieldKind::Boolean { null_value, .. } => {
            list.push(("null_value", shown(null_value.map(|b| b.to_string()))));
        }
        FieldKind::Date {
            format, null_value, ..
        } => {
            list.push(("format", format.0.clone()));
            list.push(("null_value", shown(null_value.clone())));
        }
        FieldKind::Ip { null_value, .. } => {
            list.push(("null_value", shown(null_value.clone())));
        }
        FieldKind::Encoded { codec, .. } => {
            if let Codec::DateRange(format) = codec {
                list.push(("format", format.0.clone()));
            }
        }
        FieldKind::Object { .. }
        | FieldKind::Alias { .. }
        | FieldKind::Completion
        | FieldKind::Binary { .. } => {}
    }
    list
}

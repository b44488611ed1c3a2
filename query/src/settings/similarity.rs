//! `index.similarity.*`: similarities by name, each BM25 with numbers of its own, and the fields that
//! name them.
//!
//! They are read where they are declared, whenever a query is resolved: so the numbers of a field are
//! those of the settings that are in force, and nothing else has to be kept.

use gleaner_model::{Field, FieldKind, IndexSettings, Mapping};
use serde_json::{Map, Value};

use super::given::GivenSetting;
use super::wrong;
use crate::error::QueryError;
use crate::mapping::has_norms;
use crate::resolved::{Bm25, Clause, Similarities, StatisticsRequest};

/// Prefix of their settings.
pub(super) const PREFIX: &str = "index.similarity.";

/// The one that needs no definition, and the only type.
const BM25: &str = "BM25";

/// The one that scores fields which name none, where it is defined.
const DEFAULT: &str = "default";

/// Types of the dialect that are not there.
const OTHER_TYPES: [&str; 7] = [
    "boolean",
    "DFR",
    "DFI",
    "IB",
    "LMDirichlet",
    "LMJelinekMercer",
    "scripted",
];

/// What a similarity of type BM25 may say.
const PARAMETERS: [&str; 4] = ["type", "k1", "b", "discount_overlaps"];

/// Returns the name of a similarity and what is set of it.
fn parts(key: &str) -> Option<(&str, &str)> {
    key.strip_prefix(PREFIX)?.split_once('.')
}

/// Checks one setting of a similarity.
///
/// # Errors
/// `illegal_argument_exception` saying what was given and what is allowed.
pub(super) fn check(given: &GivenSetting) -> Result<(), QueryError> {
    let Some((name, parameter)) = parts(given.key) else {
        return Err(wrong(format!(
            "Failed to get setting group for [{PREFIX}] setting prefix and setting [{}] because of \
             a missing '.'",
            given.key
        )));
    };
    let text = given.text()?;
    let only = |wanted: &str| {
        let GivenSetting { key, .. } = given;
        Err(wrong(format!(
            "setting [{key}] of [{text}] is not supported, only [{wanted}] is"
        )))
    };
    match parameter {
        "type" if OTHER_TYPES.contains(&text.as_str()) => only(BM25),
        "type" if text != BM25 => Err(wrong(format!(
            "Unknown Similarity type [{text}] for [{name}]"
        ))),
        "k1" if !Bm25::is_k1(number(parameter, &text)?) => Err(wrong(format!(
            "illegal k1 value: {}, must be a non-negative finite value",
            shown(&text)
        ))),
        "b" if !Bm25::is_b(number(parameter, &text)?) => Err(wrong(format!(
            "illegal b value: {}, must be between 0 and 1",
            shown(&text)
        ))),
        "discount_overlaps" if text != "true" => only("true"),
        // What no similarity has is found with the type.
        _ => Ok(()),
    }
}

fn number(parameter: &str, text: &str) -> Result<f64, QueryError> {
    text.parse().map_err(|_| {
        wrong(format!(
            "Failed to parse float setting [{parameter}] with value [{text}]"
        ))
    })
}

/// Returns a number as Java shows a float.
fn shown(text: &str) -> String {
    let number = text.parse::<f32>().unwrap_or(f32::NAN);
    format!("{number:?}").replace("inf", "Infinity")
}

/// Checks that what is given defines none of the built-in ones anew.
///
/// # Errors
/// `illegal_argument_exception` naming it.
pub(super) fn check_names(given: &Map<String, Value>) -> Result<(), QueryError> {
    let given = given.iter().filter(|(_, value)| !value.is_null());
    let mut names = given.filter_map(|(key, _)| Some(parts(key)?.0));
    match names.find(|name| *name == BM25 || OTHER_TYPES.contains(name)) {
        None => Ok(()),
        Some(name) => Err(wrong(format!(
            "illegal value for [{PREFIX}{name}] cannot redefine built-in similarity"
        ))),
    }
}

/// Checks that every similarity has a type, and nothing that its type has not.
///
/// # Errors
/// `illegal_argument_exception` naming the first.
pub(super) fn check_group(entries: &Map<String, Value>) -> Result<(), QueryError> {
    let given = || entries.iter().filter(|(_, value)| !value.is_null());
    let has = |key: String| given().any(|(given, _)| *given == key);
    let parts = || given().filter_map(|(key, _)| parts(key));
    for (name, _) in parts() {
        if !has(format!("{PREFIX}{name}.type")) {
            return Err(wrong(format!(
                "Similarity [{name}] must have an associated type"
            )));
        }
        let of_name = parts().filter(|(other, _)| *other == name);
        let unknown: Vec<&str> = of_name
            .map(|(_, parameter)| parameter)
            .filter(|parameter| !PARAMETERS.contains(parameter))
            .collect();
        if !unknown.is_empty() {
            return Err(wrong(format!(
                "Unknown settings for similarity of type [{BM25}]: [{}]",
                unknown.join(", ")
            )));
        }
    }
    Ok(())
}

/// Returns whether fields of the index may name this similarity.
pub fn has_similarity(settings: &IndexSettings, name: &str) -> bool {
    let key = format!("{PREFIX}{name}.type");
    name == BM25 || settings.declared.contains_key(&key)
}

/// Returns whether a similarity that `before` has is gone in `after`.
pub fn loses_similarity(before: &IndexSettings, after: &IndexSettings) -> bool {
    let mut types = before.declared.keys().filter(|key| {
        let parts = parts(key);
        parts.is_some_and(|(_, parameter)| parameter == "type")
    });
    types.any(|key| !after.declared.contains_key(key))
}

/// Returns how an index scores those fields of `query` that have not the default similarity.
pub fn similarities(settings: &IndexSettings, mapping: &Mapping, query: &Clause) -> Similarities {
    let mut scored = StatisticsRequest::default();
    scored.collect(query);
    let of_counted = |field| {
        let known = mapping.fields.get(&field)?;
        let is_counted = known.kind.counts_occurrences();
        is_counted.then(|| (field, of_field(settings, known)))
    };
    scored.fields.into_keys().filter_map(of_counted).collect()
}

/// Returns the similarity of a field: the one that it names, else the index's default; without the length where the field
/// has no norms, as no `keyword` has.
fn of_field(settings: &IndexSettings, field: &Field) -> Bm25 {
    let similarity = named(settings, field);
    let has_length = matches!(field.kind, FieldKind::Text { .. }) && has_norms(&field.declared);
    let without_length = (!has_length).then(|| Bm25::new(similarity.k1(), 0.0));
    without_length.flatten().unwrap_or(similarity)
}

fn named(settings: &IndexSettings, field: &Field) -> Bm25 {
    let name = field.declared.get("similarity").and_then(Value::as_str);
    let name = name.unwrap_or(DEFAULT);
    // Nearly no index declares one, and each search asks.
    let declared = |key: &String| key.starts_with(PREFIX);
    if name == BM25 || !settings.declared.keys().any(declared) {
        return Bm25::DEFAULT;
    }
    let number = |parameter: &str, default: f64| {
        let declared = settings
            .declared
            .get(&format!("{PREFIX}{name}.{parameter}"));
        let declared = declared.and_then(Value::as_str);
        declared
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let default = Bm25::DEFAULT;
    let declared = Bm25::new(number("k1", default.k1()), number("b", default.b()));
    // They were checked when they were declared.
    declared.unwrap_or(default)
}

#[cfg(test)]
mod tests;

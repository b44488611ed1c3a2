//! The root's own keys: `dynamic`, `enabled`, detection, templates, `_source`, `_routing`, `_meta`.

use gleaner_model::Mapping;
use serde_json::{Map, Value};

use super::properties::{dynamic_name, read_dynamic};
use super::{Declaration, malformed, template};
use crate::date::DateFormatter;
use crate::error::QueryError;
use crate::source::kept_source;

/// Reads the root's keys into `mapping`, which was `existing` so far; `properties` is read elsewhere.
pub(super) fn apply(
    entries: &Map<String, Value>,
    declaration: Declaration,
    existing: Option<&Mapping>,
    mapping: &mut Mapping,
) -> Result<(), QueryError> {
    for (key, value) in entries {
        let kept = match key.as_str() {
            "properties" => continue,
            "dynamic" => {
                mapping.dynamic = read_dynamic(value)?;
                Value::from(dynamic_name(mapping.dynamic))
            }
            "enabled" => Value::from(flag(key, value)?),
            "date_detection" => {
                mapping.date_detection = flag(key, value)?;
                Value::from(mapping.date_detection)
            }
            "numeric_detection" => {
                mapping.numeric_detection = flag(key, value)?;
                Value::from(mapping.numeric_detection)
            }
            "dynamic_date_formats" => {
                mapping.dynamic_date_formats = formats(value)?;
                Value::from(mapping.dynamic_date_formats.clone())
            }
            "dynamic_templates" => {
                mapping.dynamic_templates = template::read_all(value, declaration)?;
                value.clone()
            }
            "_source" => {
                let (enabled, kept) = source(value)?;
                mapping.source_enabled = enabled;
                kept
            }
            "_routing" => {
                let (is_required, kept) = routing(value)?;
                mapping.routing_required = is_required;
                kept
            }
            "_meta" => {
                mapping.meta = Some(value.clone());
                value.clone()
            }
            _ => accepted(key, value)?,
        };
        mapping.declared.insert(key.clone(), kept);
    }
    match existing {
        Some(existing) => check_fixed(existing, mapping),
        None => Ok(()),
    }
}

/// Refuses to change what documents were written under.
fn check_fixed(old: &Mapping, new: &Mapping) -> Result<(), QueryError> {
    if old.is_enabled() != new.is_enabled() {
        return Err(QueryError::illegal(
            "the [enabled] parameter can't be updated for the object mapping [_doc]",
        ));
    }
    let (old_source, new_source) = (kept_source(old), kept_source(new));
    let list = |paths: &[String]| format!("[{}]", paths.join(", "));
    for (section, parameter, before, after) in [
        (
            "_routing",
            "required",
            old.routing_required.to_string(),
            new.routing_required.to_string(),
        ),
        (
            "_source",
            "enabled",
            old_source.enabled.to_string(),
            new_source.enabled.to_string(),
        ),
        (
            "_source",
            "includes",
            list(&old_source.includes),
            list(&new_source.includes),
        ),
        (
            "_source",
            "excludes",
            list(&old_source.excludes),
            list(&new_source.excludes),
        ),
    ] {
        if before != after {
            return Err(QueryError::illegal(format!(
                "Mapper for [{section}] conflicts with existing mapper:\n\tCannot update parameter \
                 [{parameter}] from [{before}] to [{after}]"
            )));
        }
    }
    Ok(())
}

/// Takes keys that ask for what is so anyway; refuses the rest.
fn accepted(key: &str, value: &Value) -> Result<Value, QueryError> {
    let is_empty = value.as_object().is_some_and(Map::is_empty);
    match key {
        "runtime" if is_empty => Ok(value.clone()),
        "_field_names" => Ok(value.clone()),
        "subobjects" if flag(key, value)? => Ok(Value::Bool(true)),
        "runtime" | "_size" | "subobjects" | "_data_stream_timestamp" => {
            Err(malformed(format!("[{key}] of a mapping is not supported")))
        }
        _ => Err(malformed(format!(
            "Root mapping definition has unsupported parameters:  [{key} : {value}]"
        ))),
    }
}

fn flag(key: &str, value: &Value) -> Result<bool, QueryError> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) if text == "true" => Ok(true),
        Value::String(text) if text == "false" => Ok(false),
        _ => Err(malformed(format!(
            "Failed to parse value of [{key}] as only [true] or [false] are allowed."
        ))),
    }
}

fn formats(value: &Value) -> Result<Vec<String>, QueryError> {
    let texts = match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect(),
        _ => None,
    };
    let texts =
        texts.ok_or_else(|| malformed("[dynamic_date_formats] must be a list of strings"))?;
    for text in &texts {
        DateFormatter::parse_pattern(text).map_err(|fault| malformed(fault.reason))?;
    }
    Ok(texts)
}

/// Reads `_source`: whether it is shown, and all that is said of it, with lists as such.
fn source(value: &Value) -> Result<(bool, Value), QueryError> {
    let mut kept = object("_source", value)?.clone();
    let mut enabled = true;
    for (key, value) in &mut kept {
        match key.as_str() {
            "enabled" => {
                enabled = flag(key, value)?;
                *value = Value::Bool(enabled);
            }
            "includes" | "excludes" => *value = paths(key, value)?,
            "mode" if *value == "stored" => {}
            "mode" => {
                return Err(malformed(format!(
                    "[_source.mode] of [{value}] is not supported"
                )));
            }
            "compress" | "compress_threshold" => {}
            _ => return Err(unknown("_source", key)),
        }
    }
    Ok((enabled, Value::Object(kept)))
}

/// Reads paths: a list, or a text with commas.
fn paths(key: &str, value: &Value) -> Result<Value, QueryError> {
    match value {
        Value::String(text) => {
            let paths = text.split(',').map(str::trim);
            Ok(paths.filter(|path| !path.is_empty()).collect())
        }
        Value::Array(items) if items.iter().all(Value::is_string) => Ok(value.clone()),
        _ => Err(malformed(format!(
            "[_source.{key}] must be a list of strings"
        ))),
    }
}

/// Reads `_routing`: whether each document must have a routing value, and all that is said of it.
fn routing(value: &Value) -> Result<(bool, Value), QueryError> {
    let mut kept = object("_routing", value)?.clone();
    let mut is_required = false;
    for (key, value) in &mut kept {
        match key.as_str() {
            "required" => {
                is_required = flag(key, value)?;
                *value = Value::Bool(is_required);
            }
            _ => return Err(unknown("_routing", key)),
        }
    }
    Ok((is_required, Value::Object(kept)))
}

fn object<'a>(key: &str, value: &'a Value) -> Result<&'a Map<String, Value>, QueryError> {
    value
        .as_object()
        .ok_or_else(|| malformed(format!("[{key}] config must be an object")))
}

fn unknown(section: &str, key: &str) -> QueryError {
    malformed(format!(
        "unknown parameter [{key}] on metadata field [{section}]"
    ))
}

//! The root's own keys: `dynamic`, detection, templates, `_source`, `_routing`, `_meta`.

use gleaner_model::Mapping;
use serde_json::{Map, Value};

use super::properties::{dynamic_name, read_dynamic};
use super::{malformed, template};
use crate::date::DateFormatter;
use crate::error::QueryError;

/// Reads the root's keys into `mapping`; `properties` is read elsewhere.
pub(super) fn apply(entries: &Map<String, Value>, mapping: &mut Mapping) -> Result<(), QueryError> {
    for (key, value) in entries {
        let kept = match key.as_str() {
            "properties" => continue,
            "dynamic" => {
                mapping.dynamic = read_dynamic(value)?;
                Value::from(dynamic_name(mapping.dynamic))
            }
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
                mapping.dynamic_templates = template::read_all(value)?;
                value.clone()
            }
            "_source" => source(value)?,
            "_routing" => {
                mapping.routing_required = routing(value)?;
                value.clone()
            }
            "_meta" => {
                mapping.meta = Some(value.clone());
                value.clone()
            }
            _ => accepted(key, value)?,
        };
        mapping.declared.insert(key.clone(), kept);
    }
    Ok(())
}

/// Takes keys that ask for what is so anyway; refuses the rest.
fn accepted(key: &str, value: &Value) -> Result<Value, QueryError> {
    let is_empty = value.as_object().is_some_and(Map::is_empty);
    match key {
        "runtime" if is_empty => Ok(value.clone()),
        "_field_names" => Ok(value.clone()),
        "enabled" | "subobjects" if flag(key, value)? => Ok(value.clone()),
        "runtime" | "_size" | "enabled" | "subobjects" | "_data_stream_timestamp" => {
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

/// Takes `_source` as long as all of it is kept.
fn source(value: &Value) -> Result<Value, QueryError> {
    let entries = object("_source", value)?;
    for (key, value) in entries {
        let is_kept = match key.as_str() {
            "enabled" => flag(key, value)?,
            "includes" | "excludes" => value.as_array().is_some_and(Vec::is_empty),
            "mode" => value == "stored",
            "compress" | "compress_threshold" => true,
            _ => return Err(unknown("_source", key)),
        };
        if !is_kept {
            return Err(malformed(format!(
                "[_source.{key}] of [{value}] is not supported: _source is always kept whole"
            )));
        }
    }
    Ok(value.clone())
}

fn routing(value: &Value) -> Result<bool, QueryError> {
    let mut is_required = false;
    for (key, value) in object("_routing", value)? {
        match key.as_str() {
            "required" => is_required = flag(key, value)?,
            _ => return Err(unknown("_routing", key)),
        }
    }
    Ok(is_required)
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

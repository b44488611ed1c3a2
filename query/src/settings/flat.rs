//! Settings between their two shapes: nested objects and dotted keys.

use serde_json::{Map, Value};

use super::wrong;
use crate::error::QueryError;
use crate::json::scalar_text;

/// Deepest nesting of settings.
const MAX_DEPTH: usize = 32;

/// Most settings of one body: each is held against the table of those that there are, and all of them are kept.
const MAX_SETTINGS: usize = 5_000;

/// Most keys with `*` among them: each is held against all settings that there are.
const MAX_PATTERNS: usize = 100;

/// Returns every setting under its dotted key, with `index.` in front; lists are values.
///
/// # Errors
/// `illegal_argument_exception` when `value` is no object, too deep, has too many settings, or gives a key twice.
pub(super) fn flatten(value: &Value) -> Result<Map<String, Value>, QueryError> {
    let mut flat = Map::new();
    match value {
        Value::Null => {}
        Value::Object(entries) => collect(entries, "", MAX_DEPTH, &mut flat)?,
        _ => return Err(wrong("key [settings] must be an object".to_owned())),
    }
    let num_patterns = flat.keys().filter(|key| key.contains('*')).count();
    if num_patterns > MAX_PATTERNS {
        return Err(wrong(format!(
            "there are [{num_patterns}] settings with `*`, more than [{MAX_PATTERNS}] in a request"
        )));
    }
    Ok(flat)
}

fn collect(
    entries: &Map<String, Value>,
    prefix: &str,
    levels_left: usize,
    flat: &mut Map<String, Value>,
) -> Result<(), QueryError> {
    let Some(levels_left) = levels_left.checked_sub(1) else {
        return Err(wrong(format!("settings are nested too deep at [{prefix}]")));
    };
    for (key, value) in entries {
        let path = if prefix.is_empty() {
            key.clone()
        } else {
            format!("{prefix}.{key}")
        };
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                collect(inner, &path, levels_left, flat)?;
            }
            Value::Object(_) if !path.contains("analysis.") => {}
            _ => {
                let path = with_index(path);
                if flat.contains_key(&path) {
                    return Err(wrong(format!("duplicate settings key [{path}] found")));
                }
                if flat.len() == MAX_SETTINGS {
                    return Err(wrong(format!(
                        "there are more settings than [{MAX_SETTINGS}] in a request"
                    )));
                }
                flat.insert(path, value.clone());
            }
        }
    }
    Ok(())
}

fn with_index(path: String) -> String {
    if path.starts_with("index.") {
        path
    } else {
        format!("index.{path}")
    }
}

/// Returns the settings below `prefix` as a tree.
///
/// # Errors
/// `illegal_argument_exception` where a key is both a value and a prefix of others.
pub(super) fn nest(flat: &Map<String, Value>, prefix: &str) -> Result<Value, QueryError> {
    let mut tree = Map::new();
    for (key, value) in flat {
        let Some(path) = key.strip_prefix(prefix).filter(|_| !value.is_null()) else {
            continue;
        };
        let conflict = || wrong(format!("setting [{key}] conflicts with a setting above it"));
        let mut at = &mut tree;
        let mut parts = path.split('.').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                if at.contains_key(part) {
                    return Err(conflict());
                }
                at.insert(part.to_owned(), value.clone());
                break;
            }
            let inner = at
                .entry(part)
                .or_insert_with(|| Value::Object(Map::new()))
                .as_object_mut();
            at = inner.ok_or_else(conflict)?;
        }
    }
    Ok(Value::Object(tree))
}

/// Puts the leaves of `added` over those of `base`.
pub(super) fn overlay(base: &mut Value, added: &Value) {
    match (base, added) {
        (Value::Object(base), Value::Object(added)) => {
            for (key, value) in added {
                overlay(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, added) => *base = added.clone(),
    }
}

/// Takes the value at a dotted path out of a tree, with the objects that this leaves empty; returns
/// whether it was there. An object with settings below it is no value.
pub(super) fn remove(tree: &mut Value, path: &str) -> bool {
    let Value::Object(entries) = tree else {
        return false;
    };
    let is_empty = |value: &Value| value.as_object().is_some_and(Map::is_empty);
    let Some((name, below)) = path.split_once('.') else {
        let is_value = |value: &Value| !value.is_object() || is_empty(value);
        return entries.get(path).is_some_and(is_value) && entries.shift_remove(path).is_some();
    };
    let Some(inner) = entries.get_mut(name) else {
        return false;
    };
    let is_removed = remove(inner, below);
    if is_removed && is_empty(inner) {
        entries.shift_remove(name);
    }
    is_removed
}

/// Returns a value as the dialect echoes it: scalars are text.
pub(super) fn shown(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(shown).collect(),
        _ => scalar_text(value).map_or_else(|| value.clone(), Value::from),
    }
}

//! Settings and aliases of an index as they are shown.

use std::collections::BTreeMap;

use gleaner_model::mapping::matches_pattern;
use gleaner_model::{Alias, ClusterState, DataStream, IndexMeta, IndexName, IndexSettings};
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::render::units::date_text;
use crate::render::uuid_text;

/// Version that `index.version.created` tells, as the dialect numbers it, and for people.
const CREATED_VERSION: [&str; 2] = ["8190099", "8.19.0"];

/// Adds `settings` and, when asked for, `defaults` to the object of an index; `names` filters. For people
/// there are a date and a version that can be read.
pub(in crate::routes) fn shown_settings(
    index: &IndexMeta,
    parameters: &Parameters,
    names: Option<&[String]>,
    object: &mut Map<String, Value>,
) -> Result<(), ApiError> {
    let is_flat = parameters.is_set("flat_settings")?;
    let is_named = |key: &str| {
        names.is_none_or(|names| {
            names
                .iter()
                .any(|name| name == "_all" || matches_pattern(name, key))
        })
    };
    let shaped = |flat: Map<String, Value>| {
        let kept: Map<String, Value> = flat.into_iter().filter(|(key, _)| is_named(key)).collect();
        if is_flat {
            Value::Object(kept)
        } else {
            nested_settings(&kept)
        }
    };
    let mut declared = declared(index);
    if parameters.is_set("human")? {
        declared.insert(
            "index.creation_date_string".to_owned(),
            date_text(index.created_ms).into(),
        );
        let version = CREATED_VERSION[1].into();
        declared.insert("index.version.created_string".to_owned(), version);
    }
    let defaults = defaults(&declared);
    object.insert("settings".to_owned(), shaped(declared));
    if parameters.is_set("include_defaults")? {
        object.insert("defaults".to_owned(), shaped(defaults));
    }
    Ok(())
}

/// Returns what was declared and what the system added, flat, in the order of keys.
fn declared(index: &IndexMeta) -> Map<String, Value> {
    let mut flat = index.settings.declared.clone();
    let mut put = |key: &str, value: String| {
        flat.insert(key.to_owned(), Value::from(value));
    };
    put("index.creation_date", index.created_ms.to_string());
    put("index.uuid", uuid_text(&index.uuid));
    put("index.provided_name", index.given_name().to_owned());
    put("index.version.created", CREATED_VERSION[0].to_owned());
    if index.is_closed {
        put("index.verified_before_close", true.to_string());
    }
    flat.sort_keys();
    flat
}

/// Returns the settings that hold although nobody gave them.
fn defaults(declared: &Map<String, Value>) -> Map<String, Value> {
    let settings = IndexSettings::default();
    let refresh_ms = settings.refresh_interval_ms.unwrap_or_default();
    let known = [
        ("index.refresh_interval", format!("{}s", refresh_ms / 1_000)),
        (
            "index.max_result_window",
            settings.max_result_window.to_string(),
        ),
        (
            "index.mapping.total_fields.limit",
            settings.total_fields_limit.to_string(),
        ),
        (
            "index.mapping.depth.limit",
            settings.depth_limit.to_string(),
        ),
        ("index.max_ngram_diff", settings.max_ngram_diff.to_string()),
        (
            "index.max_terms_count",
            settings.max_terms_count.to_string(),
        ),
        (
            "index.max_regex_length",
            settings.max_regex_length.to_string(),
        ),
        (
            "index.max_docvalue_fields_search",
            settings.max_docvalue_fields.to_string(),
        ),
        ("index.hidden", settings.hidden.to_string()),
        ("index.blocks.read_only", false.to_string()),
        ("index.blocks.read", false.to_string()),
        ("index.blocks.write", false.to_string()),
        ("index.blocks.metadata", false.to_string()),
    ];
    let missing = known
        .into_iter()
        .filter(|(key, _)| !declared.contains_key(*key));
    missing
        .map(|(key, value)| (key.to_owned(), Value::from(value)))
        .collect()
}

/// Returns dotted keys as nested objects; a key that is also a prefix keeps its dots.
pub(in crate::routes) fn nested_settings(flat: &Map<String, Value>) -> Value {
    let mut root = Map::new();
    for (key, value) in flat {
        insert(&mut root, key, value);
    }
    Value::Object(root)
}

fn insert(object: &mut Map<String, Value>, key: &str, value: &Value) {
    if let Some((first, rest)) = key.split_once('.') {
        let inner = object
            .entry(first)
            .or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(inner) = inner {
            insert(inner, rest, value);
            return;
        }
    }
    object.insert(key.to_owned(), value.clone());
}

/// Returns the aliases of an index that `is_wanted`, by name. One of a data stream has none: they are the stream's.
pub(in crate::routes) fn shown_aliases(
    index: &IndexMeta,
    is_wanted: &dyn Fn(&IndexName) -> bool,
) -> Value {
    let aliases = index.aliases.iter();
    let is_of_stream = index.stream_name().is_some();
    let wanted = aliases.filter(|(name, _)| is_wanted(name) && !is_of_stream);
    Value::Object(
        wanted
            .map(|(name, alias)| (name.to_string(), shown_alias(alias)))
            .collect(),
    )
}

/// Returns the aliases of a data stream that `is_wanted`, by name, as its newest index with each bears it.
pub(in crate::routes) fn stream_aliases(
    state: &ClusterState,
    stream: &DataStream,
    is_wanted: &dyn Fn(&IndexName) -> bool,
) -> Value {
    let aliases = aliases_of(state, stream).into_iter();
    let wanted = aliases.filter(|(name, _)| is_wanted(name));
    let shown = wanted.map(|(name, alias)| {
        let mut shown = Map::new();
        if let Some(filter) = &alias.filter {
            shown.insert("filter".to_owned(), filter.clone());
        }
        if alias.is_write_index == Some(true) {
            shown.insert("is_write_index".to_owned(), true.into());
        }
        (name.to_string(), Value::Object(shown))
    });
    Value::Object(shown.collect())
}

/// Returns the aliases of a data stream by name, as its newest index with each bears it.
pub(in crate::routes) fn aliases_of<'a>(
    state: &'a ClusterState,
    stream: &DataStream,
) -> BTreeMap<&'a IndexName, &'a Alias> {
    let mut found = BTreeMap::new();
    let indices = stream.indices.iter();
    // The newest comes last.
    for index in indices.filter_map(|uuid| state.indices.get(uuid)) {
        let own = index.aliases.iter();
        found.extend(own.filter(|(_, alias)| !alias.is_data_stream));
    }
    found
}

fn shown_alias(alias: &Alias) -> Value {
    let mut object = Map::new();
    if let Some(filter) = &alias.filter {
        object.insert("filter".to_owned(), filter.clone());
    }
    let texts = [
        ("index_routing", &alias.index_routing),
        ("search_routing", &alias.search_routing),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            object.insert(name.to_owned(), text.as_str().into());
        }
    }
    let flags = [
        ("is_write_index", alias.is_write_index),
        ("is_hidden", alias.is_hidden),
    ];
    for (name, flag) in flags {
        if let Some(flag) = flag {
            object.insert(name.to_owned(), flag.into());
        }
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn dotted_keys_become_objects() {
        let flat = json!({"index.a": "1", "index.b.c": "2", "index.b.d": ["x"]});
        let flat = flat.as_object().expect("an object");
        let nested = json!({"index": {"a": "1", "b": {"c": "2", "d": ["x"]}}});
        assert_eq!(nested_settings(flat), nested);
    }

    #[test]
    fn a_key_that_is_a_prefix_too_keeps_its_dots() {
        let flat = json!({"a": "1", "a.b": "2"});
        let flat = flat.as_object().expect("an object");
        assert_eq!(nested_settings(flat), json!({"a": "1", "a.b": "2"}));
    }
}

//! Templates as the dialect writes them.

use std::borrow::Cow;

use gleaner_model::mapping::matches_pattern;
use gleaner_model::template::{ComponentTemplate, IndexTemplate, LegacyTemplate, TemplateContent};
use serde_json::{Map, Value, json};

use crate::request::Request;
use crate::routes::index::nested_settings;

/// Returns names with commas between them, as the dialect's texts have lists.
pub(in crate::routes) fn comma_joined(names: &[String]) -> String {
    names.join(", ")
}

/// Returns whether the path of a request names `name`, by itself or by a pattern; a path without names does all.
pub(in crate::routes) fn is_named(request: &Request, name: &str) -> bool {
    request.part("name").is_none_or(|names| {
        let mut patterns = names.split(',');
        patterns.any(|pattern| matches_pattern(pattern, name))
    })
}

/// Returns settings as they are asked for.
pub(super) fn settings(flat: &Map<String, Value>, is_flat: bool) -> Value {
    match is_flat {
        true => Value::Object(flat.clone()),
        false => nested_settings(flat),
    }
}

fn content(content: &TemplateContent, is_flat: bool) -> Map<String, Value> {
    let mut shown = Map::new();
    if let Some(given) = &content.settings {
        shown.insert("settings".to_owned(), settings(given, is_flat));
    }
    if let Some(mappings) = &content.mappings {
        shown.insert("mappings".to_owned(), mappings.clone());
    }
    if let Some(aliases) = &content.aliases {
        shown.insert("aliases".to_owned(), Value::Object(aliases.clone()));
    }
    if let Some(lifecycle) = &content.lifecycle {
        shown.insert("lifecycle".to_owned(), Value::Object(lifecycle.clone()));
    }
    shown
}

/// Adds the user's own number and notes.
fn add_notes(shown: &mut Value, version: Option<i64>, meta: Option<&Value>) {
    if let Some(version) = version {
        shown["version"] = version.into();
    }
    if let Some(meta) = meta {
        shown["_meta"] = meta.clone();
    }
}

/// Returns a template without the settings that `left_out` names, by whole keys or patterns.
pub(super) fn without<'a>(
    component: &'a ComponentTemplate,
    left_out: &[String],
) -> Cow<'a, ComponentTemplate> {
    if left_out.is_empty() {
        return Cow::Borrowed(component);
    }
    let mut kept = component.clone();
    if let Some(settings) = &mut kept.template.settings {
        let is_left_out = |key: &str| left_out.iter().any(|name| matches_pattern(name, key));
        settings.retain(|key, _| !is_left_out(key));
    }
    Cow::Owned(kept)
}

pub(super) fn component(component: &ComponentTemplate, is_flat: bool) -> Value {
    let mut shown = json!({"template": content(&component.template, is_flat)});
    add_notes(&mut shown, component.version, component.meta.as_ref());
    if let Some(deprecated) = component.deprecated {
        shown["deprecated"] = deprecated.into();
    }
    shown
}

pub(super) fn index(template: &IndexTemplate, is_flat: bool) -> Value {
    let mut shown = json!({"index_patterns": template.index_patterns});
    if let Some(own) = &template.template {
        shown["template"] = Value::Object(content(own, is_flat));
    }
    shown["composed_of"] = json!(template.composed_of.as_deref().unwrap_or_default());
    if !template.ignore_missing_component_templates.is_empty() {
        let ignored = &template.ignore_missing_component_templates;
        shown["ignore_missing_component_templates"] = json!(ignored);
    }
    if let Some(priority) = template.priority {
        shown["priority"] = priority.into();
    }
    if let Some(data_stream) = template.data_stream {
        shown["data_stream"] = json!({
            "hidden": data_stream.hidden,
            "allow_custom_routing": data_stream.allow_custom_routing,
        });
    }
    if let Some(allow) = template.allow_auto_create {
        shown["allow_auto_create"] = allow.into();
    }
    if let Some(deprecated) = template.deprecated {
        shown["deprecated"] = deprecated.into();
    }
    add_notes(&mut shown, template.version, template.meta.as_ref());
    shown
}

pub(super) fn legacy(template: &LegacyTemplate, is_flat: bool) -> Value {
    let mut shown = json!({
        "order": template.order,
        "index_patterns": template.index_patterns,
        "settings": {},
        "mappings": {},
        "aliases": {},
    });
    if let Value::Object(shown) = &mut shown {
        shown.extend(content(&template.template, is_flat));
    }
    add_notes(&mut shown, template.version, None);
    shown
}

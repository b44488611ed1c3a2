//! The bodies of templates.

use gleaner_model::template::{
    ComponentTemplate, DataStreamTemplate, IndexTemplate, LegacyTemplate, TemplateContent,
};
use serde_json::{Map, Value};

use super::compose::stream_lifecycle;
use crate::alias::parse_aliases;
use crate::error::{ErrorType, QueryError};
use crate::json::ObjectReader;
use crate::limits::Limits;
use crate::mapping::{MappingRules, check_part_of_mapping, parse_mapping};
use crate::settings::{flat_settings, parse_some_settings};

/// How long documents are kept.
const RETENTION: &str = "data_retention";

/// Where the fields are declared that the aliases of a template's mapping stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AliasTargets {
    /// In the mapping itself.
    Inside,
    /// There, or in a component: the mapping that they make together is checked.
    Composed,
}

/// Reads the body of a component template called `name`.
///
/// # Errors
/// A key that is unknown, and what settings, mappings and aliases refuse: by name.
pub fn parse_component_template(
    name: &str,
    body: &Value,
    limits: &Limits,
) -> Result<ComponentTemplate, QueryError> {
    check_name(name)?;
    let mut reader = ObjectReader::part("component_template", body)?;
    let Some(content) = reader.take("template") else {
        return Err(QueryError::illegal("Required [template]"));
    };
    let template = read_content(content, AliasTargets::Inside, limits)?;
    let version = reader.integer("version")?;
    let meta = read_meta(&mut reader)?;
    let deprecated = reader.boolean("deprecated")?;
    reader.ignore(&["allow_auto_create"]);
    reader.finish()?;
    Ok(ComponentTemplate {
        template,
        version,
        meta,
        deprecated,
    })
}

/// Reads the body of an index template called `name`.
///
/// # Errors
/// As [`parse_component_template`], and a template without patterns.
pub fn parse_index_template(
    name: &str,
    body: &Value,
    limits: &Limits,
) -> Result<IndexTemplate, QueryError> {
    check_name(name)?;
    let mut reader = ObjectReader::part("index_template", body)?;
    let index_patterns = read_patterns(name, &mut reader)?;
    let content = reader.take("template").filter(|content| !content.is_null());
    let template = content.map(|content| read_content(content, AliasTargets::Composed, limits));
    let data_stream = match reader.take("data_stream") {
        None | Some(Value::Null) => None,
        Some(value) => Some(read_data_stream(value)?),
    };
    let template = IndexTemplate {
        index_patterns,
        template: template.transpose()?,
        composed_of: reader.texts("composed_of")?,
        ignore_missing_component_templates: reader
            .texts("ignore_missing_component_templates")?
            .unwrap_or_default(),
        priority: reader.count("priority")?,
        version: reader.integer("version")?,
        meta: read_meta(&mut reader)?,
        data_stream,
        allow_auto_create: reader.boolean("allow_auto_create")?,
        deprecated: reader.boolean("deprecated")?,
    };
    reader.finish()?;
    Ok(template)
}

/// Reads the body of a legacy template called `name`; `order` is that of the URI, if it has one.
///
/// # Errors
/// As [`parse_index_template`].
pub fn parse_legacy_template(
    name: &str,
    body: &Value,
    order: Option<i64>,
    limits: &Limits,
) -> Result<LegacyTemplate, QueryError> {
    check_name(name)?;
    let mut reader = ObjectReader::part("put_template", body)?;
    // The name that patterns had before version 6.
    let old = reader.text("template")?;
    let index_patterns = match old {
        Some(pattern) if body.get("index_patterns").is_none() => vec![pattern],
        _ => read_patterns(name, &mut reader)?,
    };
    let mut content = Map::new();
    for key in ["settings", "mappings", "aliases"] {
        if let Some(value) = reader.take(key) {
            content.insert(key.to_owned(), value.clone());
        }
    }
    let in_body = reader.integer("order")?;
    let version = reader.integer("version")?;
    reader.finish()?;
    Ok(LegacyTemplate {
        index_patterns,
        order: order.or(in_body).unwrap_or(0),
        template: read_content(&Value::Object(content), AliasTargets::Inside, limits)?,
        version,
    })
}

fn read_content(
    value: &Value,
    targets: AliasTargets,
    limits: &Limits,
) -> Result<TemplateContent, QueryError> {
    let mut reader = ObjectReader::part("template", value)?;
    let given = |value: Option<&Value>| value.filter(|value| !value.is_null()).cloned();
    let settings = given(reader.take("settings"));
    let mappings = given(reader.take("mappings"));
    let aliases = given(reader.take("aliases"));
    let lifecycle = reader.take("lifecycle").map(read_lifecycle).transpose()?;
    reader.unsupported_unless_empty(&["data_stream_options"])?;
    reader.finish()?;
    let rules = match &settings {
        None => MappingRules::default(),
        Some(settings) => MappingRules::from(&parse_some_settings(settings)?),
    };
    if let Some(mappings) = &mappings {
        match targets {
            AliasTargets::Inside => parse_mapping(mappings, None, &rules).map(drop)?,
            AliasTargets::Composed => check_part_of_mapping(mappings, &rules)?,
        }
    }
    if let Some(aliases) = &aliases {
        parse_aliases(aliases, limits)?;
    }
    Ok(TemplateContent {
        settings: settings.as_ref().map(given_settings).transpose()?,
        mappings,
        aliases: aliases.and_then(|aliases| aliases.as_object().cloned()),
        lifecycle,
    })
}

/// Reads what a template says of the lifecycle of data streams. A null takes what an earlier part says.
fn read_lifecycle(value: &Value) -> Result<Map<String, Value>, QueryError> {
    let Some(given) = value.as_object() else {
        return Err(QueryError::parsing(
            "[lifecycle] of a template must be an object; {\"enabled\": false} is none",
        ));
    };
    let mut lifecycle = given.clone();
    lifecycle.retain(|key, value| !value.is_null() || key == RETENTION);
    // Of parts that are put together the last says it.
    let enabled = lifecycle.entry("enabled").or_insert(Value::Bool(true));
    if let Some(flag) = enabled.as_str().and_then(|text| text.parse().ok()) {
        *enabled = Value::Bool(flag);
    }
    stream_lifecycle(&lifecycle)?;
    Ok(lifecycle)
}

fn given_settings(value: &Value) -> Result<Map<String, Value>, QueryError> {
    let mut settings = flat_settings(value)?;
    settings.retain(|_, value| !value.is_null());
    Ok(settings)
}

fn read_data_stream(value: &Value) -> Result<DataStreamTemplate, QueryError> {
    let mut reader = ObjectReader::part("data_stream", value)?;
    let data_stream = DataStreamTemplate {
        hidden: reader.boolean("hidden")?.unwrap_or(false),
        allow_custom_routing: reader.boolean("allow_custom_routing")?.unwrap_or(false),
    };
    if let Some(field) = reader.take("timestamp_field") {
        let mut reader = ObjectReader::part("timestamp_field", field)?;
        let name = reader.text("name")?;
        reader.finish()?;
        if let Some(name) = name.filter(|name| name != "@timestamp") {
            return Err(QueryError::illegal(format!(
                "[timestamp_field] [{name}] is not supported: that of data streams is [@timestamp]"
            )));
        }
    }
    reader.finish()?;
    Ok(data_stream)
}

fn read_meta(reader: &mut ObjectReader<'_>) -> Result<Option<Value>, QueryError> {
    match reader.take("_meta") {
        None | Some(Value::Null) => Ok(None),
        Some(meta @ Value::Object(_)) => Ok(Some(meta.clone())),
        Some(other) => Err(reader.wrong("_meta", "an object", other)),
    }
}

fn read_patterns(name: &str, reader: &mut ObjectReader<'_>) -> Result<Vec<String>, QueryError> {
    let patterns = reader.texts("index_patterns")?.unwrap_or_default();
    if patterns.is_empty() {
        let reason =
            format!("Validation Failed: 1: index patterns are missing in template [{name}];");
        return Err(QueryError::new(ErrorType::Validation, reason));
    }
    let is_bad = |pattern: &&String| {
        pattern.is_empty()
            || pattern.starts_with(['_', '-', '+'])
            || pattern.contains([' ', ',', '#', ':', '\\', '/', '?', '"', '<', '>', '|'])
            || pattern.contains(gleaner_model::is_unseen)
    };
    match patterns.iter().find(is_bad) {
        None => Ok(patterns),
        Some(pattern) => Err(QueryError::illegal(format!(
            "invalid index pattern [{pattern}] of template [{name}]: it must not be empty, begin with [_], [-] or \
             [+], or hold a space, one of [,#:\\/?\"<>|] or a character that is not seen"
        ))),
    }
}

fn check_name(name: &str) -> Result<(), QueryError> {
    let rule = if name.is_empty() {
        "name must not be empty"
    } else if name.contains(' ') {
        "name must not contain a space"
    } else if name.contains(',') {
        "name must not contain a ','"
    } else if name.contains('#') {
        "name must not contain a '#'"
    } else if name.contains('*') {
        "name must not contain a '*'"
    } else if name.starts_with('_') {
        "name must not start with '_'"
    } else if name.chars().any(char::is_uppercase) {
        "name must be lower cased"
    } else if name.len() > 255 {
        "name must not be longer than 255 bytes"
    } else if name.contains(gleaner_model::is_unseen) {
        "name must not contain control characters or characters that are not seen"
    } else {
        return Ok(());
    };
    Err(QueryError::illegal(format!(
        "Invalid template [{name}]: {rule}"
    )))
}

//! What an index gets from the templates that are for its name.

use gleaner_model::StreamLifecycle;
use gleaner_model::Templates;
use gleaner_model::template::{IndexTemplate, LegacyTemplate, TemplateContent};
use serde_json::{Map, Value};

use super::{any_matches, mappings};
use crate::error::QueryError;
use crate::lifecycle::parse_stream_lifecycle;
use crate::limits::Limits;
use crate::settings::{NewIndex, flat_settings, parse_kept_part_of_index, parse_part_of_index};

/// What stands for the name of the new index in an alias.
const INDEX: &str = "{index}";

/// Parts put over each other.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Composed {
    /// Settings by their dotted keys.
    pub settings: Map<String, Value>,
    /// A mapping in the dialect's JSON.
    pub mappings: Map<String, Value>,
    /// Aliases by name, in the dialect's JSON.
    pub aliases: Map<String, Value>,
    /// The lifecycle of data streams in the dialect's JSON; `None` where no part says any.
    pub lifecycle: Option<Map<String, Value>>,
}

/// What a new index is composed from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ComposedFrom<'a> {
    /// One index template and its components.
    Index(&'a str, &'a IndexTemplate),
    /// All legacy templates for the name, or none.
    Legacy,
}

/// Returns the index template that is for `name`: of those that match, the one of the highest priority.
pub fn index_template_of<'a>(
    templates: &'a Templates,
    name: &str,
) -> Option<(&'a str, &'a IndexTemplate)> {
    let matching = templates
        .index
        .iter()
        .filter(|(_, template)| any_matches(&template.index_patterns, name));
    // Two of one priority do not match one name.
    let best = matching.max_by_key(|(_, template)| template.priority.unwrap_or(0));
    best.map(|(name, template)| (name.as_str(), template))
}

/// Returns what an index called `name` gets from the templates in force, and from which.
pub fn compose<'a>(templates: &'a Templates, name: &str) -> (Composed, ComposedFrom<'a>) {
    match index_template_of(templates, name) {
        Some((of, template)) => (
            Composed::of_index_template(templates, template),
            ComposedFrom::Index(of, template),
        ),
        None => {
            let mut composed = Composed::default();
            for template in legacy_templates_of(templates, name) {
                composed.put_legacy(&template.template);
            }
            (composed, ComposedFrom::Legacy)
        }
    }
}

/// Refuses the name of an index where the template that is for it makes data streams.
///
/// # Errors
/// `illegal_argument_exception`.
pub fn check_no_stream(name: &str, from: ComposedFrom<'_>) -> Result<(), QueryError> {
    match from {
        ComposedFrom::Index(of, template) if template.data_stream.is_some() => {
            Err(QueryError::illegal(format!(
                "cannot create index with name [{name}], because it matches with template [{of}] that creates data \
                 streams only, use create data stream api instead"
            )))
        }
        _ => Ok(()),
    }
}

/// Returns the legacy templates for `name`, in the order in which they apply.
fn legacy_templates_of<'a>(templates: &'a Templates, name: &str) -> Vec<&'a LegacyTemplate> {
    let mut matching: Vec<&LegacyTemplate> = templates
        .legacy
        .values()
        .filter(|template| any_matches(&template.index_patterns, name))
        .collect();
    matching.sort_by_key(|template| template.order);
    matching
}

impl Composed {
    /// Returns what one index template gives: its components in their order, then its own.
    pub fn of_index_template(templates: &Templates, template: &IndexTemplate) -> Self {
        let mut composed = Self::default();
        let components = template.composed_of.iter().flatten();
        for component in components.filter_map(|name| templates.components.get(name)) {
            composed.put(&component.template);
        }
        if let Some(own) = &template.template {
            composed.put(own);
        }
        composed
    }

    fn put(&mut self, content: &TemplateContent) {
        self.put_keys(content);
        if let Some(Value::Object(added)) = &content.mappings {
            mappings::put_over(&mut self.mappings, added);
        }
    }

    /// Legacy mappings are put over each other key by key, inside of fields too.
    fn put_legacy(&mut self, content: &TemplateContent) {
        self.put_keys(content);
        if let Some(Value::Object(added)) = &content.mappings {
            put_deep(&mut self.mappings, added);
        }
    }

    fn put_keys(&mut self, content: &TemplateContent) {
        self.settings
            .extend(content.settings.clone().unwrap_or_default());
        self.aliases
            .extend(content.aliases.clone().unwrap_or_default());
        if let Some(added) = &content.lifecycle {
            let lifecycle = self.lifecycle.get_or_insert_default();
            lifecycle.extend(added.clone());
        }
    }

    /// Returns the lifecycle that a new data stream has.
    ///
    /// # Errors
    /// As [`parse_stream_lifecycle`].
    pub fn stream_lifecycle(&self) -> Result<Option<StreamLifecycle>, QueryError> {
        self.lifecycle.as_ref().map(stream_lifecycle).transpose()
    }

    /// Returns the index `name` that the body of a request asks for, over what was composed. Its name stands for
    /// `{index}` in the aliases of templates.
    ///
    /// # Errors
    /// As [`parse_part_of_index`], and settings that contradict the mapping.
    pub fn new_index(
        mut self,
        name: &str,
        from: ComposedFrom<'_>,
        body: &Value,
        limits: &Limits,
    ) -> Result<NewIndex, QueryError> {
        // What is wrong with the request is told as if there were no templates.
        let asked = parse_part_of_index(body, limits)?;
        if self == Self::default() {
            return asked.checked();
        }
        if let Some(settings) = body.get("settings") {
            self.settings.extend(flat_settings(settings)?);
        }
        if let Some(Value::Object(added)) = body.get("mappings") {
            match from {
                ComposedFrom::Index(..) => mappings::put_over(&mut self.mappings, added),
                ComposedFrom::Legacy => put_deep(&mut self.mappings, added),
            }
        }
        let aliases = std::mem::take(&mut self.aliases).into_iter();
        self.aliases = aliases
            .map(|(alias, of)| (alias.replace(INDEX, name), of))
            .collect();
        if let Some(Value::Object(added)) = body.get("aliases") {
            self.aliases.extend(added.clone());
        }
        parse_kept_part_of_index(&self.to_body(), limits)?.checked()
    }

    /// Returns the body that creates such an index.
    pub fn to_body(&self) -> Value {
        let mut body = Map::new();
        for (key, part) in [
            ("settings", &self.settings),
            ("mappings", &self.mappings),
            ("aliases", &self.aliases),
        ] {
            if !part.is_empty() {
                body.insert(key.to_owned(), Value::Object(part.clone()));
            }
        }
        Value::Object(body)
    }
}

/// Reads a lifecycle that templates have put together; a null is as if nothing was said.
pub(super) fn stream_lifecycle(
    lifecycle: &Map<String, Value>,
) -> Result<StreamLifecycle, QueryError> {
    let mut said = lifecycle.clone();
    said.retain(|_, value| !value.is_null());
    parse_stream_lifecycle(&Value::Object(said))
}

fn put_deep(base: &mut Map<String, Value>, added: &Map<String, Value>) {
    for (key, value) in added {
        let known = base.entry(key).or_insert(Value::Null);
        match (key.as_str(), known, value) {
            ("dynamic_templates", Value::Array(known), Value::Array(added)) => {
                mappings::put_before(known, added);
            }
            (_, known, value) => mappings::deep(known, value),
        }
    }
}

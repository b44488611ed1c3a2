//! Changes of templates: each checked with what it will be composed with, so that no index fails for it later.

use std::sync::Arc;

use gleaner_model::mapping::matches_pattern;
use gleaner_model::template::{ComponentTemplate, IndexTemplate, LegacyTemplate};
use gleaner_model::{ClusterState, IndexName, Templates};
use gleaner_query::alias::{check_of_stream, parse_kept_aliases};
use gleaner_query::settings::{NewIndex, parse_kept_part_of_index, parse_part_of_index};
use gleaner_query::templates::{Composed, check_legacy, check_priority, index_template_of};
use gleaner_query::{Limits, QueryError};

use super::streams::{add_timestamp, check_timestamp};
use super::{Admin, check_known};
use crate::RootError;
use crate::analyzers as registry;

/// Templates of one kind at most.
const MAX_TEMPLATES: usize = 1_000;

/// Bytes of all templates as JSON at most: they are kept, and sent to every node, as one.
const MAX_TEMPLATES_BYTES: usize = 1 << 20;

/// Which templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplateKind {
    /// Parts of index templates.
    Component,
    /// Index templates.
    Index,
    /// Templates of the older kind.
    Legacy,
}

/// A template of any kind.
#[derive(Debug, Clone, PartialEq)]
pub enum NewTemplate {
    /// A part of index templates.
    Component(ComponentTemplate),
    /// An index template.
    Index(IndexTemplate),
    /// A template of the older kind.
    Legacy(LegacyTemplate),
}

impl Admin {
    /// Puts a template in the place of the one of that name; with `must_be_new` there must be none.
    ///
    /// # Errors
    /// One that is there already, parts that are missing or cannot be put together, another template of the same
    /// priority for the same names, index templates that would hide a legacy one, data streams that would be left
    /// without a template, and too many or too large templates.
    pub async fn put_template(
        &self,
        name: &str,
        template: &NewTemplate,
        must_be_new: bool,
    ) -> Result<(), RootError> {
        self.change_templates(|state, templates| {
            let is_there = match template {
                NewTemplate::Component(_) => templates.components.contains_key(name),
                NewTemplate::Index(_) => templates.index.contains_key(name),
                NewTemplate::Legacy(_) => templates.legacy.contains_key(name),
            };
            if must_be_new && is_there {
                return Err(already_there(name, template).into());
            }
            let name = name.to_owned();
            match template.clone() {
                NewTemplate::Component(component) => {
                    templates.components.insert(name.clone(), component);
                    let uses = |template: &IndexTemplate| {
                        template
                            .composed_of
                            .iter()
                            .flatten()
                            .any(|part| *part == name)
                    };
                    let users = templates.index.iter().filter(|(_, user)| uses(user));
                    for (user, template) in users {
                        check_composed(user, template, templates)?;
                    }
                    check_content(&templates.components[&name].template)?;
                }
                NewTemplate::Index(template) => {
                    put_index_template(state, templates, &name, template)?;
                }
                NewTemplate::Legacy(template) => {
                    check_content(&template.template)?;
                    check_legacy(templates, &name, &template)?;
                    templates.legacy.insert(name, template);
                }
            }
            Ok(())
        })
        .await
    }

    /// Deletes the templates that names and wildcards, separated by commas, stand for.
    ///
    /// # Errors
    /// [`RootError::ResourceNotFound`] for a name that no template bears; parts, and templates of data streams, that
    /// are in use.
    pub async fn delete_templates(&self, kind: TemplateKind, names: &str) -> Result<(), RootError> {
        self.change_templates(|state, templates| {
            let known: Vec<String> = match kind {
                TemplateKind::Component => templates.components.keys().cloned().collect(),
                TemplateKind::Index => templates.index.keys().cloned().collect(),
                TemplateKind::Legacy => templates.legacy.keys().cloned().collect(),
            };
            let deleted = named(kind, names, &known)?;
            match kind {
                TemplateKind::Component => check_unused(&deleted, templates)?,
                TemplateKind::Index | TemplateKind::Legacy => {}
            }
            for name in &deleted {
                match kind {
                    TemplateKind::Component => drop(templates.components.remove(name)),
                    TemplateKind::Index => drop(templates.index.remove(name)),
                    TemplateKind::Legacy => drop(templates.legacy.remove(name)),
                }
            }
            Ok(check_streamless(&deleted, state, templates)?)
        })
        .await
    }

    async fn change_templates(
        &self,
        mut change: impl FnMut(&ClusterState, &mut Templates) -> Result<(), RootError>,
    ) -> Result<(), RootError> {
        self.change(|state| {
            let mut templates = Templates::clone(&state.templates);
            change(state, &mut templates)?;
            if templates == *state.templates {
                return Ok(None);
            }
            check_size(&state.templates, &templates)?;
            let mut next = state.clone();
            next.templates = Arc::new(templates);
            Ok(Some(next))
        })
        .await
        .map(drop)
    }
}

/// Puts an index template among `templates`, in the place of the one of that name.
///
/// # Errors
/// Parts that are missing or cannot be put together, another template of the same priority for the same names, data
/// streams that would be left without a template.
pub fn put_index_template(
    state: &ClusterState,
    templates: &mut Templates,
    name: &str,
    template: IndexTemplate,
) -> Result<(), RootError> {
    check_parts(name, &template, templates)?;
    check_priority(templates, name, &template)?;
    check_composed(name, &template, templates)?;
    templates.index.insert(name.to_owned(), template);
    check_kept(name, state, templates)?;
    Ok(())
}

fn already_there(name: &str, template: &NewTemplate) -> QueryError {
    QueryError::illegal(match template {
        NewTemplate::Component(_) => format!("component template [{name}] already exists"),
        NewTemplate::Index(_) => format!("index template [{name}] already exists"),
        NewTemplate::Legacy(_) => format!("index_template [{name}] already exists"),
    })
}

/// Returns the known names that are asked for.
fn named(kind: TemplateKind, names: &str, known: &[String]) -> Result<Vec<String>, RootError> {
    let mut found = Vec::new();
    for asked in names.split(',').map(str::trim) {
        let matching: Vec<&String> = known
            .iter()
            .filter(|name| matches_pattern(asked, name))
            .collect();
        if matching.is_empty() && asked != "*" {
            // Index templates of both kinds are missing alike to a deletion.
            return Err(match kind {
                TemplateKind::Component => missing(kind, asked),
                TemplateKind::Index | TemplateKind::Legacy => missing(TemplateKind::Legacy, asked),
            });
        }
        found.extend(matching.into_iter().cloned());
    }
    Ok(found)
}

/// Returns the error for a template that is not there.
pub fn missing(kind: TemplateKind, name: &str) -> RootError {
    let (kind, reason) = match kind {
        TemplateKind::Component => (
            "resource_not_found_exception",
            format!("component template matching [{name}] not found"),
        ),
        TemplateKind::Index => (
            "resource_not_found_exception",
            format!("index template matching [{name}] not found"),
        ),
        TemplateKind::Legacy => (
            "index_template_missing_exception",
            format!("index_template [{name}] missing"),
        ),
    };
    RootError::ResourceNotFound { kind, reason }
}

fn check_unused(deleted: &[String], templates: &Templates) -> Result<(), QueryError> {
    let is_deleted = |part: &String| deleted.contains(part);
    let uses = |template: &IndexTemplate| template.composed_of.iter().flatten().any(is_deleted);
    let users = templates.index.iter().filter(|(_, user)| uses(user));
    let users: Vec<&str> = users.map(|(name, _)| name.as_str()).collect();
    if users.is_empty() {
        return Ok(());
    }
    Err(QueryError::illegal(format!(
        "component templates [{}] cannot be removed as they are still in use by index templates [{}]",
        deleted.join(", "),
        users.join(", ")
    )))
}

/// Refuses to delete templates where none of those left is one that a data stream goes on by.
fn check_streamless(
    deleted: &[String],
    state: &ClusterState,
    left: &Templates,
) -> Result<(), QueryError> {
    let names = streamless(state, left);
    if names.is_empty() {
        return Ok(());
    }
    Err(QueryError::illegal(format!(
        "unable to remove composable templates [{}] as they are in use by a data streams [{}]",
        deleted.join(", "),
        names.join(", ")
    )))
}

/// Refuses the template `name` where it leaves data streams without one that they go on by.
fn check_kept(name: &str, state: &ClusterState, templates: &Templates) -> Result<(), QueryError> {
    let lost = streamless(state, templates);
    if lost.is_empty() {
        return Ok(());
    }
    let template = &templates.index[name];
    let priority = template.priority;
    let priority = priority.map_or_else(|| "null".to_owned(), |priority| priority.to_string());
    let configured = match template.data_stream {
        Some(_) => "",
        None => "and no data stream configuration ",
    };
    Err(QueryError::illegal(format!(
        "composable template [{name}] with index patterns [{}], priority [{priority}] {configured}would cause data \
         streams [{}] to no longer match a data stream template",
        template.index_patterns.join(", "),
        lost.join(", ")
    )))
}

/// Returns the data streams that would have no template to go on by any more.
fn streamless<'a>(state: &'a ClusterState, templates: &Templates) -> Vec<&'a str> {
    let is_lost = |stream: &&IndexName| {
        is_streamed(&state.templates, stream) && !is_streamed(templates, stream)
    };
    let lost = state.data_streams.keys().filter(is_lost);
    lost.map(IndexName::as_str).collect()
}

/// Returns whether the template for a data stream is one that makes data streams.
fn is_streamed(templates: &Templates, stream: &IndexName) -> bool {
    let template = index_template_of(templates, stream.as_str());
    template.is_some_and(|(_, template)| template.data_stream.is_some())
}

/// Refuses a template whose components are missing.
fn check_parts(
    name: &str,
    template: &IndexTemplate,
    templates: &Templates,
) -> Result<(), QueryError> {
    let may_miss = &template.ignore_missing_component_templates;
    let parts = template.composed_of.iter().flatten();
    let missing: Vec<&str> = parts
        .filter(|part| !templates.components.contains_key(*part) && !may_miss.contains(part))
        .map(String::as_str)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(QueryError::illegal(format!(
        "index_template [{name}] invalid, cause [index template [{name}] specifies component templates [{}] that do \
         not exist]",
        missing.join(", ")
    )))
}

/// Refuses a template from which no index can be made.
fn check_composed(
    name: &str,
    template: &IndexTemplate,
    templates: &Templates,
) -> Result<(), RootError> {
    let mut composed = Composed::of_index_template(templates, template);
    let is_streamed = template.data_stream.is_some();
    composed.stream_lifecycle()?;
    if composed.lifecycle.is_some() && !is_streamed {
        return Err(QueryError::illegal(format!(
            "index template [{name}] specifies lifecycle configuration that can only be used in combination with a \
             data stream"
        ))
        .into());
    }
    if is_streamed {
        // Those of the template itself were checked when it was read.
        let aliases = parse_kept_aliases(&composed.aliases.clone().into(), &Limits::default())?;
        aliases.values().try_for_each(check_of_stream)?;
        add_timestamp(&mut composed);
    }
    // Which fields there are to sort by is told when an index is made.
    // Its components were checked when they were put.
    let new = parse_kept_part_of_index(&composed.to_body(), &Limits::default());
    let checked = check(new).and_then(|new| {
        if is_streamed {
            check_timestamp(&new.mapping)?;
        }
        Ok(new.check_settings()?)
    });
    checked.map_err(|error| {
        QueryError::illegal(format!(
            "composable template [{name}] template after composition is invalid: {error}"
        ))
        .into()
    })
}

/// Refuses settings and mappings that do not go together, as of an analyzer that is not there. A component may
/// name those of another.
fn check_content(content: &gleaner_model::template::TemplateContent) -> Result<(), RootError> {
    let has_settings = content.settings.is_some();
    let composed = Composed {
        settings: content.settings.clone().unwrap_or_default(),
        ..Composed::default()
    };
    match has_settings {
        true => check(parse_part_of_index(&composed.to_body(), &Limits::default())).map(drop),
        false => Ok(()),
    }
}

/// Refuses a mapping whose analyzers there are not.
fn check(new: Result<NewIndex, QueryError>) -> Result<NewIndex, RootError> {
    let new = new?;
    let analyzers = registry::build(&new.settings)?;
    check_known(&new.mapping, None, &new.settings, &analyzers)?;
    Ok(new)
}

/// Refuses more templates, or larger ones, than all nodes keep; what became smaller is taken.
fn check_size(before: &Templates, after: &Templates) -> Result<(), QueryError> {
    let num = |templates: &Templates| {
        let [components, index, legacy] = [
            templates.components.len(),
            templates.index.len(),
            templates.legacy.len(),
        ];
        components.max(index).max(legacy)
    };
    if num(after) > MAX_TEMPLATES && num(after) > num(before) {
        return Err(QueryError::illegal(format!(
            "there are [{MAX_TEMPLATES}] templates of this kind already, which is the limit: delete those that \
             are not needed"
        )));
    }
    let bytes = |templates| serde_json::to_vec(templates).map_or(usize::MAX, |json| json.len());
    let num_bytes = bytes(after);
    if num_bytes > MAX_TEMPLATES_BYTES && num_bytes > bytes(before) {
        return Err(QueryError::illegal(format!(
            "all templates together would have [{num_bytes}] bytes, more than [{MAX_TEMPLATES_BYTES}]: delete \
             those that are not needed"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;

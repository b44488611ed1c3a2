//! `_index_template`, `_component_template`, `_template`: what new indices get by their names.

mod legacy;
mod shown;
mod simulate;

use gleaner_model::mapping::matches_pattern;
use gleaner_query::templates::{
    deprecated_parts, overlapping_legacy, parse_component_template, parse_index_template,
};
use gleaner_root::admin::templates::{NewTemplate, TemplateKind, missing};
use http::Method;
use serde_json::{Value, json};

use super::index::{acknowledged, unheeded};
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::parameters::groups::{METADATA, METADATA_READ};
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::{Parameter, Route};

pub(super) use shown::{comma_joined, is_named};

const PUT: &[Parameter] = &[
    Parameter::honoured("create"),
    Parameter::no_effect("cause", "changes keep no cause"),
];
const GET: &[Parameter] = &[
    Parameter::honoured("flat_settings"),
    Parameter::no_effect(
        "include_defaults",
        "templates are shown as they were declared",
    ),
];
const COMPONENT_GET: &[Parameter] = &[Parameter::honoured("settings_filter")];
const LEGACY_PUT: &[Parameter] = &[Parameter::honoured("order")];
const TYPES: &[Parameter] = crate::parameters::groups::TYPES;

const COMPONENT: &[&str] = &["/_component_template/{name}"];
const INDEX: &[&str] = &["/_index_template/{name}"];
const LEGACY: &[&str] = &["/_template/{name}"];

pub(super) static ENDPOINTS: &[Endpoint] = &[
    Route {
        name: "cluster.put_component_template",
        methods: &[Method::PUT, Method::POST],
        paths: COMPONENT,
        parameters: &[PUT, METADATA],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(put_component(request))),
    Route {
        name: "cluster.get_component_template",
        methods: &[Method::GET],
        paths: &["/_component_template", "/_component_template/{name}"],
        parameters: &[GET, COMPONENT_GET, METADATA_READ],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { get_components(&request) })),
    Route {
        name: "cluster.exists_component_template",
        methods: &[Method::HEAD],
        paths: COMPONENT,
        parameters: &[GET, METADATA_READ],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { exists(&request, TemplateKind::Component) })),
    Route {
        name: "cluster.delete_component_template",
        methods: &[Method::DELETE],
        paths: COMPONENT,
        parameters: &[METADATA],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(delete(request, TemplateKind::Component))),
    Route {
        name: "indices.put_index_template",
        methods: &[Method::PUT, Method::POST],
        paths: INDEX,
        parameters: &[PUT, METADATA],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(put_index(request))),
    Route {
        name: "indices.get_index_template",
        methods: &[Method::GET],
        paths: &["/_index_template", "/_index_template/{name}"],
        parameters: &[GET, METADATA_READ],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { get_index(&request) })),
    Route {
        name: "indices.exists_index_template",
        methods: &[Method::HEAD],
        paths: INDEX,
        parameters: &[GET, METADATA_READ],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { exists(&request, TemplateKind::Index) })),
    Route {
        name: "indices.delete_index_template",
        methods: &[Method::DELETE],
        paths: INDEX,
        parameters: &[METADATA],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(delete(request, TemplateKind::Index))),
    Route {
        name: "indices.simulate_index_template",
        methods: &[Method::POST],
        paths: &["/_index_template/_simulate_index/{name}"],
        parameters: &[PUT, GET, METADATA],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(simulate::index(request))),
    Route {
        name: "indices.simulate_template",
        methods: &[Method::POST],
        paths: &[
            "/_index_template/_simulate",
            "/_index_template/_simulate/{name}",
        ],
        parameters: &[PUT, GET, METADATA],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(simulate::template(request))),
    Route {
        name: "indices.put_template",
        methods: &[Method::PUT, Method::POST],
        paths: LEGACY,
        parameters: &[PUT, LEGACY_PUT, METADATA, TYPES],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(legacy::put(request))),
    Route {
        name: "indices.get_template",
        methods: &[Method::GET],
        paths: &["/_template", "/_template/{name}"],
        parameters: &[GET, METADATA_READ, TYPES],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { legacy::get(&request) })),
    Route {
        name: "indices.exists_template",
        methods: &[Method::HEAD],
        paths: LEGACY,
        parameters: &[GET, METADATA_READ],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { exists(&request, TemplateKind::Legacy) })),
    Route {
        name: "indices.delete_template",
        methods: &[Method::DELETE],
        paths: LEGACY,
        parameters: &[METADATA],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(delete(request, TemplateKind::Legacy))),
];

async fn put_component(mut request: Request) -> Answer {
    let body = request.required_json().await?;
    let name = request.required_part("name")?.to_owned();
    let limits = request.root().cluster().limits();
    let component = parse_component_template(&name, &body, &limits)?;
    put(&request, &name, &NewTemplate::Component(component)).await?;
    Ok(acknowledged().warning(&unheeded::of_content(&body["template"])))
}

async fn put_index(mut request: Request) -> Answer {
    let body = request.required_json().await?;
    let name = request.required_part("name")?.to_owned();
    let limits = request.root().cluster().limits();
    let template = parse_index_template(&name, &body, &limits)?;
    let new = NewTemplate::Index(template.clone());
    put(&request, &name, &new).await?;
    let state = request.root().cluster().state();
    let mut warnings = deprecated_parts(&name, &template, &state.templates);
    warnings.extend(unheeded::of_content(&body["template"]));
    let others = overlapping_legacy(&state.templates, &template);
    if others.is_empty() {
        return Ok(acknowledged().warning(&warnings));
    }
    let names: Vec<&str> = others.iter().map(|(name, _)| *name).collect();
    let patterns = others.iter().map(|(name, patterns)| {
        let patterns = comma_joined(patterns);
        format!("{name} => [{patterns}]")
    });
    let patterns: Vec<String> = patterns.collect();
    warnings.push(format!(
        "index template [{name}] has index patterns [{}] matching patterns from existing older templates [{}] with \
         patterns ({}); this template [{name}] will take precedence during new index creation",
        comma_joined(&template.index_patterns),
        names.join(","),
        patterns.join(","),
    ));
    Ok(acknowledged().warning(&warnings))
}

async fn put(request: &Request, name: &str, template: &NewTemplate) -> Result<(), ApiError> {
    let must_be_new = request.parameters.is_set("create")?;
    let admin = request.root().admin();
    Ok(admin.put_template(name, template, must_be_new).await?)
}

async fn delete(request: Request, kind: TemplateKind) -> Answer {
    let names = request.required_part("name")?;
    request.root().admin().delete_templates(kind, names).await?;
    Ok(acknowledged())
}

fn exists(request: &Request, kind: TemplateKind) -> Answer {
    let state = request.root().cluster().state();
    let templates = &state.templates;
    let known: Vec<&String> = match kind {
        TemplateKind::Component => templates.components.keys().collect(),
        TemplateKind::Index => templates.index.keys().collect(),
        TemplateKind::Legacy => templates.legacy.keys().collect(),
    };
    let is_there = |name: &str| known.iter().any(|known| matches_pattern(name, known));
    let mut names = request.required_part("name")?.split(',');
    Ok(Reply::exists(names.any(is_there)))
}

fn get_components(request: &Request) -> Answer {
    let state = request.root().cluster().state();
    let is_flat = request.parameters.is_set("flat_settings")?;
    let left_out = request.parameters.list("settings_filter");
    let left_out = left_out.unwrap_or_default();
    let templates = state.templates.components.iter();
    let shown = templates.map(|(name, component)| {
        let shown = shown::component(&shown::without(component, &left_out), is_flat);
        (name.as_str(), shown)
    });
    let found = selected(request, TemplateKind::Component, shown)?;
    let found = found
        .into_iter()
        .map(|(name, body)| json!({"name": name, "component_template": body}));
    let found: Vec<Value> = found.collect();
    Ok(Reply::json(&json!({"component_templates": found})))
}

fn get_index(request: &Request) -> Answer {
    let state = request.root().cluster().state();
    let is_flat = request.parameters.is_set("flat_settings")?;
    let templates = state.templates.index.iter();
    let shown = templates.map(|(name, template)| (name.as_str(), shown::index(template, is_flat)));
    let found = selected(request, TemplateKind::Index, shown)?;
    let found = found
        .into_iter()
        .map(|(name, body)| json!({"name": name, "index_template": body}));
    let found: Vec<Value> = found.collect();
    Ok(Reply::json(&json!({"index_templates": found})))
}

/// Returns the templates that the path names; a name that no template bears is an error, a wildcard is none.
fn selected<'a>(
    request: &Request,
    kind: TemplateKind,
    all: impl Iterator<Item = (&'a str, Value)>,
) -> Result<Vec<(&'a str, Value)>, ApiError> {
    let Some(names) = request.part("name") else {
        return Ok(all.collect());
    };
    let names: Vec<&str> = names.split(',').map(str::trim).collect();
    let is_named = |template: &str| names.iter().any(|name| matches_pattern(name, template));
    let found: Vec<_> = all.filter(|(name, _)| is_named(name)).collect();
    let is_missing =
        |name: &&&str| !name.contains('*') && !found.iter().any(|(template, _)| template == *name);
    match names.iter().find(is_missing) {
        Some(name) => Err(missing(kind, name).into()),
        None => Ok(found),
    }
}

#[cfg(test)]
mod tests;

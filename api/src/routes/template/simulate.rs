//! What an index would get from the templates: those there are, and one that could be put.

use gleaner_model::Templates;
use gleaner_model::template::IndexTemplate;
use gleaner_query::templates::{
    Composed, check_priority, index_template_of, overlapping, overlapping_legacy,
    parse_index_template,
};
use gleaner_root::admin::templates::{TemplateKind, missing};
use serde_json::{Value, json};

use super::shown;
use crate::error::ApiError;
use crate::request::Request;
use crate::response::Reply;
use crate::route::Answer;

/// The name of a template that has none.
const UNNAMED: &str = "simulated_template";

/// Answers what an index of a name would get.
pub(super) async fn index(mut request: Request) -> Answer {
    let body = request.json().await?;
    let name = request.required_part("name")?.to_owned();
    let mut templates = Templates::clone(&request.root().cluster().state().templates);
    if let Some(body) = body {
        let template = read(&request, UNNAMED, &body, &templates)?;
        templates.index.insert(UNNAMED.to_owned(), template);
    }
    match index_template_of(&templates, &name) {
        None => Ok(Reply::json(&json!({}))),
        Some((name, template)) => answered(&request, &templates, name, template),
    }
}

/// Answers what a template gives: one that is there, or the one of the body.
pub(super) async fn template(mut request: Request) -> Answer {
    let body = request.json().await?;
    let name = request.part("name").map(str::to_owned);
    let state = request.root().cluster().state();
    let templates = &state.templates;
    match (name, body) {
        (name, Some(body)) => {
            let name = name.as_deref().unwrap_or(UNNAMED);
            let template = read(&request, name, &body, templates)?;
            answered(&request, templates, name, &template)
        }
        (Some(name), None) => match templates.index.get(&name) {
            None => Err(missing(TemplateKind::Index, &name).into()),
            Some(template) => answered(&request, templates, &name, template),
        },
        (None, None) => Err(ApiError::validation(&[
            "unable to simulate template, either the name of one or a body is needed".to_owned(),
        ])),
    }
}

fn read(
    request: &Request,
    name: &str,
    body: &Value,
    templates: &Templates,
) -> Result<IndexTemplate, ApiError> {
    let limits = request.root().cluster().limits();
    let template = parse_index_template(name, body, &limits)?;
    check_priority(templates, name, &template)?;
    Ok(template)
}

fn answered(
    request: &Request,
    templates: &Templates,
    name: &str,
    template: &IndexTemplate,
) -> Answer {
    let is_flat = request.parameters.is_set("flat_settings")?;
    let composed = Composed::of_index_template(templates, template);
    let overlapping = overlapping_legacy(templates, template)
        .into_iter()
        .chain(overlapping(templates, name, template))
        .map(|(name, patterns)| json!({"name": name, "index_patterns": patterns}));
    let mut shown = json!({
        "settings": shown::settings(&composed.settings, is_flat),
        "mappings": composed.mappings,
        "aliases": composed.aliases,
    });
    if let Some(mut lifecycle) = composed.lifecycle {
        lifecycle.retain(|_, value| !value.is_null());
        shown["lifecycle"] = Value::Object(lifecycle);
    }
    Ok(Reply::json(&json!({
        "template": shown,
        "overlapping": overlapping.collect::<Vec<Value>>(),
    })))
}

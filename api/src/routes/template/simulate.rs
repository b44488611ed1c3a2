//! What an index would get from the templates: those there are, and one that could be put.

use gleaner_model::template::IndexTemplate;
use gleaner_model::{ClusterState, Templates};
use gleaner_query::templates::{
    Composed, index_template_of, overlapping, overlapping_legacy, parse_index_template,
};
use gleaner_root::admin::templates::{TemplateKind, missing, put_index_template};
use serde_json::{Value, json};

use super::shown;
use crate::error::ApiError;
use crate::request::{Answer, Request};
use crate::response::Reply;

/// The name of a template that has none.
const UNNAMED: &str = "simulated_template";

/// Answers what an index of a name would get.
pub(super) async fn index(mut request: Request) -> Answer {
    let body = request.json().await?;
    let name = request.required_part("name")?.to_owned();
    let state = request.root().cluster().state();
    let templates = match body {
        None => Templates::clone(&state.templates),
        Some(body) => with_template(&request, &state, UNNAMED, &body)?,
    };
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
            let templates = with_template(&request, &state, name, &body)?;
            answered(&request, &templates, name, &templates.index[name])
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

/// Returns the templates that there would be if the one of the body was put: what a put refuses is refused.
fn with_template(
    request: &Request,
    state: &ClusterState,
    name: &str,
    body: &Value,
) -> Result<Templates, ApiError> {
    let limits = request.root().cluster().limits();
    let template = parse_index_template(name, body, &limits)?;
    let mut templates = Templates::clone(&state.templates);
    put_index_template(state, &mut templates, name, template)?;
    Ok(templates)
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

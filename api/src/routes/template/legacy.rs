//! `_template`: the templates of the older kind.

use gleaner_query::templates::{ignored_legacy, parse_legacy_template};
use gleaner_root::admin::templates::NewTemplate;
use http::StatusCode;
use serde_json::{Map, Value};

use super::shown;
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::routes::index::{acknowledged, unheeded};

pub(super) async fn put(mut request: Request) -> Answer {
    let body = request.required_json().await?;
    let name = request.required_part("name")?.to_owned();
    let limits = request.root().cluster().limits();
    let order = request.parameters.number("order")?;
    let template = parse_legacy_template(&name, &body, order, &limits)?;
    let new = NewTemplate::Legacy(template.clone());
    super::put(&request, &name, &new).await?;
    let state = request.root().cluster().state();
    let ignored = ignored_legacy(&state.templates, &name, &template).map(|reason| {
        format!(
            "{reason}; this template [{name}] may be ignored in favor of a composable template at index creation time"
        )
    });
    let mut warnings: Vec<String> = ignored.into_iter().collect();
    warnings.extend(unheeded::of_content(&body));
    Ok(acknowledged().warning(&warnings))
}

/// Answers 404 with an empty object where no template bears a name, as the dialect does.
pub(super) fn get(request: &Request) -> Answer {
    let state = request.root().cluster().state();
    let is_flat = request.parameters.is_set("flat_settings")?;
    let names: Option<Vec<&str>> = request.part("name").map(|names| names.split(',').collect());
    let is_named = |template: &str| {
        let mut names = names.iter().flatten();
        names.any(|name| gleaner_model::mapping::matches_pattern(name.trim(), template))
    };
    let templates = state.templates.legacy.iter();
    let found: Map<String, Value> = templates
        .filter(|(name, _)| names.is_none() || is_named(name))
        .map(|(name, template)| (name.clone(), shown::legacy(template, is_flat)))
        .collect();
    let is_exact = |name: &&str| !name.contains('*');
    let wants_some = names.iter().flatten().any(is_exact);
    let status = match found.is_empty() && wants_some {
        true => StatusCode::NOT_FOUND,
        false => StatusCode::OK,
    };
    Ok(Reply::with_status(status, &found))
}

//! `_split`, `_shrink` and `_clone`: an index made from another one.

use gleaner_query::settings::{Resize, parse_create_index};
use gleaner_root::resize::ResizeRequest;
use http::Method;
use serde_json::{Value, json};

use super::index::active::{WAIT, wait, wanted};
use super::index::{MANAGE_ALIAS, unheeded};
use super::rollover::CREATE;
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::{Parameter, Route};

const RESIZE: &[Parameter] = &[Parameter::honoured("copy_settings")];
const METHODS: &[Method] = &[Method::PUT, Method::POST];

pub(super) static ENDPOINTS: &[Endpoint] = &[
    Route {
        name: "indices.split",
        methods: METHODS,
        paths: &["/{index}/_split/{target}"],
        parameters: &[RESIZE, WAIT],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(resize(request, Resize::Split))),
    Route {
        name: "indices.shrink",
        methods: METHODS,
        paths: &["/{index}/_shrink/{target}"],
        parameters: &[RESIZE, WAIT],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(resize(request, Resize::Shrink))),
    Route {
        name: "indices.clone",
        methods: METHODS,
        paths: &["/{index}/_clone/{target}"],
        parameters: &[RESIZE, WAIT],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(resize(request, Resize::Clone))),
];

async fn resize(mut request: Request, how: Resize) -> Answer {
    let body = request.json().await?.unwrap_or(Value::Null);
    if request.parameters.flag("copy_settings")? == Some(false) {
        let reason = "parameter [copy_settings] can not be explicitly set to [false]";
        return Err(ApiError::illegal(reason));
    }
    let asked = ResizeRequest {
        how,
        source: request.index_name()?,
        target: request.required_part("target")?.to_owned(),
        body,
    };
    check_rights(&request, &asked)?;
    let wanted = wanted(&request)?;
    let limit = request.parameters.time("timeout")?;
    let origin = request.origin(&bytes::Bytes::new());
    let made = request.root().resize(asked, &origin).await?;
    let is_active = wait(&request, wanted, &[&*made], limit).await;
    let reply = Reply::json(&json!({
        "acknowledged": true,
        "shards_acknowledged": is_active,
        "index": made.name.as_str(),
    }));
    Ok(reply.warning(&unheeded::of_index(&made)))
}

/// Refuses a name, and aliases, that the sender has no right to give.
fn check_rights(request: &Request, asked: &ResizeRequest) -> Result<(), ApiError> {
    request.check_name(&CREATE, &asked.target)?;
    let aliases = json!({"aliases": asked.body.get("aliases").unwrap_or(&Value::Null)});
    let limits = request.root().cluster().limits();
    let made = parse_create_index(&aliases, &limits)?;
    let mut aliases = made.aliases.keys();
    aliases.try_for_each(|alias| request.check_name(&MANAGE_ALIAS, alias.as_str()))
}

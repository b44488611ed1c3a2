//! `_rollover`: an alias or a data stream goes on with a new index.

use gleaner_query::names::expand_date_math;
use gleaner_query::rollover::parse_rollover;
use http::Method;
use serde_json::{Map, Value, json};

use super::index::active::{ActiveShards, WAIT};
use crate::parameters::groups::TYPES;
use crate::request::Request;
use crate::response::Reply;
use crate::route::{Answer, Parameter, Route};

const ROLLOVER: &[Parameter] = &[
    Parameter::honoured("dry_run"),
    Parameter::refused("lazy", "a rollover at the next write"),
];

pub(super) static ROUTES: &[Route] = &[Route {
    name: "indices.rollover",
    methods: &[Method::POST],
    paths: &["/{index}/_rollover", "/{index}/_rollover/{new_index}"],
    parameters: &[ROLLOVER, WAIT, TYPES],
    handler: |request| Box::pin(rollover(request)),
    is_refused: false,
}];

async fn rollover(mut request: Request) -> Answer {
    let body = request.json().await?.unwrap_or(Value::Null);
    let root = request.root();
    let asked = parse_rollover(&body, &root.cluster().limits())?;
    let target = request.index_name()?;
    let now_ms = root.cluster().now_ms();
    let new_name = request.part("new_index");
    let new_name = new_name
        .map(|name| expand_date_math(name, now_ms))
        .transpose()?;
    let is_dry = request.parameters.is_set("dry_run")?;
    let wanted = ActiveShards::of(&request)?;
    let limit = request.parameters.time("timeout")?;
    let done = root
        .rollover(&target, new_name.as_deref(), &asked, is_dry)
        .await?;
    let is_active = match &done.created {
        Some(created) => wanted.wait(&request, &[&**created], limit).await,
        None => false,
    };
    let conditions = done.conditions.into_iter();
    let conditions: Map<String, Value> = conditions
        .map(|(shown, is_met)| (shown, Value::from(is_met)))
        .collect();
    Ok(Reply::json(&json!({
        "acknowledged": done.rolled_over,
        "shards_acknowledged": is_active,
        "old_index": done.old_index,
        "new_index": done.new_index,
        "rolled_over": done.rolled_over,
        "dry_run": is_dry,
        "conditions": conditions,
    })))
}

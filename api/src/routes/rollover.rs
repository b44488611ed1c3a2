//! `_rollover`: an alias or a data stream goes on with a new index.

use gleaner_model::IndexPrivilege;
use gleaner_query::names::NewName;
use gleaner_query::rollover::{RolloverRequest, parse_rollover};
use gleaner_query::settings::parse_part_of_index;
use gleaner_query::templates::deprecated_use;
use http::Method;
use serde_json::{Map, Value, json};

use super::index::active::{WAIT, wait, wanted};
use super::index::{MANAGE_ALIAS, unheeded};
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::parameters::groups::TYPES;
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::{Parameter, Route};
use crate::security::Action;

const ROLLOVER: &[Parameter] = &[
    Parameter::honoured("dry_run"),
    Parameter::refused("lazy", "a rollover at the next write"),
];

pub(super) static ENDPOINTS: &[Endpoint] = &[Route {
    name: "indices.rollover",
    methods: &[Method::POST],
    paths: &["/{index}/_rollover", "/{index}/_rollover/{new_index}"],
    parameters: &[ROLLOVER, WAIT, TYPES],
    is_refused: false,
}
.answered_by(|request| Box::pin(rollover(request)))];

/// What makes an index, for rights.
pub(super) const CREATE: Action = Action {
    name: "indices:admin/create",
    privilege: IndexPrivilege::CreateIndex,
    ignores_filters: false,
};

/// Refuses a name, and aliases, that the sender has no right to give.
fn check_rights(
    request: &Request,
    new_name: Option<&str>,
    asked: &RolloverRequest,
) -> Result<(), ApiError> {
    if let Some(name) = new_name {
        request.check_name(&CREATE, name)?;
    }
    let limits = request.root().cluster().limits();
    let next = parse_part_of_index(&asked.next, &limits)?;
    let mut aliases = next.aliases.keys();
    aliases.try_for_each(|alias| request.check_name(&MANAGE_ALIAS, alias.as_str()))
}

async fn rollover(mut request: Request) -> Answer {
    let body = request.json().await?.unwrap_or(Value::Null);
    let root = request.root();
    let asked = parse_rollover(&body, &root.cluster().limits())?;
    let target = request.index_name()?;
    let now_ms = root.cluster().now_ms();
    let new_name = request.part("new_index");
    let new_name = new_name
        .map(|name| NewName::read(name, now_ms))
        .transpose()?
        .map(|name| name.keep_date_math_if(|any| request.may_name(&CREATE, any)));
    let named = new_name.as_ref().map(|name| name.name.as_str());
    check_rights(&request, named, &asked)?;
    let is_dry = request.parameters.is_set("dry_run")?;
    let wanted = wanted(&request)?;
    let limit = request.parameters.time("timeout")?;
    let done = root
        .rollover(&target, new_name.as_ref(), &asked, is_dry)
        .await?;
    let is_active = match &done.created {
        Some(created) => wait(&request, wanted, &[&**created], limit).await,
        None => false,
    };
    let state = root.cluster().state();
    // The indices of a data stream are made by the template for its name.
    let made = done.created.as_ref().map(|created| {
        let stream = created.stream_name();
        stream.unwrap_or(&created.name).as_str()
    });
    let deprecated = made.and_then(|name| deprecated_use(name, &state.templates));
    let conditions = done.conditions.into_iter();
    let conditions: Map<String, Value> = conditions
        .map(|(shown, is_met)| (shown, Value::from(is_met)))
        .collect();
    let reply = Reply::json(&json!({
        "acknowledged": done.rolled_over,
        "shards_acknowledged": is_active,
        "old_index": done.old_index,
        "new_index": done.new_index,
        "rolled_over": done.rolled_over,
        "dry_run": is_dry,
        "conditions": conditions,
    }));
    let unheeded = done.created.as_deref().map(unheeded::of_index);
    let reply = reply.warning(deprecated.as_slice());
    Ok(reply.warning(&unheeded.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{got, sent, speaking};

    #[tokio::test(flavor = "multi_thread")]
    async fn date_math_of_a_name_is_kept_and_goes_on() {
        let dialect = speaking();
        let put = (
            "PUT",
            "/%3Cdm-%7Bnow%2Fd%7D-000001%3E?wait_for_active_shards=0",
        );
        let aliases = json!({"aliases": {"dm": {"is_write_index": true}}});
        let (_, made) = sent(&dialect, put, &aliases).await;
        assert_eq!(made["index"], "dm-1970.01.01-000001", "{made}");
        for (new, name, provided) in [
            ("", "dm-1970.01.01-000002", "<dm-{now/d}-000002>"),
            (
                "/%3Cother-%7Bnow%2Fy%7Byyyy%7D%7D-7%3E",
                "other-1970-7",
                "<other-{now/y{yyyy}}-7>",
            ),
            ("", "other-1970-000008", "<other-{now/y{yyyy}}-000008>"),
            ("/plain-1", "plain-1", "plain-1"),
        ] {
            let path = format!("/dm/_rollover{new}?wait_for_active_shards=0");
            let (_, rolled) = sent(&dialect, ("POST", &path), &Value::Null).await;
            assert_eq!(rolled["new_index"], name, "{rolled}");
            let shown = got(&dialect, &format!("/{name}/_settings")).await;
            let settings = &shown[name]["settings"]["index"];
            assert_eq!(settings["provided_name"], provided, "{shown}");
        }
        let shown = got(&dialect, "/dm-*-000001/_settings").await;
        let first = &shown["dm-1970.01.01-000001"]["settings"]["index"];
        assert_eq!(first["provided_name"], "<dm-{now/d}-000001>", "{shown}");
    }
}

//! `_cluster/reroute`: copies that have failed are tried again, and an operator accepts what a shard has lost.
//!
//! Does: that. Does not: move copies, which stay where they were placed: those commands are refused by name.

mod commands;
mod held;

use gleaner_root::visibility::CopyOutcome;
use http::StatusCode;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::request::{Answer, Request};
use crate::response::Reply;

pub(super) use held::copies_shown;

/// Carries out what is asked for, all of it checked before, and says whether it was.
pub(super) async fn reroute(mut request: Request) -> Answer {
    let body = request.json().await?;
    let commands = commands::of(body.as_ref())?;
    let parameters = &request.parameters;
    let retries = parameters.is_set("retry_failed")?;
    let (is_dry, explains) = (parameters.is_set("dry_run")?, parameters.is_set("explain")?);
    if commands.is_empty() && !retries {
        return Err(ApiError::illegal(
            "[_cluster/reroute] does nothing by itself, as copies stay where they were placed: give [commands], or \
             [retry_failed=true]",
        ));
    }
    let losses = request.root().losses();
    let mut checked = Vec::with_capacity(commands.len());
    for command in commands {
        checked.push(losses.check(command).await?);
    }
    if !is_dry {
        for forced in &checked {
            losses.carry_out(forced).await?;
        }
        if retries {
            retry_failed(&request).await?;
        }
    }
    let mut answer = json!({"acknowledged": true});
    if explains {
        let explanations = checked.iter().map(commands::explained);
        answer["explanations"] = explanations.collect::<Vec<Value>>().into();
    }
    Ok(Reply::json(&answer))
}

/// Opens again what has failed, and fails where a leaf has not taken that.
async fn retry_failed(request: &Request) -> Result<(), ApiError> {
    let outcomes = request.root().reader().retry_failed().await;
    let refused = outcomes
        .iter()
        .find_map(|asked| Some((asked, asked.outcome.as_ref().err()?)));
    let Some((CopyOutcome { shard, node, .. }, fault)) = refused else {
        return Ok(());
    };
    let node = node.as_ref().map_or("none", |node| &*node.0);
    Err(ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "shard_not_available_exception",
        format!("shard {shard} on the node [{node}] cannot be tried again: {fault}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{sent, speaking};

    #[tokio::test]
    async fn failed_copies_are_tried_again_and_nothing_is_moved() {
        let dialect = speaking();
        let commands = json!({"commands": [{"cancel": {"index": "a", "shard": 0, "node": "n"}}]});
        for (query, body, expected) in [
            ("?retry_failed=true", Value::Null, StatusCode::OK),
            ("?retry_failed", json!({"commands": []}), StatusCode::OK),
            ("?retry_failed=true", commands, StatusCode::BAD_REQUEST),
            ("", Value::Null, StatusCode::BAD_REQUEST),
            ("?retry_failed=false", Value::Null, StatusCode::BAD_REQUEST),
            ("?dry_run=true", Value::Null, StatusCode::BAD_REQUEST),
        ] {
            let path = format!("/_cluster/reroute{query}");
            let (status, answer) = sent(&dialect, ("POST", &path), &body).await;
            assert_eq!(status, expected, "{query} {body}: {answer}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn commands_that_cannot_be_carried_out_are_refused_by_name() {
        let dialect = speaking();
        let create = ("PUT", "/books?wait_for_active_shards=0");
        let (status, _) = sent(&dialect, create, &json!({})).await;
        assert_eq!(status, StatusCode::OK);
        let stale = |fields: Value| json!({"allocate_stale_primary": fields});
        let whole = json!({"index": "books", "shard": 0, "node": "n", "accept_data_loss": true});
        let other = json!({"index": "none", "shard": 0, "node": "n", "accept_data_loss": true});
        for (command, status, reason) in [
            (json!({"move": {}}), 400, "[move] is not supported yet"),
            (
                json!({"allocate_replica": {}}),
                400,
                "[allocate_replica] is not supported yet",
            ),
            (json!({"fly": {}}), 400, "unknown command [fly]"),
            (stale(json!({"index": "books"})), 400, "[shard]"),
            (stale(json!({"speed": 1})), 400, "[speed]"),
            (
                stale(json!({"index": "books", "shard": "x"})),
                400,
                "[shard]",
            ),
            (stale(other), 404, "no such index [none]"),
            (stale(whole), 400, "in one process"),
            (json!([]), 400, "an object"),
        ] {
            let body = json!({"commands": [command]});
            let asked = sent(&dialect, ("POST", "/_cluster/reroute"), &body).await;
            assert_eq!(asked.0.as_u16(), status, "{body}: {}", asked.1);
            let told = asked.1["error"]["reason"].to_string();
            assert!(told.contains(reason), "{body}: {told}");
        }
    }
}

//! `_cluster/reroute`: copies that have failed are tried again.
//!
//! Does: that. Does not: move copies, which stay where they were placed: commands are refused.

use gleaner_root::visibility::CopyOutcome;
use http::StatusCode;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::request::Request;
use crate::response::Reply;
use crate::route::Answer;

/// Opens again what has failed, and says whether every leaf has taken that.
pub(super) async fn reroute(mut request: Request) -> Answer {
    let body = request.json().await?;
    let asked = body.as_ref().and_then(Value::as_object);
    let is_asked = asked.is_some_and(|asked| asked.values().any(|commands| *commands != json!([])));
    if is_asked || !request.parameters.is_set("retry_failed")? {
        return Err(ApiError::illegal(
            "copies stay where they were placed: [_cluster/reroute] takes no commands, and does [retry_failed=true] only",
        ));
    }
    let outcomes = request.root().reader().retry_failed().await;
    let refused = outcomes
        .iter()
        .find_map(|asked| Some((asked, asked.outcome.as_ref().err()?)));
    if let Some((CopyOutcome { shard, node, .. }, fault)) = refused {
        let node = node.as_ref().map_or("none", |node| &*node.0);
        return Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "shard_not_available_exception",
            format!("shard {shard} on the node [{node}] cannot be tried again: {fault}"),
        ));
    }
    Ok(Reply::json(&json!({"acknowledged": true})))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{sent, speaking};

    #[tokio::test]
    async fn failed_copies_are_tried_again_and_nothing_else_is_taken() {
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
}

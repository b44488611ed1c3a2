//! `_ilm/move`, `retry`, `remove`: steps of policies that people take.

use gleaner_query::lifecycle::parse_move;
use gleaner_root::lifecycle::standing;
use http::Method;
use serde_json::json;

use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::parameters::groups::{INDICES, METADATA};
use crate::parameters::reach::metadata_defaults;
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::Route;
use crate::routes::index::acknowledged;

pub(in crate::routes) static ENDPOINTS: &[Endpoint] = &[
    Route {
        name: "ilm.move_to_step",
        methods: &[Method::POST],
        paths: &["/_ilm/move/{index}"],
        parameters: &[METADATA],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(move_to_step(request))),
    Route {
        name: "ilm.retry",
        methods: &[Method::POST],
        paths: &["/{index}/_ilm/retry"],
        parameters: &[INDICES, METADATA],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(retry(request))),
    Route {
        name: "ilm.remove_policy",
        methods: &[Method::POST],
        paths: &["/{index}/_ilm/remove"],
        parameters: &[INDICES, METADATA],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(remove(request))),
];

async fn move_to_step(mut request: Request) -> Answer {
    let body = request.required_json().await?;
    let wanted = parse_move(&body)?;
    let index = request.required_part("index")?;
    let admin = request.root().admin();
    admin.move_to_step(index, &wanted).await?;
    Ok(acknowledged())
}

/// Takes the steps that are due. Indices wait in no error: each look tries again.
async fn retry(request: Request) -> Answer {
    let options = request.parameters.resolve_options(metadata_defaults())?;
    let expression = request.expression()?.unwrap_or_default();
    let cluster = request.root().cluster();
    let (state, now_ms) = (cluster.state(), cluster.now_ms());
    for found in cluster.shown_indices(&expression, &options)? {
        if standing(&state, &found.meta, now_ms).is_none() {
            return Err(ApiError::illegal(format!(
                "cannot retry an action for an index [{}] that has not encountered an error when running a \
                 Lifecycle Policy",
                found.meta.name
            )));
        }
    }
    request.root().retry_lifecycles().await;
    Ok(acknowledged())
}

async fn remove(request: Request) -> Answer {
    let options = request.parameters.resolve_options(metadata_defaults())?;
    let expression = request.expression()?.unwrap_or_default();
    let admin = request.root().admin();
    admin.remove_policies(&expression, &options).await?;
    let failed: [&str; 0] = [];
    Ok(Reply::json(
        &json!({"has_failures": false, "failed_indexes": failed}),
    ))
}

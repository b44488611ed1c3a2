//! `_data_stream/{name}/_lifecycle`: how long a data stream keeps what was written to it.

use gleaner_model::StreamLifecycle;
use gleaner_query::lifecycle::parse_stream_lifecycle;
use http::Method;
use serde_json::{Value, json};

use super::explain::explain;
use super::named;
use crate::endpoint::Endpoint;
use crate::parameters::groups::{INDICES, METADATA, METADATA_READ};
use crate::parameters::reach::metadata_defaults;
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::{Parameter, Route};
use crate::routes::index::acknowledged;

const PATHS: &[&str] = &["/_data_stream/{name}/_lifecycle"];

const GET: &[Parameter] = &[Parameter::no_effect(
    "include_defaults",
    "when the next index begins follows from the retention",
)];

pub(in crate::routes) static ENDPOINTS: &[Endpoint] = &[
    Route {
        name: "indices.put_data_lifecycle",
        methods: &[Method::PUT],
        paths: PATHS,
        parameters: &[INDICES, METADATA],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(put(request))),
    Route {
        name: "indices.get_data_lifecycle",
        methods: &[Method::GET],
        paths: PATHS,
        parameters: &[GET, INDICES, METADATA_READ],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { get(&request) })),
    Route {
        name: "indices.delete_data_lifecycle",
        methods: &[Method::DELETE],
        paths: PATHS,
        parameters: &[INDICES, METADATA],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(delete(request))),
    Route {
        name: "indices.explain_data_lifecycle",
        methods: &[Method::GET],
        paths: &["/{index}/_lifecycle/explain"],
        parameters: &[GET, INDICES, METADATA_READ],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { explain(&request) })),
];

async fn put(mut request: Request) -> Answer {
    let body = request.json().await?.unwrap_or(Value::Null);
    let lifecycle = parse_stream_lifecycle(&body)?;
    change(&request, Some(&lifecycle)).await
}

async fn delete(request: Request) -> Answer {
    change(&request, None).await
}

async fn change(request: &Request, lifecycle: Option<&StreamLifecycle>) -> Answer {
    let names = request.required_part("name")?;
    let admin = request.root().admin();
    let options = request.parameters.resolve_options(metadata_defaults())?;
    admin
        .put_stream_lifecycle(names, options.expand_wildcards, lifecycle)
        .await?;
    Ok(acknowledged())
}

fn get(request: &Request) -> Answer {
    let state = request.root().cluster().state();
    let streams = named(request, &state)?;
    let shown = streams.into_iter().map(|(name, stream)| {
        let mut shown = json!({"name": name.as_str()});
        if let Some(lifecycle) = &stream.lifecycle {
            shown["lifecycle"] = shown_lifecycle(lifecycle);
        }
        shown
    });
    let shown: Vec<Value> = shown.collect();
    Ok(Reply::json(&json!({"data_streams": shown})))
}

/// Shows the lifecycle of a data stream.
pub(super) fn shown_lifecycle(lifecycle: &StreamLifecycle) -> Value {
    let mut shown = json!({"enabled": lifecycle.is_enabled});
    if let Some(retention) = &lifecycle.retention {
        shown["data_retention"] = json!(retention);
        shown["effective_retention"] = json!(retention);
        shown["retention_determined_by"] = json!("data_stream_configuration");
    }
    shown
}

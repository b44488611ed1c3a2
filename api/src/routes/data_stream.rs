//! `_data_stream`: there are none, which clients ask before they write.

use http::Method;
use serde_json::json;

use crate::error::ApiError;
use crate::parameters::groups::{INDICES, METADATA_READ};
use crate::request::Request;
use crate::response::Reply;
use crate::route::{Answer, Parameter, Route};

const GET: &[Parameter] = &[
    Parameter::no_effect("include_defaults", "there are no data streams"),
    Parameter::no_effect("verbose", "there are no data streams"),
];

pub(super) static ROUTES: &[Route] = &[
    Route {
        name: "indices.get_data_stream",
        methods: &[Method::GET],
        paths: &["/_data_stream", "/_data_stream/{name}"],
        parameters: &[GET, INDICES, METADATA_READ],
        handler: |request| Box::pin(async move { get(&request) }),
        is_refused: false,
    },
    Route {
        name: "data streams",
        methods: &[Method::PUT, Method::DELETE, Method::POST],
        paths: &["/_data_stream/{name}"],
        parameters: &[],
        handler: |_| Box::pin(async { Err(ApiError::unsupported("data streams")) }),
        is_refused: true,
    },
];

/// A pattern finds nothing; a name is not found.
fn get(request: &Request) -> Answer {
    match request.part("name") {
        Some(name) if !name.contains('*') && name != "_all" => Err(ApiError::index_not_found(name)),
        _ => Ok(Reply::json(&json!({"data_streams": []}))),
    }
}

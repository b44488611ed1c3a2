//! What every request and answer passes: the product's headers, ids, the access log, panics.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::body::Body;
use axum::middleware::Next;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use serde_json::json;
use tracing::Instrument;

use crate::service::PRODUCT;

const OPAQUE_ID: HeaderName = HeaderName::from_static("x-opaque-id");

static NUM_REQUESTS: AtomicU64 = AtomicU64::new(1);

/// Leaves out slashes at the end of the path: `/books/` is `/books`.
pub(crate) async fn trim_path(mut request: Request<Body>) -> Request<Body> {
    let path = request.uri().path();
    if path.len() > 1 && path.ends_with('/') {
        let trimmed = path.trim_end_matches('/');
        let trimmed = if trimmed.is_empty() { "/" } else { trimmed };
        let whole = match request.uri().query() {
            Some(query) => format!("{trimmed}?{query}"),
            None => trimmed.to_owned(),
        };
        let mut parts = request.uri().clone().into_parts();
        if let Ok(whole) = whole.parse() {
            parts.path_and_query = Some(whole);
            if let Ok(uri) = Uri::from_parts(parts) {
                *request.uri_mut() = uri;
            }
        }
    }
    request
}

/// Adds the headers every answer has and logs the access.
pub(crate) async fn observe(request: Request<Body>, next: Next) -> Response<Body> {
    let started = Instant::now();
    let number = NUM_REQUESTS.fetch_add(1, Ordering::Relaxed);
    let opaque_id = request.headers().get(OPAQUE_ID).cloned();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let span = tracing::debug_span!("request", number, opaque_id = ?opaque_id);
    let mut response = next.run(request).instrument(span).await;
    let headers = response.headers_mut();
    headers.insert(PRODUCT, HeaderValue::from_static("Elasticsearch"));
    if let Some(opaque_id) = opaque_id {
        headers.insert(OPAQUE_ID, opaque_id);
    }
    let status = response.status().as_u16();
    let took_ms = started.elapsed().as_millis() as u64;
    tracing::debug!(number, %method, path, status, took_ms, "answered");
    response
}

/// Answers 500 where a handler panicked, and says so in the log.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the layer hands the panic over"
)]
pub(crate) fn answer_to_panic(panic: Box<dyn Any + Send>) -> Response<Body> {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a text");
    tracing::error!(text, "a request's handler panicked");
    let cause = json!({"type": "exception", "reason": "internal error, see the server's log"});
    let mut error = cause.clone();
    error["root_cause"] = json!([cause]);
    let body = json!({"error": error, "status": 500}).to_string();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

//! The answer to a request whose handler panicked.

use std::any::Any;

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;

/// Answers 500 where a handler panicked, and says so in the log.
#[expect(
    clippy::needless_pass_by_value,
    reason = "`catch_unwind` returns it by value"
)]
pub fn answer_to_panic(panic: Box<dyn Any + Send>) -> Response<Body> {
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

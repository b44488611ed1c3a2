//! Answers that the front gives itself, in the dialect's form.

use std::time::Duration;

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;

use crate::body::BodyFault;
use crate::limits::LimitCode;

/// Why a request is not answered by a backend.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    kind: &'static str,
    reason: String,
    /// Which limit was reached, and when to come again.
    limit: Option<(LimitCode, Duration)>,
}

impl Refusal {
    /// The request cannot be understood in one way only, or its body broke off.
    pub(crate) fn bad_request(reason: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "illegal_argument_exception",
            reason,
        )
    }

    /// The body of the request is not taken.
    pub(crate) fn body(fault: &BodyFault) -> Self {
        let (status, kind) = match fault {
            BodyFault::Broken(_) => (StatusCode::BAD_REQUEST, "illegal_argument_exception"),
            BodyFault::Late => (StatusCode::REQUEST_TIMEOUT, "timeout_exception"),
            BodyFault::TooLarge { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "content_too_long_exception")
            }
        };
        Self::new(status, kind, fault.to_string())
    }

    /// The body of the request is in a coding that would be lost on its way.
    pub(crate) fn coding() -> Self {
        Self::new(
            StatusCode::NOT_IMPLEMENTED,
            "illegal_argument_exception",
            "the field Transfer-Encoding must be `chunked` or absent",
        )
    }

    /// The method is never forwarded.
    pub(crate) fn method(method: &http::Method) -> Self {
        let reason = format!("the method {method} is not forwarded");
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "illegal_argument_exception",
            reason,
        )
    }

    /// A backend failed and no other one could be asked.
    pub(crate) fn failed(backend: &str, reason: &str) -> Self {
        let reason = format!("the backend `{backend}` failed: {reason}");
        Self::new(StatusCode::BAD_GATEWAY, "backend_failed_exception", reason)
    }

    /// No backend can be reached.
    pub(crate) fn unreachable(backend: &str, reason: &str) -> Self {
        let reason = format!("no backend can be reached; `{backend}`: {reason}");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "no_backend_exception",
            reason,
        )
    }

    /// Too many requests are open already.
    pub(crate) fn busy(max_open: usize) -> Self {
        let reason = format!("{max_open} requests are forwarded already, which is the limit");
        let kind = "rejected_execution_exception";
        Self::new(StatusCode::TOO_MANY_REQUESTS, kind, reason)
    }

    /// No answer came in time.
    pub(crate) fn late(backend: &str) -> Self {
        let reason = format!("the backend `{backend}` did not answer in time");
        Self::new(StatusCode::GATEWAY_TIMEOUT, "timeout_exception", reason)
    }

    /// Returns the reason alone.
    pub(crate) fn into_reason(self) -> String {
        self.reason
    }

    fn new(status: StatusCode, kind: &'static str, reason: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            reason: reason.into(),
            limit: None,
        }
    }

    /// A limit of the client is reached.
    pub(crate) fn limited(code: LimitCode, wait: Duration) -> Self {
        let what = match code {
            LimitCode::Requests => "too many requests",
            LimitCode::Cost => "the requests take too much of the processors",
            LimitCode::AuthFailures => "too many wrong keys",
            LimitCode::Concurrency => "too many requests at once",
        };
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self {
            limit: Some((code, wait)),
            ..Self::new(status, "rate_limited", what)
        }
    }

    /// Returns the answer.
    pub(crate) fn into_response(self) -> Response<Body> {
        let mut cause = json!({"type": self.kind, "reason": self.reason});
        if let Some((code, _)) = self.limit {
            cause["code"] = code.name().into();
        }
        let mut error = cause.clone();
        error["root_cause"] = json!([cause]);
        let body = json!({"error": error, "status": self.status.as_u16()});
        let mut response = json_response(self.status, &body);
        if matches!(
            self.status,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
        ) {
            let wait = self.limit.map_or(Duration::ZERO, |(_, wait)| wait);
            // Whole seconds, rounded up.
            let seconds = wait.as_millis().div_ceil(1_000).max(1);
            let soon = HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX));
            response.headers_mut().insert(header::RETRY_AFTER, soon);
        }
        response
    }
}

/// Returns an answer with a JSON body.
pub(crate) fn json_response(status: StatusCode, body: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

//! What those who look after a front see and change: the rules, and what is known of the shadow.
//!
//! Does: answer `/_front/rules` (GET, PUT) and `/_front/shadow` (GET, JSON or a page). Does not: check who asks; it is
//! served on a listener of its own. Read first: [`router`].

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::front::Shared;
use crate::refusal::{Refusal, json_response};
use crate::split::{RuleState, Rules, shadow_page};

/// Largest body of rules.
const MOST_BYTES: usize = 1 << 20;

/// Returns the service.
pub(crate) fn router(front: Arc<Shared>) -> Router {
    Router::new()
        .route("/_front/rules", get(rules).put(replace_rules))
        .route("/_front/shadow", get(shadow))
        .layer(axum::extract::DefaultBodyLimit::max(MOST_BYTES))
        .with_state(front)
}

fn shown(front: &Shared) -> Value {
    let rules: Vec<RuleState> = front.split.states();
    json!({"rules": rules})
}

async fn rules(State(front): State<Arc<Shared>>) -> Json<Value> {
    Json(shown(&front))
}

async fn replace_rules(State(front): State<Arc<Shared>>, body: Bytes) -> Response<Body> {
    let read: Result<Rules, _> = serde_json::from_slice(&body);
    let rules = match read {
        Ok(rules) => rules,
        Err(error) => return Refusal::bad_request(error.to_string()).into_response(),
    };
    match front.split.replace(&rules) {
        Ok(()) => {
            tracing::info!(num_rules = rules.rules.len(), "other rules are in force");
            json_response(StatusCode::OK, &shown(&front))
        }
        Err(error) => Refusal::bad_request(error.to_string()).into_response(),
    }
}

async fn shadow(State(front): State<Arc<Shared>>, headers: HeaderMap) -> Response<Body> {
    let Some(shadow) = &front.shadow else {
        let body = json!({"error": "this front was started without `--shadow`", "status": 404});
        return json_response(StatusCode::NOT_FOUND, &body);
    };
    let report = shadow.report().to_json();
    let accepted = headers.get(header::ACCEPT);
    let is_page = accepted
        .and_then(|accepted| accepted.to_str().ok())
        .is_some_and(|accepted| accepted.contains("text/html"));
    if !is_page {
        return json_response(StatusCode::OK, &report);
    }
    let mut page = Response::new(Body::from(shadow_page(&report)));
    let fields = page.headers_mut();
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    fields.insert(header::CONTENT_TYPE, kind);
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
    fields.insert(header::CONTENT_SECURITY_POLICY, policy);
    page
}

//! Requests to a dialect whose root keeps indices but has no leaf that answers: enough for tests of
//! metadata.

pub(crate) mod deleting;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use gleaner_root::memory::HeldMemory;
use gleaner_root::{Root, RootOptions};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::Dialect;
use crate::response::AnswerMaker;

pub(crate) use crate::dialect::tests::speaking;

/// Returns what answers are made with.
pub(crate) fn making() -> AnswerMaker {
    AnswerMaker::new(&crate::dialect::tests::root())
}

/// Returns a root whose work on answers is late at once, where it is not done at once.
pub(crate) fn root_without_time() -> Arc<Root> {
    crate::dialect::tests::root_with(RootOptions {
        default_timeout: Duration::ZERO,
        ..RootOptions::default()
    })
}

/// Takes all the memory of answers.
pub(crate) fn all_memory(root: &Root) -> Vec<HeldMemory> {
    let options = root.cluster().options();
    let num_queries = options.query_memory_bytes / options.memory_per_query_bytes;
    let all_of_one = |_| {
        let held = root
            .accounts()
            .answer_memory()
            .reserve(options.memory_per_query_bytes as usize);
        held.expect("nobody else has any")
    };
    (0..num_queries).map(all_of_one).collect()
}

/// Sends a request, without a body where that is null; returns the status and the answer, null where it
/// has none.
pub(crate) async fn sent(
    dialect: &Dialect,
    (method, path): (&str, &str),
    body: &Value,
) -> (StatusCode, Value) {
    let body = match body {
        Value::Null => Body::empty(),
        body => Body::from(body.to_string()),
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .body(body);
    let Ok(answer) = dialect
        .clone()
        .oneshot(request.expect("a good request"))
        .await;
    let status = answer.status();
    let body = answer.into_body().collect().await.expect("a whole body");
    let answer = serde_json::from_slice(&body.to_bytes());
    (status, answer.unwrap_or(Value::Null))
}

/// Asks for `path`; returns the answer, which must be there.
pub(crate) async fn got(dialect: &Dialect, path: &str) -> Value {
    let (status, answer) = sent(dialect, ("GET", path), &Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{path}: {answer}");
    answer
}

/// Creates an index, whose shards nobody opens.
pub(crate) async fn create(dialect: &Dialect, name: &str, body: &Value) {
    let path = format!("/{name}?wait_for_active_shards=0");
    let (status, answer) = sent(dialect, ("PUT", &path), body).await;
    let index = answer["index"].clone();
    assert_eq!((status, index), (StatusCode::OK, json!(name)), "{answer}");
}

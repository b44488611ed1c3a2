//! `_flush/synced` of version 7: a flush, whose answer counts copies and names none.

use http::{Method, StatusCode};
use serde_json::json;

use crate::endpoint::Endpoint;
use crate::parameters::groups::INDICES;
use crate::render::shards::of_operation;
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::Route;

pub(super) static ENDPOINTS: &[Endpoint] = &[Route {
    name: "indices.flush_synced",
    methods: &[Method::POST, Method::GET],
    paths: &["/_flush/synced", "/{index}/_flush/synced"],
    parameters: &[INDICES],
    is_refused: false,
}
.answered_by(|request| Box::pin(flush(request)))];

/// Flushes; 409 says that a copy failed, as in the dialect.
async fn flush(request: Request) -> Answer {
    let outcomes = request.root().reader().flush(&request.target()?).await?;
    let state = request.root().cluster().state();
    let shards = of_operation(&outcomes, &state);
    let status = match shards["failed"].as_u64() {
        Some(0) => StatusCode::OK,
        _ => StatusCode::CONFLICT,
    };
    Ok(Reply::with_status(
        status,
        &json!({
            "_shards": {
                "total": shards["total"],
                "successful": shards["successful"],
                "failed": shards["failed"],
            },
        }),
    ))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::{Value, json};

    use crate::testing::{create, sent, speaking};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_synced_flush_is_a_flush_that_counts_copies() {
        let dialect = speaking();
        let flushed = async |path: &str| sent(&dialect, ("POST", path), &Value::Null).await;
        let counts = |total: u32, failed: u32| json!({"_shards": {"total": total, "successful": 0, "failed": failed}});
        let none = flushed("/_flush/synced").await;
        assert_eq!(none, (StatusCode::OK, counts(0, 0)));
        // Its leaf does not answer.
        let one = json!({"settings": {"number_of_shards": 1, "number_of_replicas": 1}});
        create(&dialect, "books", &one).await;
        for path in ["/_flush/synced", "/books/_flush/synced"] {
            let failed = flushed(path).await;
            assert_eq!(failed, (StatusCode::CONFLICT, counts(2, 1)), "{path}");
        }
        let (status, _) = flushed("/films/_flush/synced").await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
}

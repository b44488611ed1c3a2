//! Which keys a request ends, and which it passes over.

use http::StatusCode;
use serde_json::{Value, json};

use super::requests::{made, secured, sent};
use crate::Dialect;

/// Asks with `key` for the end of the keys that `body` names.
async fn end(dialect: &Dialect, key: &str, body: &Value) -> (StatusCode, Value) {
    let route = ("DELETE", "/_security/api_key");
    let (status, answer, _) = sent(dialect, key, route, &body.to_string()).await;
    (status, answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_no_key_has_are_passed_over() {
    let (dialect, first) = secured().await;
    let roles = json!({"cluster": ["manage_own_api_key"]});
    let (id, key) = made(&dialect, &first, "team", &roles).await;
    let (status, answer) = end(&dialect, &first, &json!({"ids": ["gone"]})).await;
    let none = json!({
        "invalidated_api_keys": [], "previously_invalidated_api_keys": [], "error_count": 0,
    });
    assert_eq!((status, answer), (StatusCode::OK, none));
    let (status, _) = end(&dialect, &key, &json!({"ids": ["gone"]})).await;
    assert_eq!(
        status,
        StatusCode::FORBIDDEN,
        "it may not ask after those of others"
    );
    let list = ("GET", "/_security/api_key?id=gone");
    let (status, ..) = sent(&dialect, &first, list, "").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let body = json!({"ids": [id, "gone"], "owner": true});
    let (status, answer) = end(&dialect, &key, &body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["invalidated_api_keys"], json!([id]), "{answer}");
    let (_, answer) = end(&dialect, &first, &body).await;
    let before = &answer["previously_invalidated_api_keys"];
    assert_eq!(*before, json!([id]), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_ids_are_not_all_ids() {
    let (dialect, first) = secured().await;
    let (_, key) = made(&dialect, &first, "team", &json!({"cluster": ["all"]})).await;
    let (status, answer) = end(&dialect, &first, &json!({"ids": [], "owner": true})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let kind = &answer["error"]["type"];
    assert_eq!(*kind, "action_request_validation_exception", "{answer}");
    for key in [&first, &key] {
        let whoami = ("GET", "/_security/_authenticate");
        let (status, ..) = sent(&dialect, key, whoami, "").await;
        assert_eq!(status, StatusCode::OK, "it is valid still");
    }
}

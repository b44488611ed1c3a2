//! `_terms_enum` of indices that are deleted while it asks for pages, and without time for a page.

use http::StatusCode;
use serde_json::{Value, json};

use crate::testing::deleting::with_an_index;
use crate::testing::sent;

/// Asks for terms of indices that the first page finds deleted.
async fn asked_of_deleted(path: &str) -> (StatusCode, Value) {
    let (dialect, leaves) = with_an_index().await;
    leaves.arm();
    let answer = sent(&dialect, ("POST", path), &json!({"field": "tag"})).await;
    assert!(!leaves.has("books"), "it was asked");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_deleted_meanwhile_is_left_out_unless_it_was_named() {
    let nothing = json!({
        "_shards": {"total": 0, "successful": 0, "failed": 0}, "terms": [], "complete": true,
    });
    for path in [
        "/bo*/_terms_enum",
        "/_all/_terms_enum",
        "/books/_terms_enum?ignore_unavailable=true",
    ] {
        let (status, answer) = asked_of_deleted(path).await;
        assert_eq!((status, &answer), (StatusCode::OK, &nothing), "{path}");
    }
    let (status, answer) = asked_of_deleted("/books/_terms_enum").await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{answer}");
    let kind = &answer["error"]["type"];
    assert_eq!(kind, "index_not_found_exception", "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_there_was_no_time_for_is_missing_and_the_answer_says_so() {
    let (dialect, _) = with_an_index().await;
    let body = json!({"field": "tag", "timeout": "0s"});
    let (status, answer) = sent(&dialect, ("POST", "/books/_terms_enum"), &body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["complete"], false, "{answer}");
    assert_eq!(answer["terms"], json!([]), "{answer}");
}

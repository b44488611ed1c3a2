//! Which keys a query finds, and in which order.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::requests::{made, secured, sent};
use crate::Dialect;
use crate::options::ApiOptions;
use crate::security::secure;

const QUERY: (&str, &str) = ("POST", "/_security/_query/api_key");

/// Asks with `key`; the answer must be there.
async fn found(dialect: &Dialect, key: &str, body: &Value) -> Value {
    let (status, answer, _) = sent(dialect, key, QUERY, &body.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{body}: {answer}");
    answer
}

/// Returns the names of the keys in an answer.
fn names(answer: &Value) -> Vec<&str> {
    let keys = answer["api_keys"].as_array().expect("keys");
    let names = keys.iter().map(|key| key["name"].as_str());
    names.map(|name| name.expect("a name")).collect()
}

/// Makes the keys `a-1`, `a-2` and `b-1`, and ends the last; returns what is sent of the first.
async fn fill(dialect: &Dialect, first: &str) -> String {
    let mut sent_of_first = String::new();
    for name in ["a-1", "a-2", "b-1"] {
        let (_, key) = made(dialect, first, name, &json!({"cluster": ["monitor"]})).await;
        if name == "a-1" {
            sent_of_first = key;
        }
    }
    let end = json!({"name": "b-1"}).to_string();
    let route = ("DELETE", "/_security/api_key");
    let (status, answer, _) = sent(dialect, first, route, &end).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    sent_of_first
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_finds_what_the_list_shows_to_the_same_key() {
    let (dialect, first) = secured().await;
    let key = fill(&dialect, &first).await;
    for key in [&first, &key] {
        let list = ("GET", "/_security/api_key");
        let (_, list, _) = sent(&dialect, key, list, "").await;
        let (status, answer, _) = sent(&dialect, key, ("GET", QUERY.1), "").await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert_eq!(answer["api_keys"], list["api_keys"]);
        let count = list["api_keys"].as_array().expect("keys").len();
        assert_eq!(answer["total"], count, "{answer}");
        assert_eq!(answer["count"], count, "{answer}");
    }
    let body = json!({"query": {"prefix": {"name": "a-"}}});
    let answer = found(&dialect, &key, &body).await;
    assert_eq!(names(&answer), ["a-1"], "others are not its own");
    let body = json!({"query": {"ids": {"values": ["gone"]}}});
    let answer = found(&dialect, &key, &body).await;
    let none = json!({"total": 0, "count": 0, "api_keys": []});
    assert_eq!(answer, none);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_found_by_query_and_sorted() {
    let (dialect, first) = secured().await;
    fill(&dialect, &first).await;
    let prefix = |prefix: &str| json!({"prefix": {"name": prefix}});
    let ended = json!({"term": {"invalidated": true}});
    for (query, expected) in [
        (prefix("a-"), vec!["a-2", "a-1"]),
        (json!({"wildcard": {"name": "?-1"}}), vec!["b-1", "a-1"]),
        (
            json!({"bool": {"must": {"wildcard": {"name": "?-1"}}, "must_not": [ended]}}),
            vec!["a-1"],
        ),
        (json!({"terms": {"name": ["a-2", "c"]}}), vec!["a-2"]),
        (json!({"exists": {"field": "expiration"}}), vec![]),
    ] {
        let body = json!({"query": query, "sort": [{"name": {"order": "desc"}}]});
        let answer = found(&dialect, &first, &body).await;
        assert_eq!(names(&answer), expected, "{body}");
        assert_eq!(answer["total"], expected.len(), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_one_another() {
    let (dialect, first) = secured().await;
    fill(&dialect, &first).await;
    let query = json!({"wildcard": {"name": "*-*"}});
    let sort = json!(["name", "creation"]);
    let body = json!({"query": query, "sort": sort, "size": 2});
    let page = found(&dialect, &first, &body).await;
    assert_eq!(names(&page), ["a-1", "a-2"]);
    assert_eq!((&page["total"], &page["count"]), (&json!(3), &json!(2)));
    let last = &page["api_keys"][1]["_sort"];
    assert_eq!(last[0], "a-2", "{page}");
    let body = json!({"query": query, "sort": sort, "size": 2, "search_after": last});
    let page = found(&dialect, &first, &body).await;
    assert_eq!(names(&page), ["b-1"]);
    assert_eq!(page["total"], 3);
    let body = json!({"query": query, "sort": sort, "from": 1, "size": 1});
    let page = found(&dialect, &first, &body).await;
    assert_eq!(names(&page), ["a-2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_for_which_there_is_no_time_is_refused() {
    let root = crate::testing::root_without_time();
    let coordinator = Arc::clone(root.cluster().coordinator());
    let first = secure(&*coordinator, 0).await.expect("made");
    let first = first.expect("the first one").encoded();
    let dialect = crate::dialect(root, ApiOptions::default(), None);
    let (status, answer, _) = sent(&dialect, &first, QUERY, "{}").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
}

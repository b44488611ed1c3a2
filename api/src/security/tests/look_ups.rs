//! Queries and bodies that name documents: what they read needs a right of its own, wherever they name it.

use http::StatusCode;
use serde_json::json;

use super::requests::{create, made, secured, sent};

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_a_query_names_needs_a_right_to_its_index() {
    let (dialect, first) = secured().await;
    for index in ["mine-1", "other-1"] {
        create(&dialect, &first, index, &json!({})).await;
    }
    let roles = json!({"indices": [{"names": "mine-*", "privileges": ["all"]}]});
    let (_, key) = made(&dialect, &first, "team", &roles).await;
    let terms = json!({"terms": {"f": {"index": "other-1", "id": "1", "path": "g"}}});
    let like =
        json!({"more_like_this": {"fields": ["f"], "like": {"_index": "other-1", "_id": "1"}}});
    for named in [terms, like] {
        let query = json!({"query": {"bool": {"must_not": named}}});
        let filter = json!({"size": 0, "aggs": {"a": {"filter": named}}});
        let copy = json!({
            "source": {"index": "mine-1", "query": named}, "dest": {"index": "mine-2"},
        });
        for (path, body) in [
            ("/mine-1/_search", &query),
            ("/mine-1/_search", &filter),
            ("/mine-1/_search?scroll=1m", &query),
            ("/mine-1/_count", &query),
            ("/mine-1/_explain/1", &query),
            ("/mine-1/_validate/query", &query),
            ("/mine-1/_delete_by_query", &query),
            ("/mine-1/_update_by_query", &query),
            ("/_reindex", &copy),
        ] {
            let (status, answer, _) = sent(&dialect, &key, ("POST", path), &body.to_string()).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{path} {body}: {answer}");
            let reason = answer["error"]["reason"].as_str().unwrap_or_default();
            assert!(
                reason.contains("[indices:data/read/get]"),
                "{path}: {reason}"
            );
        }
        let lines = format!("{{\"index\": \"mine-1\"}}\n{query}\n");
        let (_, answer, _) = sent(&dialect, &key, ("POST", "/_msearch"), &lines).await;
        assert_eq!(answer["responses"][0]["status"], 403, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_whose_terms_are_listed_needs_a_right_to_its_index() {
    let (dialect, first) = secured().await;
    for index in ["mine-1", "other-1"] {
        create(&dialect, &first, index, &json!({})).await;
    }
    let roles = json!({"indices": [{"names": "mine-*", "privileges": ["read"]}]});
    let (_, key) = made(&dialect, &first, "team", &roles).await;
    let own = json!({"doc": {"f": "text"}, "field_statistics": false});
    let other = json!({"_index": "other-1", "doc": {"f": "text"}, "field_statistics": false});
    let route = ("POST", "/mine-1/_termvectors");
    for (body, expected) in [(&own, StatusCode::OK), (&other, StatusCode::FORBIDDEN)] {
        let (status, answer, _) = sent(&dialect, &key, route, &body.to_string()).await;
        assert_eq!(status, expected, "{body}: {answer}");
    }
    let other = json!({"_index": "other-1", "_id": "1"}).to_string();
    let route = ("POST", "/mine-1/_termvectors/1");
    let (status, answer, _) = sent(&dialect, &key, route, &other).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{answer}");
    let docs = json!({"docs": [{"_index": "other-1", "_id": "1"}]}).to_string();
    let route = ("POST", "/mine-1/_mtermvectors");
    let (_, answer, _) = sent(&dialect, &key, route, &docs).await;
    let kind = &answer["docs"][0]["error"]["type"];
    assert_eq!(kind, "security_exception", "{answer}");
}

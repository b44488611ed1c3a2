//! Bodies that come after the key of their request was changed.
//!
//! `tests/keys` has the same over sockets, with documents that are written.

use std::convert::Infallible;

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::requests::{create, made, secured, sent};
use crate::Dialect;

/// A request whose body is sent after the roles of its key were changed, or the key was ended.
struct SlowRequest<'a> {
    dialect: &'a Dialect,
    /// A key that manages all.
    first: &'a str,
    /// The key of the request, and its id.
    key: &'a str,
    id: &'a str,
}

/// A request that is sent with the first key, before the body of a [`SlowRequest`].
struct Change {
    method: &'static str,
    path: String,
    body: Value,
}

impl<'a> SlowRequest<'a> {
    fn new(dialect: &'a Dialect, first: &'a str, id: &'a str, key: &'a str) -> Self {
        Self {
            dialect,
            first,
            key,
            id,
        }
    }

    /// Sends it; its body comes when the `change` is answered.
    async fn sent(
        &self,
        (method, path): (&'static str, &str),
        body: &Value,
        change: Change,
    ) -> (StatusCode, Value) {
        let (dialect, first) = (self.dialect.clone(), self.first.to_owned());
        // A bulk ends its lines.
        let text = format!("{body}\n");
        let pieces = futures::stream::once(async move {
            let route = (change.method, change.path.as_str());
            let (status, answer, _) = sent(&dialect, &first, route, &change.body.to_string()).await;
            assert_eq!(status, StatusCode::OK, "{answer}");
            Ok::<_, Infallible>(text)
        });
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("ApiKey {}", self.key))
            .header("content-type", "application/json")
            .body(Body::from_stream(pieces));
        let request = request.expect("a good request");
        let Ok(answer) = self.dialect.clone().oneshot(request).await;
        let status = answer.status();
        let body = answer.into_body().collect().await.expect("a whole body");
        let answer = serde_json::from_slice(&body.to_bytes());
        (status, answer.unwrap_or(Value::Null))
    }

    /// As [`SlowRequest::sent`], after the end of its key.
    async fn sent_after_end(
        &self,
        route: (&'static str, &str),
        body: &Value,
    ) -> (StatusCode, Value) {
        let end = Change {
            method: "DELETE",
            path: "/_security/api_key".to_owned(),
            body: json!({"ids": [self.id]}),
        };
        self.sent(route, body, end).await
    }

    /// As [`SlowRequest::sent`], after its key got these privileges on the cluster.
    async fn sent_after_change(
        &self,
        route: (&'static str, &str),
        body: &Value,
        privileges: &[&str],
    ) -> (StatusCode, Value) {
        let change = Change {
            method: "PUT",
            path: format!("/_security/api_key/{}", self.id),
            body: json!({"role_descriptors": {"r": {"cluster": privileges}}}),
        };
        self.sent(route, body, change).await
    }
}

/// Makes a key that makes keys; returns its id and itself.
async fn maker(dialect: &Dialect, first: &str) -> (String, String) {
    let roles = json!({"cluster": ["manage_own_api_key", "monitor"]});
    made(dialect, first, "maker", &roles).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_ended_before_the_body_came_changes_nothing() {
    let (dialect, first) = secured().await;
    for (method, is_of_key, body) in [
        ("POST", false, json!({"name": "more"})),
        ("PUT", true, json!({"expiration": "-1"})),
        (
            "PUT",
            true,
            json!({"role_descriptors": {"r": {"cluster": ["monitor"]}}}),
        ),
        ("DELETE", false, json!({"owner": true})),
    ] {
        let (id, key) = maker(&dialect, &first).await;
        let slow = SlowRequest::new(&dialect, &first, &id, &key);
        let path = match is_of_key {
            true => format!("/_security/api_key/{id}"),
            false => "/_security/api_key".to_owned(),
        };
        let (status, answer) = slow.sent_after_end((method, &path), &body).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {body} {answer}");
        let reason = &answer["error"]["reason"];
        assert_eq!(*reason, "the key of this request has ended", "{answer}");
        let who = ("GET", "/_security/_authenticate");
        let (status, ..) = sent(&dialect, &key, who, "").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {body}");
    }
    let list = ("GET", "/_security/api_key?name=more");
    let (_, answer, _) = sent(&dialect, &first, list, "").await;
    assert_eq!(answer["api_keys"], json!([]), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_gives_what_it_has_when_the_body_has_come() {
    let (dialect, first) = secured().await;
    let (id, key) = maker(&dialect, &first).await;
    let slow = SlowRequest::new(&dialect, &first, &id, &key);
    let own = format!("/_security/api_key/{id}");
    let (create, update) = (("POST", "/_security/api_key"), ("PUT", own.as_str()));
    let roles = json!({"r": {"cluster": ["monitor"]}});
    let wide = ["manage_own_api_key", "monitor"];
    for (route, body) in [
        (create, json!({"name": "more", "role_descriptors": roles})),
        (update, json!({"role_descriptors": roles})),
    ] {
        for narrow in [&["manage_own_api_key"][..], &["read_ilm"][..]] {
            let (status, answer) = slow.sent_after_change(route, &body, narrow).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{route:?} {answer}");
            let settings = ("GET", "/_cluster/settings");
            let (status, ..) = sent(&dialect, &key, settings, "").await;
            assert_eq!(status, StatusCode::FORBIDDEN, "it has no [monitor]");
            let body = json!({"role_descriptors": {"r": {"cluster": wide}}}).to_string();
            let (status, answer, _) = sent(&dialect, &first, update, &body).await;
            assert_eq!(status, StatusCode::OK, "{answer}");
        }
    }
    // Without roles a key has what its maker has by then.
    let body = json!({"name": "same"});
    let narrow = ["manage_own_api_key"];
    let (status, answer) = slow.sent_after_change(create, &body, &narrow).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let key = answer["encoded"].as_str().expect("a key");
    let show = ("GET", "/_security/user/_privileges");
    let (_, answer, _) = sent(&dialect, key, show, "").await;
    assert_eq!(answer["cluster"], json!(narrow), "{answer}");
}

/// Returns the roles of one who may do all with `mine-*`.
fn owner() -> Value {
    json!({"indices": [{"names": ["mine-*"], "privileges": ["all"]}], "cluster": ["monitor"]})
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_goes_by_a_key_that_ended_while_its_body_came() {
    let (dialect, first) = secured().await;
    create(&dialect, &first, "mine-1", &json!({})).await;
    let document = json!({"a": 1});
    let query = json!({"query": {"match_all": {}}});
    for (method, path, body) in [
        ("PUT", "/mine-1/_doc/1", document.clone()),
        ("POST", "/mine-1/_doc", document.clone()),
        ("PUT", "/mine-1/_create/1", document.clone()),
        ("POST", "/mine-1/_update/1", json!({"doc": document})),
        ("POST", "/mine-1/_bulk", json!({"delete": {"_id": "1"}})),
        ("POST", "/mine-1/_search", query.clone()),
        ("POST", "/mine-1/_count", query.clone()),
        ("POST", "/mine-1/_delete_by_query", query.clone()),
        (
            "POST",
            "/_mget",
            json!({"docs": [{"_index": "mine-1", "_id": "1"}]}),
        ),
        ("POST", "/_analyze", json!({"text": "a"})),
        (
            "PUT",
            "/mine-1/_mapping",
            json!({"properties": {"a": {"type": "keyword"}}}),
        ),
        (
            "PUT",
            "/mine-1/_settings",
            json!({"index.refresh_interval": "5s"}),
        ),
        (
            "PUT",
            "/mine-2",
            json!({"settings": {"number_of_replicas": 0}}),
        ),
        (
            "POST",
            "/_aliases",
            json!({"actions": [{"add": {"index": "mine-1", "alias": "mine-a"}}]}),
        ),
    ] {
        let (id, key) = made(&dialect, &first, "owner", &owner()).await;
        let slow = SlowRequest::new(&dialect, &first, &id, &key);
        let (status, answer) = slow.sent_after_end((method, path), &body).await;
        assert_eq!(
            status,
            StatusCode::UNAUTHORIZED,
            "{method} {path}: {answer}"
        );
    }
    let (_, shown, _) = sent(&dialect, &first, ("GET", "/mine-*"), "").await;
    assert!(shown.get("mine-2").is_none(), "{shown}");
    assert_eq!(shown["mine-1"]["mappings"], json!({}), "{shown}");
    assert_eq!(shown["mine-1"]["aliases"], json!({}), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_key_lost_while_the_body_came_is_not_done() {
    let (dialect, first) = secured().await;
    create(&dialect, &first, "mine-1", &json!({})).await;
    let document = json!({"a": 1});
    let (id, key) = made(&dialect, &first, "owner", &owner()).await;
    let slow = SlowRequest::new(&dialect, &first, &id, &key);
    let mapping = json!({"properties": {"a": {"type": "keyword"}}});
    for (method, path, body) in [
        ("PUT", "/mine-1/_doc/1", &document),
        ("PUT", "/mine-*/_mapping", &mapping),
        ("PUT", "/mine-1/_mapping", &mapping),
    ] {
        let route = (method, path);
        let (status, answer) = slow.sent_after_change(route, body, &["monitor"]).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}: {answer}");
        let back = json!({"role_descriptors": {"r": owner()}}).to_string();
        let own = format!("/_security/api_key/{id}");
        let (status, answer, _) = sent(&dialect, &first, ("PUT", &own), &back).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    let bulk = json!({"delete": {"_id": "1"}});
    let route = ("POST", "/mine-1/_bulk");
    let (status, answer) = slow.sent_after_change(route, &bulk, &["monitor"]).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let item = &answer["items"][0]["delete"];
    assert_eq!(item["status"], 403, "{answer}");
    // Other words about the key change nothing.
    let change = Change {
        method: "PUT",
        path: format!("/_security/api_key/{id}"),
        body: json!({"metadata": {"team": "web"}}),
    };
    let text = json!({"text": "a"});
    let (status, answer) = slow.sent(("POST", "/_analyze"), &text, change).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

//! Whole requests: bodies of denials, keys made and revoked, items of bodies, ids of contexts.

use axum::body::Body;
use gleaner_model::security::ANONYMOUS;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::Dialect;
use crate::dialect::tests::root;
use crate::options::ApiOptions;
use crate::security::secure;

/// A dialect whose cluster has keys, and its first one.
pub(super) async fn secured() -> (Dialect, String) {
    let root = root();
    let coordinator = std::sync::Arc::clone(root.cluster().coordinator());
    let first = secure(&*coordinator, 0).await.expect("made");
    let first = first.expect("the first one").encoded();
    let again = secure(&*coordinator, 0).await.expect("asked");
    assert!(again.is_none(), "there is one already");
    (crate::dialect(root, ApiOptions::default(), None), first)
}

/// Sends a request with a key, or without where that is empty.
pub(super) async fn sent(
    dialect: &Dialect,
    key: &str,
    (method, path): (&str, &str),
    body: &str,
) -> (StatusCode, Value, http::HeaderMap) {
    let mut request = Request::builder().method(method).uri(path);
    if !key.is_empty() {
        request = request.header("authorization", format!("ApiKey {key}"));
    }
    let request = request
        .header("content-type", "application/json")
        .body(Body::from(body.to_owned()));
    let Ok(answer) = dialect
        .clone()
        .oneshot(request.expect("a good request"))
        .await;
    let (head, body) = answer.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    (head.status, body, head.headers)
}

/// Makes a key with these role descriptors.
pub(super) async fn made(
    dialect: &Dialect,
    by: &str,
    name: &str,
    roles: &Value,
) -> (String, String) {
    let body = json!({"name": name, "role_descriptors": {"role": roles}}).to_string();
    let route = ("POST", "/_security/api_key");
    let (status, answer, _) = sent(dialect, by, route, &body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let text = |name: &str| answer[name].as_str().expect("a text").to_owned();
    (text("id"), text("encoded"))
}

pub(super) async fn create(dialect: &Dialect, key: &str, name: &str, body: &Value) {
    let path = format!("/{name}?wait_for_active_shards=0");
    let (status, answer, _) = sent(dialect, key, ("PUT", &path), &body.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_with_keys_says_that_it_has_them() {
    let (dialect, first) = secured().await;
    let (_, answer, _) = sent(&dialect, &first, ("GET", "/_xpack"), "").await;
    let expected = json!({"available": true, "enabled": true});
    assert_eq!(answer["features"]["security"], expected, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_nothing_but_probes_is_answered() {
    let (dialect, _) = secured().await;
    for route in crate::parameter_tables() {
        for path in route.paths {
            let path = path.replace(['{', '}'], "x").replace('*', "x");
            let method = route.methods[0].as_str();
            for key in ["", "bm9ib2R5OnNlY3JldA==", "!"] {
                let (status, body, headers) = sent(&dialect, key, (method, &path), "").await;
                if route.name.starts_with("health.") {
                    assert_ne!(status, StatusCode::UNAUTHORIZED, "{method} {path}");
                    continue;
                }
                assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path}");
                let challenges = headers.get_all("www-authenticate").iter().count();
                assert_eq!(challenges, 3, "{method} {path}");
                if method != "HEAD" {
                    let kind = &body["error"]["type"];
                    assert_eq!(kind, "security_exception", "{method} {path}");
                    assert!(!body.to_string().contains("secret"), "{body}");
                }
            }
        }
    }
    let (status, ..) = sent(&dialect, "", ("GET", "/not/known/at/all"), "").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_names_action_and_index_and_who_grants_it() {
    let (dialect, first) = secured().await;
    let roles = json!({"indices": [{"names": ["mine-*"], "privileges": ["read"]}]});
    let (id, key) = made(&dialect, &first, "reader", &roles).await;
    let route = ("POST", "/mine-1,other/_search");
    let (status, body, _) = sent(&dialect, &key, route, "").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let reason = format!(
        "action [indices:data/read/search] is unauthorized for API key id [{id}] of user [reader] on indices [other], \
         this action is granted by the index privileges [all,read]"
    );
    assert_eq!(body["error"]["reason"], json!(reason));
    assert_eq!(body["error"]["root_cause"][0]["index"], "other");
    let (status, body, _) = sent(&dialect, &key, ("GET", "/_cluster/settings"), "").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let reason = body["error"]["reason"].as_str().expect("a reason");
    assert!(
        reason.contains("[cluster:monitor/settings]") && reason.contains("[all,manage,monitor]")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_made_shown_and_revoked() {
    let (dialect, first) = secured().await;
    let roles =
        json!({"cluster": ["monitor"], "indices": [{"names": "mine-*", "privileges": ["all"]}]});
    let (id, key) = made(&dialect, &first, "team", &roles).await;
    let whoami = ("GET", "/_security/_authenticate");
    let (status, answer, _) = sent(&dialect, &key, whoami, "").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["api_key"], json!({"id": id, "name": "team"}));
    let list = ("GET", "/_security/api_key");
    let (_, answer, _) = sent(&dialect, &first, list, "").await;
    assert_eq!(answer["api_keys"].as_array().map(Vec::len), Some(2));
    assert!(!answer.to_string().contains("hash"), "{answer}");
    let (_, answer, _) = sent(&dialect, &key, list, "").await;
    assert_eq!(
        answer["api_keys"].as_array().map(Vec::len),
        Some(1),
        "its own"
    );
    // It cannot make keys, nor one with more than it has.
    let more = json!({"name": "more", "role_descriptors": {"r": {"cluster": ["all"]}}});
    let create = ("POST", "/_security/api_key");
    let (status, ..) = sent(&dialect, &key, create, &more.to_string()).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let maker = json!({"cluster": ["manage_own_api_key"], "indices": [{"names": "mine-*", "privileges": ["read"]}]});
    let (_, maker) = made(&dialect, &first, "maker", &maker).await;
    let (status, body, _) = sent(&dialect, &maker, create, &more.to_string()).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{body}");
    let less = json!({"indices": [{"names": "mine-1", "privileges": ["read"]}]});
    // Writing is no reading: a query that finds needs its own right.
    let writer = json!({"indices": [{"names": "mine-*", "privileges": ["index", "delete"]}]});
    let (_, writer) = made(&dialect, &first, "writer", &writer).await;
    for route in ["_update_by_query", "_delete_by_query"] {
        let path = format!("/mine-1/{route}");
        let query = r#"{"query": {"match_all": {}}}"#;
        let (status, body, _) = sent(&dialect, &writer, ("POST", &path), query).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{body}");
        assert!(
            body.to_string().contains("indices:data/read/search"),
            "{body}"
        );
    }
    let (less_id, less) = made(&dialect, &maker, "less", &less).await;
    // Nor one that is used more often, or lives longer, than itself.
    let bound = json!({"name": "bound", "expiration": "1h", "limits": {"requests_per_second": 3},
        "role_descriptors": {"r": {"cluster": ["manage_own_api_key"]}}});
    let (_, bound, _) = sent(&dialect, &first, create, &bound.to_string()).await;
    let bound = bound["encoded"].as_str().expect("a key").to_owned();
    let free = json!({"name": "free", "limits": {"requests_per_second": 9}});
    let (status, free, _) = sent(&dialect, &bound, create, &free.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{free}");
    let (_, listed, _) = sent(
        &dialect,
        &first,
        ("GET", "/_security/api_key?name=free"),
        "",
    )
    .await;
    let listed = &listed["api_keys"][0];
    assert!(listed["expiration"].is_number(), "{listed}");
    assert_eq!(listed["limits"]["requests_per_second"], 3, "{listed}");
    // Only its maker and those who manage keys end it.
    let end = |id: &str| json!({"ids": [id]}).to_string();
    let delete = ("DELETE", "/_security/api_key");
    let (status, ..) = sent(&dialect, &key, delete, &end(&less_id)).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, answer, _) = sent(&dialect, &maker, delete, &end(&less_id)).await;
    assert_eq!(
        (status, &answer["invalidated_api_keys"]),
        (StatusCode::OK, &json!([less_id]))
    );
    let (status, ..) = sent(&dialect, &less, whoami, "").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let (_, answer, _) = sent(&dialect, &first, delete, &end(&less_id)).await;
    assert_eq!(answer["previously_invalidated_api_keys"], json!([less_id]));
    let all = json!({"name": "*"}).to_string();
    let (status, answer, _) = sent(&dialect, &first, delete, &all).await;
    assert_eq!(
        status,
        StatusCode::BAD_REQUEST,
        "the last one stays: {answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn names_in_bodies_are_checked_one_by_one() {
    let (dialect, first) = secured().await;
    create(&dialect, &first, "mine-1", &json!({})).await;
    create(&dialect, &first, "other-1", &json!({})).await;
    let grant = json!({"names": ["mine-*"], "privileges": ["read", "index"]});
    let (_, key) = made(&dialect, &first, "app", &json!({"indices": [grant]})).await;
    let lines = "{\"index\":{\"_index\":\"other-1\",\"_id\":\"1\"}}\n{}\n\
                 {\"delete\":{\"_index\":\"mine-1\",\"_id\":\"1\"}}\n\
                 {\"create\":{\"_index\":\"mine-new\",\"_id\":\"1\"}}\n{}\n";
    let (status, answer, _) = sent(&dialect, &key, ("POST", "/_bulk"), lines).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let items = answer["items"].as_array().expect("items");
    let denied = |at: usize, kind: &str| {
        let item = &items[at][kind];
        assert_eq!(item["status"], 403, "{item}");
        assert_eq!(item["error"]["type"], "security_exception", "{item}");
        item["error"]["reason"]
            .as_str()
            .expect("a reason")
            .to_owned()
    };
    assert!(denied(0, "index").contains("on indices [other-1]"));
    assert!(
        denied(1, "delete").contains("[delete]"),
        "it may only index"
    );
    assert!(denied(2, "create").contains("indices:admin/auto_create"));
    let docs = json!({"docs": [{"_index": "other-1", "_id": "1"}]}).to_string();
    let (_, answer, _) = sent(&dialect, &key, ("POST", "/_mget"), &docs).await;
    let error = &answer["docs"][0]["error"];
    assert_eq!(error["type"], "security_exception", "{answer}");
    let searches = "{\"index\":\"other-1\"}\n{}\n{\"index\":\"mine-*,other-1\"}\n{}\n";
    let (_, answer, _) = sent(&dialect, &key, ("POST", "/_msearch"), searches).await;
    for at in 0..2 {
        let one = &answer["responses"][at];
        assert_eq!(one["status"], 403, "{answer}");
    }
    let (status, ..) = sent(&dialect, &key, ("POST", "/other-1/_bulk"), lines).await;
    assert_eq!(status, StatusCode::OK, "items name their own");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_is_given_by_those_alone_who_manage_both() {
    let (dialect, first) = secured().await;
    create(&dialect, &first, "mine-1", &json!({})).await;
    create(&dialect, &first, "other-1", &json!({})).await;
    let grant = json!({"names": ["mine-*"], "privileges": ["manage", "create_index"]});
    let (_, key) = made(&dialect, &first, "ops", &json!({"indices": [grant]})).await;
    let actions = |index: &str, alias: &str| {
        json!({"actions": [{"add": {"index": index, "alias": alias}}]}).to_string()
    };
    for (index, alias, expected) in [
        ("mine-1", "mine-view", StatusCode::OK),
        ("other-1", "mine-view", StatusCode::FORBIDDEN),
        ("mine-1", "view", StatusCode::FORBIDDEN),
        ("other-*", "mine-view", StatusCode::NOT_FOUND),
    ] {
        let body = actions(index, alias);
        let (status, answer, _) = sent(&dialect, &key, ("POST", "/_aliases"), &body).await;
        assert_eq!(status, expected, "{index} {alias}: {answer}");
        let path = format!("/{index}/_alias/{alias}");
        let (status, answer, _) = sent(&dialect, &key, ("PUT", &path), "").await;
        assert_eq!(status, expected, "{path}: {answer}");
    }
    // A wildcard takes what one may change.
    let body = actions("*", "mine-all");
    let (status, ..) = sent(&dialect, &key, ("POST", "/_aliases"), &body).await;
    assert_eq!(status, StatusCode::OK);
    let (_, shown, _) = sent(&dialect, &first, ("GET", "/_alias/mine-all"), "").await;
    let indices: Vec<&String> = shown.as_object().expect("an object").keys().collect();
    assert_eq!(indices, ["mine-1"]);
    let body = json!({"aliases": {"view": {}}}).to_string();
    let path = ("PUT", "/mine-2?wait_for_active_shards=0");
    let (status, ..) = sent(&dialect, &key, path, &body).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_make_an_index_may_give_it_a_name_with_a_date() {
    let (dialect, first) = secured().await;
    let grant = json!({"names": ["mine-*"], "privileges": ["all"]});
    let (_, key) = made(&dialect, &first, "ops", &json!({"indices": [grant]})).await;
    create(&dialect, &key, "%3Cmine-%7Bnow%2Fd%7D-1%3E", &json!({})).await;
    let other = "/%3Cother-%7Bnow%2Fd%7D-1%3E?wait_for_active_shards=0";
    let (status, ..) = sent(&dialect, &key, ("PUT", other), "").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (_, shown, _) = sent(&dialect, &key, ("GET", "/mine-*/_settings"), "").await;
    let settings = &shown["mine-1970.01.01-1"]["settings"]["index"];
    assert_eq!(settings["provided_name"], "<mine-{now/d}-1>", "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_a_date_that_one_may_not_give_on_other_days_loses_its_math() {
    let (dialect, first) = secured().await;
    let grant = json!({"names": ["mine-1970*"], "privileges": ["all"]});
    let (_, key) = made(&dialect, &first, "ops", &json!({"indices": [grant]})).await;
    create(&dialect, &key, "%3Cmine-%7Bnow%2Fd%7D-1%3E", &json!({})).await;
    let (_, shown, _) = sent(&dialect, &key, ("GET", "/mine-1970*/_settings"), "").await;
    let settings = &shown["mine-1970.01.01-1"]["settings"]["index"];
    assert_eq!(settings["provided_name"], "mine-1970.01.01-1", "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_make_an_index_keep_the_date_math_that_one_may_use() {
    let (dialect, first) = secured().await;
    let privileges = ["index", "auto_configure", "view_index_metadata"];
    let grant = json!({"names": ["mine-*", "once-1970*"], "privileges": privileges});
    let (_, key) = made(&dialect, &first, "ops", &json!({"indices": [grant]})).await;
    let lines = "{\"index\":{}}\n{}\n";
    for (route, body, name, provided) in [
        (
            ("PUT", "/%3Cmine-a-%7Bnow%2Fd%7D%3E/_doc/1?timeout=1ms"),
            "{}",
            "mine-a-1970.01.01",
            "<mine-a-{now/d}>",
        ),
        (
            ("POST", "/%3Cmine-b-%7Bnow%2Fd%7D%3E/_bulk?timeout=1ms"),
            lines,
            "mine-b-1970.01.01",
            "<mine-b-{now/d}>",
        ),
        (
            ("PUT", "/%3Conce-%7Bnow%2Fd%7D%3E/_doc/1?timeout=1ms"),
            "{}",
            "once-1970.01.01",
            "once-1970.01.01",
        ),
    ] {
        // The index is made; no leaf is there to write the document.
        sent(&dialect, &key, route, body).await;
        let path = format!("/{name}/_settings");
        let (_, shown, _) = sent(&dialect, &key, ("GET", &path), "").await;
        let settings = &shown[name]["settings"]["index"];
        assert_eq!(settings["provided_name"], provided, "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_show_what_one_may_see() {
    let (dialect, first) = secured().await;
    for name in ["mine-1", "mine-2", "other-1"] {
        create(&dialect, &first, name, &json!({})).await;
    }
    let grant = json!({"names": ["mine-*"], "privileges": ["view_index_metadata", "monitor"]});
    let (_, key) = made(&dialect, &first, "viewer", &json!({"indices": [grant]})).await;
    for (path, expected) in [
        ("/_mapping", "mine-1,mine-2"),
        ("/_all/_settings", "mine-1,mine-2"),
        ("/*-1/_alias", "mine-1"),
        ("/*,-mine-1/_mapping", "mine-2"),
        ("/other*/_mapping", ""),
    ] {
        let (status, shown, _) = sent(&dialect, &key, ("GET", path), "").await;
        assert_eq!(status, StatusCode::OK, "{path}: {shown}");
        let names: Vec<&str> = shown
            .as_object()
            .expect("an object")
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(names.join(","), expected, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_may_do_what_they_were_given() {
    let (dialect, first) = secured().await;
    create(&dialect, &first, "public-1", &json!({})).await;
    let grant = json!({"names": ["public-*"], "privileges": ["view_index_metadata"]});
    let body = json!({"name": ANONYMOUS, "role_descriptors": {"r": {"indices": [grant]}}});
    let route = ("POST", "/_security/api_key");
    let (status, answer, _) = sent(&dialect, &first, route, &body.to_string()).await;
    assert_eq!((status, answer.get("api_key")), (StatusCode::OK, None));
    let (status, ..) = sent(&dialect, "", ("GET", "/public-1/_mapping"), "").await;
    assert_eq!(status, StatusCode::OK);
    let (status, ..) = sent(&dialect, "", ("GET", "/public-1/_search"), "").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (_, answer, _) = sent(&dialect, "", ("GET", "/_security/_authenticate"), "").await;
    assert_eq!(answer["authentication_type"], "anonymous");
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_of_contexts_serve_the_key_alone_that_has_them() {
    let (dialect, first) = secured().await;
    create(&dialect, &first, "mine-1", &json!({})).await;
    let roles = json!({"indices": [{"names": ["mine-*"], "privileges": ["read"]}]});
    let (_, one) = made(&dialect, &first, "one", &roles).await;
    for id in ["R1QBAQ", "R1QBAQ.00000000000000000000000000000000"] {
        let pit = json!({"pit": {"id": id}}).to_string();
        let scroll = json!({"scroll_id": [id]}).to_string();
        let close = json!({"id": id}).to_string();
        for (route, body) in [
            (("POST", "/_search"), &pit),
            (("POST", "/_search/scroll"), &scroll),
            (("DELETE", "/_search/scroll"), &scroll),
            (("DELETE", "/_pit"), &close),
        ] {
            let (status, answer, _) = sent(&dialect, &one, route, body).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{route:?} {answer}");
        }
    }
    for route in [
        ("DELETE", "/_search/scroll/_all"),
        ("DELETE", "/_search/point_in_time/_all"),
        ("GET", "/_search/point_in_time/_all"),
    ] {
        let (status, ..) = sent(&dialect, &one, route, "").await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{route:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_keys_has_no_security_interface() {
    let dialect = crate::testing::speaking();
    for route in [
        ("POST", "/_security/api_key"),
        ("GET", "/_security/api_key"),
        ("GET", "/_security/_authenticate"),
    ] {
        let body = json!({"name": "x"}).to_string();
        let (status, answer, _) = sent(&dialect, "", route, &body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{route:?}");
        let reason = answer["error"]["reason"].as_str().expect("a reason");
        assert!(reason.contains("--secure"), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_needs_a_right_to_what_it_reads_and_to_what_it_writes() {
    let (dialect, first) = secured().await;
    for index in ["mine-1", "other-1"] {
        create(&dialect, &first, index, &json!({})).await;
    }
    let roles = json!({"indices": [{"names": "mine-*", "privileges": ["all"]}]});
    let (_, key) = made(&dialect, &first, "team", &roles).await;
    let route = ("POST", "/_reindex?wait_for_completion=false");
    for (from, to, expected) in [
        ("mine-1", "mine-2", StatusCode::OK),
        ("other-1", "mine-2", StatusCode::FORBIDDEN),
        ("mine-1,other-1", "mine-2", StatusCode::FORBIDDEN),
        ("mine-1", "other-2", StatusCode::FORBIDDEN),
    ] {
        let body = json!({"source": {"index": from}, "dest": {"index": to}});
        let (status, answer, _) = sent(&dialect, &key, route, &body.to_string()).await;
        assert_eq!(status, expected, "{from} {to}: {answer}");
    }
    let aliased = json!({"aliases": {"mine-write": {}}});
    create(&dialect, &first, "log-1", &aliased).await;
    for (body, name) in [
        (json!({}), "/other-9"),
        (json!({"aliases": {"other": {}}}), "/mine-9"),
    ] {
        let path = format!("/mine-write/_rollover{name}?wait_for_active_shards=0");
        let (status, ..) = sent(&dialect, &key, ("POST", &path), &body.to_string()).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{name}");
    }
}

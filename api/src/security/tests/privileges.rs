//! What a key learns of its own rights.

use http::StatusCode;
use serde_json::{Value, json};

use super::requests::{made, secured, sent};
use crate::Dialect;

const CHECK: (&str, &str) = ("POST", "/_security/user/_has_privileges");

/// Returns the name of the owner of a key.
async fn username(dialect: &Dialect, key: &str) -> String {
    let whoami = ("GET", "/_security/_authenticate");
    let (_, answer, _) = sent(dialect, key, whoami, "").await;
    let name = answer["username"].as_str().expect("a name");
    name.to_owned()
}

/// Makes a key that watches the cluster and reads `logs-*`.
async fn reader(dialect: &Dialect, by: &str) -> String {
    let grant = json!({"names": ["logs-*"], "privileges": ["read", "create_doc"]});
    let roles = json!({"cluster": ["monitor"], "indices": [grant]});
    made(dialect, by, "reader", &roles).await.1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_sees_which_privileges_it_has() {
    let (dialect, first) = secured().await;
    let key = reader(&dialect, &first).await;
    let name = username(&dialect, &key).await;
    let body = json!({
        "cluster": ["monitor", "manage_ml"],
        "index": [
            {"names": ["logs-1", "other"], "privileges": ["read", "create"]},
            {"names": ["logs-1", "logs-*"], "privileges": ["write"], "allow_restricted_indices": true},
        ],
        "application": [
            {"application": "kibana", "privileges": ["login:"], "resources": ["space:a", "*"]},
        ],
    });
    let expected = json!({
        "username": name,
        "has_all_requested": false,
        "cluster": {"monitor": true, "manage_ml": false},
        "index": {
            "logs-1": {"read": true, "create": true, "write": false},
            "other": {"read": false, "create": false},
            "logs-*": {"write": false},
        },
        "application": {
            "kibana": {"space:a": {"login:": false}, "*": {"login:": false}},
        },
    });
    let own = format!("/_security/user/{name}/_has_privileges");
    for route in [CHECK, ("GET", CHECK.1), ("POST", own.as_str())] {
        let (status, answer, _) = sent(&dialect, &key, route, &body.to_string()).await;
        assert_eq!((status, &answer), (StatusCode::OK, &expected), "{route:?}");
    }
    let body = json!({"cluster": ["monitor"]}).to_string();
    let (_, answer, _) = sent(&dialect, &key, CHECK, &body).await;
    assert_eq!(answer["has_all_requested"], true, "{answer}");
    assert_eq!(answer["application"], json!({}), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_cannot_check_the_privileges_of_others() {
    let (dialect, first) = secured().await;
    let key = reader(&dialect, &first).await;
    let body = json!({"cluster": ["monitor"]}).to_string();
    let other = ("POST", "/_security/user/kim/_has_privileges");
    let (status, answer, _) = sent(&dialect, &key, other, &body).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{answer}");
    let (status, answer, _) = sent(&dialect, &first, other, &body).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "there are no users");
    let reason = &answer["error"]["reason"];
    let expected = "users may only check the privileges of their own account";
    assert_eq!(reason, expected, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn privileges_that_nobody_knows_are_refused_by_name() {
    let (dialect, first) = secured().await;
    for (body, expected) in [
        (
            json!({"cluster": ["monitr"]}),
            "unknown cluster privilege [monitr]",
        ),
        (
            json!({"index": [{"names": ["a"], "privileges": ["raed"]}]}),
            "unknown index privilege [raed]",
        ),
    ] {
        let (status, answer, _) = sent(&dialect, &first, CHECK, &body.to_string()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        let reason = answer["error"]["reason"].as_str().expect("a reason");
        assert!(reason.starts_with(expected), "{reason}");
    }
    let (status, ..) = sent(&dialect, &first, CHECK, "").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "a body is needed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_shown_its_rights() {
    let (dialect, first) = secured().await;
    let key = reader(&dialect, &first).await;
    let show = ("GET", "/_security/user/_privileges");
    let (status, answer, _) = sent(&dialect, &key, show, "").await;
    let grant = json!({
        "names": ["logs-*"],
        "privileges": ["create_doc", "read"],
        "allow_restricted_indices": false,
    });
    let expected = json!({
        "cluster": ["monitor"],
        "global": [],
        "indices": [grant],
        "applications": [],
        "run_as": [],
    });
    assert_eq!((status, answer), (StatusCode::OK, expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_everybody_has_every_privilege() {
    let dialect = crate::testing::speaking();
    let body = json!({
        "cluster": ["all", "manage_security"],
        "index": [{"names": ["*"], "privileges": ["all", "write"]}],
        "application": [{"application": "a", "privileges": ["read"], "resources": ["*"]}],
    });
    let (status, answer, _) = sent(&dialect, "", CHECK, &body.to_string()).await;
    let expected = json!({
        "username": "_anonymous",
        "has_all_requested": true,
        "cluster": {"all": true, "manage_security": true},
        "index": {"*": {"all": true, "write": true}},
        "application": {"a": {"*": {"read": true}}},
    });
    assert_eq!((status, answer), (StatusCode::OK, expected));
    let show = ("GET", "/_security/user/_privileges");
    let (_, answer, _) = sent(&dialect, "", show, "").await;
    assert_eq!(answer["cluster"], json!(["all"]), "{answer}");
    let grant = &answer["indices"][0];
    assert_eq!(grant["privileges"], json!(["all"]), "{answer}");
    assert_eq!(grant["names"], json!(["*"]), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_names_are_held_against_the_rights() {
    let (dialect, first) = secured().await;
    let key = reader(&dialect, &first).await;
    let kinds = ["logs", "other"].into_iter();
    let names: Vec<String> = kinds
        .flat_map(|kind| (0..2_500).map(move |at| format!("{kind}-{at}")))
        .collect();
    let body = json!({"index": [{"names": names, "privileges": ["read"]}]});
    let (status, answer, _) = sent(&dialect, &key, CHECK, &body.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let index = answer["index"].as_object().expect("an object");
    assert_eq!(index.len(), names.len());
    for (name, shown) in index {
        let expected = json!({"read": name.starts_with("logs-")});
        assert_eq!(*shown, expected, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_would_be_large_is_refused() {
    let (dialect, first) = secured().await;
    let resources: Vec<Value> = (0..9_000).map(|at| format!("{at:0>255}").into()).collect();
    for (privilege, resources) in [
        ("p".repeat(255), resources),
        ("p".repeat(256), vec![json!("*")]),
    ] {
        let check = json!({
            "application": "a", "privileges": [privilege], "resources": resources,
        });
        let body = json!({"application": [check]}).to_string();
        let (status, answer, _) = sent(&dialect, &first, CHECK, &body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        let kind = &answer["error"]["type"];
        assert_eq!(*kind, "illegal_argument_exception", "{answer}");
    }
}

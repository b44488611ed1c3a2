//! Keys that are changed after they were made.

use gleaner_model::security::ANONYMOUS;
use http::StatusCode;
use serde_json::{Value, json};

use super::requests::{create, made, secured, sent};
use crate::Dialect;

/// Asks with `key` for a change of the key with this id.
async fn update(dialect: &Dialect, key: &str, id: &str, body: &Value) -> (StatusCode, Value) {
    let path = format!("/_security/api_key/{id}");
    let (status, answer, _) = sent(dialect, key, ("PUT", &path), &body.to_string()).await;
    (status, answer)
}

/// Returns the key with this id as it is shown.
async fn shown(dialect: &Dialect, key: &str, id: &str) -> Value {
    let path = format!("/_security/api_key?id={id}");
    let (_, answer, _) = sent(dialect, key, ("GET", &path), "").await;
    answer["api_keys"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_has_the_roles_that_it_is_given_later() {
    let (dialect, first) = secured().await;
    create(&dialect, &first, "mine-1", &json!({})).await;
    let role = |name: &str| {
        let grant = json!({"names": [name], "privileges": ["view_index_metadata"]});
        json!({"indices": [grant]})
    };
    let (id, key) = made(&dialect, &first, "team", &role("other-*")).await;
    let mapping = ("GET", "/mine-1/_mapping");
    let (status, ..) = sent(&dialect, &key, mapping, "").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let body = json!({"role_descriptors": {"r": role("mine-*")}, "metadata": {"team": "web"}});
    let (status, answer) = update(&dialect, &first, &id, &body).await;
    assert_eq!((status, answer), (StatusCode::OK, json!({"updated": true})));
    let (status, ..) = sent(&dialect, &key, mapping, "").await;
    assert_eq!(status, StatusCode::OK);
    let after = shown(&dialect, &first, &id).await;
    assert_eq!(after["metadata"], body["metadata"], "{after}");
    assert_eq!(after["role_descriptors"], body["role_descriptors"]);
    assert_eq!(after["name"], "team");
    for same in [body, json!({})] {
        let (status, answer) = update(&dialect, &first, &id, &same).await;
        let unchanged = json!({"updated": false});
        assert_eq!((status, answer), (StatusCode::OK, unchanged));
    }
    let (status, _) = update(&dialect, &key, &id, &json!({"metadata": {}})).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "it manages no keys");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_a_key_more_than_he_has() {
    let (dialect, first) = secured().await;
    let roles = json!({"r": {"cluster": ["manage_own_api_key"]}});
    let body = json!({"name": "maker", "expiration": "1h", "role_descriptors": roles});
    let route = ("POST", "/_security/api_key");
    let (_, maker, _) = sent(&dialect, &first, route, &body.to_string()).await;
    let maker_id = maker["id"].as_str().expect("an id");
    let key = maker["encoded"].as_str().expect("a key");
    let (id, _) = made(&dialect, key, "less", &json!({})).await;
    let (other, _) = made(&dialect, &first, "other", &json!({})).await;
    let more = json!({"role_descriptors": {"r": {"cluster": ["monitor"]}}});
    for id in [id.as_str(), maker_id] {
        let (status, answer) = update(&dialect, key, id, &more).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{answer}");
        let reason = answer["error"]["reason"].as_str().expect("a reason");
        assert!(reason.contains("api_key/update"), "{reason}");
    }
    let (status, _) = update(&dialect, key, &other, &json!({"metadata": {}})).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "it is not its own");
    let end = &maker["expiration"];
    for id in [id.as_str(), maker_id] {
        for expiration in ["2h", "-1"] {
            let body = json!({"expiration": expiration});
            let (status, answer) = update(&dialect, key, id, &body).await;
            assert_eq!(status, StatusCode::OK, "{answer}");
            let after = shown(&dialect, &first, id).await;
            assert_eq!(after["expiration"], *end, "{expiration}");
        }
    }
    // Without roles it may do what the one may who changes it.
    let body = json!({"role_descriptors": {}});
    let (status, _) = update(&dialect, key, &id, &body).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_ended_and_the_last_that_manages_stay_as_they_are() {
    let (dialect, first) = secured().await;
    let (id, _) = made(&dialect, &first, "team", &json!({})).await;
    let end = json!({"ids": [id]}).to_string();
    sent(&dialect, &first, ("DELETE", "/_security/api_key"), &end).await;
    let metadata = json!({"metadata": {"a": 1}});
    let (status, answer) = update(&dialect, &first, &id, &metadata).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let expected = format!("cannot update invalidated API key [{id}]");
    assert_eq!(answer["error"]["reason"], expected, "{answer}");
    let (status, _) = update(&dialect, &first, "gone", &metadata).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let whoami = ("GET", "/_security/_authenticate");
    let (_, answer, _) = sent(&dialect, &first, whoami, "").await;
    let own = answer["api_key"]["id"].as_str().expect("an id");
    let less = json!({"role_descriptors": {"r": {"cluster": ["monitor"]}}});
    let (status, answer) = update(&dialect, &first, own, &less).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    let settings = ("GET", "/_cluster/settings");
    let (status, ..) = sent(&dialect, &first, settings, "").await;
    assert_eq!(status, StatusCode::OK, "it is what it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_is_not_given_the_rights_of_who_manages_it() {
    let (dialect, first) = secured().await;
    let roles = json!({"cluster": ["manage_own_api_key"]});
    let (_, maker) = made(&dialect, &first, "maker", &roles).await;
    let (other, _) = made(&dialect, &maker, "other", &json!({})).await;
    let strangers = json!({"name": ANONYMOUS, "role_descriptors": {"r": {}}});
    let create = ("POST", "/_security/api_key");
    let (status, answer, _) = sent(&dialect, &first, create, &strangers.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let none = json!({"role_descriptors": {}});
    let expected = "[role_descriptors] is empty: name the roles of a key that is not your own";
    for id in [other.as_str(), ANONYMOUS] {
        let (status, answer) = update(&dialect, &first, id, &none).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{id} {answer}");
        assert_eq!(answer["error"]["reason"], expected, "{id}");
    }
    let strangers = json!({"name": ANONYMOUS}).to_string();
    let (status, answer, _) = sent(&dialect, &first, create, &strangers).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    assert_eq!(answer["error"]["reason"], expected);
    let (own, _) = made(&dialect, &first, "own", &json!({})).await;
    let (status, answer) = update(&dialect, &first, &own, &none).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_key_that_manages_lasts_as_long_as_it_did() {
    let (dialect, first) = secured().await;
    let whoami = ("GET", "/_security/_authenticate");
    let (_, answer, _) = sent(&dialect, &first, whoami, "").await;
    let own = answer["api_key"]["id"].as_str().expect("an id");
    let soon = json!({"expiration": "1s"});
    let all = json!([{"names": ["*"], "privileges": ["all"]}]);
    let second = json!({
        "name": "second", "expiration": "1h",
        "role_descriptors": {"r": {"cluster": ["all"], "indices": all}},
    });
    let create = ("POST", "/_security/api_key");
    let (status, second, _) = sent(&dialect, &first, create, &second.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{second}");
    // The other one ends sooner than this one did.
    let (status, answer) = update(&dialect, &first, own, &soon).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    let reason = answer["error"]["reason"].as_str().expect("a reason");
    assert!(reason.contains("for as long"), "{reason}");
    let second = second["id"].as_str().expect("an id");
    let (status, answer) = update(&dialect, &first, second, &json!({"expiration": "2h"})).await;
    assert_eq!(status, StatusCode::OK, "another lasts for ever: {answer}");
    let (status, answer) = update(&dialect, &first, second, &json!({"expiration": "-1"})).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let (status, answer) = update(&dialect, &first, own, &soon).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

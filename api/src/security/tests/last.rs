//! The last key that can give everything, and how many keys may come from one.

use http::StatusCode;
use serde_json::{Value, json};

use super::requests::{made, secured, sent};
use crate::Dialect;

const KEYS: &str = "/_security/api_key";

/// Returns the id of a key.
async fn id_of(dialect: &Dialect, key: &str) -> String {
    let whoami = ("GET", "/_security/_authenticate");
    let (_, answer, _) = sent(dialect, key, whoami, "").await;
    answer["api_key"]["id"].as_str().expect("an id").to_owned()
}

/// Makes a key that may do everything, for a time or for ever.
async fn full(dialect: &Dialect, by: &str, expiration: Option<&str>) -> (String, String) {
    let indices = json!([{"names": ["*"], "privileges": ["all"]}]);
    let roles = json!({"all": {"cluster": ["all"], "indices": indices}});
    let mut body = json!({"name": "full", "role_descriptors": roles});
    if let Some(expiration) = expiration {
        body["expiration"] = expiration.into();
    }
    let (status, answer, _) = sent(dialect, by, ("POST", KEYS), &body.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let text = |name: &str| answer[name].as_str().expect("a text").to_owned();
    (text("id"), text("encoded"))
}

/// Asks with `key` for the end of the key with this id, at once or by an update; returns the status and the reason.
async fn ended(dialect: &Dialect, key: &str, id: &str, update: Option<Value>) -> (u16, String) {
    let path = format!("{KEYS}/{id}");
    let (route, body) = match update {
        Some(update) => (("PUT", path.as_str()), update),
        None => (("DELETE", KEYS), json!({"ids": [id]})),
    };
    let (status, answer, _) = sent(dialect, key, route, &body.to_string()).await;
    let reason = answer["error"]["reason"].as_str().unwrap_or_default();
    (status.as_u16(), reason.to_owned())
}

fn endings() -> [Option<Value>; 4] {
    let roles = json!({"r": {"cluster": ["manage_security", "monitor"]}});
    let no_indices = json!({"r": {"cluster": ["all"]}});
    [
        None,
        Some(json!({"expiration": "1s"})),
        Some(json!({"role_descriptors": roles})),
        Some(json!({"role_descriptors": no_indices})),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn who_manages_keys_alone_does_not_end_the_last_that_gives_everything() {
    for privileges in [["manage_api_key"], ["manage_security"]] {
        let (dialect, first) = secured().await;
        let own = id_of(&dialect, &first).await;
        let (_, manager) = made(&dialect, &first, "m", &json!({"cluster": privileges})).await;
        for key in [&manager, &first] {
            for ending in endings() {
                // Roles that he lacks himself are refused before.
                let gives = ending
                    .as_ref()
                    .and_then(|body| body.get("role_descriptors"));
                let expected = if key == &manager && gives.is_some() {
                    403
                } else {
                    400
                };
                let (status, reason) = ended(&dialect, key, &own, ending).await;
                assert_eq!(status, expected, "{reason}");
                let says = "no other valid API key has the right to everything";
                assert!(status == 403 || reason.starts_with(says), "{reason}");
            }
        }
        let settings = ("GET", "/_cluster/settings");
        let (status, ..) = sent(&dialect, &first, settings, "").await;
        assert_eq!(status, StatusCode::OK, "it is what it was");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_ends_the_last_one_by_shortening_another_first() {
    let (dialect, first) = secured().await;
    let own = id_of(&dialect, &first).await;
    let roles = json!({"cluster": ["manage_api_key"]});
    let (_, manager) = made(&dialect, &first, "manager", &roles).await;
    let (other, _) = full(&dialect, &first, None).await;
    let soon = json!({"expiration": "1s"});
    let (status, reason) = ended(&dialect, &manager, &other, Some(soon)).await;
    assert_eq!(status, 200, "the first one lasts for ever: {reason}");
    let (status, reason) = ended(&dialect, &manager, &own, None).await;
    assert_eq!(status, 400, "the other one ends soon");
    assert!(reason.contains("for as long"), "{reason}");
    // Who may do everything may leave a key of a shorter life.
    let (_, third) = full(&dialect, &first, Some("1h")).await;
    let (status, reason) = ended(&dialect, &third, &own, None).await;
    assert_eq!(status, 200, "{reason}");
    let (status, _) = ended(&dialect, &third, &id_of(&dialect, &third).await, None).await;
    assert_eq!(status, 200, "the other one is valid for a second more");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_give_everything_are_not_ended_at_once() {
    let (dialect, first) = secured().await;
    let own = id_of(&dialect, &first).await;
    let (other, second) = full(&dialect, &first, None).await;
    let both = json!({"ids": [own, other]}).to_string();
    let (status, answer, _) = sent(&dialect, &first, ("DELETE", KEYS), &both).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    let (status, reason) = ended(&dialect, &second, &own, None).await;
    assert_eq!(status, 200, "{reason}");
    let (status, _) = ended(&dialect, &second, &other, None).await;
    assert_eq!(status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_does_not_fill_the_list_for_all() {
    let (dialect, first) = secured().await;
    let roles = json!({"cluster": ["manage_own_api_key"]});
    let (_, greedy) = made(&dialect, &first, "greedy", &roles).await;
    let (_, modest) = made(&dialect, &first, "modest", &roles).await;
    // Those that it makes make others for it.
    let (_, child) = made(&dialect, &greedy, "child", &roles).await;
    let body = json!({"name": "more", "role_descriptors": {"r": roles}}).to_string();
    let mut num_made = 1;
    loop {
        let by = if num_made % 2 == 0 { &greedy } else { &child };
        let (status, answer, _) = sent(&dialect, by, ("POST", KEYS), &body).await;
        if status != StatusCode::OK {
            let reason = answer["error"]["reason"].as_str().expect("a reason");
            assert!(
                reason.starts_with("[100] valid API keys come from"),
                "{reason}"
            );
            break;
        }
        num_made += 1;
        assert!(num_made <= 100, "there is no limit");
    }
    assert_eq!(num_made, 100);
    for key in [&modest, &first] {
        let (status, answer, _) = sent(&dialect, key, ("POST", KEYS), &body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    let own = json!({"owner": true, "name": "more"}).to_string();
    let (status, answer, _) = sent(&dialect, &greedy, ("DELETE", KEYS), &own).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let (status, answer, _) = sent(&dialect, &greedy, ("POST", KEYS), &body).await;
    assert_eq!(status, StatusCode::OK, "it made room: {answer}");
}

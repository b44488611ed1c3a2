//! Privileges on the cluster for one thing each: they open that and nothing else.

use http::StatusCode;
use serde_json::{Value, json};

use super::requests::{create, made, secured, sent};

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_policies_or_manages_templates_does_nothing_else() {
    let (dialect, first) = secured().await;
    let keyed = async |privilege: &str| {
        let roles = json!({"cluster": [privilege]});
        made(&dialect, &first, privilege, &roles).await.1
    };
    let (reader, manager) = (
        keyed("read_ilm").await,
        keyed("manage_index_templates").await,
    );
    let (none, policy) = ("", "{\"policy\":{\"phases\":{}}}");
    let template = "{\"index_patterns\":[\"mine-*\"]}";
    for (key, route, body, expected) in [
        (&reader, ("GET", "/_ilm/policy"), none, StatusCode::OK),
        (&reader, ("GET", "/_ilm/status"), none, StatusCode::OK),
        (
            &reader,
            ("PUT", "/_ilm/policy/a"),
            policy,
            StatusCode::FORBIDDEN,
        ),
        (
            &reader,
            ("GET", "/_cluster/state"),
            none,
            StatusCode::FORBIDDEN,
        ),
        (
            &reader,
            ("GET", "/_index_template"),
            none,
            StatusCode::FORBIDDEN,
        ),
        (
            &manager,
            ("PUT", "/_index_template/a"),
            template,
            StatusCode::OK,
        ),
        (
            &manager,
            ("GET", "/_index_template/a"),
            none,
            StatusCode::OK,
        ),
        (
            &manager,
            ("DELETE", "/_index_template/a"),
            none,
            StatusCode::OK,
        ),
        (
            &manager,
            ("GET", "/_ilm/policy"),
            none,
            StatusCode::FORBIDDEN,
        ),
        (
            &manager,
            ("GET", "/_cluster/state"),
            none,
            StatusCode::FORBIDDEN,
        ),
        (&manager, ("PUT", "/mine-1"), none, StatusCode::FORBIDDEN),
    ] {
        let (status, answer, _) = sent(&dialect, key, route, body).await;
        assert_eq!(status, expected, "{route:?}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_manages_policies_changes_them_and_does_nothing_else() {
    let (dialect, first) = secured().await;
    let roles = json!({"cluster": ["manage_ilm"]});
    let (_, key) = made(&dialect, &first, "policies", &roles).await;
    let (none, policy) = ("", "{\"policy\":{\"phases\":{\"hot\":{}}}}");
    for (route, body, expected) in [
        (("PUT", "/_ilm/policy/a"), policy, StatusCode::OK),
        (("GET", "/_ilm/policy/a"), none, StatusCode::OK),
        (("DELETE", "/_ilm/policy/a"), none, StatusCode::OK),
        (("GET", "/_ilm/status"), none, StatusCode::OK),
        (("POST", "/_ilm/stop"), none, StatusCode::FORBIDDEN),
        (("GET", "/_cluster/state"), none, StatusCode::FORBIDDEN),
        (("POST", "/mine-1/_ilm/retry"), none, StatusCode::FORBIDDEN),
        (("PUT", "/mine-1"), none, StatusCode::FORBIDDEN),
    ] {
        let (status, answer, _) = sent(&dialect, &key, route, body).await;
        assert_eq!(status, expected, "{route:?}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_acts_on_what_its_last_author_may_manage() {
    let (dialect, first) = secured().await;
    let grants = json!([
        {"names": ["mine-*"], "privileges": ["manage"]},
        {"names": ["other-*"], "privileges": ["read", "delete_index", "manage_ilm"]},
    ]);
    let roles = json!({"cluster": ["manage_ilm"], "indices": grants});
    let (_, key) = made(&dialect, &first, "policies", &roles).await;
    let settings = json!({"settings": {"index.lifecycle.name": "a"}});
    for name in ["mine-1", "other-1"] {
        create(&dialect, &first, name, &settings).await;
    }
    let policy = json!({"policy": {"phases": {"delete": {"actions": {"delete": {}}}}}});
    let denied = json!("the last author of policy [a] may not manage index [other-1]");
    for (author, step, reason) in [
        (&first, "delete", Value::Null),
        (&key, "ERROR", denied),
        (&first, "delete", Value::Null),
    ] {
        let route = ("PUT", "/_ilm/policy/a");
        let (status, answer, _) = sent(&dialect, author, route, &policy.to_string()).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let route = ("GET", "/mine-1,other-1/_ilm/explain");
        let (_, shown, _) = sent(&dialect, &first, route, "").await;
        let (mine, other) = (&shown["indices"]["mine-1"], &shown["indices"]["other-1"]);
        assert_eq!(mine["step"], "delete", "{shown}");
        assert_eq!(other["step"], step, "{shown}");
        assert_eq!(other["step_info"]["reason"], reason, "{shown}");
    }
}

//! Privileges on the cluster for one thing each: they open that and nothing else.

use http::StatusCode;
use serde_json::json;

use super::requests::{made, secured, sent};

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

//! A key without rights learns nothing from `_analyze`, or from the names in `indices_boost`.

use http::StatusCode;
use serde_json::json;

use super::requests::{create, made, secured, sent};

#[tokio::test(flavor = "multi_thread")]
async fn text_is_analysed_for_those_who_may_see_the_index_or_the_cluster() {
    let (dialect, first) = secured().await;
    create(&dialect, &first, "mine-1", &json!({})).await;
    let grant = |privilege: &str| json!([{"names": ["mine-*"], "privileges": [privilege]}]);
    let body = json!({"text": "a"}).to_string();
    for (privileges, without, with) in [
        (json!({}), 403, 403),
        (json!({"indices": grant("read")}), 403, 403),
        (json!({"indices": grant("write")}), 403, 403),
        (json!({"indices": grant("view_index_metadata")}), 403, 200),
        (json!({"indices": grant("monitor")}), 403, 200),
        (json!({"indices": grant("manage")}), 403, 200),
        (json!({"cluster": ["manage_own_api_key"]}), 403, 403),
        (json!({"cluster": ["monitor"]}), 200, 403),
        (json!({"cluster": ["manage"]}), 200, 403),
    ] {
        let (_, key) = made(&dialect, &first, "k", &privileges).await;
        for (path, expected) in [("/_analyze", without), ("/mine-1/_analyze", with)] {
            for method in ["GET", "POST"] {
                let (status, answer, _) = sent(&dialect, &key, (method, path), &body).await;
                assert_eq!(status.as_u16(), expected, "{privileges} {path}: {answer}");
            }
        }
        let (status, ..) = sent(&dialect, &key, ("POST", "/other/_analyze"), &body).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{privileges}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn factors_of_indices_do_not_tell_which_others_there_are() {
    let (dialect, first) = secured().await;
    for name in ["mine-1", "other-1"] {
        create(&dialect, &first, name, &json!({})).await;
    }
    let grant = json!([{"names": ["mine-*"], "privileges": ["read", "write"]}]);
    let (_, key) = made(&dialect, &first, "reader", &json!({"indices": grant})).await;
    let search = |name: &str| json!({"indices_boost": [{name: 2.0}], "query": {"match_all": {}}});
    for name in ["other-1", "gone-1", "other-1,gone-1", "<other-{now/d}>"] {
        let body = search(name).to_string();
        let (status, answer, _) = sent(&dialect, &key, ("POST", "/mine-1/_search"), &body).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{name}: {answer}");
        let shown = answer.to_string();
        let lines = format!("{{}}\n{body}\n");
        let (_, answer, _) = sent(&dialect, &key, ("POST", "/mine-1/_msearch"), &lines).await;
        assert_eq!(answer["responses"][0]["status"], 403, "{name}: {answer}");
        let path = ("POST", "/mine-1/_update_by_query");
        let (status, answer, _) = sent(&dialect, &key, path, &body).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{name}: {answer} {shown}");
    }
    // No leaf answers, so what is let through fails later.
    for name in ["mine-1", "mine-*", "*", "_all", "other-*"] {
        let body = search(name).to_string();
        let (status, answer, _) = sent(&dialect, &key, ("POST", "/mine-1/_search"), &body).await;
        assert_ne!(status, StatusCode::FORBIDDEN, "{name}: {answer}");
        assert_ne!(status, StatusCode::NOT_FOUND, "{name}: {answer}");
    }
    let body = search("mine-9").to_string();
    let (status, answer, _) = sent(&dialect, &key, ("POST", "/mine-1/_search"), &body).await;
    assert_eq!(
        status,
        StatusCode::NOT_FOUND,
        "its own may be missing: {answer}"
    );
}

//! Templates over the interface: put, shown, asked after, simulated, deleted, applied.

use http::StatusCode;
use serde_json::{Value, json};

use crate::Dialect;
use crate::testing::{create, got, sent, speaking};

async fn put(dialect: &Dialect, path: &str, body: &Value) {
    let (status, answer) = sent(dialect, ("PUT", path), body).await;
    assert_eq!(status, StatusCode::OK, "{path}: {answer}");
}

async fn refused(dialect: &Dialect, (method, path): (&str, &str), body: &Value) -> (u16, String) {
    let (status, answer) = sent(dialect, (method, path), body).await;
    let reason = answer["error"]["reason"].as_str().unwrap_or_default();
    (status.as_u16(), reason.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_shown_as_it_was_put() {
    let dialect = speaking();
    let part = json!({"template": {"settings": {"number_of_replicas": 0}}, "version": 3, "deprecated": false});
    put(&dialect, "/_component_template/part", &part).await;
    let body = json!({
        "index_patterns": "logs-*",
        "composed_of": ["part"],
        "template": {
            "settings": {"number_of_shards": 1},
            "mappings": {"properties": {"f": {"type": "keyword"}}},
            "aliases": {"a": {}},
        },
        "priority": 7,
        "_meta": {"by": "me"},
        "data_stream": {"hidden": true, "allow_custom_routing": true},
        "deprecated": true,
    });
    put(&dialect, "/_index_template/logs", &body).await;
    let shown = got(&dialect, "/_index_template/lo*").await;
    let expected = json!({"index_templates": [{"name": "logs", "index_template": {
        "index_patterns": ["logs-*"],
        "template": {
            "settings": {"index": {"number_of_shards": "1"}},
            "mappings": {"properties": {"f": {"type": "keyword"}}},
            "aliases": {"a": {}},
        },
        "composed_of": ["part"],
        "priority": 7,
        "data_stream": {"hidden": true, "allow_custom_routing": true},
        "deprecated": true,
        "_meta": {"by": "me"},
    }}]});
    assert_eq!(shown, expected);
    let shown = got(&dialect, "/_component_template/part?flat_settings").await;
    let component = &shown["component_templates"][0]["component_template"];
    assert_eq!(component["version"], 3);
    assert_eq!(component["deprecated"], false);
    let settings = &component["template"]["settings"];
    assert_eq!(settings["index.number_of_replicas"], "0");
    let part = got(
        &dialect,
        "/_component_template/part?settings_filter=index.number*",
    )
    .await;
    let settings = &part["component_templates"][0]["component_template"]["template"]["settings"];
    assert_eq!(*settings, json!({}));
    let table = got(&dialect, "/_cat/templates?format=json").await;
    let row = json!([{"name": "logs", "index_patterns": "[logs-*]", "order": "7", "version": "",
                      "composed_of": "[part]"}]);
    assert_eq!(table, row);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_indices_get_what_templates_say() {
    let dialect = speaking();
    let part = json!({"template": {"mappings": {"properties": {"a": {"type": "text"}}}}});
    put(&dialect, "/_component_template/part", &part).await;
    let body = json!({"index_patterns": ["logs-*"], "composed_of": ["part"],
                      "template": {"settings": {"number_of_shards": 2}}});
    put(&dialect, "/_index_template/logs", &body).await;
    let legacy = json!({"index_patterns": ["old*"], "settings": {"number_of_shards": 3}});
    put(&dialect, "/_template/old", &legacy).await;
    let asked = json!({"mappings": {"properties": {"b": {"type": "long"}}}});
    create(&dialect, "logs-1", &asked).await;
    create(&dialect, "old-1", &json!({})).await;
    let shown = got(&dialect, "/logs-1,old-1").await;
    let index = &shown["logs-1"];
    assert_eq!(index["settings"]["index"]["number_of_shards"], "2");
    let fields = json!({"a": {"type": "text"}, "b": {"type": "long"}});
    assert_eq!(index["mappings"]["properties"], fields);
    let settings = &shown["old-1"]["settings"]["index"];
    assert_eq!(settings["number_of_shards"], "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_are_asked_after_and_deleted_by_their_names() {
    let dialect = speaking();
    let part = json!({"template": {}});
    put(&dialect, "/_component_template/part", &part).await;
    let body = json!({"index_patterns": ["a"], "composed_of": ["part"]});
    put(&dialect, "/_index_template/one", &body).await;
    put(
        &dialect,
        "/_template/one",
        &json!({"index_patterns": ["b"]}),
    )
    .await;
    for (method, path, expected) in [
        ("HEAD", "/_index_template/one", 200),
        ("HEAD", "/_index_template/two", 404),
        ("HEAD", "/_component_template/part", 200),
        ("HEAD", "/_template/o*", 200),
        ("GET", "/_index_template/two", 404),
        ("GET", "/_index_template/t*", 200),
        ("GET", "/_template/two", 404),
        ("GET", "/_component_template/two", 404),
        ("DELETE", "/_component_template/part", 400),
        ("DELETE", "/_index_template/two", 404),
        ("DELETE", "/_index_template/one", 200),
        ("DELETE", "/_component_template/part", 200),
        ("DELETE", "/_template/two", 404),
        ("DELETE", "/_template/*", 200),
        ("DELETE", "/_template/*", 200),
    ] {
        let (status, answer) = sent(&dialect, (method, path), &Value::Null).await;
        assert_eq!(status.as_u16(), expected, "{method} {path}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_that_cannot_apply_are_refused() {
    let dialect = speaking();
    put(
        &dialect,
        "/_index_template/one",
        &json!({"index_patterns": ["te*"]}),
    )
    .await;
    let analyzer = json!({"properties": {"f": {"type": "text", "analyzer": "no_such"}}});
    for (path, body, expected) in [
        (
            "/_index_template/two",
            json!({"index_patterns": ["test"]}),
            "have the same priority [0]",
        ),
        (
            "/_index_template/two",
            json!({"index_patterns": ["x"], "composed_of": ["no"]}),
            "specifies component templates [no] that do not exist",
        ),
        (
            "/_index_template/two",
            json!({"index_patterns": ["x"], "template": {"mappings": analyzer}}),
            "no_such",
        ),
        (
            "/_index_template/one?create",
            json!({"index_patterns": ["te*"]}),
            "index template [one] already exists",
        ),
        ("/_template/two", json!({}), "index patterns are missing"),
    ] {
        let (status, reason) = refused(&dialect, ("PUT", path), &body).await;
        assert_eq!(status, 400, "{path} {body}");
        assert!(reason.contains(expected), "{body}: {reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_put_cannot_be_simulated() {
    let dialect = speaking();
    let there = json!({"index_patterns": ["te*"]});
    put(&dialect, "/_index_template/there", &there).await;
    let keyword = json!({"properties": {"@timestamp": {"type": "keyword"}}});
    for (body, expected) in [
        (
            json!({"index_patterns": ["te*"], "composed_of": ["nope"], "priority": 10}),
            "specifies component templates [nope] that do not exist",
        ),
        (
            json!({"index_patterns": ["te*"], "data_stream": {}, "template": {"mappings": keyword}, "priority": 10}),
            "data stream timestamp field [@timestamp] must be of type [date]",
        ),
        (there, "have the same priority [0]"),
    ] {
        for path in ["_simulate", "_simulate/two", "_simulate_index/test"] {
            let path = format!("/_index_template/{path}");
            let (status, reason) = refused(&dialect, ("POST", &path), &body).await;
            assert_eq!(status, 400, "{path} {body}");
            assert!(reason.contains(expected), "{path} {body}: {reason}");
        }
        let (status, reason) = refused(&dialect, ("PUT", "/_index_template/two"), &body).await;
        assert_eq!(status, 400, "{body}");
        assert!(reason.contains(expected), "{body}: {reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_of_what_is_not_there_says_so_as_the_dialect_does() {
    let dialect = speaking();
    for (method, path, kind, reason) in [
        (
            "DELETE",
            "/_index_template/no",
            "index_template_missing_exception",
            "index_template [no] missing",
        ),
        (
            "DELETE",
            "/_index_template/no*",
            "index_template_missing_exception",
            "index_template [no*] missing",
        ),
        (
            "DELETE",
            "/_template/no",
            "index_template_missing_exception",
            "index_template [no] missing",
        ),
        (
            "DELETE",
            "/_component_template/no",
            "resource_not_found_exception",
            "component template matching [no] not found",
        ),
        (
            "GET",
            "/_index_template/no",
            "resource_not_found_exception",
            "index template matching [no] not found",
        ),
    ] {
        let (status, answer) = sent(&dialect, (method, path), &Value::Null).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}: {answer}");
        assert_eq!(answer["error"]["type"], kind, "{method} {path}");
        assert_eq!(answer["error"]["reason"], reason, "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_index_would_get_can_be_seen_before() {
    let dialect = speaking();
    let part = json!({"template": {"settings": {"number_of_replicas": 2}}});
    put(&dialect, "/_component_template/part", &part).await;
    put(
        &dialect,
        "/_template/old",
        &json!({"index_patterns": ["t*"]}),
    )
    .await;
    let body = json!({"index_patterns": "te*", "priority": 10,
                      "template": {"settings": {"number_of_shards": 1}}});
    put(&dialect, "/_index_template/there", &body).await;
    let path = "/_index_template/_simulate_index/test";
    let (_, shown) = sent(&dialect, ("POST", path), &Value::Null).await;
    assert_eq!(
        shown["template"]["settings"]["index"]["number_of_shards"],
        "1"
    );
    let old = json!([{"name": "old", "index_patterns": ["t*"]}]);
    assert_eq!(shown["overlapping"], old);
    let newer = json!({"index_patterns": "te*", "priority": 15, "composed_of": ["part"],
                       "template": {"aliases": {"a": {}}}});
    let (_, shown) = sent(&dialect, ("POST", path), &newer).await;
    assert_eq!(
        shown["template"]["settings"]["index"]["number_of_replicas"],
        "2"
    );
    assert_eq!(shown["template"]["aliases"], json!({"a": {}}));
    assert_eq!(shown["overlapping"][1]["name"], "there");
    let other = ("POST", "/_index_template/_simulate_index/other");
    assert_eq!(sent(&dialect, other, &Value::Null).await.1, json!({}));
    let by_name = ("POST", "/_index_template/_simulate/there");
    let (_, shown) = sent(&dialect, by_name, &Value::Null).await;
    assert_eq!(
        shown["template"]["settings"]["index"]["number_of_shards"],
        "1"
    );
    let missing = refused(
        &dialect,
        ("POST", "/_index_template/_simulate/no"),
        &Value::Null,
    );
    assert_eq!(missing.await.0, 404);
    let nothing = refused(
        &dialect,
        ("POST", "/_index_template/_simulate"),
        &Value::Null,
    );
    assert_eq!(nothing.await.0, 400);
    let kept = got(&dialect, "/_index_template").await;
    assert_eq!(kept["index_templates"].as_array().map(Vec::len), Some(1));
}

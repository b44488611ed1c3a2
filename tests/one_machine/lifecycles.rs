//! Policies and lifecycles of data streams over HTTP: indices are replaced and deleted when their time has come.

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::{Request, Response};
use gleaner_testkit::server::Start;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::asking::{answered, asked};

/// Asks for what is refused; returns the answer's text.
pub(crate) async fn refused(server: &Server, what: (&str, &str), body: &Value) -> Result<String> {
    let answer = answered(server, what, body).await?;
    let is_refusal = (400..500).contains(&answer.status);
    ensure!(is_refusal, "{what:?}: {}", answer.shown());
    Ok(answer.shown())
}

pub(crate) async fn until(
    server: &Server,
    path: &str,
    is_wanted: impl Fn(&Value) -> bool,
) -> Result<Value> {
    let is_wanted = |answer: &Response| answer.json().is_ok_and(|answer| is_wanted(&answer));
    let answer = server.until(&Request::new("GET", path), is_wanted).await?;
    answer.json()
}

/// Starts a server that looks at lifecycles every second.
pub(crate) async fn start() -> Result<(TempDir, Server)> {
    let folder = tempfile::tempdir()?;
    let server = Start::on(&folder.path().join("data")).spawn().await?;
    let often = json!({"persistent": {"indices.lifecycle.poll_interval": "1s"}});
    asked(&server, ("PUT", "/_cluster/settings"), &often).await?;
    Ok((folder, server))
}

/// Puts a policy that replaces an index with documents, and deletes it as soon as it is replaced.
async fn put_policy(server: &Server) -> Result<Response> {
    let policy = json!({"policy": {"_meta": {"by": "us"}, "phases": {
        "hot": {"actions": {"rollover": {"max_docs": 2}, "set_priority": {"priority": 100}}},
        "warm": {"min_age": "0s", "actions": {"forcemerge": {"max_num_segments": 1}}},
        "delete": {"min_age": "1s", "actions": {"delete": {}}},
    }}});
    let put = answered(server, ("PUT", "/_ilm/policy/short"), &policy).await?;
    ensure!(put.status == 200, "{}", put.shown());
    Ok(put)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_goes_on_and_the_replaced_index_is_deleted() -> Result<()> {
    let (_folder, server) = start().await?;
    let put = put_policy(&server).await?;
    let warning = put.header("warning").unwrap_or_default();
    ensure!(
        warning.contains("hot.set_priority, warm.forcemerge"),
        "{warning}"
    );
    let template = json!({"index_patterns": ["logs-*"], "template": {"settings": {
        "number_of_shards": 2,
        "index.lifecycle.name": "short",
        "index.lifecycle.rollover_alias": "logs",
    }}});
    asked(&server, ("PUT", "/_index_template/logs"), &template).await?;
    let first = json!({"aliases": {"logs": {"is_write_index": true}}});
    asked(&server, ("PUT", "/logs-000001"), &first).await?;

    let explained = asked(&server, ("GET", "/logs-*/_ilm/explain"), &Value::Null).await?;
    let index = &explained["indices"]["logs-000001"];
    ensure!(
        index["managed"] == true && index["policy"] == "short",
        "{explained}"
    );
    ensure!(
        index["phase"] == "hot" && index["action"] == "rollover",
        "{explained}"
    );
    ensure!(index["step"] == "check-rollover-ready", "{explained}");
    ensure!(
        index["actions_without_effect"] == json!(["set_priority"]),
        "{explained}"
    );
    ensure!(index["phase_execution"]["version"] == 1, "{explained}");

    for n in 0..2 {
        let document = json!({"n": n});
        asked(&server, ("POST", "/logs/_doc?refresh=true"), &document).await?;
    }
    until(&server, "/_alias/logs", |found| {
        found.get("logs-000002").is_some() && found.get("logs-000001").is_none()
    })
    .await?;
    // What is not full is not replaced, nor deleted.
    let explained = asked(&server, ("GET", "/logs-*/_ilm/explain"), &Value::Null).await?;
    ensure!(
        explained["indices"]["logs-000002"]["phase"] == "hot",
        "{explained}"
    );

    let used = asked(&server, ("GET", "/_ilm/policy/short"), &Value::Null).await?;
    let used = &used["short"];
    ensure!(
        used["in_use_by"]["indices"] == json!(["logs-000002"]),
        "{used}"
    );
    ensure!(
        used["policy"]["phases"]["hot"]["min_age"] == "0ms",
        "{used}"
    );
    let reason = refused(&server, ("DELETE", "/_ilm/policy/short"), &Value::Null).await?;
    ensure!(
        reason.contains("It is in use by one or more indices: [logs-000002]"),
        "{reason}"
    );
    asked(&server, ("DELETE", "/logs-000002"), &Value::Null).await?;
    asked(&server, ("DELETE", "/_ilm/policy/short"), &Value::Null).await?;
    let reason = refused(&server, ("GET", "/_ilm/policy/short"), &Value::Null).await?;
    ensure!(
        reason.contains("Lifecycle policy not found: short"),
        "{reason}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_stream_follows_the_policy_of_its_template() -> Result<()> {
    let (_folder, server) = start().await?;
    put_policy(&server).await?;
    asked(&server, ("POST", "/_ilm/stop"), &Value::Null).await?;
    let template = json!({"index_patterns": ["events-*"], "data_stream": {},
        "template": {"settings": {"index.lifecycle.name": "short"}}});
    asked(&server, ("PUT", "/_index_template/events"), &template).await?;
    for n in 0..2 {
        let document = json!({"@timestamp": "2026-01-01T00:00:00Z", "n": n});
        asked(&server, ("POST", "/events-a/_doc?refresh=true"), &document).await?;
    }
    let status = asked(&server, ("GET", "/_ilm/status"), &Value::Null).await?;
    ensure!(status["operation_mode"] == "STOPPED", "{status}");
    let shown = asked(&server, ("GET", "/_data_stream/events-a"), &Value::Null).await?;
    let stream = &shown["data_streams"][0];
    ensure!(
        stream["generation"] == 1 && stream["ilm_policy"] == "short",
        "{shown}"
    );
    ensure!(
        stream["indices"][0]["managed_by"] == "Index Lifecycle Management",
        "{shown}"
    );

    asked(&server, ("POST", "/_ilm/start"), &Value::Null).await?;
    until(&server, "/_data_stream/events-a", |found| {
        let stream = &found["data_streams"][0];
        let indices = stream["indices"].as_array().map_or(0, Vec::len);
        stream["generation"] == 2 && indices == 1
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_stream_keeps_documents_for_its_retention() -> Result<()> {
    let (_folder, server) = start().await?;
    let template = json!({"index_patterns": ["metrics-*"], "data_stream": {}});
    asked(&server, ("PUT", "/_index_template/metrics"), &template).await?;
    let document = json!({"@timestamp": "2026-01-01T00:00:00Z"});
    asked(&server, ("POST", "/metrics-a/_doc?refresh=true"), &document).await?;
    asked(&server, ("POST", "/metrics-a/_rollover"), &Value::Null).await?;
    let week = json!({"data_retention": "7d"});
    let path = "/_data_stream/metrics-a/_lifecycle";
    asked(&server, ("PUT", path), &week).await?;
    let shown = asked(&server, ("GET", path), &Value::Null).await?;
    let lifecycle = &shown["data_streams"][0]["lifecycle"];
    ensure!(
        lifecycle["enabled"] == true && lifecycle["data_retention"] == "7d",
        "{shown}"
    );
    let shown = asked(&server, ("GET", "/_data_stream/metrics-a"), &Value::Null).await?;
    let stream = &shown["data_streams"][0];
    ensure!(
        stream["indices"].as_array().map(Vec::len) == Some(2),
        "{shown}"
    );
    ensure!(
        stream["next_generation_managed_by"] == "Data stream lifecycle",
        "{shown}"
    );

    asked(&server, ("PUT", path), &json!({"data_retention": "1s"})).await?;
    until(&server, "/_data_stream/metrics-a", |found| {
        let stream = &found["data_streams"][0];
        stream["indices"].as_array().map(Vec::len) == Some(1)
    })
    .await?;
    // The policy of an index goes before that, unless the index says otherwise.
    let named = |prefers: bool| json!({"index.lifecycle.name": "none", "index.lifecycle.prefer_ilm": prefers});
    for (prefers, by) in [
        (true, "Index Lifecycle Management"),
        (false, "Data stream lifecycle"),
    ] {
        asked(&server, ("PUT", "/metrics-a/_settings"), &named(prefers)).await?;
        let shown = asked(&server, ("GET", "/_data_stream/metrics-a"), &Value::Null).await?;
        let index = &shown["data_streams"][0]["indices"][0];
        ensure!(
            index["prefer_ilm"] == prefers && index["managed_by"] == by,
            "{shown}"
        );
    }
    let unknown = json!({"index.lifecycle.fast": true});
    let reason = refused(&server, ("PUT", "/metrics-a/_settings"), &unknown).await?;
    ensure!(reason.contains("index.lifecycle.fast"), "{reason}");

    asked(&server, ("DELETE", path), &Value::Null).await?;
    let shown = asked(&server, ("GET", path), &Value::Null).await?;
    ensure!(
        shown["data_streams"][0].get("lifecycle").is_none(),
        "{shown}"
    );
    let reason = refused(&server, ("PUT", path), &json!({"data_retention": "never"})).await?;
    ensure!(reason.contains("data_retention"), "{reason}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn why_a_policy_cannot_be_carried_out_is_explained() -> Result<()> {
    let (_folder, server) = start().await?;
    put_policy(&server).await?;
    for (index, settings) in [
        ("missing-1", json!({"index.lifecycle.name": "none"})),
        ("alone-1", json!({"index.lifecycle.name": "short"})),
        ("plain-1", json!({})),
    ] {
        asked(
            &server,
            ("PUT", &format!("/{index}")),
            &json!({"settings": settings}),
        )
        .await?;
    }
    let explained = asked(&server, ("GET", "/*-1/_ilm/explain"), &Value::Null).await?;
    let indices = &explained["indices"];
    let reason = |index: &str| {
        indices[index]["step_info"]["reason"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    ensure!(
        reason("missing-1") == "policy [none] does not exist",
        "{explained}"
    );
    ensure!(
        reason("alone-1").contains("[index.lifecycle.rollover_alias] for index [alone-1] is empty"),
        "{explained}"
    );
    ensure!(indices["alone-1"]["step"] == "ERROR", "{explained}");
    ensure!(
        indices["plain-1"] == json!({"index": "plain-1", "managed": false}),
        "{explained}"
    );
    let path = "/*/_ilm/explain?only_errors=true";
    let explained = asked(&server, ("GET", path), &Value::Null).await?;
    ensure!(
        explained["indices"].as_object().map(serde_json::Map::len) == Some(2),
        "{explained}"
    );

    let wait = json!({"policy": {"phases": {"delete": {"actions": {"wait_for_snapshot": {"policy": "x"}}}}}});
    let reason = refused(&server, ("PUT", "/_ilm/policy/wait"), &wait).await?;
    ensure!(
        reason.contains("[wait_for_snapshot] is not supported"),
        "{reason}"
    );
    let often = json!({"persistent": {"indices.lifecycle.poll_interval": "10ms"}});
    let reason = refused(&server, ("PUT", "/_cluster/settings"), &often).await?;
    ensure!(reason.contains("must be >= [1s]"), "{reason}");
    refused(&server, ("PUT", "/_plugins/_ism/policies/a"), &json!({})).await?;
    Ok(())
}

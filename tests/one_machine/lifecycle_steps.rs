//! Steps of lifecycles that people take, and lifecycles that templates give, over HTTP.

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use serde_json::{Value, json};

use super::asking::asked;
use super::lifecycles::{refused, start, until};

/// An index under a policy by which it waits to be replaced, for ever.
async fn start_with_policy() -> Result<(tempfile::TempDir, Server)> {
    let (folder, server) = start().await?;
    let policy = json!({"policy": {"phases": {
        "hot": {"actions": {"rollover": {"max_docs": 1_000_000}}},
        "warm": {"min_age": "300d", "actions": {"readonly": {}}},
        "delete": {"min_age": "900d", "actions": {"delete": {}}},
    }}});
    asked(&server, ("PUT", "/_ilm/policy/slow"), &policy).await?;
    let index = json!({
        "settings": {"index.lifecycle.name": "slow", "index.lifecycle.rollover_alias": "logs"},
        "aliases": {"logs": {"is_write_index": true}},
    });
    asked(&server, ("PUT", "/logs-1"), &index).await?;
    Ok((folder, server))
}

async fn explained(server: &Server) -> Result<Value> {
    let answer = asked(server, ("GET", "/logs-1/_ilm/explain"), &Value::Null).await?;
    Ok(answer["indices"]["logs-1"].clone())
}

fn at_rollover() -> Value {
    json!({"phase": "hot", "action": "rollover", "name": "check-rollover-ready"})
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_goes_on_from_the_step_that_it_is_moved_to() -> Result<()> {
    let (_folder, server) = start_with_policy().await?;
    let path = "/_ilm/move/logs-1";
    let wrong = json!({"current_step": {"phase": "warm", "action": "complete", "name": "complete"},
        "next_step": {"phase": "warm"}});
    let reason = refused(&server, ("POST", path), &wrong).await?;
    ensure!(reason.contains("is not on current step"), "{reason}");
    let wrong = json!({"current_step": at_rollover(), "next_step": {"phase": "cold"}});
    let reason = refused(&server, ("POST", path), &wrong).await?;
    ensure!(
        reason.contains("with policy [slow] does not exist"),
        "{reason}"
    );

    let warm = json!({"current_step": at_rollover(), "next_step": {"phase": "warm", "action": "readonly"}});
    asked(&server, ("POST", path), &warm).await?;
    let stands = explained(&server).await?;
    ensure!(
        stands["phase"] == "warm" && stands["step"] == "complete",
        "{stands}"
    );
    let current = json!({"phase": "warm", "action": "complete", "name": "complete"});
    let delete = json!({"current_step": current, "next_step": {"phase": "delete", "action": "delete", "name": "delete"}});
    asked(&server, ("POST", path), &delete).await?;
    // What is written to is not deleted.
    let stands = explained(&server).await?;
    let reason = stands["step_info"]["reason"].as_str().unwrap_or_default();
    ensure!(
        reason.contains("is the write index for alias [logs]"),
        "{stands}"
    );
    let complete = json!({"index.lifecycle.indexing_complete": true});
    asked(&server, ("PUT", "/logs-1/_settings"), &complete).await?;
    until(&server, "/_resolve/index/logs-*", |found| {
        found["indices"].as_array().is_some_and(Vec::is_empty)
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_tried_again_and_taken_away() -> Result<()> {
    let (_folder, server) = start_with_policy().await?;
    let never = json!({"persistent": {"indices.lifecycle.poll_interval": "1d"}});
    asked(&server, ("PUT", "/_cluster/settings"), &never).await?;
    let soon = json!({"policy": {"phases": {"hot": {"actions": {"rollover": {"max_docs": 1}}}}}});
    asked(&server, ("PUT", "/_ilm/policy/slow"), &soon).await?;
    asked(
        &server,
        ("POST", "/logs/_doc?refresh=true"),
        &json!({"n": 1}),
    )
    .await?;
    let found = asked(&server, ("GET", "/_alias/logs"), &Value::Null).await?;
    ensure!(found.get("logs-000002").is_none(), "not by itself: {found}");
    asked(&server, ("POST", "/logs-*/_ilm/retry"), &Value::Null).await?;
    let found = asked(&server, ("GET", "/_alias/logs"), &Value::Null).await?;
    ensure!(found.get("logs-000002").is_some(), "{found}");

    let answer = asked(&server, ("POST", "/logs-*/_ilm/remove"), &Value::Null).await?;
    ensure!(
        answer == json!({"has_failures": false, "failed_indexes": []}),
        "{answer}"
    );
    let stands = explained(&server).await?;
    ensure!(stands["managed"] == false, "{stands}");
    let shown = asked(
        &server,
        ("GET", "/logs-1/_settings?flat_settings"),
        &Value::Null,
    )
    .await?;
    ensure!(!shown.to_string().contains("index.lifecycle"), "{shown}");
    let reason = refused(&server, ("POST", "/logs-1/_ilm/retry"), &Value::Null).await?;
    ensure!(reason.contains("cannot retry an action"), "{reason}");
    let body = json!({"current_step": at_rollover(), "next_step": {"phase": "hot"}});
    let reason = refused(&server, ("POST", "/_ilm/move/logs-1"), &body).await?;
    ensure!(
        reason.contains("is not associated with an Index Lifecycle Policy"),
        "{reason}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_give_data_streams_their_lifecycle() -> Result<()> {
    let (_folder, server) = start().await?;
    let component = json!({"template": {"lifecycle": {"data_retention": "7d", "enabled": false}}});
    asked(&server, ("PUT", "/_component_template/week"), &component).await?;
    let template = |more: Value| json!({"index_patterns": ["metrics-*"], "composed_of": ["week"], "data_stream": {}, "template": more});
    let own = template(json!({"lifecycle": {}}));
    asked(&server, ("PUT", "/_index_template/metrics"), &own).await?;
    let expected = json!({"data_retention": "7d", "enabled": true});
    for path in [
        "/_index_template/_simulate_index/metrics-a",
        "/_index_template/_simulate/metrics",
    ] {
        let shown = asked(&server, ("POST", path), &Value::Null).await?;
        ensure!(shown["template"]["lifecycle"] == expected, "{shown}");
    }
    let shown = asked(&server, ("GET", "/_component_template/week"), &Value::Null).await?;
    let shown = &shown["component_templates"][0]["component_template"]["template"];
    ensure!(
        shown["lifecycle"] == json!({"data_retention": "7d", "enabled": false}),
        "{shown}"
    );
    let document = json!({"@timestamp": "2026-01-01T00:00:00Z"});
    asked(&server, ("POST", "/metrics-a/_doc"), &document).await?;
    let shown = asked(
        &server,
        ("GET", "/_data_stream/metrics-a/_lifecycle"),
        &Value::Null,
    )
    .await?;
    let lifecycle = &shown["data_streams"][0]["lifecycle"];
    ensure!(
        lifecycle["data_retention"] == "7d" && lifecycle["enabled"] == true,
        "{shown}"
    );
    // A null takes back what the component says.
    let own = template(json!({"lifecycle": {"data_retention": null}}));
    asked(&server, ("PUT", "/_index_template/metrics"), &own).await?;
    asked(&server, ("PUT", "/_data_stream/metrics-b"), &Value::Null).await?;
    let shown = asked(&server, ("GET", "/_data_stream/metrics-b"), &Value::Null).await?;
    let stream = &shown["data_streams"][0];
    ensure!(stream["lifecycle"] == json!({"enabled": true}), "{shown}");

    let plain = json!({"index_patterns": ["plain-*"], "composed_of": ["week"]});
    let reason = refused(&server, ("PUT", "/_index_template/plain"), &plain).await?;
    ensure!(
        reason.contains("can only be used in combination with a data stream"),
        "{reason}"
    );
    for (lifecycle, expected) in [
        (json!({"data_retention": "soon"}), "data_retention"),
        (json!({"downsampling": [{"after": "1d"}]}), "downsampling"),
        (json!(null), "must be an object"),
    ] {
        let own = template(json!({"lifecycle": lifecycle}));
        let reason = refused(&server, ("PUT", "/_index_template/metrics"), &own).await?;
        ensure!(reason.contains(expected), "{reason}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn wildcards_leave_hidden_data_streams_alone() -> Result<()> {
    let (_folder, server) = start().await?;
    for (name, hidden) in [("open", false), ("secret", true)] {
        let template =
            json!({"index_patterns": [format!("{name}-*")], "data_stream": {"hidden": hidden}});
        asked(
            &server,
            ("PUT", &format!("/_index_template/{name}")),
            &template,
        )
        .await?;
        asked(
            &server,
            ("PUT", &format!("/_data_stream/{name}-a")),
            &Value::Null,
        )
        .await?;
    }
    let names = async |path: &str| -> Result<Vec<String>> {
        let shown = asked(&server, ("GET", path), &Value::Null).await?;
        let streams = shown["data_streams"].as_array().into_iter().flatten();
        let names = streams.filter_map(|stream| stream["name"].as_str());
        Ok(names.map(str::to_owned).collect())
    };
    ensure!(names("/_data_stream").await? == ["open-a"]);
    ensure!(names("/_data_stream/secret-a").await? == ["secret-a"]);
    let all = "/_data_stream?expand_wildcards=all";
    ensure!(names(all).await? == ["open-a", "secret-a"]);
    asked(&server, ("DELETE", "/_data_stream/*"), &Value::Null).await?;
    ensure!(names(all).await? == ["secret-a"]);
    let hidden = "/_data_stream/*?expand_wildcards=open,hidden";
    asked(&server, ("DELETE", hidden), &Value::Null).await?;
    ensure!(names(all).await?.is_empty());
    Ok(())
}

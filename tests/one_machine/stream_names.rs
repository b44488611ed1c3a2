//! Names of data streams and of what belongs to them: taken, closed, hidden, resolved.

use anyhow::{Context, Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

use super::asking::{answered, asked};

fn streamed(pattern: &str, priority: u32) -> Value {
    json!({"index_patterns": [pattern], "data_stream": {}, "priority": priority})
}

async fn refused(server: &Server, asked: (&str, &str), body: &Value, words: &str) -> Result<()> {
    let answer = answered(server, asked, body).await?;
    let (status, shown) = (answer.status, answer.shown());
    ensure!(
        status == 400 && shown.contains(words),
        "{asked:?}: {status} {shown}"
    );
    Ok(())
}

/// Returns the names of the indices of a data stream, the newest last.
async fn indices(server: &Server, stream: &str) -> Result<Vec<String>> {
    let path = format!("/_data_stream/{stream}");
    let shown = asked(server, ("GET", &path), &Value::Null).await?;
    let indices = shown["data_streams"][0]["indices"].as_array();
    let indices = indices.context("no indices")?.iter();
    Ok(indices
        .filter_map(|index| index["index_name"].as_str().map(str::to_owned))
        .collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_stream_passes_over_an_index_that_left_one_of_its_name() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    let template = streamed("logs-*", 1);
    asked(&server, ("PUT", "/_index_template/logs"), &template).await?;
    let document = json!({"@timestamp": "2026-01-01"});
    asked(&server, ("POST", "/logs-a/_doc"), &document).await?;
    asked(&server, ("POST", "/logs-a/_rollover"), &Value::Null).await?;
    let old = indices(&server, "logs-a").await?;
    let remove = json!({"actions": [
        {"remove_backing_index": {"data_stream": "logs-a", "index": old[0]}}]});
    asked(&server, ("POST", "/_data_stream/_modify"), &remove).await?;
    asked(&server, ("DELETE", "/_data_stream/logs-a"), &Value::Null).await?;
    let path = "/logs-a/_doc?refresh=true";
    let written = asked(&server, ("POST", path), &document).await?;
    ensure!(written["_index"] != old[0].as_str(), "{written}");
    // Both are found, each under its own name.
    let path = format!("/logs-a,{}/_count", old[0]);
    asked(&server, ("POST", "/_refresh"), &Value::Null).await?;
    let counted = asked(&server, ("GET", &path), &Value::Null).await?;
    ensure!(counted["count"] == 2, "{counted}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_that_is_written_to_is_not_closed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    let template = streamed("logs-*", 1);
    asked(&server, ("PUT", "/_index_template/logs"), &template).await?;
    asked(&server, ("PUT", "/_data_stream/logs-a"), &Value::Null).await?;
    asked(&server, ("POST", "/logs-a/_rollover"), &Value::Null).await?;
    let names = indices(&server, "logs-a").await?;
    let words = format!(
        "cannot close the following data stream write indices [{}]",
        names[1]
    );
    for name in ["logs-a", &names[1]] {
        let path = format!("/{name}/_close");
        refused(&server, ("POST", &path), &Value::Null, &words).await?;
    }
    let path = format!("/{}/_close", names[0]);
    asked(&server, ("POST", &path), &Value::Null).await?;
    let document = json!({"@timestamp": "2026-01-01"});
    asked(&server, ("POST", "/logs-a/_doc"), &document).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_goes_where_another_one_takes_its_streams() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    let general = ("PUT", "/_index_template/logs");
    asked(&server, general, &streamed("logs-*", 100)).await?;
    let special = ("PUT", "/_index_template/logs-app");
    asked(&server, special, &streamed("logs-app-*", 500)).await?;
    asked(&server, ("PUT", "/_data_stream/logs-app-1"), &Value::Null).await?;
    let delete = |path| ("DELETE", path);
    let both = delete("/_index_template/logs*");
    refused(&server, both, &Value::Null, "in use by a data streams").await?;
    asked(&server, delete("/_index_template/logs-app"), &Value::Null).await?;
    let last = delete("/_index_template/logs");
    refused(&server, last, &Value::Null, "in use by a data streams").await?;
    asked(&server, ("POST", "/logs-app-1/_rollover"), &Value::Null).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_legacy_template_that_would_be_hidden_is_refused_or_warned_of() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    let legacy = |patterns: &[&str]| json!({"index_patterns": patterns, "order": 1});
    let put = ("PUT", "/_template/old");
    asked(&server, put, &legacy(&["logs-app-*"])).await?;
    let index = json!({"index_patterns": ["logs-*"]});
    asked(&server, ("PUT", "/_index_template/logs"), &index).await?;
    let hidden = ("PUT", "/_template/mine");
    let words = "use composable templates (/_index_template) instead";
    refused(&server, hidden, &legacy(&["other", "logs-a*"]), words).await?;
    asked(&server, hidden, &legacy(&["metrics-*"])).await?;
    refused(&server, put, &legacy(&["logs-web-*"]), words).await?;
    for (path, patterns) in [("/_template/old", "logs-app-*"), ("/_template/all", "*")] {
        let answer = answered(&server, ("PUT", path), &legacy(&[patterns])).await?;
        let warning = answer.header("warning").unwrap_or_default();
        ensure!(
            answer.status == 200 && warning.contains("may be ignored in favor of a composable"),
            "{path}: {} {warning}",
            answer.shown()
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_resolved_with_exclusions_and_dates_and_closed_ones_on_request() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    for name in ["logs-new", "logs-old-1", "logs-old-2", "logs-shut"] {
        asked(&server, ("PUT", &format!("/{name}")), &Value::Null).await?;
    }
    asked(&server, ("POST", "/logs-shut/_close"), &Value::Null).await?;
    let today = "/%3Ctoday-%7Bnow%2Fd%7D%3E";
    asked(&server, ("PUT", today), &Value::Null).await?;
    for (names, expected) in [
        ("logs-*", vec!["logs-new", "logs-old-1", "logs-old-2"]),
        ("logs-*,-logs-old*", vec!["logs-new"]),
        ("logs-*,-logs-new", vec!["logs-old-1", "logs-old-2"]),
        ("logs-shut", vec!["logs-shut"]),
        ("logs-s*?expand_wildcards=closed", vec!["logs-shut"]),
        ("none-*", vec![]),
    ] {
        let path = format!("/_resolve/index/{names}");
        let resolved = asked(&server, ("GET", &path), &Value::Null).await?;
        let found = resolved["indices"].as_array().context("no indices")?;
        let found: Vec<&str> = found.iter().filter_map(|i| i["name"].as_str()).collect();
        ensure!(found == expected, "{names}: {resolved}");
    }
    let path = format!("/_resolve/index{today}");
    let resolved = asked(&server, ("GET", &path), &Value::Null).await?;
    let name = resolved["indices"][0]["name"].as_str().unwrap_or_default();
    ensure!(name.starts_with("today-2"), "{resolved}");
    for path in [
        "/_resolve/index/none-*?allow_no_indices=false",
        "/_resolve/index/-logs-new",
    ] {
        let answer = answered(&server, ("GET", path), &Value::Null).await?;
        ensure!(answer.status == 404, "{path}: {}", answer.shown());
    }
    Ok(())
}

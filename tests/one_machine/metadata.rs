//! Metadata is bounded, over HTTP: what is too much is refused with 400 and changes nothing.

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

/// Sends what is to be refused; returns the reason.
async fn refused(server: &Server, request: &Request) -> Result<String> {
    let answer = server.send(request).await?;
    let error = answer.json()?;
    ensure!(answer.status == 400, "{}: {error}", answer.status);
    ensure!(
        error["error"]["type"] == "illegal_argument_exception",
        "{error}"
    );
    let reason = error["error"]["reason"].as_str().unwrap_or_default();
    ensure!(
        reason.len() < 1_000,
        "it does not show all that is too long"
    );
    Ok(reason.to_owned())
}

async fn mapping(server: &Server) -> Result<Value> {
    server
        .send(&Request::new("GET", "/notes/_mapping"))
        .await?
        .ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_is_too_much_is_refused_and_changes_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    let one_shard = json!({"settings": {"number_of_shards": 1}});
    server
        .send(&Request::json("PUT", "/notes", &one_shard))
        .await?
        .ok()?;
    let before = mapping(&server).await?;

    let actions =
        (0..100_000).map(|n| json!({"add": {"index": "notes", "alias": format!("a{n}")}}));
    let actions = json!({"actions": actions.collect::<Vec<_>>()});
    let reason = refused(&server, &Request::json("POST", "/_aliases", &actions)).await?;
    ensure!(reason.contains("[100000] actions"), "{reason}");
    let aliases = server
        .send(&Request::new("GET", "/notes/_alias"))
        .await?
        .ok()?;
    ensure!(aliases["notes"]["aliases"] == json!({}), "none was taken");

    let names = (0..3).map(|n| {
        (
            format!("{n}{}", "n".repeat(1 << 20)),
            json!({"type": "keyword"}),
        )
    });
    let names = json!({"properties": Value::Object(names.collect())});
    let reason = refused(&server, &Request::json("PUT", "/notes/_mapping", &names)).await?;
    ensure!(reason.contains("is longer than [32766] bytes"), "{reason}");

    let noted = json!({"_meta": {"note": "m".repeat(17 << 20)}});
    let reason = refused(&server, &Request::json("PUT", "/notes/_mapping", &noted)).await?;
    ensure!(reason.contains("index [notes]"), "{reason}");
    ensure!(reason.contains("[16777216]"), "{reason}");
    ensure!(mapping(&server).await? == before);
    server.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_whose_name_is_too_long_is_refused_beside_others_that_are_written() -> Result<()>
{
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    let mut body = String::new();
    for name in ["short".to_owned(), "n".repeat(40_000)] {
        body.push_str("{\"index\":{}}\n");
        body.push_str(&json!({name: 1}).to_string());
        body.push('\n');
    }
    let request = Request::ndjson("POST", "/notes/_bulk?refresh=true", body);
    let answer = server.send(&request).await?.ok()?;
    let statuses = [0, 1].map(|at: usize| answer["items"][at]["index"]["status"].clone());
    ensure!(statuses == [json!(201), json!(400)], "{statuses:?}");
    let found = server
        .send(&Request::new("GET", "/notes/_count?q=short:1"))
        .await?
        .ok()?;
    ensure!(found["count"] == 1, "{found}");
    server.stop().await
}

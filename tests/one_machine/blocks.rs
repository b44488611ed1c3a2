//! Blocks of an index, over HTTP: what they keep out, how they are told, that they go again.

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::{Request, Response};
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

async fn set(server: &Server, block: &str, value: &Value) -> Result<()> {
    let body = json!({format!("index.blocks.{block}"): value});
    server
        .send(&Request::json("PUT", "/notes/_settings", &body))
        .await?
        .ok()?;
    Ok(())
}

/// Returns what the cluster's state tells of blocks.
async fn blocks(server: &Server) -> Result<Value> {
    let state = server
        .send(&Request::new("GET", "/_cluster/state/blocks"))
        .await?
        .ok()?;
    Ok(state["blocks"].clone())
}

fn is_blocked(answer: &Response, block: &str) -> Result<()> {
    let error = answer.json()?["error"].clone();
    ensure!(answer.status == 403, "{}", answer.shown());
    ensure!(error["type"] == "cluster_block_exception", "{error}");
    let reason = format!("index [notes] blocked by: [{block}];");
    ensure!(error["reason"] == reason, "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_index_is_not_deleted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    server.send(&Request::new("PUT", "/notes")).await?.ok()?;
    let delete = Request::new("DELETE", "/notes");
    for (name, told) in [
        ("read_only", "FORBIDDEN/5/index read-only (api)"),
        ("metadata", "FORBIDDEN/9/index metadata (api)"),
    ] {
        set(&server, name, &json!(true)).await?;
        is_blocked(&server.send(&delete).await?, told)?;
        set(&server, name, &Value::Null).await?;
    }
    set(&server, "read_only_allow_delete", &json!(true)).await?;
    server.send(&delete).await?.ok()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_holds_once_it_is_answered() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    let write = Request::json("PUT", "/notes/_doc/1", &json!({"text": "a"}));
    server.send(&write).await?.ok()?;
    let block = Request::new("PUT", "/notes/_block/write?timeout=60s");
    let told = server.send(&block).await?.ok()?;
    let wanted = json!({
        "acknowledged": true,
        "shards_acknowledged": true,
        "indices": [{"name": "notes", "blocked": true}],
    });
    ensure!(told == wanted, "{told}");
    let refused = server.send(&write).await?;
    is_blocked(&refused, "FORBIDDEN/8/index write (api)")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_keeps_metadata_as_it_is() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    server.send(&Request::new("PUT", "/notes")).await?.ok()?;
    set(&server, "read_only_allow_delete", &json!(true)).await?;
    let mapping = json!({"properties": {"other": {"type": "keyword"}}});
    let interval = json!({"index.refresh_interval": "7s"});
    for request in [
        Request::json("PUT", "/notes/_mapping", &mapping),
        Request::json("PUT", "/notes/_settings", &interval),
        Request::new("POST", "/notes/_close"),
    ] {
        let answer = server.send(&request).await?;
        ensure!(answer.status == 429, "{}", answer.shown());
    }
    server
        .send(&Request::new("POST", "/notes/_refresh"))
        .await?
        .ok()?;
    set(&server, "read_only_allow_delete", &Value::Null).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_not_read_is_maintained_all_the_same() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    server.send(&Request::new("PUT", "/notes")).await?.ok()?;
    set(&server, "read", &json!(true)).await?;
    for path in ["/notes/_refresh", "/notes/_flush", "/notes/_forcemerge"] {
        server.send(&Request::new("POST", path)).await?.ok()?;
    }
    let count = server.send(&Request::new("GET", "/notes/_count")).await?;
    ensure!(count.status == 403, "{}", count.shown());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_is_told_until_it_is_lifted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    let write = Request::json("PUT", "/notes/_doc/1", &json!({"text": "a"}));
    let search = Request::new("GET", "/notes/_search");
    let mapping = json!({"properties": {"other": {"type": "keyword"}}});
    let change = Request::json("PUT", "/notes/_mapping", &mapping);
    let get = Request::new("GET", "/notes/_doc/1");
    let mappings = Request::new("GET", "/notes/_mapping");
    let alias = Request::new("PUT", "/notes/_alias/other");
    let replicas = json!({"index.number_of_replicas": 0, "index.refresh_interval": "7s"});
    let replicas = Request::json("PUT", "/notes/_settings", &replicas);
    server.send(&write).await?.ok()?;
    ensure!(blocks(&server).await? == json!({}));
    let cases = [
        ("write", &write, 8, "index write (api)", json!(["write"])),
        ("read", &search, 7, "index read (api)", json!(["read"])),
        ("read", &get, 7, "index read (api)", json!(["read"])),
        (
            "metadata",
            &mappings,
            9,
            "index metadata (api)",
            json!(["metadata_read", "metadata_write"]),
        ),
        (
            "metadata",
            &alias,
            9,
            "index metadata (api)",
            json!(["metadata_read", "metadata_write"]),
        ),
        (
            "read_only",
            &replicas,
            5,
            "index read-only (api)",
            json!(["write", "metadata_write"]),
        ),
        (
            "read_only",
            &change,
            5,
            "index read-only (api)",
            json!(["write", "metadata_write"]),
        ),
    ];
    for (name, request, id, description, levels) in cases {
        set(&server, name, &json!(true)).await?;
        let answer = server.send(request).await?;
        is_blocked(&answer, &format!("FORBIDDEN/{id}/{description}"))?;
        let told = json!({"description": description, "retryable": false, "levels": levels});
        let told = json!({"indices": {"notes": {id.to_string(): told}}});
        ensure!(blocks(&server).await? == told, "{name}");
        set(&server, name, &Value::Null).await?;
        server.send(request).await?.ok()?;
        ensure!(blocks(&server).await? == json!({}), "{name}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_opened_tells_whether_its_copies_serve() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    let index = json!({"settings": {"number_of_shards": 2, "number_of_replicas": 1}});
    let create = Request::json("PUT", "/notes", &index);
    server.send(&create).await?.ok()?;
    // There is no other leaf for the replicas.
    for (parameters, expected) in [("", true), ("?wait_for_active_shards=2", false)] {
        let close = Request::new("POST", "/notes/_close");
        server.send(&close).await?.ok()?;
        let open = Request::new("POST", &format!("/notes/_open{parameters}"));
        let opened = server.send(&open).await?.ok()?;
        ensure!(opened["shards_acknowledged"] == expected, "{opened}");
    }
    Ok(())
}

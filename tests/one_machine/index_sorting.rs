//! `index.sort.*`: settings that are kept, shown and checked, and that change no answer.

use anyhow::{Context, Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::asking::ok;

/// Returns what creates an index with these settings and a field of each kind.
fn created(settings: &Value) -> Value {
    json!({
        "settings": settings,
        "mappings": {"properties": {
            "at": {"type": "date"},
            "n": {"type": "integer"},
            "text": {"type": "text"},
        }},
    })
}

/// Starts a node with the same documents in an index that is sorted and in one that is not.
async fn start() -> Result<(TempDir, Server)> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(&folder.path().join("data")).await?;
    let sort = json!({"field": ["at", "n"], "order": ["desc", "asc"]});
    for (index, settings) in [
        ("plain", json!({"number_of_shards": 2})),
        (
            "sorted",
            json!({"index": {"number_of_shards": 2, "sort": sort}}),
        ),
    ] {
        ok(&server, "PUT", &format!("/{index}"), &created(&settings)).await?;
        for n in 0..12 {
            let path = format!("/{index}/_doc/{n}?refresh=true");
            let day = 1 + n % 3;
            let text = if n % 2 == 0 { "tea" } else { "green tea" };
            let document = json!({"at": format!("2026-01-0{day}"), "n": n, "text": text});
            ok(&server, "PUT", &path, &document).await?;
        }
    }
    Ok((folder, server))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_kept_and_shown() -> Result<()> {
    let (_folder, server) = start().await?;
    let read = Request::new("GET", "/sorted/_settings");
    let shown = server.send(&read).await?.ok()?;
    let sort = &shown["sorted"]["settings"]["index"]["sort"];
    let expected = json!({"field": ["at", "n"], "order": ["desc", "asc"]});
    ensure!(*sort == expected, "{shown}");
    let order = json!({"index.sort.order": ["asc", "asc"]});
    let change = Request::json("PUT", "/sorted/_settings", &order);
    let refused = server.send(&change).await?;
    ensure!(refused.status == 400, "{}", refused.shown());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_without_order_are_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(&folder.path().join("data")).await?;
    for (field, reason) in [
        ("text", "invalid index sort field:[text]"),
        ("none", "unknown index sort field:[none]"),
    ] {
        let body = created(&json!({"index.sort.field": field}));
        let create = Request::json("PUT", "/refused", &body);
        let refused = server.send(&create).await?;
        ensure!(refused.status == 400, "{}", refused.shown());
        let error = refused.json()?["error"].clone();
        ensure!(
            error["type"] == "illegal_argument_exception" && error["reason"] == reason,
            "{error}"
        );
        let index = server.send(&Request::new("HEAD", "/refused")).await?;
        ensure!(index.status == 404, "{}", index.shown());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_are_those_of_an_index_without_order() -> Result<()> {
    let (_folder, server) = start().await?;
    for body in [
        json!({"size": 12}),
        json!({"query": {"match": {"text": "green tea"}}, "size": 7}),
        json!({"query": {"range": {"n": {"gte": 3}}}, "sort": ["at"], "from": 2, "size": 5}),
        json!({"sort": [{"at": "desc"}, {"n": "asc"}], "size": 4, "track_total_hits": false}),
    ] {
        let mut found = Vec::new();
        for index in ["plain", "sorted"] {
            let answer = ok(&server, "POST", &format!("/{index}/_search"), &body).await?;
            let hits = answer["hits"]["hits"].as_array().context("hits")?.iter();
            let hits = hits.map(|hit| json!([hit["_id"], hit["_score"], hit["sort"]]));
            found.push(json!([answer["hits"]["total"], hits.collect::<Vec<_>>()]));
        }
        ensure!(found[0] == found[1], "{body}: {found:?}");
    }
    Ok(())
}

//! `_split`, `_shrink` and `_clone` over HTTP: the same documents under another number of shards, or nothing.

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

async fn send(server: &Server, method: &str, path: &str, body: &Value) -> Result<(u16, Value)> {
    let request = match body {
        Value::Null => Request::new(method, path),
        body => Request::json(method, path, body),
    };
    let answer = server.send(&request).await?;
    let shown = answer.json().unwrap_or(Value::Null);
    Ok((answer.status, shown))
}

async fn served(folder: &tempfile::TempDir) -> Result<Server> {
    let server = Start::on(&folder.path().join("data")).spawn().await?;
    let body = json!({
        "settings": {"number_of_shards": 2, "refresh_interval": "-1", "number_of_replicas": 0},
        "mappings": {"properties": {"text": {"type": "text"}, "n": {"type": "integer"}}},
    });
    send(&server, "PUT", "/books", &body).await?;
    for n in 0..60 {
        let routing = if n % 3 == 0 { "?routing=r" } else { "" };
        let path = format!("/books/_doc/{n}{routing}");
        let source = json!({"text": format!("fox {}", "dog ".repeat(n % 5)), "n": n});
        send(&server, "PUT", &path, &source).await?;
        if n % 2 == 0 {
            // A second version.
            send(&server, "PUT", &path, &source).await?;
        }
    }
    send(&server, "POST", "/books/_refresh", &Value::Null).await?;
    Ok(server)
}

async fn block(server: &Server) -> Result<()> {
    let body = json!({"index.blocks.write": true});
    let (status, answer) = send(server, "PUT", "/books/_settings", &body).await?;
    ensure!(status == 200, "{answer}");
    Ok(())
}

/// Ids, scores, versions and routings of what a query finds.
async fn hits(server: &Server, index: &str) -> Result<Vec<Value>> {
    let body = json!({"query": {"match": {"text": "dog fox"}}, "size": 100, "version": true});
    let path = format!("/{index}/_search");
    let (_, answer) = send(server, "POST", &path, &body).await?;
    let hits = answer["hits"]["hits"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let told = |hit: &Value| {
        let parts = ["_id", "_score", "_version", "_routing", "_source"];
        parts.iter().map(|part| hit[*part].clone()).collect()
    };
    Ok(hits.iter().map(told).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_the_same_under_another_number_of_shards() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = served(&folder).await?;
    block(&server).await?;
    let expected = hits(&server, "books").await?;
    for (action, shards) in [("_split", 6), ("_shrink", 1), ("_clone", 2)] {
        let path = format!("/books/{action}/made{action}");
        let settings = json!({"index.number_of_shards": shards, "index.blocks.write": null});
        let body = json!({"settings": settings, "aliases": {format!("alias{action}"): {}}});
        let (status, answer) = send(&server, "PUT", &path, &body).await?;
        ensure!(status == 200, "{path}: {answer}");
        let index = format!("made{action}");
        let whole = json!({"acknowledged": true, "shards_acknowledged": true, "index": index});
        assert_eq!(answer, whole);
        let found = hits(&server, &index).await?;
        assert_eq!(found.len(), 60, "{action}");
        assert_eq!(found, expected, "{action}");
        let found = hits(&server, &format!("alias{action}")).await?;
        assert_eq!(found, expected, "{action}");
        let (_, shown) = send(&server, "GET", &format!("/{index}"), &Value::Null).await?;
        let shown = &shown[&index];
        assert_eq!(
            shown["settings"]["index"]["number_of_shards"],
            shards.to_string()
        );
        assert_eq!(shown["settings"]["index"]["refresh_interval"], "-1");
        assert_eq!(shown["settings"]["index"].get("hidden"), None, "{shown}");
        assert_eq!(shown["mappings"]["properties"]["n"]["type"], "integer");
        let names = json!({"size": 0, "aggs": {"names": {"terms": {"field": "_index"}}}});
        let (_, answer) = send(&server, "POST", &format!("/{index}/_search"), &names).await?;
        let buckets = &answer["aggregations"]["names"]["buckets"];
        assert_eq!(*buckets, json!([{"key": index, "doc_count": 60}]));
        // It is an index as any other.
        let path = format!("/{index}/_doc/more?refresh");
        let (status, answer) = send(&server, "PUT", &path, &json!({"n": 1})).await?;
        ensure!(status == 201, "{answer}");
    }
    let (_, indices) = send(
        &server,
        "GET",
        "/_cat/indices?format=json&expand_wildcards=all&h=index",
        &Value::Null,
    )
    .await?;
    assert_eq!(indices.as_array().map(Vec::len), Some(4), "{indices}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_smaller_index_has_as_few_shards_as_have_room() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = served(&folder).await?;
    block(&server).await?;
    for (max_size, shards) in [("1gb", "1"), ("1b", "2")] {
        let path = format!("/books/_shrink/made-{max_size}");
        let body = json!({"max_primary_shard_size": max_size});
        let (status, answer) = send(&server, "POST", &path, &body).await?;
        ensure!(status == 200, "{path}: {answer}");
        let index = format!("made-{max_size}");
        let (_, shown) = send(&server, "GET", &format!("/{index}"), &Value::Null).await?;
        let settings = &shown[&index]["settings"]["index"];
        assert_eq!(settings["number_of_shards"], shards);
        assert_eq!(hits(&server, &index).await?.len(), 60);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_made_leaves_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = served(&folder).await?;
    let (status, answer) = send(&server, "PUT", "/books/_clone/made", &Value::Null).await?;
    let reason = answer["error"]["reason"].as_str().unwrap_or_default();
    ensure!(
        status == 400 && reason.contains("index.blocks.write=true"),
        "{answer}"
    );
    block(&server).await?;
    let shards = |number: u32| json!({"settings": {"index.number_of_shards": number}});
    for (path, body, status) in [
        ("/books/_split/made", shards(3), 400),
        ("/books/_split/made", Value::Null, 400),
        ("/books/_shrink/made", shards(4), 400),
        ("/books/_clone/made", shards(6), 400),
        (
            "/books/_split/made",
            json!({"settings": {"number_of_shards": 6, "number_of_routing_shards": 6}}),
            400,
        ),
        ("/books/_clone/made", json!({"mappings": {}}), 400),
        (
            "/books/_clone/made",
            json!({"settings": {"unheard_of": 1}}),
            400,
        ),
        ("/books/_clone/made", json!({"unheard_of": 1}), 400),
        ("/books/_clone/made", json!([]), 400),
        ("/books/_clone/made?copy_settings=false", Value::Null, 400),
        (
            "/books/_shrink/made",
            json!({"max_primary_shard_size": "1gb", "settings": {"number_of_shards": 1}}),
            400,
        ),
        (
            "/books/_shrink/made",
            json!({"max_primary_shard_size": "none"}),
            400,
        ),
        (
            "/books/_clone/made",
            json!({"max_primary_shard_size": "1gb"}),
            400,
        ),
        (
            "/nowhere/_shrink/made",
            json!({"max_primary_shard_size": "1gb"}),
            404,
        ),
        ("/books/_clone/books", Value::Null, 400),
        ("/books/_clone/MADE", Value::Null, 400),
        ("/nowhere/_clone/made", Value::Null, 404),
    ] {
        let (told, answer) = send(&server, "PUT", path, &body).await?;
        ensure!(told == status, "{path} {body}: {told} {answer}");
    }
    // Two documents of one id, on two shards: they cannot be one.
    let unblock = json!({"index.blocks.write": false});
    send(&server, "PUT", "/books/_settings", &unblock).await?;
    for n in 0..4 {
        let path = format!("/books/_doc/same?routing={n}&refresh");
        send(&server, "PUT", &path, &json!({"n": n})).await?;
    }
    block(&server).await?;
    let (status, answer) = send(&server, "PUT", "/books/_shrink/made", &Value::Null).await?;
    ensure!(status == 409, "{answer}");
    let (_, indices) = send(
        &server,
        "GET",
        "/_cat/indices?format=json&expand_wildcards=all&h=index",
        &Value::Null,
    )
    .await?;
    assert_eq!(indices, json!([{"index": "books"}]));
    Ok(())
}

//! What becomes of a document's values, over HTTP: numbers as they are written, copies, updates.

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

async fn ask(server: &Server, method: &str, path: &str, body: &str) -> Result<Value> {
    let request = Request::new(method, path).with_body("application/json", body);
    server.send(&request).await?.ok()
}

/// Returns how many documents a `term` query finds.
async fn count(server: &Server, field: &str, term: &str) -> Result<u64> {
    let query = json!({"query": {"term": {field: term}}}).to_string();
    let answer = ask(server, "POST", "/notes/_count", &query).await?;
    Ok(answer["count"].as_u64().unwrap_or(u64::MAX))
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_in_a_keyword_are_what_is_written() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    let mapping = r#"{"mappings": {"properties": {"id": {"type": "keyword"}}}}"#;
    ask(&server, "PUT", "/notes", mapping).await?;
    let numbers = [
        "12345678901234567890123",
        "12345678901234567890124",
        "1.10",
        "1.1",
        "1e2",
        "-0",
    ];
    for number in numbers {
        let document = format!("{{\"id\": {number}}}");
        ask(&server, "POST", "/notes/_doc?refresh=true", &document).await?;
    }
    for number in numbers {
        ensure!(count(&server, "id", number).await? == 1, "{number}");
    }
    let terms = r#"{"size": 0, "aggs": {"ids": {"terms": {"field": "id"}}}}"#;
    let found = ask(&server, "POST", "/notes/_search", terms).await?;
    let buckets = found["aggregations"]["ids"]["buckets"].as_array();
    ensure!(buckets.map(Vec::len) == Some(numbers.len()), "{found}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_loses_no_digit_and_shows_what_is_asked_for() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    let mapping = r#"{"mappings": {"properties": {"b": {"type": "keyword"}}}}"#;
    ask(&server, "PUT", "/notes", mapping).await?;
    let first = r#"{"a": 1, "b": 12345678901234567890123, "c": {"d": 1, "e": 2}}"#;
    ask(&server, "PUT", "/notes/_doc/1", first).await?;
    let change = r#"{"doc": {"b": 12345678901234567890124}}"#;
    let answer = ask(&server, "POST", "/notes/_update/1?_source=a", change).await?;
    ensure!(answer["result"] == "updated", "{answer}");
    ensure!(answer["get"]["_source"] == json!({"a": 1}), "{answer}");
    let change = r#"{"doc": {"a": 2}, "_source": ["c.d"]}"#;
    let answer = ask(&server, "POST", "/notes/_update/1", change).await?;
    ensure!(
        answer["get"]["_source"] == json!({"c": {"d": 1}}),
        "{answer}"
    );
    let lines = "{\"update\": {\"_id\": \"1\", \"_source\": [\"a\"]}}\n{\"doc\": {\"a\": 3}}\n\
                 {\"update\": {\"_id\": \"1\"}}\n{\"doc\": {\"a\": 4}}\n";
    let bulk = Request::ndjson("POST", "/notes/_bulk?_source_excludes=b,c", lines);
    let answer = server.send(&bulk).await?.ok()?;
    for (at, a) in [(0, 3), (1, 4)] {
        let shown = &answer["items"][at]["update"]["get"]["_source"];
        ensure!(*shown == json!({"a": a}), "{answer}");
    }
    ask(&server, "POST", "/notes/_refresh", "").await?;
    ensure!(count(&server, "b", "12345678901234567890124").await? == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_found_where_they_are_copied_to_though_nobody_declared_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    let mapping = r#"{"mappings": {"properties": {"a": {"type": "keyword", "copy_to": "all"}}}}"#;
    ask(&server, "PUT", "/notes", mapping).await?;
    let document = r#"{"a": "Some Words"}"#;
    ask(&server, "PUT", "/notes/_doc/1?refresh=true", document).await?;
    ensure!(count(&server, "all", "words").await? == 1);
    ensure!(count(&server, "all.keyword", "Some Words").await? == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_mapping_leaves_out_of_source_is_in_no_answer() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    let mapping = r#"{"mappings": {"_source": {"excludes": ["v"]}}}"#;
    ask(&server, "PUT", "/notes", mapping).await?;
    ask(&server, "PUT", "/notes/_doc/1", r#"{"a": 1, "v": "x"}"#).await?;
    let change = r#"{"doc": {"a": 2}, "_source": true}"#;
    let path = "/notes/_update/1?refresh=true";
    let updated = ask(&server, "POST", path, change).await?;
    let got = ask(&server, "GET", "/notes/_doc/1", "").await?;
    let source = ask(&server, "GET", "/notes/_source/1", "").await?;
    let top = r#"{"aggs": {"t": {"top_hits": {}}}}"#;
    let found = ask(&server, "POST", "/notes/_search", top).await?;
    let top = &found["aggregations"]["t"]["hits"]["hits"][0];
    for shown in [
        &updated["get"]["_source"],
        &got["_source"],
        &source,
        &found["hits"]["hits"][0]["_source"],
        &top["_source"],
    ] {
        ensure!(*shown == json!({"a": 2}), "{shown}");
    }
    ensure!(
        count(&server, "v", "x").await? == 1,
        "an update keeps it, and it is found"
    );
    ask(
        &server,
        "PUT",
        "/bare",
        r#"{"mappings": {"_source": {"enabled": false}}}"#,
    )
    .await?;
    ask(&server, "PUT", "/bare/_doc/1?refresh=true", r#"{"a": 1}"#).await?;
    let got = ask(&server, "GET", "/bare/_doc/1", "").await?;
    ensure!(
        got["found"] == true && got.get("_source").is_none(),
        "{got}"
    );
    let found = ask(&server, "POST", "/bare/_search", "").await?;
    let hit = &found["hits"]["hits"][0];
    ensure!(hit["_id"] == "1" && hit.get("_source").is_none(), "{hit}");
    let source = Request::new("GET", "/bare/_source/1");
    ensure!(server.send(&source).await?.status == 404);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_of_many_chunks_refreshes_its_shards_once() -> Result<()> {
    const NUM_DOCUMENTS: u64 = 3_500;
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    let settings =
        r#"{"settings": {"number_of_shards": 2, "number_of_replicas": 0, "refresh_interval": -1}}"#;
    ask(&server, "PUT", "/notes", settings).await?;
    let lines =
        (0..NUM_DOCUMENTS).map(|n| format!("{{\"index\": {{\"_id\": \"{n}\"}}}}\n{{\"a\": 1}}\n"));
    let lines: String = lines.collect();
    for (refresh, is_forced, num_refreshes) in [("true", true, 2), ("wait_for", false, 4)] {
        let path = format!("/notes/_bulk?refresh={refresh}");
        let answer = server
            .send(&Request::ndjson("POST", &path, lines.as_str()))
            .await?
            .ok()?;
        ensure!(answer["errors"] == false, "{refresh}");
        let items = answer["items"].as_array().cloned().unwrap_or_default();
        ensure!(items.len() as u64 == NUM_DOCUMENTS, "{}", items.len());
        for item in &items {
            let item = &item["index"];
            ensure!(item.get("forced_refresh").is_some() == is_forced, "{item}");
            let copies = json!({"total": 1, "successful": 1, "failed": 0});
            ensure!(item["_shards"] == copies, "{item}");
        }
        let stats = ask(&server, "GET", "/notes/_stats/refresh", "").await?;
        let total = &stats["_all"]["primaries"]["refresh"]["total"];
        ensure!(*total == num_refreshes, "{refresh}: {total}");
        ensure!(count(&server, "a", "1").await? == NUM_DOCUMENTS);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_of_another_version_is_a_conflict_beside_those_that_are_found() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    for n in 0..2 {
        let write = Request::json("PUT", "/notes/_doc/1", &json!({"n": n}));
        server.send(&write).await?.ok()?;
    }
    let docs = [
        json!({"_id": "1", "version": 1}),
        json!({"_id": "1", "version": 2}),
    ];
    let get = Request::json("POST", "/notes/_mget", &json!({ "docs": docs }));
    let told = server.send(&get).await?.ok()?;
    let conflict = &told["docs"][0];
    assert_eq!(
        conflict["error"]["type"],
        "version_conflict_engine_exception"
    );
    assert_eq!(
        (&conflict["_id"], &conflict["found"]),
        (&json!("1"), &Value::Null)
    );
    assert_eq!(told["docs"][1]["_source"], json!({"n": 1}));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_looks_into_no_document_keeps_them_all() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    let mapping = json!({"enabled": false, "properties": {"n": {"type": "long"}}});
    let create = json!({"mappings": mapping}).to_string();
    ask(&server, "PUT", "/notes", &create).await?;
    for (id, document) in [(1, r#"{"n": 1, "o": {"": [2]}}"#), (2, r#"{"n": "many"}"#)] {
        let path = format!("/notes/_doc/{id}?refresh=true");
        ask(&server, "PUT", &path, document).await?;
    }
    let change = r#"{"doc": {"n": {"deep": true}}}"#;
    ask(&server, "POST", "/notes/_update/2?refresh=true", change).await?;
    let got = ask(&server, "GET", "/notes/_doc/1", "").await?;
    ensure!(got["_source"] == json!({"n": 1, "o": {"": [2]}}), "{got}");
    let ids = r#"{"query": {"ids": {"values": ["2"]}}}"#;
    let found = ask(&server, "POST", "/notes/_search", ids).await?;
    let source = &found["hits"]["hits"][0]["_source"];
    ensure!(*source == json!({"n": {"deep": true}}), "{found}");
    ensure!(count(&server, "n", "1").await? == 0);
    let counted = ask(&server, "GET", "/notes/_count", "").await?;
    ensure!(counted["count"] == 2, "{counted}");
    let shown = ask(&server, "GET", "/notes/_mapping", "").await?;
    ensure!(shown["notes"]["mappings"] == mapping, "{shown}");
    let other = Request::json("PUT", "/notes/_mapping", &json!({"enabled": true}));
    ensure!(server.send(&other).await?.status == 400);
    Ok(())
}

//! Tasks by query over HTTP: documents copied, written again, deleted; tasks looked after and ended.

use std::path::Path;

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

use super::asking::asked;

const NUM_DOCUMENTS: u64 = 50;

/// Returns a server with an index `books`, of three shards, of which some documents are routed.
async fn with_books(data: &Path) -> Result<Server> {
    let server: Server = Start::on(data).spawn().await?;
    let index = json!({"settings": {"number_of_shards": 3}, "mappings": {"dynamic": false}});
    asked(&server, ("PUT", "/books"), &index).await?;
    let mut lines = String::new();
    for n in 0..NUM_DOCUMENTS {
        let routing = if n % 5 == 0 { r#","routing":"r""# } else { "" };
        lines.push_str(&format!("{{\"index\":{{\"_id\":\"{n}\"{routing}}}}}\n"));
        lines.push_str(&format!("{{\"n\":{n},\"t\":\"word\"}}\n"));
    }
    let bulk = Request::ndjson("POST", "/books/_bulk?refresh=true", lines);
    server.send(&bulk).await?.ok()?;
    Ok(server)
}

async fn count(server: &Server, path: &str) -> Result<u64> {
    let answer = asked(server, ("GET", path), &Value::Null).await?;
    Ok(answer["count"].as_u64().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_copied_with_their_routing_whatever_the_slices() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = with_books(&folder.path().join("data")).await?;
    for (slices, shards) in [("1", 1), ("auto", 4), ("7", 2)] {
        let index = format!("copy-{slices}");
        let settings = json!({"settings": {"number_of_shards": shards}});
        asked(&server, ("PUT", &format!("/{index}")), &settings).await?;
        let path = format!("/_reindex?refresh=true&slices={slices}");
        let body = json!({"source": {"index": "books", "size": 4, "_source": ["n"]},
                          "dest": {"index": index}});
        let report = asked(&server, ("POST", &path), &body).await?;
        ensure!(report["created"] == NUM_DOCUMENTS, "{report}");
        ensure!(count(&server, &format!("/{index}/_count?q=n:%3E%3D0")).await? == NUM_DOCUMENTS);
        let path_of_one = format!("/{index}/_doc/5?routing=r");
        let shown = asked(&server, ("GET", &path_of_one), &Value::Null).await?;
        ensure!(shown["_source"] == json!({"n": 5}), "{shown}");
        // Once more: nothing is new any more, and conflicts are counted.
        let body = json!({"source": {"index": "books"}, "conflicts": "proceed",
                          "dest": {"index": index, "op_type": "create"}});
        let report = asked(&server, ("POST", &path), &body).await?;
        ensure!(report["version_conflicts"] == NUM_DOCUMENTS, "{report}");
    }
    let body = json!({"source": {"index": "books"}, "max_docs": 9, "dest": {"index": "few"}});
    let report = asked(&server, ("POST", "/_reindex?refresh=true&slices=3"), &body).await?;
    ensure!(report["created"] == 9 && report["total"] == 9, "{report}");
    ensure!(count(&server, "/few/_count").await? == 9);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_names_its_place_as_in_a_bulk() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = with_books(&folder.path().join("data")).await?;
    let source = json!({"index": "books", "query": {"ids": {"values": ["1"]}}});
    let mut body = json!({"source": source, "dest": {"index": "copy"}});
    asked(&server, ("POST", "/_reindex"), &body).await?;
    body["dest"]["op_type"] = json!("create");
    let answer = server
        .send(&Request::json("POST", "/_reindex", &body))
        .await?;
    let report = answer.json()?;
    let failure = &report["failures"][0];
    let lines = "{\"create\":{\"_id\":\"1\"}}\n{\"n\":1}\n";
    let bulk = Request::ndjson("POST", "/copy/_bulk", lines);
    let written = server.send(&bulk).await?.ok()?;
    let refused = &written["items"][0]["create"];
    ensure!(
        answer.status == 409 && refused["error"]["index"] == "copy",
        "{report} {written}"
    );
    ensure!(
        failure["cause"] == refused["error"] && failure["status"] == refused["status"],
        "{report} {written}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_written_again_are_found_by_fields_that_came_later() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = with_books(&folder.path().join("data")).await?;
    let mapping = json!({"properties": {"n": {"type": "long"}}});
    asked(&server, ("PUT", "/books/_mapping"), &mapping).await?;
    let query = "/books/_count?q=n:%3E%3D0";
    ensure!(count(&server, query).await? == 0, "not indexed yet");
    let path = ("POST", "/books/_update_by_query?refresh=true&slices=2");
    let report = asked(&server, path, &Value::Null).await?;
    ensure!(report["updated"] == NUM_DOCUMENTS, "{report}");
    ensure!(
        report["slices"].as_array().map(Vec::len) == Some(2),
        "{report}"
    );
    ensure!(count(&server, query).await? == NUM_DOCUMENTS);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_write_that_comes_between_is_overwritten() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = with_books(&folder.path().join("data")).await?;
    // So slow that it waits after its first page, with its views as they were.
    let slow =
        "?wait_for_completion=false&scroll_size=1&requests_per_second=0.001&conflicts=proceed";
    let slow = format!("/books/_update_by_query{slow}");
    let begun = asked(&server, ("POST", &slow), &Value::Null).await?;
    let task = begun["task"].as_str().unwrap_or_default().to_owned();
    let path = format!("/_tasks/{task}");
    loop {
        let shown = asked(&server, ("GET", &path), &Value::Null).await?;
        ensure!(shown["completed"] == false, "{shown}");
        if shown["task"]["status"]["updated"] == 1 {
            break;
        }
    }
    for n in 0..NUM_DOCUMENTS {
        let routing = if n % 5 == 0 { "?routing=r" } else { "" };
        let write = ("PUT", &*format!("/books/_doc/{n}{routing}"));
        asked(&server, write, &json!({"n": n, "newer": true})).await?;
    }
    let quick = format!("/_update_by_query/{task}/_rethrottle?requests_per_second=-1");
    asked(&server, ("POST", &quick), &Value::Null).await?;
    let waited = format!("{path}?wait_for_completion=true&timeout=60s");
    let ended = asked(&server, ("GET", &waited), &Value::Null).await?;
    ensure!(ended["completed"] == true, "{ended}");
    let conflicts = NUM_DOCUMENTS - 1;
    ensure!(
        ended["response"]["version_conflicts"] == conflicts,
        "{ended}"
    );
    asked(&server, ("POST", "/books/_refresh"), &Value::Null).await?;
    let query = json!({"size": 100, "query": {"match_all": {}}});
    let found = asked(&server, ("POST", "/books/_search"), &query).await?;
    let hits = found["hits"]["hits"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    ensure!(hits.len() as u64 == NUM_DOCUMENTS, "{found}");
    ensure!(
        hits.iter().all(|hit| hit["_source"]["newer"] == true),
        "{found}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_ends_in_order_with_the_process_and_says_so_after_a_restart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let server = with_books(&data).await?;
    let slow =
        "/books/_delete_by_query?wait_for_completion=false&scroll_size=10&requests_per_second=0.01";
    let query = json!({"query": {"match_all": {}}});
    let begun = asked(&server, ("POST", slow), &query).await?;
    let task = begun["task"].as_str().unwrap_or_default().to_owned();
    let path = format!("/_tasks/{task}");
    loop {
        let shown = asked(&server, ("GET", &path), &Value::Null).await?;
        if shown["task"]["status"]["deleted"] == 10 {
            break;
        }
    }
    server.stop().await?;
    let server: Server = Start::on(&data).spawn().await?;
    let shown = asked(&server, ("GET", &path), &Value::Null).await?;
    ensure!(shown["completed"] == true, "{shown}");
    ensure!(shown["response"]["deleted"] == 10, "{shown}");
    ensure!(
        shown["response"]["canceled"] == "node is stopping",
        "{shown}"
    );
    asked(&server, ("POST", "/books/_refresh"), &Value::Null).await?;
    ensure!(count(&server, "/books/_count").await? == NUM_DOCUMENTS - 10);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_by_query_is_refused_by_name() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = with_books(&folder.path().join("data")).await?;
    let to = |dest: Value| json!({"source": {"index": "books"}, "dest": dest});
    for (path, body, expected) in [
        (
            "/_reindex",
            to(json!({"index": "books"})),
            "cannot write into an index its reading from",
        ),
        (
            "/_reindex",
            to(json!({"index": "a", "pipeline": "p"})),
            "an ingest pipeline",
        ),
        (
            "/_reindex",
            json!({"source": {"index": "books"}, "dest": {"index": "a"}, "script": {"source": "x"}}),
            "[script]",
        ),
        (
            "/_reindex",
            json!({"source": {"index": "no"}, "dest": {"index": "a"}}),
            "no such index [no]",
        ),
        (
            "/books/_update_by_query",
            json!({"script": "x"}),
            "[script]",
        ),
        (
            "/books/_update_by_query?slices=5000",
            json!({}),
            "number of slices [5000] is too large",
        ),
        ("/books/_delete_by_query", json!({}), "query is missing"),
        (
            "/_reindex/gleaner-1:999/_rethrottle?requests_per_second=1",
            json!({}),
            "is missing",
        ),
    ] {
        let answer = server.send(&Request::json("POST", path, &body)).await?;
        ensure!(
            (400..500).contains(&answer.status),
            "{path}: {}",
            answer.shown()
        );
        let shown = answer.shown();
        ensure!(shown.contains(expected), "{path}: {shown}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_come_from_another_cluster_that_is_allowed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let other = with_books(&folder.path().join("other")).await?;
    let allowed = format!("--reindex-remote-whitelist={}", other.address());
    let start = Start {
        arguments: vec![allowed],
        ..Start::on(&folder.path().join("data"))
    };
    let server: Server = start.spawn().await?;
    let host = format!("http://{}", other.address());
    let body = |host: &str| {
        json!({"source": {"remote": {"host": host}, "index": "books", "size": 7,
                          "query": {"match_all": {}}, "_source": ["n"]},
               "dest": {"index": "copy", "version_type": "external"}})
    };
    let report = asked(&server, ("POST", "/_reindex?refresh=true"), &body(&host)).await?;
    ensure!(
        report["created"] == NUM_DOCUMENTS && report["batches"] == 8,
        "{report}"
    );
    ensure!(count(&server, "/copy/_count").await? == NUM_DOCUMENTS);
    let one = asked(&server, ("GET", "/copy/_doc/5?routing=r"), &Value::Null).await?;
    ensure!(one["_source"] == json!({"n": 5}), "{one}");
    for (path, host, expected) in [
        (
            "/_reindex",
            "http://127.0.0.1:1",
            "not whitelisted in reindex.remote.whitelist",
        ),
        ("/_reindex?slices=2", &*host, "doesn't support slices > 1"),
    ] {
        let answer = server
            .send(&Request::json("POST", path, &body(host)))
            .await?;
        ensure!(
            answer.status == 400 && answer.shown().contains(expected),
            "{}",
            answer.shown()
        );
    }
    // What that one refuses keeps its status, and nothing is copied.
    let mut missing = body(&host);
    missing["source"]["index"] = json!("none");
    let mut malformed = body(&host);
    malformed["source"]["query"] = json!({"no_such": {}});
    for (refused, status, expected) in [
        (missing, 404, "no such index [none]"),
        (malformed, 400, "unknown query [no_such]"),
    ] {
        let answer = server
            .send(&Request::json("POST", "/_reindex", &refused))
            .await?;
        ensure!(
            answer.status == status && answer.shown().contains(expected),
            "{}",
            answer.shown()
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_copied_to_an_alias_where_it_must_be_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = with_books(&folder.path().join("data")).await?;
    let there = json!({"aliases": {"copies": {}}});
    asked(&server, ("PUT", "/there"), &there).await?;
    let path = "/_reindex?require_alias=true&refresh=true";
    let body = |index: &str| json!({"source": {"index": "books"}, "dest": {"index": index}});
    for index in ["dst4", "there"] {
        let request = Request::json("POST", path, &body(index));
        let answer = server.send(&request).await?;
        let expected = format!(
            "no such index [{index}] and [require_alias] request flag is [true] and [{index}] is not an alias"
        );
        ensure!(
            answer.status == 404 && answer.shown().contains(&expected),
            "{}",
            answer.shown()
        );
    }
    let report = asked(&server, ("POST", path), &body("copies")).await?;
    ensure!(report["created"] == NUM_DOCUMENTS, "{report}");
    ensure!(count(&server, "/there/_count").await? == NUM_DOCUMENTS);
    Ok(())
}

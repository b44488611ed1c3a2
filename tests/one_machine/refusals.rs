//! Requests that must be refused, or answered in a way of their own, instead of wrongly.

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::{Request, Response};
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

/// Returns a server with three documents.
async fn with_notes(data: &std::path::Path) -> Result<Server> {
    let server: Server = Start::on(data).spawn().await?;
    let settings = json!({
        "settings": {"number_of_shards": 1, "max_slices_per_scroll": 3, "top_metrics_max_size": 2},
        "mappings": {"properties": {"t": {"type": "text"}, "n": {"type": "long"}}},
    });
    server
        .send(&Request::json("PUT", "/notes", &settings))
        .await?
        .ok()?;
    for n in 0..3 {
        let path = format!("/notes/_doc/{n}?refresh=true");
        let put = Request::json("PUT", &path, &json!({"t": "word", "n": n}));
        server.send(&put).await?.ok()?;
    }
    Ok(server)
}

async fn searched(server: &Server, path: &str, body: &Value) -> Result<Response> {
    server.send(&Request::json("POST", path, body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_right_answer_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = with_notes(&folder.path().join("data")).await?;
    for (path, body, reason) in [
        (
            "/notes/_search",
            json!({"query": {"exists": {"field": "_source"}}}),
            "_source",
        ),
        (
            "/notes/_search",
            json!({"sort": ["n"], "search_after": [1, 2]}),
            "search_after has 2 value(s) but sort has 1",
        ),
        (
            "/notes/_search",
            json!({"sort": ["n"], "search_after": ["foo"]}),
            r#"Failed to parse search_after value [\"foo\"] for field [n]."#,
        ),
        (
            "/notes/_search",
            json!({"sort": [{"n": {"missing": "foo"}}]}),
            r#"failed to parse [missing] of the sort by [n]: For input string: \"foo\""#,
        ),
        (
            "/notes/_search",
            json!({"query": {"query_string": {"query": "word", "fields": "t"}}}),
            "[fields]",
        ),
        (
            "/notes/_search",
            json!({"query": {"simple_query_string": {"query": "word", "fields": "t"}}}),
            "[fields]",
        ),
        (
            "/notes/_search?scroll=1m",
            json!({"slice": {"id": 0, "max": 4}}),
            "must be less than [3]",
        ),
        (
            "/notes/_search",
            json!({"aggs": {"a": {"top_metrics": {"metrics": {"field": "n"}, "sort": "n", "size": 3}}}}),
            "[top_metrics.size] must not be more than [2] but was [3]",
        ),
    ] {
        let answer = searched(&server, path, &body).await?;
        ensure!(answer.status == 400, "{body}: {}", answer.shown());
        let error = answer.json()?["error"].to_string();
        ensure!(error.contains(reason), "{body}: {error}");
    }
    let slice = json!({"slice": {"id": 0, "max": 3}});
    searched(&server, "/notes/_search?scroll=1m", &slice)
        .await?
        .ok()?;
    let lines = "{}\n{}\n{}\n{\"track_total_hits\": 2}\n";
    let plain = Request::ndjson("POST", "/notes/_msearch?rest_total_hits_as_int=true", lines);
    let answer = server.send(&plain).await?;
    ensure!(answer.status == 400, "{}", answer.shown());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_index_there_are_no_aggregations() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = with_notes(&folder.path().join("data")).await?;
    let body = json!({"size": 0, "aggs": {"n": {"max": {"field": "n"}}}});
    let some = searched(&server, "/notes*/_search", &body).await?.ok()?;
    ensure!(some["aggregations"]["n"]["value"] == 2.0, "{some}");
    let none = searched(&server, "/nowhere*/_search", &body).await?.ok()?;
    ensure!(none.get("aggregations").is_none(), "{none}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_point_in_time_is_listed_as_it_was_made() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = with_notes(&folder.path().join("data")).await?;
    let make = "/notes/_search/point_in_time?keep_alive=5m";
    let made = server.send(&Request::new("POST", make)).await?.ok()?;
    let id = made["pit_id"].clone();
    let body = json!({"pit": {"id": id, "keep_alive": "9m"}});
    searched(&server, "/_search", &body).await?.ok()?;
    let list = Request::new("GET", "/_search/point_in_time/_all");
    let listed = server.send(&list).await?.ok()?;
    ensure!(listed["pits"][0]["pit_id"] == id, "{listed} {made}");
    ensure!(listed["pits"][0]["keep_alive"] == 540_000, "{listed}");
    let end = Request::json("DELETE", "/_search/point_in_time", &json!({"pit_id": [id]}));
    let ended = server.send(&end).await?.ok()?;
    ensure!(ended["pits"][0]["successful"] == true, "{ended}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_does_not_fit_is_told_by_the_type_of_its_version() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = with_notes(&folder.path().join("data")).await?;
    let put = Request::json("PUT", "/notes/_doc/9", &json!({"n": "many"}));
    let answer = server.send(&put).await?;
    ensure!(answer.status == 400, "{}", answer.shown());
    ensure!(
        answer.json()?["error"]["type"] == "document_parsing_exception",
        "{}",
        answer.shown()
    );
    let lines = "{\"index\":{}}\n{\"n\":\"many\"}\n";
    let bulk = Request::ndjson("POST", "/notes/_bulk", lines);
    let answer = server.send(&bulk).await?.ok()?;
    let error = &answer["items"][0]["index"]["error"]["type"];
    ensure!(*error == "document_parsing_exception", "{answer}");
    let put = Request::json(
        "PUT",
        "/notes/_mapping",
        &json!({"properties": {"x": {"type": "y"}}}),
    );
    let answer = server.send(&put).await?.json()?;
    ensure!(
        answer["error"]["type"] == "mapper_parsing_exception",
        "{answer}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_with_another_body_is_a_conflict() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = with_notes(&folder.path().join("data")).await?;
    let send = |n: u64| {
        let lines = format!("{{\"index\":{{}}}}\n{{\"n\":{n}}}\n");
        let bulk = Request::ndjson("POST", "/notes/_bulk?refresh=true", lines);
        bulk.with_header("Idempotency-Key", "load-1")
    };
    let first = server.send(&send(10)).await?.ok()?;
    let again = server.send(&send(10)).await?.ok()?;
    let id = |answer: &Value| answer["items"][0]["index"]["_id"].clone();
    ensure!(id(&first) == id(&again), "{first} {again}");
    let other = server.send(&send(11)).await?;
    ensure!(other.status == 409, "{}", other.shown());
    let found = searched(&server, "/notes/_count", &json!({})).await?.ok()?;
    ensure!(found["count"] == 4, "{found}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_are_scored_anew_beside_an_index_for_which_the_search_is_wrong() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = with_notes(&folder.path().join("data")).await?;
    let other = json!({"mappings": {"properties": {"n": {"type": "ip"}}}});
    let create = Request::json("PUT", "/others", &other);
    server.send(&create).await?.ok()?;
    let body = json!({
        "query": {"range": {"n": {"gte": 1}}},
        "rescore": {"window_size": 5, "query": {"rescore_query": {"match": {"t": "word"}}}},
    });
    let answer = searched(&server, "/notes,others/_search", &body)
        .await?
        .ok()?;
    ensure!(answer["hits"]["total"]["value"] == 2, "{answer}");
    ensure!(answer["_shards"]["failed"] != 0, "{answer}");
    server.stop().await
}

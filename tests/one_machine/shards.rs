//! What is told of shards over HTTP: their segments, how they came to serve, which of them searches ask; and writes that
//! wait for copies.

use anyhow::{Context, Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

async fn get(server: &Server, path: &str) -> Result<Value> {
    server.send(&Request::new("GET", path)).await?.ok()
}

async fn served(folder: &tempfile::TempDir) -> Result<Server> {
    let server = Start::on(&folder.path().join("data")).spawn().await?;
    let settings =
        json!({"number_of_shards": 2, "number_of_replicas": 1, "refresh_interval": "-1"});
    let create = Request::json("PUT", "/books", &json!({"settings": settings}));
    server.send(&create).await?.ok()?;
    for n in 0..20 {
        let path = format!("/books/_doc/{n}?refresh={}", n % 5 == 4);
        let put = Request::json("PUT", &path, &json!({"n": n}));
        server.send(&put).await?.ok()?;
    }
    let refresh = Request::new("POST", "/books/_refresh");
    server.send(&refresh).await?.ok()?;
    Ok(server)
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_add_up_to_the_index() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = served(&folder).await?;
    let told = get(&server, "/books/_segments").await?;
    assert_eq!(
        told["_shards"],
        json!({"total": 4, "successful": 2, "failed": 0})
    );
    let shards = told["indices"]["books"]["shards"]
        .as_object()
        .context("shards")?;
    let copies: Vec<&Value> = shards.values().map(|copies| &copies[0]).collect();
    let segments = copies.iter().flat_map(|copy| copy["segments"].as_object());
    let segments: Vec<&Value> = segments.flat_map(|segments| segments.values()).collect();
    let documents = segments
        .iter()
        .filter_map(|segment| segment["num_docs"].as_u64());
    assert_eq!(documents.sum::<u64>(), 20, "{told}");
    ensure!(segments.len() >= 2, "{told}");
    for segment in &segments {
        ensure!(segment["size_in_bytes"].as_u64() > Some(0), "{segment}");
    }
    let rows = get(&server, "/_cat/segments/books?format=json&bytes=b").await?;
    assert_eq!(rows.as_array().map(Vec::len), Some(segments.len()));
    let stats = get(&server, "/books/_stats/segments").await?;
    assert_eq!(stats["_all"]["total"]["segments"]["count"], segments.len());
    let merge = Request::new("POST", "/books/_forcemerge?max_num_segments=1");
    server.send(&merge).await?.ok()?;
    let told = get(&server, "/books/_segments").await?;
    for (_, copies) in told["indices"]["books"]["shards"]
        .as_object()
        .context("shards")?
    {
        assert_eq!(copies[0]["num_search_segments"], 1, "{told}");
        ensure!(copies[0]["segments"]["_0"].is_object(), "{told}");
    }
    let close = Request::new("POST", "/books/_close");
    server.send(&close).await?.ok()?;
    let refused = server
        .send(&Request::new("GET", "/books/_segments"))
        .await?;
    ensure!(refused.status == 400, "{}", refused.shown());
    let told = get(&server, "/books/_segments?ignore_unavailable=true").await?;
    assert_eq!(told["_shards"]["total"], 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_that_are_written_count_before_they_are_shown() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = served(&folder).await?;
    let index = json!({"settings": {"number_of_shards": 1, "refresh_interval": "-1"}});
    server
        .send(&Request::json("PUT", "/still", &index))
        .await?
        .ok()?;
    let document = Request::json("PUT", "/still/_doc/1", &json!({"n": 1}));
    server.send(&document).await?.ok()?;
    let flush = Request::new("POST", "/still/_flush");
    server.send(&flush).await?.ok()?;
    let stats = get(&server, "/still/_stats/segments,docs").await?;
    let total = &stats["_all"]["total"];
    assert_eq!(total["segments"]["count"], 1, "{stats}");
    assert_eq!(total["docs"]["count"], 0, "{stats}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_of_a_closed_index_count_where_that_is_asked() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = served(&folder).await?;
    let counts = async |path: &str| -> Result<Value> {
        let stats = get(&server, path).await?;
        let of = |counted: &Value| {
            let primaries = &counted["primaries"]["segments"]["count"];
            json!([primaries, counted["total"]["segments"]["count"]])
        };
        Ok(json!([of(&stats["_all"]), of(&stats["indices"]["books"])]))
    };
    let closed = "/_stats/segments?expand_wildcards=closed&forbid_closed_indices=false";
    // Merges in the background change nothing then.
    let merge = Request::new("POST", "/books/_forcemerge?max_num_segments=1");
    server.send(&merge).await?.ok()?;
    let open = counts("/_stats/segments").await?;
    ensure!(open[1][0].as_u64() > Some(0), "{open}");
    let close = Request::new("POST", "/books/_close");
    server.send(&close).await?.ok()?;
    assert_eq!(counts(closed).await?, json!([[0, 0], [0, 0]]));
    let with = |value: &str| format!("{closed}&include_unloaded_segments={value}");
    assert_eq!(counts(&with("false")).await?, json!([[0, 0], [0, 0]]));
    assert_eq!(counts(&with("true")).await?, open);
    let documents = get(&server, &closed.replace("segments?", "docs?")).await?;
    let documents = &documents["_all"]["primaries"]["docs"]["count"];
    assert_eq!(*documents, 20, "documents count as before");
    let refused = server.send(&Request::new("GET", &with("maybe"))).await?;
    ensure!(refused.status == 400, "{}", refused.shown());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_tells_how_it_came_to_serve() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = served(&folder).await?;
    let told = get(&server, "/books/_recovery").await?;
    let shards = told["books"]["shards"].as_array().context("shards")?;
    assert_eq!(shards.len(), 2);
    for shard in shards {
        assert_eq!(
            (&shard["type"], &shard["stage"]),
            (&json!("EMPTY_STORE"), &json!("DONE"))
        );
        ensure!(shard["start_time_in_millis"].as_i64() > Some(0), "{shard}");
        ensure!(shard["target"]["name"].is_string(), "{shard}");
    }
    let told = get(
        &server,
        "/_cat/recovery/books?format=json&h=index,type,stage,repository",
    )
    .await?;
    let row =
        json!({"index": "books", "type": "empty_store", "stage": "done", "repository": "n/a"});
    assert_eq!(told, json!([row, row]));
    let told = get(&server, "/_recovery?active_only=true").await?;
    assert_eq!(told, json!({}));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_are_told_the_copies_that_serve() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = served(&folder).await?;
    let told = get(&server, "/books/_search_shards").await?;
    let shards = told["shards"].as_array().context("shards")?;
    assert_eq!(shards.len(), 2);
    for shard in shards {
        assert_eq!(
            (&shard[0]["state"], &shard[0]["primary"]),
            (&json!("STARTED"), &json!(true))
        );
        let holder = shard[0]["node"].as_str().context("a node")?;
        let node = &told["nodes"][holder];
        assert_eq!(node["version"], "8.19.0", "{told}");
        let names = ["ephemeral_id", "external_id", "name", "transport_address"];
        ensure!(names.iter().all(|name| node[name].is_string()), "{told}");
        let names = ["min_index_version", "max_index_version"];
        ensure!(names.iter().all(|name| node[name].is_u64()), "{told}");
    }
    let told = get(&server, "/books/_search_shards?routing=a").await?;
    assert_eq!(told["shards"].as_array().map(Vec::len), Some(1));
    let state = get(&server, "/_cluster/state/routing_nodes/books").await?;
    let unassigned = state["routing_nodes"]["unassigned"].as_array();
    assert_eq!(unassigned.map(Vec::len), Some(2), "{state}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_finds_too_few_copies_is_refused_after_its_time() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = served(&folder).await?;
    let put = |path: &str| Request::json("PUT", path, &json!({"n": 1}));
    for wanted in ["0", "1"] {
        let path = format!("/books/_doc/a?wait_for_active_shards={wanted}");
        server.send(&put(&path)).await?.ok()?;
    }
    for wanted in ["2", "all"] {
        let path = format!("/books/_doc/a?timeout=100ms&wait_for_active_shards={wanted}");
        let refused = server.send(&put(&path)).await?;
        let error = refused.json()?;
        assert_eq!(refused.status, 503, "{error}");
        assert_eq!(error["error"]["type"], "unavailable_shards_exception");
        let reason = error["error"]["reason"].as_str().unwrap_or_default();
        ensure!(
            reason.contains("(have 1, needed 2). Timeout: [100ms]"),
            "{reason}"
        );
    }
    let refused = server
        .send(&put("/books/_doc/a?wait_for_active_shards=some"))
        .await?;
    assert_eq!(refused.status, 400, "{}", refused.shown());
    // The index may say it for all of its writes.
    let settings = json!({"index.write.wait_for_active_shards": "2"});
    let change = Request::json("PUT", "/books/_settings", &settings);
    server.send(&change).await?.ok()?;
    let lines = "{\"index\":{\"_id\":\"b\"}}\n{\"n\":1}\n";
    let bulk = Request::ndjson("POST", "/books/_bulk?timeout=50ms", lines);
    let answer = server.send(&bulk).await?.ok()?;
    assert_eq!(answer["items"][0]["index"]["status"], 503, "{answer}");
    let bulk = Request::ndjson("POST", "/books/_bulk?wait_for_active_shards=1", lines);
    let answer = server.send(&bulk).await?.ok()?;
    assert_eq!(answer["errors"], false, "{answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn transient_settings_stand_over_persistent_ones_until_they_are_removed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Start::on(&folder.path().join("data")).spawn().await?;
    let put = async |body: Value| {
        let request = Request::json("PUT", "/_cluster/settings?flat_settings", &body);
        server.send(&request).await
    };
    let told = put(
        json!({"persistent": {"search.max_buckets": 7}, "transient": {"search.max_buckets": 1}}),
    )
    .await?
    .ok()?;
    assert_eq!(told["transient"], json!({"search.max_buckets": "1"}));
    let lines: String = (0..3)
        .map(|n| format!("{{\"index\":{{}}}}\n{{\"n\":{n}}}\n"))
        .collect();
    let bulk = Request::ndjson("POST", "/books/_bulk?refresh", lines);
    server.send(&bulk).await?.ok()?;
    let search = json!({"size": 0, "aggs": {"n": {"terms": {"field": "n"}}}});
    let search = Request::json("POST", "/books/_search", &search);
    ensure!(
        server.send(&search).await?.status != 200,
        "one bucket at most"
    );
    put(json!({"transient": {"search.max_buckets": null}}))
        .await?
        .ok()?;
    server.send(&search).await?.ok()?;
    let told = get(&server, "/_cluster/settings?flat_settings").await?;
    assert_eq!(
        told,
        json!({"persistent": {"search.max_buckets": "7"}, "transient": {}})
    );
    let kept = put(json!({"transient": {"cluster.routing.allocation.enable": "none"}})).await?;
    ensure!(
        kept.header("warning")
            .is_some_and(|text| text.contains("no effect")),
        "{}",
        kept.shown()
    );
    let refused = put(json!({"transient": {"unheard.of": 1}})).await?;
    assert_eq!(refused.status, 400);
    Ok(())
}

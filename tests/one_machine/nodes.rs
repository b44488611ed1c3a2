//! What clients and watchers look up about the cluster before they begin.

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

async fn got(server: &Server, path: &str) -> Result<Value> {
    server.send(&Request::new("GET", path)).await?.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_says_of_itself_what_watchers_read() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    let answer = got(&server, "/_nodes/stats").await?;
    let nodes = answer["nodes"].as_object().cloned().unwrap_or_default();
    let node = nodes.values().next().cloned().unwrap_or_default();
    // As benchmarks read them: every step must be there.
    for path in [
        "/jvm/gc/collectors/young/collection_time_in_millis",
        "/jvm/gc/collectors/old/collection_count",
        "/jvm/mem/pools/young/peak_used_in_bytes",
        "/jvm/mem/heap_used_percent",
        "/jvm/buffer_pools/direct/used_in_bytes",
        "/os/mem/total_in_bytes",
        "/os/cpu/load_average/1m",
        "/process/cpu/total_in_millis",
        "/process/mem/resident_in_bytes",
        "/thread_pool/search/rejected",
        "/ingest/total/count",
        "/ingest/pipelines",
        "/transport/rx_size_in_bytes",
        "/http/current_open",
        "/breakers",
        "/fs/total",
        "/fs/data/0/path",
        "/indices/docs/count",
    ] {
        ensure!(node.pointer(path).is_some(), "{path}: {node}");
    }
    ensure!(node["process"]["mem"]["resident_in_bytes"] != 0, "{node}");
    let few = got(&server, "/_nodes/stats/jvm,ingest").await?;
    let nodes = few["nodes"].as_object().cloned().unwrap_or_default();
    let node = nodes.values().next().cloned().unwrap_or_default();
    ensure!(
        node["jvm"].is_object() && node["ingest"].is_object(),
        "{node}"
    );
    ensure!(
        node.get("os").is_none() && node.get("indices").is_none(),
        "{node}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn licence_features_and_health_are_no_indices() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    let licence = got(&server, "/_license").await?;
    ensure!(licence["license"]["type"] == "basic", "{licence}");
    ensure!(licence["license"]["status"] == "active", "{licence}");
    let features = got(&server, "/_xpack").await?;
    ensure!(
        features["features"]["security"]["enabled"] == false,
        "{features}"
    );
    let report = got(&server, "/_health_report").await?;
    ensure!(report["status"] == "green", "{report}");
    let one = json!({"settings": {"number_of_shards": 2, "number_of_replicas": 1}});
    server
        .send(&Request::json("PUT", "/notes", &one))
        .await?
        .ok()?;
    let report = got(&server, "/_health_report/shards_availability").await?;
    ensure!(report["status"] == "yellow", "{report}");
    let shards = &report["indicators"]["shards_availability"];
    ensure!(shards["status"] == "yellow", "{report}");
    ensure!(shards["details"]["started_primaries"] == 2, "{report}");
    ensure!(shards["details"]["unassigned_replicas"] == 2, "{report}");
    let unknown = server
        .send(&Request::new("GET", "/_health_report/disk"))
        .await?;
    ensure!(unknown.status == 404, "{}", unknown.shown());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_and_policies_are_not_there() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    for path in [
        "/_index_template/logs",
        "/_component_template/logs",
        "/_template/logs?local=true",
        "/_ilm/policy/logs",
        "/_plugins/_ism/policies/logs",
    ] {
        let answer = server.send(&Request::new("HEAD", path)).await?;
        ensure!(answer.status == 404, "{path}: {}", answer.shown());
        let put = Request::json("PUT", path.split('?').next().unwrap_or(path), &json!({}));
        let answer = server.send(&put).await?;
        ensure!(answer.status == 400, "{path}: {}", answer.shown());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_of_the_cluster_are_of_the_nodes_that_are_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    let settings = json!({"number_of_shards": 1, "number_of_replicas": 0});
    let create = Request::json("PUT", "/books", &json!({"settings": settings}));
    let put = Request::json("PUT", "/books/_doc/1?refresh=true", &json!({"n": 1}));
    for request in [create, put] {
        server.send(&request).await?.ok()?;
    }
    let of = async |path: &str| -> Result<Value> {
        let stats = got(&server, path).await?;
        let (indices, nodes) = (&stats["indices"], &stats["nodes"]["count"]["total"]);
        let (count, docs) = (&indices["count"], &indices["docs"]["count"]);
        Ok(json!([nodes, count, docs, indices["shards"]["total"]]))
    };
    assert_eq!(of("/_cluster/stats").await?, json!([1, 1, 1, 1]));
    for node in ["_local", "data:true", "_all", "gleaner-*"] {
        let path = format!("/_cluster/stats/nodes/{node}");
        assert_eq!(of(&path).await?, json!([1, 1, 1, 1]), "{path}");
    }
    let nobody = of("/_cluster/stats/nodes/data:false,other").await?;
    assert_eq!(nobody, json!([0, 0, 0, 0]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_count_every_pool_that_statistics_count() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    let stats = got(&server, "/_nodes/stats/thread_pool").await?;
    let nodes = stats["nodes"].as_object().cloned().unwrap_or_default();
    let node = nodes.values().next().cloned().unwrap_or_default();
    let path = "/_cat/thread_pool?format=json&h=name,active,queue,rejected,largest,completed";
    let table = got(&server, path).await?;
    let rows = table.as_array().cloned().unwrap_or_default();
    let pools = node["thread_pool"].as_object().cloned().unwrap_or_default();
    assert_eq!(rows.len(), pools.len(), "{table}");
    for row in &rows {
        let name = row["name"].as_str().unwrap_or_default();
        for count in ["active", "queue", "rejected", "largest", "completed"] {
            ensure!(pools[name][count].is_u64(), "{name}: {stats}");
            let shown: Option<u64> = row[count].as_str().and_then(|text| text.parse().ok());
            ensure!(shown.is_some(), "{count}: {row}");
            if matches!(name, "get" | "management") {
                assert_eq!(shown, Some(0), "{count}: {row}");
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_at_work_are_shown_as_text() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    for path in [
        "/_nodes/hot_threads?interval=20ms&ignore_idle_threads=false",
        "/_nodes/_local/hot_threads?interval=20ms&ignore_idle_threads=false",
    ] {
        let answer = server.send(&Request::new("GET", path)).await?;
        ensure!(answer.status == 200, "{}", answer.shown());
        let kind = answer.header("content-type").unwrap_or_default();
        ensure!(kind.starts_with("text/plain"), "{kind}");
        let page = String::from_utf8_lossy(&answer.body);
        ensure!(page.starts_with("::: {"), "{page}");
        ensure!(page.contains("interval=20ms"), "{page}");
        #[cfg(target_os = "linux")]
        ensure!(page.contains("cpu usage by thread '"), "{page}");
    }
    let unknown = Request::new("GET", "/_nodes/hot_threads?type=none");
    let refused = server.send(&unknown).await?;
    ensure!(refused.status == 400, "{}", refused.shown());
    Ok(())
}

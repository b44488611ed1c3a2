//! Templates over HTTP: they are there after a restart, and apply to indices that writes make.

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

use super::asking::asked;

#[tokio::test(flavor = "multi_thread")]
async fn a_write_makes_its_index_as_the_templates_say_also_after_a_restart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let server: Server = Start::on(&data).spawn().await?;
    let part = json!({"template": {"mappings": {"properties": {"code": {"type": "keyword"}}}}});
    asked(&server, ("PUT", "/_component_template/part"), &part).await?;
    let template = json!({"index_patterns": ["logs-*"], "composed_of": ["part"],
        "template": {"settings": {"number_of_shards": 2}, "aliases": {"logs": {}, "{index}-all": {}}}});
    asked(&server, ("PUT", "/_index_template/logs"), &template).await?;
    let legacy = json!({"index_patterns": ["old-*"], "settings": {"number_of_shards": 3},
        "aliases": {"all-{index}": {}}});
    asked(&server, ("PUT", "/_template/old"), &legacy).await?;
    server.stop().await?;
    let server: Server = Start::on(&data).spawn().await?;
    for index in ["logs-1", "old-1"] {
        let path = format!("/{index}/_doc/1?refresh=true");
        asked(&server, ("PUT", &path), &json!({"code": "A b"})).await?;
    }
    let shown = asked(&server, ("GET", "/logs-1,old-1"), &Value::Null).await?;
    let logs = &shown["logs-1"];
    ensure!(
        logs["settings"]["index"]["number_of_shards"] == "2",
        "{shown}"
    );
    ensure!(
        logs["mappings"]["properties"]["code"]["type"] == "keyword",
        "{shown}"
    );
    ensure!(
        shown["old-1"]["settings"]["index"]["number_of_shards"] == "3",
        "{shown}"
    );
    let aliases = json!({"logs": {}, "logs-1-all": {}});
    ensure!(logs["aliases"] == aliases, "{shown}");
    ensure!(
        shown["old-1"]["aliases"] == json!({"all-old-1": {}}),
        "{shown}"
    );
    let query = json!({"query": {"term": {"code": "A b"}}});
    let found = asked(&server, ("POST", "/logs/_search"), &query).await?;
    ensure!(found["hits"]["total"]["value"] == 1, "{found}");
    Ok(())
}

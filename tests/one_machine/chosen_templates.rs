//! Dynamic templates that lines of a bulk choose by name for the fields of their documents.

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

use super::asking::asked;

/// The second document brings no `home`; the fourth no field that the ones before it have not brought.
const LINES: &str = r#"{"index":{"_id":"1","dynamic_templates":{"work.place":"points"}}}
{"work.place":"41.12,-71.34","raw":"41.12,-71.34"}
{"create":{"_id":"2","dynamic_templates":{"tag":"words","home":"gone"}}}
{"tag":"A b"}
{"index":{"_id":"3","dynamic_templates":{"home":"gone"}}}
{"home":"x","other":1}
{"index":{"_id":"4","dynamic_templates":{"raw":"points","work.place":"gone"}}}
{"raw":"a word","work":{"place":"1,2"}}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn fields_are_made_by_the_templates_that_lines_choose() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    let templates = json!([
        {"points": {"mapping": {"type": "geo_point"}}},
        {"words": {"match": "nothing", "mapping": {"type": "keyword"}}}
    ]);
    // The primary of one shard makes the fields by itself; those of several shards leave it to the root.
    for num_shards in [1, 3] {
        let index = format!("/places-{num_shards}");
        let body = json!({
            "settings": {"number_of_shards": num_shards},
            "mappings": {"dynamic_templates": templates}
        });
        asked(&server, ("PUT", &index), &body).await?;
        let bulk = Request::ndjson("POST", &format!("{index}/_bulk?refresh=true"), LINES);
        let answer = server.send(&bulk).await?.ok()?;
        let refused = &answer["items"][2]["index"];
        let error = json!({
            "type": "document_parsing_exception",
            "reason": "Can't find dynamic template for dynamic template name [gone] of field [home]"
        });
        ensure!(refused["status"] == 400, "{answer}");
        ensure!(refused["error"] == error, "{answer}");
        for (at, action) in [(0, "index"), (1, "create"), (3, "index")] {
            ensure!(answer["items"][at][action]["status"] == 201, "{answer}");
        }
        let shown = asked(&server, ("GET", &format!("{index}/_mapping")), &Value::Null).await?;
        let expected = json!({
            "work": {"properties": {"place": {"type": "geo_point"}}},
            "raw": {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}},
            "tag": {"type": "keyword"}
        });
        let properties = &shown[index.trim_start_matches('/')]["mappings"]["properties"];
        ensure!(*properties == expected, "{shown}");
        let query = json!({"query": {"term": {"tag": "A b"}}});
        let found = asked(&server, ("POST", &format!("{index}/_count")), &query).await?;
        ensure!(found["count"] == 1, "{found}");
    }
    Ok(())
}

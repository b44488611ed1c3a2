//! What `_field_caps` tells of indices that hold something.

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

async fn caps(server: &Server, body: &Value) -> Result<Value> {
    let request = Request::json("POST", "/notes-*/_field_caps?fields=*", body);
    server.send(&request).await?.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn indices_without_a_match_of_the_filter_are_left_out() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    for (year, field) in [("2015", "old"), ("2020", "new")] {
        let document = json!({"at": format!("{year}-01-02"), field: 1});
        let path = format!("/notes-{year}/_doc/1?refresh=true");
        let put = Request::json("PUT", &path, &document);
        server.send(&put).await?.ok()?;
    }
    let both = caps(&server, &json!({})).await?;
    ensure!(
        both["indices"] == json!(["notes-2015", "notes-2020"]),
        "{both}"
    );
    let filter = json!({"index_filter": {"range": {"at": {"gte": "2019"}}}});
    let one = caps(&server, &filter).await?;
    ensure!(one["indices"] == json!(["notes-2020"]), "{one}");
    ensure!(one["fields"].get("old").is_none(), "{one}");
    ensure!(one["fields"]["new"]["long"]["type"] == "long", "{one}");
    let path = "/notes-2020/_field_caps?fields=*&filters=-metadata";
    let few = server.send(&Request::new("GET", path)).await?.ok()?;
    let names = few["fields"].as_object().map(serde_json::Map::len);
    ensure!(names == Some(2), "{few}");
    let filter = json!({"index_filter": {"term": {"nowhere": 1}}});
    let none = caps(&server, &filter).await?;
    ensure!(none == json!({"indices": [], "fields": {}}), "{none}");
    Ok(())
}

//! What `_field_caps` tells of indices that hold something, and which of them a point in time is of.

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use gleaner_testkit::server::Start;
use serde_json::{Value, json};
use tempfile::TempDir;

async fn caps(server: &Server, body: &Value) -> Result<Value> {
    let request = Request::json("POST", "/notes-*/_field_caps?fields=*", body);
    server.send(&request).await?.ok()
}

/// Starts a server with a note in each of two indices.
async fn with_notes(folder: &TempDir) -> Result<Server> {
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    for (year, field) in [("2015", "old"), ("2020", "new")] {
        let document = json!({"at": format!("{year}-01-02"), field: 1});
        let path = format!("/notes-{year}/_doc/1?refresh=true");
        let put = Request::json("PUT", &path, &document);
        server.send(&put).await?.ok()?;
    }
    Ok(server)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_point_in_time_is_of_the_indices_in_which_the_filter_matches() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = with_notes(&folder).await?;
    let filtered = json!({"add": {
        "index": "notes-2015", "alias": "filtered", "filter": {"term": {"old": 1}},
    }});
    let aliases = Request::json("POST", "/_aliases", &json!({"actions": [filtered]}));
    server.send(&aliases).await?.ok()?;
    let late = json!({"range": {"at": {"gte": "2019"}}});
    for (name, filter, expected) in [
        ("notes-*", late.clone(), vec!["notes-2020"]),
        (
            "notes-*",
            json!({"term": {"nowhere": 1}}),
            vec!["notes-2015"],
        ),
        (
            "notes-*",
            json!({"match_all": {}}),
            vec!["notes-2015", "notes-2020"],
        ),
        ("filtered", late, vec!["notes-2015"]),
    ] {
        let path = format!("/{name}/_pit?keep_alive=1m");
        let open = Request::json("POST", &path, &json!({"index_filter": filter}));
        let opened = server.send(&open).await?.ok()?;
        let body = json!({"pit": {"id": opened["id"]}, "sort": "at"});
        let search = Request::json("POST", "/_search", &body);
        let found = server.send(&search).await?.ok()?;
        let hits = found["hits"]["hits"].as_array().into_iter().flatten();
        let indices: Vec<&str> = hits.filter_map(|hit| hit["_index"].as_str()).collect();
        ensure!(indices == expected, "{filter}: {indices:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_cannot_be_asked_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = with_notes(&folder).await?;
    for wrong in [
        json!({"index_filter": {"terms": 1}}),
        json!({"index_filter": {"range": {"at": {"gte": "no date"}}}}),
        json!({"filter": {}}),
        json!(null),
    ] {
        for path in [
            "/notes-*/_pit?keep_alive=1m",
            "/notes-*/_field_caps?fields=*",
        ] {
            let request = Request::json("POST", path, &wrong);
            let refused = server.send(&request).await?;
            ensure!(
                refused.status == 400,
                "{path}: {wrong}: {}",
                refused.shown()
            );
        }
    }
    // A point in time of OpenSearch takes no body at all.
    let path = "/notes-*/_search/point_in_time?keep_alive=1m";
    let filter = json!({"index_filter": {"match_all": {}}});
    let refused = server.send(&Request::json("POST", path, &filter)).await?;
    ensure!(refused.status == 400, "{}", refused.shown());
    let reason = refused.json()?["error"]["reason"].to_string();
    ensure!(reason.contains("having a body"), "{reason}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_may_name_a_document() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = with_notes(&folder).await?;
    let values = json!({"index": "notes-2020", "id": "1", "path": "new"});
    let filter = json!({"index_filter": {"terms": {"old": values}}});
    let one = caps(&server, &filter).await?;
    ensure!(one["indices"] == json!(["notes-2015"]), "{one}");
    let values = json!({"index": "nowhere", "id": "1", "path": "new"});
    let filter = json!({"index_filter": {"terms": {"old": values}}});
    let request = Request::json("POST", "/notes-*/_field_caps?fields=*", &filter);
    let missing = server.send(&request).await?;
    ensure!(missing.status == 404, "{}", missing.shown());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_finds_what_the_routing_of_an_alias_reaches() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    let aliases: serde_json::Map<String, Value> = (0..16)
        .map(|n| (format!("by-{n}"), json!({"search_routing": n.to_string()})))
        .collect();
    let body = json!({"settings": {"number_of_shards": 5}, "aliases": aliases});
    let create = Request::json("PUT", "/routed", &body);
    server.send(&create).await?.ok()?;
    let path = "/routed/_doc/1?routing=0&refresh=true";
    let put = Request::json("PUT", path, &json!({"n": 1}));
    server.send(&put).await?.ok()?;
    let filter = json!({"index_filter": {"term": {"n": 1}}});
    let mut num_kept = 0;
    for n in 0..16 {
        let path = format!("/by-{n}/_count");
        let counted = server.send(&Request::new("GET", &path)).await?.ok()?;
        let path = format!("/by-{n}/_field_caps?fields=n");
        let request = Request::json("POST", &path, &filter);
        let told = server.send(&request).await?.ok()?;
        let is_kept = told["indices"] == json!(["routed"]);
        ensure!(is_kept == (counted["count"] == 1), "{n}: {counted} {told}");
        num_kept += usize::from(is_kept);
    }
    ensure!((1..16).contains(&num_kept), "{num_kept}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn indices_without_a_match_of_the_filter_are_left_out() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = with_notes(&folder).await?;
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

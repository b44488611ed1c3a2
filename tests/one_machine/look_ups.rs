//! Queries that name documents: `terms` with a document's values, `more_like_this` of documents.

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

use super::asking::ok;

fn ids(found: &Value) -> Vec<&str> {
    let hits = found["hits"]["hits"].as_array().into_iter().flatten();
    let mut ids: Vec<&str> = hits.filter_map(|hit| hit["_id"].as_str()).collect();
    ids.sort_unstable();
    ids
}

async fn started(folder: &tempfile::TempDir) -> Result<Server> {
    let server = Start::on(&folder.path().join("data")).spawn().await?;
    let keyword = json!({"type": "keyword"});
    for (index, shards) in [("people", 3), ("lists", 1)] {
        let body = json!({
            "settings": {"number_of_shards": shards, "max_terms_count": 3},
            "mappings": {"properties": {"name": keyword, "friends": {"properties": {"name": keyword}}}},
        });
        ok(&server, "PUT", &format!("/{index}"), &body).await?;
    }
    for name in ["a", "b", "c", "d"] {
        let path = format!("/people/_doc/{name}?refresh=true");
        ok(&server, "PUT", &path, &json!({"name": name})).await?;
    }
    // Not refreshed: what was acknowledged counts.
    let list = json!({"friends": [{"name": ["a", "c"]}, {"name": "x"}, {"name": null}]});
    ok(&server, "PUT", "/lists/_doc/1?routing=r", &list).await?;
    let long = json!({"friends": {"name": ["a", "b", "c", "d"]}});
    ok(&server, "PUT", "/lists/_doc/2", &long).await?;
    Ok(server)
}

fn lookup(id: &str) -> Value {
    json!({"terms": {"name": {"index": "lists", "id": id, "path": "friends.name", "routing": "r"}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_are_looked_up_wherever_queries_stand() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = started(&folder).await?;
    let body = json!({
        "query": {"bool": {"filter": lookup("1")}},
        "aggs": {"friends": {"filter": lookup("1"), "aggs": {"names": {"terms": {"field": "name"}}}}},
    });
    let found = ok(&server, "POST", "/people/_search", &body).await?;
    ensure!(ids(&found) == ["a", "c"], "{found}");
    ensure!(
        found["aggregations"]["friends"]["doc_count"] == 2,
        "{found}"
    );
    let none = ok(
        &server,
        "POST",
        "/people/_search",
        &json!({"query": lookup("9")}),
    )
    .await?;
    ensure!(none["hits"]["total"]["value"] == 0, "{none}");
    let counted = ok(
        &server,
        "POST",
        "/people/_count",
        &json!({"query": lookup("1")}),
    )
    .await?;
    ensure!(counted["count"] == 2, "{counted}");
    let explained = ok(
        &server,
        "POST",
        "/people/_explain/a",
        &json!({"query": lookup("1")}),
    )
    .await?;
    ensure!(explained["matched"] == true, "{explained}");
    let lines = format!(
        "{{\"index\": \"people\"}}\n{}\n",
        json!({"query": lookup("1")})
    );
    let found = server
        .send(&Request::ndjson("POST", "/_msearch", lines))
        .await?
        .ok()?;
    ensure!(ids(&found["responses"][0]) == ["a", "c"], "{found}");
    let path = "/people/_delete_by_query?refresh=true";
    let deleted = ok(&server, "POST", path, &json!({"query": lookup("1")})).await?;
    ensure!(deleted["deleted"] == 2, "{deleted}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_looked_up_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = started(&folder).await?;
    let elsewhere = json!({"terms": {"name": {"index": "nowhere", "id": "1", "path": "x"}}});
    let alias =
        json!({"actions": [{"add": {"index": "people", "alias": "mine", "filter": lookup("1")}}]});
    ok(&server, "POST", "/_aliases", &alias).await?;
    for (path, query, status, reason) in [
        ("/people/_search", lookup("2"), 400, "index.max_terms_count"),
        ("/people/_search", elsewhere, 404, "no such index [nowhere]"),
        (
            "/mine/_search",
            json!({"match_all": {}}),
            400,
            "nor in the filter of an alias",
        ),
        (
            "/people/_search?scroll=1m",
            lookup("1"),
            400,
            "not in a scroll",
        ),
    ] {
        let body = json!({"query": query});
        let answer = server.send(&Request::json("POST", path, &body)).await?;
        ensure!(answer.status == status, "{path}: {}", answer.shown());
        ensure!(
            answer.shown().contains(reason),
            "{path}: {}",
            answer.shown()
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_like_those_that_are_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Start::on(&folder.path().join("data")).spawn().await?;
    let body = json!({
        "settings": {"number_of_shards": 3},
        "mappings": {"properties": {"text": {"type": "text"}, "tag": {"type": "keyword"}}},
    });
    ok(&server, "PUT", "/books", &body).await?;
    for (id, text, tag) in [
        ("1", "whales and ships at sea", "sea"),
        ("2", "ships at war", "war"),
        ("3", "whales sing", "sea"),
        ("4", "a garden of roses", "land"),
        ("5", "peace and war", "war"),
    ] {
        let path = format!("/books/_doc/{id}?refresh=true");
        ok(&server, "PUT", &path, &json!({"text": text, "tag": tag})).await?;
    }
    let like = |options: Value| {
        let mut query = json!({"min_term_freq": 1, "min_doc_freq": 2, "minimum_should_match": 1});
        if let (Value::Object(query), Value::Object(options)) = (&mut query, options) {
            query.extend(options);
        }
        json!({"query": {"more_like_this": query}})
    };
    for (options, expected) in [
        (
            json!({"like": {"_id": "1"}, "fields": ["text"], "stop_words": ["and", "at"]}),
            vec!["2", "3"],
        ),
        (json!({"like": {"_id": "1"}, "fields": ["tag"]}), vec!["3"]),
        (
            json!({"like": {"_id": "1"}, "fields": ["tag"], "include": true}),
            vec!["1", "3"],
        ),
        (json!({"like": "ships", "fields": ["text"]}), vec!["1", "2"]),
        (
            json!({"like": {"doc": {"text": "WAR"}}, "fields": ["text"]}),
            vec!["2", "5"],
        ),
        (
            json!({"like": "war ships", "unlike": "ships", "fields": ["text"]}),
            vec!["2", "5"],
        ),
        (
            json!({"like": "war ships", "fields": ["text"], "minimum_should_match": "100%"}),
            vec!["2"],
        ),
        (json!({"like": "roses", "fields": ["text"]}), vec![]),
        (
            json!({"like": {"_index": "books", "_id": "9"}, "fields": ["text"]}),
            vec![],
        ),
    ] {
        let body = like(options);
        let found = ok(&server, "POST", "/books/_search", &body).await?;
        ensure!(ids(&found) == expected, "{body}: {found}");
    }
    Ok(())
}

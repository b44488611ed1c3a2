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
    // More than the id of a scroll carries.
    let text = json!({"text": "word ".repeat(60_000)});
    ok(&server, "PUT", "/lists/_doc/3", &text).await?;
    let long = json!({"terms": {"name": {"index": "lists", "id": "3", "path": "text"}}});
    let scroll = "/people/_search?scroll=1m";
    for (path, query, status, reason) in [
        ("/people/_search", lookup("2"), 400, "index.max_terms_count"),
        (
            "/people/_search",
            elsewhere.clone(),
            404,
            "no such index [nowhere]",
        ),
        (scroll, lookup("2"), 400, "index.max_terms_count"),
        (scroll, elsewhere, 404, "no such index [nowhere]"),
        (scroll, long, 400, "open a point in time with [_pit]"),
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

/// Returns the ids that all pages of a scroll find, in order.
async fn scrolled(server: &Server, index: &str, body: &Value) -> Result<Vec<String>> {
    let path = format!("/{index}/_search?scroll=1m");
    let mut page = ok(server, "POST", &path, body).await?;
    let mut found = Vec::new();
    while !ids(&page).is_empty() {
        found.extend(ids(&page).into_iter().map(str::to_owned));
        page = next_page(server, &page).await?;
    }
    found.sort_unstable();
    Ok(found)
}

async fn next_page(server: &Server, page: &Value) -> Result<Value> {
    let next = json!({"scroll": "1m", "scroll_id": page["_scroll_id"]});
    ok(server, "POST", "/_search/scroll", &next).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scroll_goes_on_with_what_its_first_page_looked_up() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = started(&folder).await?;
    let body = json!({
        "size": 1,
        "sort": ["name"],
        "query": {"bool": {"filter": lookup("1")}},
        "aggs": {"friends": {"filter": lookup("1")}},
    });
    let first = ok(&server, "POST", "/people/_search?scroll=1m", &body).await?;
    ensure!(ids(&first) == ["a"], "{first}");
    ensure!(first["hits"]["total"]["value"] == 2, "{first}");
    let friends = &first["aggregations"]["friends"]["doc_count"];
    ensure!(*friends == 2, "{first}");
    let list = json!({"friends": {"name": ["b", "d"]}});
    ok(&server, "PUT", "/lists/_doc/1?routing=r", &list).await?;
    let second = next_page(&server, &first).await?;
    ensure!(ids(&second) == ["c"], "{second}");
    let end = next_page(&server, &second).await?;
    ensure!(ids(&end).is_empty(), "{end}");
    for (body, expected) in [
        (
            json!({"size": 1, "post_filter": lookup("1")}),
            vec!["b", "d"],
        ),
        (
            json!({"size": 1, "query": {"bool": {"must_not": lookup("9")}}}),
            vec!["a", "b", "c", "d"],
        ),
        (json!({"query": lookup("9")}), vec![]),
    ] {
        let found = scrolled(&server, "people", &body).await?;
        ensure!(found == expected, "{body}: {found:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_whose_filter_names_a_document_is_refused_when_it_is_put() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = started(&folder).await?;
    let add = json!({"index": "people", "alias": "mine", "filter": lookup("1")});
    let filtered = json!({"filter": {"bool": {"must": [lookup("1")]}}});
    let aliases = json!({"aliases": {"mine": filtered}});
    let template = json!({"index_patterns": ["new-*"], "template": aliases});
    let legacy = json!({"index_patterns": ["new-*"], "aliases": {"mine": filtered}});
    for (method, path, body) in [
        ("POST", "/_aliases", &json!({"actions": [{"add": add}]})),
        ("PUT", "/people/_alias/mine", &filtered),
        ("PUT", "/new-1", &aliases),
        ("PUT", "/_index_template/new", &template),
        (
            "PUT",
            "/_component_template/new",
            &json!({"template": aliases}),
        ),
        ("PUT", "/_template/new", &legacy),
    ] {
        let answer = server.send(&Request::json(method, path, body)).await?;
        let shown = answer.shown();
        ensure!(answer.status == 400, "{path}: {shown}");
        let reason = "[terms] of the document [lists/1] cannot be in the filter of an alias";
        ensure!(shown.contains(reason), "{path}: {shown}");
        let kind = "illegal_argument_exception";
        ensure!(shown.contains(kind), "{path}: {shown}");
    }
    let like = json!({"filter": {"more_like_this": {"like": {"_id": "a"}}}});
    let request = Request::json("PUT", "/people/_alias/mine", &like);
    let shown = server.send(&request).await?.shown();
    let reason = "[more_like_this] of the document [a] cannot be in the filter of an alias";
    ensure!(shown.contains(reason), "{shown}");
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
        let mut body = like(options);
        let found = ok(&server, "POST", "/books/_search", &body).await?;
        ensure!(ids(&found) == expected, "{body}: {found}");
        body["size"] = json!(1);
        let found = scrolled(&server, "books", &body).await?;
        ensure!(found == expected, "in a scroll, {body}: {found:?}");
    }
    Ok(())
}

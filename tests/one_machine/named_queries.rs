//! Named queries: which of them a hit matches, and what each scores by itself.

use anyhow::{Context, Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

use super::asking::ok;

async fn started(folder: &tempfile::TempDir) -> Result<Server> {
    let server = Start::on(&folder.path().join("data")).spawn().await?;
    let index = json!({
        "settings": {"number_of_shards": 3},
        "mappings": {"properties": {"title": {"type": "text"}, "tag": {"type": "keyword"}}},
    });
    ok(&server, "PUT", "/books", &index).await?;
    let mut lines = String::new();
    for (id, title, tag) in [
        ("1", "the voyage of the beagle", "travel"),
        ("2", "voyage to the voyage", "travel"),
        ("3", "origin of species", "nature"),
        ("4", "a voyage", "nature"),
    ] {
        lines += &format!("{}\n", json!({"index": {"_index": "books", "_id": id}}));
        lines += &format!("{}\n", json!({"title": title, "tag": tag}));
    }
    let bulk = Request::ndjson("POST", "/_bulk?refresh=true", lines);
    let written = server.send(&bulk).await?.ok()?;
    ensure!(written["errors"] == false, "{written}");
    Ok(server)
}

/// Returns the hits of an answer, by id.
fn by_id(answer: &Value) -> Vec<(&str, &Value)> {
    let hits = answer["hits"]["hits"].as_array();
    let hits = hits.map_or(&[][..], Vec::as_slice).iter();
    let mut hits: Vec<(&str, &Value)> = hits
        .filter_map(|hit| Some((hit["_id"].as_str()?, hit)))
        .collect();
    hits.sort_by_key(|(id, _)| *id);
    hits
}

/// Returns what a query alone scores for a document.
async fn score_of(server: &Server, query: &Value, id: &str) -> Result<Value> {
    let found = ok(server, "POST", "/books/_search", &json!({"query": query})).await?;
    let hits = by_id(&found);
    let hit = hits.iter().find(|(found, _)| *found == id);
    Ok(hit.context("it matches")?.1["_score"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn named_queries_tell_what_they_score_by_themselves() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = started(&folder).await?;
    let text = json!({"match": {"title": {"query": "voyage", "boost": 2, "_name": "text"}}});
    let tag = json!({"term": {"tag": {"value": "travel", "_name": "tag"}}});
    let other = json!({"term": {"tag": {"value": "nature", "_name": "other"}}});
    // A filter scores nothing in the search, but by itself.
    let query = json!({"bool": {"must": [text], "filter": [
        {"bool": {"should": [tag, other]}},
    ], "boost": 3}});
    for sort in [json!(["_score"]), json!([{"_doc": "asc"}])] {
        let body = json!({"query": query, "sort": sort});
        let path = "/books/_search?include_named_queries_score=true";
        let found = ok(&server, "POST", path, &body).await?;
        let hits = by_id(&found);
        ensure!(hits.len() == 3, "{found}");
        for (id, hit) in hits {
            let (name, named) = if id == "4" {
                ("other", &other)
            } else {
                ("tag", &tag)
            };
            let mut expected = json!({"text": score_of(&server, &text, id).await?});
            expected[name] = score_of(&server, named, id).await?;
            ensure!(hit["matched_queries"] == expected, "{hit}: {expected}");
        }
    }
    let body = json!({"query": query, "sort": ["_doc"]});
    let found = ok(&server, "POST", "/books/_search", &body).await?;
    let names = by_id(&found)[0].1["matched_queries"].clone();
    ensure!(names == json!(["text", "tag"]), "{found}");

    let lines = format!("{}\n{}\n", json!({"index": "books"}), body);
    let path = "/_msearch?include_named_queries_score=true";
    let found = server
        .send(&Request::ndjson("POST", path, lines))
        .await?
        .ok()?;
    let first = by_id(&found["responses"][0])[0].1["matched_queries"].clone();
    ensure!(first["text"].is_number(), "{found}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_inside_spans_tell_what_they_match_by_themselves() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = started(&folder).await?;
    let term = |word: &str| json!({"span_term": {"title": {"value": word, "_name": word}}});
    let near = json!({"span_near": {"clauses": [term("of"), term("the")], "_name": "near"}});
    let query = json!({"span_or": {"clauses": [term("voyage"), near], "_name": "either"}});
    let found = ok(&server, "POST", "/books/_search", &json!({"query": query})).await?;
    let names = by_id(&found)
        .into_iter()
        .map(|(id, hit)| json!([id, hit["matched_queries"]]));
    let expected = json!([
        ["1", ["voyage", "of", "the", "near", "either"]],
        ["2", ["voyage", "the", "either"]],
        ["4", ["voyage", "either"]],
    ]);
    ensure!(names.collect::<Value>() == expected, "{found}");
    Ok(())
}

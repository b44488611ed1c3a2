//! `index_options`: what is indexed of words, and what follows for scores and phrases.

use anyhow::{Context, Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::asking::{LAYOUTS, answer, ok};

async fn start() -> Result<(TempDir, Server)> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(&folder.path().join("data")).await?;
    for (index, num_shards) in LAYOUTS {
        let body = json!({
            "settings": {"number_of_shards": num_shards},
            "mappings": {"properties": {
                "once": {"type": "text", "index_options": "docs", "fielddata": true},
                "freqs": {"type": "text", "index_options": "freqs"},
                "plain": {"type": "text"},
                "said_once": {"type": "text"},
            }},
        });
        ok(&server, "PUT", &format!("/{index}"), &body).await?;
        for (id, text, once) in [
            ("1", json!("sea sea sea wind"), "sea wind"),
            ("2", json!(["sea wind", "wind and sea"]), "sea wind and"),
            ("3", json!("wind"), "wind"),
        ] {
            let path = format!("/{index}/_doc/{id}?refresh=true");
            let document = json!({"once": text, "freqs": text, "plain": text, "said_once": once});
            ok(&server, "PUT", &path, &document).await?;
        }
    }
    Ok((folder, server))
}

/// Returns the ids and scores of what is found, which are the same in all layouts.
async fn found(server: &Server, query: &Value) -> Result<Vec<(Value, Value)>> {
    let answer = answer(server, &json!({"query": query})).await?;
    let hits = answer["hits"]["hits"].as_array().context("hits")?;
    let hits = hits
        .iter()
        .map(|hit| (hit["_id"].clone(), hit["_score"].clone()));
    Ok(hits.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn words_count_once_or_as_often_as_they_are_said() -> Result<()> {
    let (_folder, server) = start().await?;
    for (field, same) in [("once", "said_once"), ("freqs", "plain")] {
        for text in ["sea", "wind sea", "and"] {
            let one = found(&server, &json!({"match": {field: text}})).await?;
            let other = found(&server, &json!({"match": {same: text}})).await?;
            ensure!(
                !one.is_empty() && one == other,
                "{field} {text}: {one:?} {other:?}"
            );
        }
    }
    let body = json!({"size": 0, "aggs": {"words": {"terms": {"field": "once"}}}});
    let counted = answer(&server, &body).await?;
    ensure!(
        counted["aggs"]["words"]["buckets"][0]["key"] == "wind",
        "{counted}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn phrases_are_refused_without_positions() -> Result<()> {
    let (_folder, server) = start().await?;
    for (index, _) in LAYOUTS {
        for field in ["once", "freqs"] {
            let body = json!({"query": {"match_phrase": {field: "sea wind"}}});
            let path = format!("/{index}/_search");
            let refused = server.send(&Request::json("POST", &path, &body)).await?;
            ensure!(refused.status == 400, "{}", refused.shown());
            let refused: Value = refused.json()?;
            let reason = format!(
                "failed to create query: field:[{field}] was indexed without position data; cannot run \
                 PhraseQuery"
            );
            ensure!(
                refused["error"]["root_cause"][0]["reason"] == reason,
                "{refused}"
            );
        }
    }
    Ok(())
}

//! `top_hits` show of their hits what a search shows.

use anyhow::{Context, Result, ensure};
use gleaner_testkit::Server;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::asking::{LAYOUTS, ok};

async fn start() -> Result<(TempDir, Server)> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(&folder.path().join("data")).await?;
    for (index, num_shards) in LAYOUTS {
        let body = json!({
            "settings": {"number_of_shards": num_shards},
            "mappings": {"properties": {
                "title": {"type": "text", "store": true},
                "day": {"type": "date"},
                "n": {"type": "long", "store": true},
            }},
        });
        ok(&server, "PUT", &format!("/{index}"), &body).await?;
        for (id, title) in [
            ("1", "a voyage"),
            ("2", "voyage to the voyage"),
            ("3", "home"),
        ] {
            let path = format!("/{index}/_doc/{id}?refresh=true");
            let document = json!({"title": title, "day": "2026-01-02", "n": 7, "free": {"a": 1}});
            ok(&server, "PUT", &path, &document).await?;
        }
    }
    Ok((folder, server))
}

/// Returns the hits of an answer, without where each was found.
fn hits(list: &Value) -> Result<Vec<Value>> {
    let hits = list["hits"]["hits"].as_array().context("hits")?;
    let mut hits = hits.clone();
    for hit in &mut hits {
        let hit = hit.as_object_mut().context("an object")?;
        for key in ["_shard", "_node"] {
            hit.shift_remove(key);
        }
    }
    Ok(hits)
}

#[tokio::test(flavor = "multi_thread")]
async fn top_hits_show_what_hits_show() -> Result<()> {
    let (_folder, server) = start().await?;
    for shown in [
        json!({}),
        json!({"explain": true}),
        json!({"fields": ["n", {"field": "day", "format": "yyyy"}, "free.*"]}),
        json!({"fields": [{"field": "free.*", "include_unmapped": true}], "_source": false}),
        json!({"fields": ["day"], "docvalue_fields": ["n"], "explain": true}),
        json!({"stored_fields": ["title", "n"]}),
        json!({"stored_fields": ["n"], "_source": ["title"]}),
        json!({"stored_fields": ["n", "_source"], "fields": ["title"]}),
        json!({"stored_fields": "_none_"}),
        json!({"stored_fields": [], "version": true, "seq_no_primary_term": true}),
    ] {
        for (index, _) in LAYOUTS {
            let mut body = json!({
                "query": {"match": {"title": "voyage"}},
                "aggs": {"top": {"top_hits": shown}},
            });
            for (key, value) in shown.as_object().context("an object")? {
                body[key] = value.clone();
            }
            let answer = ok(&server, "POST", &format!("/{index}/_search"), &body).await?;
            let found = hits(&answer)?;
            ensure!(found.len() == 2, "{answer}");
            ensure!(found == hits(&answer["aggregations"]["top"])?, "{answer}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn top_hits_tell_which_named_queries_they_match() -> Result<()> {
    let (_folder, server) = start().await?;
    let body = json!({
        "query": {"bool": {"should": [
            {"match": {"title": {"query": "voyage", "_name": "sea"}}},
            {"match": {"title": {"query": "home", "_name": "land"}}},
        ]}},
        "post_filter": {"term": {"n": {"value": 7, "_name": "seven"}}},
        "aggs": {"days": {"terms": {"field": "day"}, "aggs": {"top": {"top_hits": {"size": 9}}}}},
    });
    for (index, _) in LAYOUTS {
        for parameters in ["", "?include_named_queries_score=true"] {
            let path = format!("/{index}/_search{parameters}");
            let answer = ok(&server, "POST", &path, &body).await?;
            let found = hits(&answer)?;
            ensure!(found.len() == 3, "{answer}");
            let is_told = |hit: &Value| !hit["matched_queries"].is_null();
            ensure!(found.iter().all(is_told), "{answer}");
            let bucket = &answer["aggregations"]["days"]["buckets"][0];
            ensure!(found == hits(&bucket["top"])?, "{answer}");
        }
    }
    Ok(())
}

//! Text that is sorted and aggregated by its tokens (`fielddata`), the same for any number of shards.

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
                "text": {"type": "text", "fielddata": true, "analyzer": "english", "fields": {
                    "plain": {"type": "text"},
                    "pieces": {"type": "text", "fielddata": true, "analyzer": "simple"},
                }},
                "class": {"type": "keyword", "copy_to": "text"},
            }},
        });
        ok(&server, "PUT", &format!("/{index}"), &body).await?;
        for (id, document) in [
            ("1", json!({"text": "The good, the good", "class": "a"})),
            (
                "2",
                json!({"text": ["good hills", "bad hill"], "class": "a"}),
            ),
            ("3", json!({"text": "bad", "class": "b"})),
            ("4", json!({"text": "the"})),
            ("5", json!({})),
        ] {
            ok(
                &server,
                "PUT",
                &format!("/{index}/_doc/{id}?refresh=true"),
                &document,
            )
            .await?;
        }
    }
    Ok((folder, server))
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_counted_once_a_document() -> Result<()> {
    let (_folder, server) = start().await?;
    let body = json!({"size": 0, "aggs": {
        "terms": {"terms": {"field": "text"}},
        "pieces": {"terms": {"field": "text.pieces", "include": "h.*"}},
        "different": {"cardinality": {"field": "text"}},
        "values": {"value_count": {"field": "text"}},
        "none": {"missing": {"field": "text"}},
        "telling": {
            "filter": {"term": {"class": "a"}},
            "aggs": {
                "terms": {"significant_terms": {"field": "text", "min_doc_count": 1}},
                "words": {"significant_text": {"field": "text", "min_doc_count": 1}},
            },
        },
    }});
    let found = answer(&server, &body).await?["aggs"].clone();
    let buckets = |name: &str| {
        let buckets = found[name]["buckets"].as_array();
        let shown = |bucket: &Value| {
            format!(
                "{}:{}",
                bucket["key"].as_str().unwrap_or_default(),
                bucket["doc_count"]
            )
        };
        buckets
            .into_iter()
            .flatten()
            .map(shown)
            .collect::<Vec<_>>()
            .join(" ")
    };
    // The class is copied there, and `a` is a stop word.
    ensure!(buckets("terms") == "bad:2 good:2 b:1 hill:1", "{found}");
    ensure!(buckets("pieces") == "hill:1 hills:1", "{found}");
    ensure!(found["different"]["value"] == 4, "{found}");
    ensure!(found["values"]["value"] == 6, "{found}");
    ensure!(found["none"]["doc_count"] == 2, "{found}");
    // No column is read for it.
    ensure!(
        found["telling"]["words"] == found["telling"]["terms"],
        "{found}"
    );
    let telling = &found["telling"]["terms"]["buckets"][0];
    ensure!(
        telling["key"] == "good" && telling["bg_count"] == 2,
        "{found}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_are_sorted_by_and_show_tokens() -> Result<()> {
    let (_folder, server) = start().await?;
    let body = json!({
        "sort": [{"text": {"order": "asc", "mode": "max"}}, {"class": "asc"}],
        "docvalue_fields": ["text"],
        "query": {"exists": {"field": "class"}},
    });
    let found = answer(&server, &body).await?;
    let hits = found["hits"]["hits"].as_array().context("hits")?;
    let ids: Vec<&str> = hits.iter().filter_map(|hit| hit["_id"].as_str()).collect();
    ensure!(ids == ["3", "1", "2"], "{found}");
    ensure!(hits[0]["sort"][0] == "bad", "{found}");
    ensure!(
        hits[2]["fields"]["text"] == json!(["bad", "good", "hill"]),
        "{found}"
    );
    // Queries are what they were.
    for (query, total) in [
        (json!({"match": {"text": "hills"}}), 1),
        (json!({"exists": {"field": "text"}}), 4),
        (json!({"range": {"text": {"gte": "c", "lt": "h"}}}), 2),
        (
            json!({"bool": {"must_not": {"match": {"text": "good"}}}}),
            3,
        ),
    ] {
        let found = answer(&server, &json!({"query": query})).await?;
        ensure!(found["hits"]["total"]["value"] == total, "{query}: {found}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn text_without_them_says_how_to_have_them() -> Result<()> {
    let (_folder, server) = start().await?;
    let off = "Fielddata is disabled on [text.plain]";
    let on = json!({"properties": {"text": {
        "type": "text", "fielddata": true, "analyzer": "english", "fields": {"plain": {"type": "text", "fielddata": true}},
    }}});
    for (method, path, body, reason) in [
        ("POST", "/one/_search", json!({"sort": "text.plain"}), off),
        (
            "POST",
            "/four/_search",
            json!({"aggs": {"a": {"terms": {"field": "text.plain"}}}}),
            off,
        ),
        (
            "PUT",
            "/one/_mapping",
            on,
            "Cannot update parameter [fielddata] from [false] to [true]",
        ),
        (
            "PUT",
            "/new",
            json!({"mappings": {"properties": {"t": {"type": "text", "fielddata": true, "index": false}}}}),
            "Cannot enable fielddata on a [text] field that is not indexed: [t]",
        ),
    ] {
        let answer = server.send(&Request::json(method, path, &body)).await?;
        let told = answer.json()?["error"].to_string();
        ensure!(
            answer.status == 400 && told.contains(reason),
            "{body}: {told}"
        );
    }
    let caps = server
        .send(&Request::new("GET", "/one/_field_caps?fields=text*"))
        .await?
        .ok()?;
    let caps = &caps["fields"];
    ensure!(caps["text"]["text"]["aggregatable"] == true, "{caps}");
    ensure!(
        caps["text.plain"]["text"]["aggregatable"] == false,
        "{caps}"
    );
    Ok(())
}

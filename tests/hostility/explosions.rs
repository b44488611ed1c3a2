//! Analysis that makes gigabytes of a kilobyte: in requests, documents and queries.

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use serde_json::{Value, json};

use super::{Attackee, MAX_ANONYMOUS_BYTES};

fn mapping(length: usize) -> Value {
    json!({"type": "mapping", "mappings": [format!("a=>{}", "a".repeat(length))]})
}

fn times(number: usize, part: &Value) -> Value {
    vec![part.clone(); number].into()
}

/// Bodies of `_analyze`.
fn analyses() -> Vec<Value> {
    let replace =
        json!({"type": "pattern_replace", "pattern": "(.+)", "replacement": "$1".repeat(30)});
    let shingle = json!({"type": "shingle", "min_shingle_size": 2, "max_shingle_size": 4});
    let edge = json!({"type": "edge_ngram", "min_gram": 1, "max_gram": 1_000});
    let two = json!({"type": "edge_ngram", "min_gram": 1, "max_gram": 900});
    vec![
        json!({"text": "a", "tokenizer": "keyword", "char_filter": times(5, &mapping(200))}),
        json!({"text": "a", "tokenizer": "keyword", "char_filter": times(7, &replace)}),
        json!({"text": "a", "tokenizer": "keyword", "filter": times(7, &replace)}),
        json!({"text": "w ".repeat(200), "tokenizer": "whitespace", "filter": times(10, &shingle)}),
        json!({"text": "y".repeat(1_000), "tokenizer": "keyword", "filter": times(5, &edge)}),
        json!({"text": "y".repeat(1_000), "tokenizer": "keyword", "filter": times(2, &two)}),
        json!({"text": "/a".repeat(2 << 20), "tokenizer": "path_hierarchy"}),
        json!({"text": "/a".repeat(1 << 20), "tokenizer": {"type": "path_hierarchy", "replacement": "-"}}),
        json!({"text": "a".repeat(10_000), "tokenizer": "keyword", "char_filter": times(2, &mapping(200))}),
        json!({"text": "a".repeat(10_000), "tokenizer": "keyword", "char_filter": times(2, &mapping(200)), "explain": true}),
    ]
}

/// An index whose analyzer may be defined, and makes 64 kB of a letter.
fn poison() -> Value {
    json!({
        "settings": {"analysis": {
            "char_filter": {"long": mapping(40)},
            "analyzer": {"poison": {"tokenizer": "ngram", "char_filter": ["long", "long", "long"]}},
            "normalizer": {"poison": {"char_filter": ["long", "long", "long"]}},
        }},
        "mappings": {"properties": {
            "text": {"type": "text", "analyzer": "poison"},
            "tag": {"type": "keyword", "normalizer": "poison"},
            "count": {"type": "token_count", "analyzer": "poison"},
        }},
    })
}

async fn is_refused(server: &Server, request: &Request) -> Result<()> {
    let answer = server.send(request).await?;
    let body = String::from_utf8_lossy(&answer.body);
    let body: String = body.chars().take(500).collect();
    let shown = format!(
        "{} {}: {} {body}",
        request.method, request.path, answer.status
    );
    ensure!(answer.status == 400, "{shown}");
    ensure!(body.contains("\"error\""), "{shown}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn analysis_that_explodes_is_refused_and_costs_no_memory() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(&folder.path().join("data")).await?;
    let mut attackee = Attackee::new("server", server, MAX_ANONYMOUS_BYTES);
    for body in analyses() {
        is_refused(
            &attackee.process,
            &Request::json("POST", "/_analyze", &body),
        )
        .await?;
        attackee.look()?;
    }
    let six = json!({"settings": {"analysis": {
        "char_filter": {"long": mapping(40)},
        "analyzer": {"poison": {"tokenizer": "keyword", "char_filter": times(6, &json!("long"))}},
    }}});
    is_refused(&attackee.process, &Request::json("PUT", "/six", &six)).await?;
    let created = Request::json("PUT", "/poison", &poison());
    attackee.process.send(&created).await?.ok()?;
    for field in ["text", "tag", "count"] {
        let document = json!({ field: "a".repeat(5_000) });
        let path = "/poison/_doc/1";
        is_refused(&attackee.process, &Request::json("PUT", path, &document)).await?;
        let lines = format!(
            "{{\"index\":{{\"_id\":\"1\"}}}}\n{document}\n{{\"index\":{{\"_id\":\"2\"}}}}\n{{}}\n"
        );
        let bulk = Request::ndjson("POST", "/poison/_bulk?refresh=true", lines);
        let answer = attackee.process.send(&bulk).await?.ok()?;
        ensure!(answer["items"][0]["index"]["status"] == 400, "{answer}");
        ensure!(
            answer["items"][1]["index"]["status"].as_u64() < Some(300),
            "{answer}"
        );
        attackee.look()?;
    }
    for query in [
        json!({"match": {"text": "a".repeat(5_000)}}),
        json!({"match_phrase": {"text": "a".repeat(5_000)}}),
        json!({"term": {"tag": "a".repeat(5_000)}}),
        json!({"prefix": {"tag": "a".repeat(5_000)}}),
        json!({"query_string": {"query": "a".repeat(5_000), "fields": ["text", "tag"]}}),
        json!({"bool": {"should": vec![json!({"match": {"text": "a".repeat(20)}}); 500]}}),
    ] {
        let search = Request::json("POST", "/poison/_search", &json!({ "query": query }));
        is_refused(&attackee.process, &search).await?;
        attackee.look()?;
    }
    attackee.check().await
}

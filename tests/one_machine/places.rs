//! Where the words of several values stand: alike for the index, `_analyze`, `_termvectors` and highlights.

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

async fn post(server: &Server, path: &str, body: &Value) -> Result<Value> {
    server.send(&Request::json("POST", path, body)).await?.ok()
}

/// Returns terms with their positions.
fn placed(tokens: &Value) -> Vec<(String, i64)> {
    let of = |token: &Value| {
        let text = token["token"].as_str().unwrap_or_default().to_owned();
        (text, token["position"].as_i64().unwrap_or(-1))
    };
    tokens.as_array().into_iter().flatten().map(of).collect()
}

/// Returns terms with their positions, as `_termvectors` tells them.
fn placed_in_vectors(vectors: &Value) -> Vec<(String, i64)> {
    let mut found = Vec::new();
    for (term, of) in vectors["terms"].as_object().into_iter().flatten() {
        for token in of["tokens"].as_array().into_iter().flatten() {
            found.push((term.clone(), token["position"].as_i64().unwrap_or(-1)));
        }
    }
    found.sort_by_key(|(_, position)| *position);
    found
}

/// Values with words that are removed, none at all, and characters that mean something to the writer of an index.
fn documents() -> Vec<Value> {
    vec![
        json!(["a b", "c d"]),
        json!(["a b", "", "c"]),
        json!(["", "", "a", "the", "b the", "c"]),
        json!(["the the a", "\u{10ffff}b", "\u{10fffe}", "c"]),
        json!(["\u{10ffff}a", "", "b"]),
        json!(["a", "", ""]),
        json!("b c"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn words_of_several_values_stand_where_analysis_says() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    for gap in [0, 1, 3, 100] {
        let index = format!("gap{gap}");
        let analyzer = json!({"type": "custom", "tokenizer": "standard", "filter": ["stop"], "position_increment_gap": gap});
        let created = json!({
            "settings": {"number_of_shards": 1, "analysis": {
                "analyzer": {"own": analyzer}, "filter": {"stop": {"type": "stop", "stopwords": ["the"]}},
            }},
            "mappings": {"properties": {"t": {"type": "text", "analyzer": "own", "term_vector": "with_positions"}}},
        });
        let create = Request::json("PUT", &format!("/{index}"), &created);
        server.send(&create).await?.ok()?;
        for (id, values) in documents().iter().enumerate() {
            let put = Request::json("PUT", &format!("/{index}/_doc/{id}"), &json!({"t": values}));
            server.send(&put).await?.ok()?;
        }
        post(&server, &format!("/{index}/_refresh"), &json!({})).await?;
        for (id, values) in documents().iter().enumerate() {
            check(&server, &index, &id.to_string(), values).await?;
        }
    }
    server.stop().await
}

async fn check(server: &Server, index: &str, id: &str, values: &Value) -> Result<()> {
    let analyzed = json!({"analyzer": "own", "text": values});
    let analyzed = post(server, &format!("/{index}/_analyze"), &analyzed).await?;
    let tokens = placed(&analyzed["tokens"]);
    let wanted = json!({"fields": ["t"], "positions": true});
    let path = format!("/{index}/_termvectors/{id}");
    let vectors = post(server, &path, &wanted).await?;
    let vectors = placed_in_vectors(&vectors["term_vectors"]["t"]);
    ensure!(
        vectors == tokens,
        "{index} {values}: {vectors:?} {tokens:?}"
    );
    for pair in tokens.windows(2) {
        let [(one, at), (other, then)] = pair else {
            continue;
        };
        let far = then - at - 1;
        for (slop, is_found) in [(far, true), (far - 1, false)] {
            if slop < 0 {
                continue;
            }
            let phrase = json!({"t": {"query": format!("{one} {other}"), "slop": slop}});
            let query = json!({"bool": {"must": {"match_phrase": phrase}, "filter": {"ids": {"values": [id]}}}});
            let body =
                json!({"query": query, "highlight": {"fields": {"t": {"number_of_fragments": 0}}}});
            let found = post(server, &format!("/{index}/_search"), &body).await?;
            let hits = found["hits"]["hits"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            ensure!(
                hits.len() == usize::from(is_found),
                "{index} {values} {phrase}"
            );
            let marked = hits.iter().map(|hit| hit["highlight"]["t"].to_string());
            let marked: String = marked.collect();
            let marks = |word: &str| {
                marked.contains(&format!("<em>{word}")) || marked.contains(&format!("{word}</em>"))
            };
            ensure!(
                !is_found || (marks(one) && marks(other)),
                "{index} {phrase}: {marked}"
            );
        }
    }
    Ok(())
}

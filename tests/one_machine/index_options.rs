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

/// Starts a node with values that are kept in several ways: as terms that count, that do not, and as text of one word.
async fn start_with_tags() -> Result<(TempDir, Server)> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(&folder.path().join("data")).await?;
    for (index, num_shards) in LAYOUTS {
        let body = json!({
            "settings": {"number_of_shards": num_shards},
            "mappings": {"properties": {
                "tags": {"type": "keyword", "index_options": "freqs"},
                "once": {"type": "keyword"},
                "text": {"type": "text", "analyzer": "keyword", "norms": false},
                "n": {"type": "integer"},
            }},
        });
        ok(&server, "PUT", &format!("/{index}"), &body).await?;
        for (id, tags) in [
            (1, json!(["sea", "wind", "sea", "sea"])),
            (2, json!(["wind", "sea"])),
            (3, json!(["wind", "sand"])),
        ] {
            let path = format!("/{index}/_doc/{id}?refresh=true");
            let document = json!({"tags": tags, "once": tags, "text": tags, "n": id});
            ok(&server, "PUT", &path, &document).await?;
        }
    }
    Ok((folder, server))
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_a_keyword_count_as_often_as_they_are_given() -> Result<()> {
    let (_folder, server) = start_with_tags().await?;
    for (kind, value) in [
        ("term", "sea"),
        ("match", "wind"),
        ("term", "sand"),
        ("match", "none"),
    ] {
        let one = found(&server, &json!({kind: {"tags": value}})).await?;
        let other = found(&server, &json!({kind: {"text": value}})).await?;
        ensure!(one == other, "{kind} {value}: {one:?} {other:?}");
    }
    let counted = found(&server, &json!({"term": {"tags": "sea"}})).await?;
    let once = found(&server, &json!({"term": {"once": "sea"}})).await?;
    // N = 3, n = 2; as if of the mean length.
    let idf = (1.0_f64 + 1.5 / 2.5).ln();
    let expected = [("1", idf * 2.2 * 3.0 / (3.0 + 1.2)), ("2", idf)];
    for ((id, score), (found_id, found_score)) in expected.iter().zip(&counted) {
        let found_score = found_score.as_f64().context("a score")?;
        ensure!(
            found_id == id && (found_score - score).abs() < 1e-6,
            "{counted:?}"
        );
    }
    ensure!(counted.len() == 2 && once.len() == 2, "{once:?}");
    // One that is given once scores as one that is not counted.
    ensure!(
        once[0].1 == once[1].1 && once[0].1 == counted[1].1,
        "{once:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn doc_values_of_a_keyword_that_counts_are_sets() -> Result<()> {
    let (_folder, server) = start_with_tags().await?;
    let body = json!({
        "query": {"bool": {
            "filter": [
                {"range": {"tags": {"gte": "sand", "lt": "t"}}},
                {"exists": {"field": "tags"}},
                {"prefix": {"tags": "s"}},
            ],
        }},
        "sort": ["tags", "n"],
        "docvalue_fields": ["tags"],
        "_source": false,
        "aggs": {
            "words": {"terms": {"field": "tags"}},
            "values": {"value_count": {"field": "tags"}},
            "none": {"missing": {"field": "tags"}},
        },
    });
    let answer = answer(&server, &body).await?;
    let hits = answer["hits"]["hits"].as_array().context("hits")?;
    let shown = hits.iter();
    let shown = shown.map(|hit| (hit["_id"].clone(), hit["fields"]["tags"].clone()));
    let expected = [
        (json!("3"), json!(["sand", "wind"])),
        (json!("1"), json!(["sea", "wind"])),
        (json!("2"), json!(["sea", "wind"])),
    ];
    ensure!(shown.collect::<Vec<_>>() == expected, "{answer}");
    let buckets = &answer["aggs"]["words"]["buckets"];
    let expected = json!([
        {"key": "wind", "doc_count": 3},
        {"key": "sea", "doc_count": 2},
        {"key": "sand", "doc_count": 1},
    ]);
    ensure!(*buckets == expected, "{answer}");
    let (values, none) = (&answer["aggs"]["values"], &answer["aggs"]["none"]);
    ensure!(values["value"] == 6 && none["doc_count"] == 0, "{answer}");
    Ok(())
}

//! Fields of what is to be suggested (`completion`): checked, kept and shown; suggesters are refused.

use anyhow::{Context, Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::asking::ok;

async fn start() -> Result<(TempDir, Server)> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(&folder.path().join("data")).await?;
    let body = json!({
        "settings": {"number_of_shards": 3},
        "mappings": {"properties": {
            "suggest": {"type": "completion", "max_input_length": 20, "fields": {"raw": {"type": "keyword"}}},
            "title": {"type": "text", "fields": {"suggest": {"type": "completion"}}},
        }},
    });
    ok(&server, "PUT", "/s", &body).await?;
    for (id, document) in [
        ("1", json!({"suggest": "Nevermind", "title": "one"})),
        ("2", json!({"suggest": ["Ten", "Vs"]})),
        (
            "3",
            json!({"suggest": [{"input": ["Ok", "Computer"], "weight": "7"}, {"input": "Kid A"}]}),
        ),
        ("4", json!({"suggest": null})),
        ("5", json!({"suggest": "  "})),
    ] {
        ok(
            &server,
            "PUT",
            &format!("/s/_doc/{id}?refresh=true"),
            &document,
        )
        .await?;
    }
    Ok((folder, server))
}

async fn ids(server: &Server, query: &Value) -> Result<String> {
    let answer = ok(server, "POST", "/s/_search", &json!({"query": query})).await?;
    let hits = answer["hits"]["hits"].as_array().context("hits")?;
    let mut ids: Vec<&str> = hits.iter().filter_map(|hit| hit["_id"].as_str()).collect();
    ids.sort_unstable();
    Ok(ids.concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_are_kept_shown_and_handed_to_multi_fields() -> Result<()> {
    let (_folder, server) = start().await?;
    for (query, found) in [
        (json!({"exists": {"field": "suggest"}}), "123"),
        (json!({"exists": {"field": "title.suggest"}}), "1"),
        (json!({"term": {"suggest.raw": "Nevermind"}}), "1"),
        (json!({"term": {"suggest.raw": "Computer"}}), "3"),
        (json!({"terms": {"suggest.raw": ["Vs", "Kid A"]}}), "23"),
        (json!({"term": {"_ignored": "suggest"}}), "5"),
    ] {
        let ids = ids(&server, &query).await?;
        ensure!(ids == found, "{query} found {ids}");
    }
    let body =
        json!({"fields": ["suggest"], "_source": false, "query": {"ids": {"values": ["2", "3"]}}});
    let answer = ok(&server, "POST", "/s/_search", &body).await?;
    let hits = answer["hits"]["hits"].as_array().context("hits")?;
    let shown = |id: &str| {
        let hit = hits.iter().find(|hit| hit["_id"] == id);
        hit.map_or(Value::Null, |hit| hit["fields"]["suggest"].clone())
    };
    ensure!(shown("2") == json!(["Ten", "Vs"]), "{answer}");
    let objects = json!([{"input": ["Ok", "Computer"], "weight": "7"}, {"input": "Kid A"}]);
    ensure!(shown("3") == objects, "{answer}");
    let mapping = server
        .send(&Request::new("GET", "/s/_mapping"))
        .await?
        .ok()?;
    let suggest = &mapping["s"]["mappings"]["properties"]["suggest"];
    ensure!(
        suggest["type"] == "completion" && suggest["max_input_length"] == 20,
        "{mapping}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_are_none_and_suggesters_are_refused_by_name() -> Result<()> {
    let (_folder, server) = start().await?;
    let suggester = json!({"suggest": {"s": {"prefix": "ne", "completion": {"field": "suggest"}}}});
    let contexts = json!({"properties": {"c": {"type": "completion", "contexts": []}}});
    let analyzer = json!({"properties": {"c": {"type": "completion", "analyzer": "none"}}});
    for (method, path, body, reason) in [
        (
            "PUT",
            "/s/_doc/9",
            json!({"suggest": 7}),
            "expected text or object",
        ),
        (
            "PUT",
            "/s/_doc/9",
            json!({"suggest": {"weight": -1}}),
            "interval [0..2147483647]",
        ),
        (
            "PUT",
            "/s/_doc/9",
            json!({"suggest": {"word": "x"}}),
            "unknown field name [word]",
        ),
        (
            "POST",
            "/s/_search",
            suggester,
            "[suggest] is not supported",
        ),
        (
            "POST",
            "/s/_search",
            json!({"query": {"match": {"suggest": "ten"}}}),
            "[suggest]",
        ),
        (
            "PUT",
            "/s/_mapping",
            contexts,
            "unknown parameter [contexts]",
        ),
        ("PUT", "/s/_mapping", analyzer, "analyzer [none]"),
    ] {
        let answer = server.send(&Request::json(method, path, &body)).await?;
        let told = answer.json()?["error"].to_string();
        ensure!(
            answer.status == 400 && told.contains(reason),
            "{body}: {told}"
        );
    }
    Ok(())
}

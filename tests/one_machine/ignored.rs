//! `_ignored`: which fields left out a value, in hits and to search by.

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

async fn hits(server: &Server, query: &Value) -> Result<Vec<Value>> {
    let body = json!({"query": query, "sort": ["n.k"]});
    let request = Request::json("POST", "/notes/_search", &body);
    let answer = server.send(&request).await?.ok()?;
    Ok(answer["hits"]["hits"]
        .as_array()
        .cloned()
        .unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn ignored_fields_are_shown_and_found_also_after_a_restart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let server: Server = Start::on(&data).spawn().await?;
    let mapping = json!({"settings": {"number_of_shards": 2}, "mappings": {"properties": {
        "n": {"type": "integer", "ignore_malformed": true,
            "fields": {"k": {"type": "keyword", "ignore_above": 4}}},
        "day": {"type": "date", "ignore_malformed": true},
    }}});
    server
        .send(&Request::json("PUT", "/notes", &mapping))
        .await?
        .ok()?;
    let bulk = [
        json!({"n": 7}),
        json!({"n": "seven"}),
        json!({"n": "x", "day": "never"}),
        json!({"n": 12_345, "day": ""}),
    ];
    let lines = bulk.iter().enumerate().map(|(id, document)| {
        format!(
            "{}\n{document}\n",
            json!({"index": {"_id": id.to_string()}})
        )
    });
    let lines: String = lines.collect();
    let request = Request::ndjson("POST", "/notes/_bulk?refresh=true", lines);
    let answer = server.send(&request).await?.ok()?;
    ensure!(answer["errors"] == false, "{answer}");
    check(&server).await?;
    server.stop().await?;
    let server = Start::on(&data).spawn().await?;
    check(&server).await
}

async fn check(server: &Server) -> Result<()> {
    let shown = |hits: &[Value]| -> Vec<(String, Value)> {
        let of = |hit: &Value| {
            let id = hit["_id"].as_str().unwrap_or_default();
            (id.to_owned(), hit["_ignored"].clone())
        };
        let mut shown: Vec<_> = hits.iter().map(of).collect();
        shown.sort_by(|a, b| a.0.cmp(&b.0));
        shown
    };
    let of = |id: &str, names: Value| (id.to_owned(), names);
    let (one, two) = (of("1", json!(["n", "n.k"])), of("2", json!(["day", "n"])));
    let three = of("3", json!(["day", "n.k"]));
    for (query, expected) in [
        (
            json!({"match_all": {}}),
            vec![
                of("0", Value::Null),
                one.clone(),
                two.clone(),
                three.clone(),
            ],
        ),
        (
            json!({"exists": {"field": "_ignored"}}),
            vec![one.clone(), two.clone(), three.clone()],
        ),
        (
            json!({"term": {"_ignored": "n"}}),
            vec![one.clone(), two.clone()],
        ),
        (
            json!({"terms": {"_ignored": ["n.k", "nowhere"]}}),
            vec![one, three],
        ),
        (json!({"match": {"_ignored": "nowhere"}}), vec![]),
    ] {
        let found = shown(&hits(server, &query).await?);
        ensure!(found == expected, "{query}: {found:?}");
    }
    let fields = json!(["n*", "_id", "_index", "_version", "_ignored"]);
    let body = json!({"query": {"ids": {"values": ["2"]}}, "fields": fields, "_source": false});
    let request = Request::json("POST", "/notes/_search", &body);
    let answer = server.send(&request).await?.ok()?;
    let expected = json!({
        "_index": "notes", "_id": "2", "_score": 1.0, "_ignored": ["day", "n"],
        "fields": {"n.k": ["x"], "_id": ["2"], "_index": ["notes"], "_version": [1]},
        "ignored_field_values": {"n": ["x"]},
    });
    ensure!(answer["hits"]["hits"] == json!([expected]), "{answer}");
    Ok(())
}

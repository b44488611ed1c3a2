//! A whole number on a date says the same in documents, queries and aggregations: what its format says.

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

use super::asking::ok;

/// Returns the ids of what a query finds, in order of the ids.
async fn found(server: &Server, query: &Value) -> Result<Vec<String>> {
    let body = json!({"query": query});
    let answer = ok(server, "POST", "/days/_search", &body).await?;
    let hits = answer["hits"]["hits"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let mut ids: Vec<String> = hits
        .iter()
        .filter_map(|hit| hit["_id"].as_str().map(str::to_owned))
        .collect();
    ids.sort();
    Ok(ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_number_is_read_as_the_format_says_everywhere() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    let mapping = json!({"mappings": {"properties": {
        "t": {"type": "date"},
        "s": {"type": "date", "format": "epoch_second"},
    }}});
    ok(&server, "PUT", "/days", &mapping).await?;
    let seconds = [1_433_116_800, 1_514_764_800, 1_525_132_800];
    let days = [json!("2015-06-01"), json!(2018), json!("2018-05-01")];
    for (id, (day, second)) in days.into_iter().zip(seconds).enumerate() {
        let path = format!("/days/_doc/{id}?refresh=true");
        ok(&server, "PUT", &path, &json!({"t": day, "s": second})).await?;
    }
    for (query, expected) in [
        (json!({"range": {"t": {"gte": 2018}}}), vec!["1", "2"]),
        (json!({"range": {"t": {"lt": 2018}}}), vec!["0"]),
        (
            json!({"range": {"t": {"gte": 2018.0, "lt": 2019}}}),
            vec!["1", "2"],
        ),
        (json!({"term": {"t": 2018}}), vec!["1"]),
        (json!({"terms": {"t": [2018]}}), vec!["1"]),
        (json!({"match": {"t": 2018}}), vec!["1"]),
        (
            json!({"range": {"t": {"gte": 1_525_132_800_000_i64}}}),
            vec!["2"],
        ),
        (
            json!({"range": {"s": {"gte": 1_514_764_800}}}),
            vec!["1", "2"],
        ),
        (json!({"term": {"s": 1_433_116_800}}), vec!["0"]),
    ] {
        let ids = found(&server, &query).await?;
        ensure!(ids == expected, "{query}: {ids:?}");
    }
    let ranges = json!({"size": 0, "aggs": {
        "t": {"date_range": {"field": "t", "ranges": [{"from": 2018}]}},
        "s": {"date_range": {"field": "s", "ranges": [{"from": 1_514_764_800}]}},
    }});
    let answer = ok(&server, "POST", "/days/_search", &ranges).await?;
    for name in ["t", "s"] {
        let bucket = &answer["aggregations"][name]["buckets"][0];
        ensure!(bucket["doc_count"] == 2, "{name}: {answer}");
    }
    Ok(())
}

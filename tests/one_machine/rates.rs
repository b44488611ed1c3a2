//! Rates of date histograms (`rate`), the same for any number of shards.

use anyhow::{Context, Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use serde_json::{Value, json};
use tempfile::TempDir;

async fn start() -> Result<(TempDir, Server)> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(&folder.path().join("data")).await?;
    for (index, num_shards) in [("one", 1), ("three", 3)] {
        let body = json!({
            "settings": {"number_of_shards": num_shards},
            "mappings": {"properties": {"at": {"type": "date"}, "price": {"type": "double"}}},
        });
        server
            .send(&Request::json("PUT", &format!("/{index}"), &body))
            .await?
            .ok()?;
        let mut lines = String::new();
        for (at, price) in [
            ("2024-01-01", 31.0),
            ("2024-01-31", 31.0),
            ("2024-02-29", 58.0),
            ("2024-04-01", 9.0),
        ] {
            lines += &format!(
                "{{\"index\": {{}}}}\n{}\n",
                json!({"at": at, "price": price})
            );
        }
        lines += "{\"index\": {}}\n{\"at\": \"2024-04-02\"}\n";
        let bulk = Request::ndjson("POST", &format!("/{index}/_bulk?refresh=true"), lines);
        let written = server.send(&bulk).await?.ok()?;
        ensure!(written["errors"] == false, "{written}");
    }
    Ok((folder, server))
}

/// Returns what both indices say, which is the same.
async fn aggregated(server: &Server, aggs: &Value) -> Result<Value> {
    let mut found = Vec::new();
    for index in ["one", "three"] {
        let body = json!({"size": 0, "aggs": aggs});
        let search = Request::json("POST", &format!("/{index}/_search?typed_keys=true"), &body);
        let answer = server.send(&search).await?.ok()?;
        ensure!(answer["_shards"]["failed"] == 0, "{answer}");
        found.push(answer["aggregations"].clone());
    }
    ensure!(found[0] == found[1], "{found:?}");
    Ok(found.remove(0))
}

fn months(rate: &Value) -> Value {
    json!({"months": {
        "date_histogram": {"field": "at", "calendar_interval": "month"},
        "aggs": {"rate": {"rate": rate}},
    }})
}

async fn rates(server: &Server, rate: &Value) -> Result<Vec<f64>> {
    let found = aggregated(server, &months(rate)).await?;
    let buckets = found["date_histogram#months"]["buckets"]
        .as_array()
        .context("buckets")?;
    let rates = buckets.iter().map(|bucket| {
        let inside = bucket.as_object().map(serde_json::Map::len);
        ensure!(
            bucket["rate#rate"].is_object() && inside == Some(4),
            "{bucket}"
        );
        bucket["rate#rate"]["value"].as_f64().context("a rate")
    });
    rates.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_and_sums_are_divided_by_the_time_of_their_bucket() -> Result<()> {
    let (_folder, server) = start().await?;
    for (rate, wanted) in [
        (json!({}), [2.0, 1.0, 0.0, 2.0]),
        (json!({"unit": "year"}), [24.0, 12.0, 0.0, 24.0]),
        (
            json!({"unit": "quarter", "field": "price", "mode": "value_count"}),
            [6.0, 3.0, 0.0, 3.0],
        ),
        // Months of 31, 29, 31 and 30 days.
        (
            json!({"unit": "day", "field": "price"}),
            [2.0, 2.0, 0.0, 0.3],
        ),
        (
            json!({"unit": "1d", "field": "price", "missing": 21}),
            [2.0, 2.0, 0.0, 1.0],
        ),
    ] {
        let found = rates(&server, &rate).await?;
        let is_near = found
            .iter()
            .zip(&wanted)
            .all(|(found, wanted)| (found - wanted).abs() < 1e-9);
        ensure!(found.len() == 4 && is_near, "{rate}: {found:?}");
    }
    let best = json!({
        "months": months(&json!({"unit": "day", "field": "price"}))["months"],
        "best": {"max_bucket": {"buckets_path": "months>rate"}},
    });
    let found = aggregated(&server, &best).await?;
    ensure!(found["bucket_metric_value#best"]["value"] == 2.0, "{found}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_is_of_the_date_among_the_values_of_a_key() -> Result<()> {
    let (_folder, server) = start().await?;
    for format in [json!(null), json!("yyyy-MM")] {
        let mut month = json!({"field": "at", "calendar_interval": "month"});
        if !format.is_null() {
            month["format"] = format;
        }
        let pages = json!({"pages": {
            "composite": {"size": 10, "sources": [
                {"dear": {"histogram": {"field": "price", "interval": 50}}},
                {"month": {"date_histogram": month}},
            ]},
            "aggs": {
                "count": {"rate": {"unit": "year"}},
                "sales": {"rate": {"unit": "day", "field": "price"}},
            },
        }});
        let found = aggregated(&server, &pages).await?;
        let buckets = found["composite#pages"]["buckets"]
            .as_array()
            .context("buckets")?;
        // January and April, then February: of 31, 30 and 29 days.
        let wanted = [(24.0, 2.0), (12.0, 0.3), (12.0, 2.0)];
        ensure!(buckets.len() == wanted.len(), "{found}");
        for (bucket, (count, sales)) in buckets.iter().zip(wanted) {
            for (name, wanted) in [("rate#count", count), ("rate#sales", sales)] {
                let rate = bucket[name]["value"].as_f64().context("a rate")?;
                ensure!((rate - wanted).abs() < 1e-9, "{name}: {found}");
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_that_cannot_be_had_is_refused() -> Result<()> {
    let (_folder, server) = start().await?;
    let by_day = |rate: Value| {
        json!({"days": {
            "date_histogram": {"field": "at", "fixed_interval": "1d"}, "aggs": {"rate": {"rate": rate}},
        }})
    };
    for (aggs, reason) in [
        (
            json!({"rate": {"rate": {"unit": "day"}}}),
            "can only be used directly inside a date histogram",
        ),
        (
            json!({"prices": {"terms": {"field": "price"}, "aggs": {"rate": {"rate": {}}}}}),
            "can only be used directly inside a date histogram",
        ),
        (
            json!({"pages": {
                "composite": {"sources": [{"price": {"terms": {"field": "price"}}}]},
                "aggs": {"rate": {"rate": {}}},
            }}),
            "exactly one date histogram value source",
        ),
        (
            by_day(json!({"unit": "month"})),
            "Cannot use month-based rate unit",
        ),
        (
            by_day(json!({"unit": "fortnight"})),
            "Unsupported unit fortnight",
        ),
        (by_day(json!({"mode": "sum"})), "only supported with field"),
        (
            by_day(json!({"field": "price", "mode": "median"})),
            "expected [sum] or [value_count]",
        ),
    ] {
        let body = json!({"size": 0, "aggs": aggs});
        let answer = server
            .send(&Request::json("POST", "/three/_search", &body))
            .await?;
        ensure!(answer.status == 400, "{aggs}: {}", answer.shown());
        ensure!(
            answer.shown().contains(reason),
            "{aggs}: {}",
            answer.shown()
        );
    }
    Ok(())
}

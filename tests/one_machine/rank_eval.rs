//! `_rank_eval` over HTTP: figures of real searches, the same for any number of shards, and what is refused.

use anyhow::{Context, Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

/// Makes two indices of the same documents, with no mapping and another number of shards.
async fn with_teas(data: &std::path::Path) -> Result<Server> {
    let server: Server = Start::on(data).spawn().await?;
    for (index, shards) in [("one", 1), ("many", 5)] {
        let settings = json!({"settings": {"number_of_shards": shards}});
        let create = Request::json("PUT", &format!("/{index}"), &settings);
        server.send(&create).await?.ok()?;
        for (id, text) in [
            "green tea",
            "tea",
            "black tea with milk and sugar",
            "coffee",
        ]
        .iter()
        .enumerate()
        {
            let write = Request::json(
                "PUT",
                &format!("/{index}/_doc/{id}?refresh=true"),
                &json!({"text": text}),
            );
            server.send(&write).await?.ok()?;
        }
    }
    Ok(server)
}

fn rated(index: &str, metric: &Value) -> Value {
    let rating = |id: &str, rating: u32| json!({"_index": index, "_id": id, "rating": rating});
    json!({
        "requests": [
            {"id": "tea", "request": {"query": {"match": {"text": "tea"}}}, "ratings": [rating("0", 1), rating("2", 2), rating("3", 1)]},
            {"id": "broken", "request": {"query": {"range": {"text": {"gte": "a", "format": "no format"}}}, "sort": [{"none": "asc"}]}, "ratings": []},
        ],
        "metric": metric,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_those_of_the_hits_whatever_the_layout() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = with_teas(&folder.path().join("data")).await?;
    let mut shown = Vec::new();
    for index in ["one", "many"] {
        let body = rated(index, &json!({"precision": {"k": 3}}));
        let ask = Request::json("POST", &format!("/{index}/_rank_eval"), &body);
        let answer = server.send(&ask).await?.ok()?;
        let tea = &answer["details"]["tea"];
        ensure!(
            tea["metric_details"]["precision"]
                == json!({"relevant_docs_retrieved": 2, "docs_retrieved": 3}),
            "{answer}"
        );
        ensure!(
            tea["unrated_docs"] == json!([{"_index": index, "_id": "1"}]),
            "{answer}"
        );
        ensure!(
            answer["metric_score"] == tea["metric_score"],
            "a search that failed has no figure: {answer}"
        );
        ensure!(
            answer["failures"]["broken"]["error"]["type"].is_string(),
            "{answer}"
        );
        shown.push(tea.to_string().replace(index, "index"));
    }
    ensure!(shown[0] == shown[1], "{shown:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn unrated_documents_are_passed_over_unless_they_have_a_rating() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server: Server = Start::on(&folder.path().join("data")).spawn().await?;
    for (index, shards) in [("one", 1), ("many", 5)] {
        let settings = json!({"settings": {"number_of_shards": shards}});
        let create = Request::json("PUT", &format!("/{index}"), &settings);
        server.send(&create).await?.ok()?;
        for n in 1..=3 {
            let path = format!("/{index}/_doc/{n}?refresh=true");
            let write = Request::json("PUT", &path, &json!({"n": n}));
            server.send(&write).await?.ok()?;
        }
        let rating = |id: &str, rating: u32| json!({"_index": index, "_id": id, "rating": rating});
        let ratings = [rating("2", 3), rating("3", 1)];
        // How likely ratings of 3 and 1 satisfy: (2^rating - 1) / 2^3. The first rank has none.
        let (three, one) = (7.0_f64 / 8.0, 1.0_f64 / 8.0);
        for (metric, wanted) in [
            (
                json!({"maximum_relevance": 3}),
                three / 2.0 + (1.0 - three) * one / 3.0,
            ),
            (
                json!({"maximum_relevance": 3, "unknown_doc_rating": 1}),
                one + (1.0 - one) * (three / 2.0 + (1.0 - three) * one / 3.0),
            ),
        ] {
            let request = json!({"id": "all", "request": {"sort": ["n"]}, "ratings": ratings});
            let metric = json!({"expected_reciprocal_rank": metric});
            let body = json!({"requests": [request], "metric": metric});
            let ask = Request::json("POST", &format!("/{index}/_rank_eval"), &body);
            let answer = server.send(&ask).await?.ok()?;
            let score = answer["metric_score"].as_f64().context("a score")?;
            ensure!((score - wanted).abs() < 1e-12, "{wanted}: {answer}");
            let details = &answer["details"]["all"]["metric_details"];
            ensure!(
                details["expected_reciprocal_rank"]["unrated_docs"] == 1,
                "{answer}"
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_evaluated_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = with_teas(&folder.path().join("data")).await?;
    let rating = json!({"_index": "one", "_id": "0", "rating": 1});
    let with = |request: Value, ratings: Value| json!({"requests": [{"id": "a", "request": request, "ratings": ratings}], "metric": {"dcg": {}}});
    let many = json!({"requests": vec![json!({"id": "a", "request": {}, "ratings": []}); 20], "metric": {"recall": {"k": 9_000}}});
    for (body, wanted) in [
        (json!({"metric": {"dcg": {}}}), "Required [requests]"),
        (
            with(json!({"aggs": {}}), json!([])),
            "should not contain [aggs]",
        ),
        (
            with(json!({}), json!([rating, rating])),
            "Found duplicate rated document key",
        ),
        (many, "at most 100000"),
        (
            with(json!({"query": {"no_such": {}}}), json!([])),
            "unknown query [no_such]",
        ),
    ] {
        let answer = server
            .send(&Request::json("POST", "/one/_rank_eval", &body))
            .await?;
        ensure!(
            answer.status == 400 && answer.shown().contains(wanted),
            "{}",
            answer.shown()
        );
    }
    Ok(())
}

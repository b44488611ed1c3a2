//! Features by name (`rank_features`), the same for any number of shards.

use anyhow::{Context, Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
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
                "topics": {"type": "rank_features"},
                "costs": {"type": "rank_features", "positive_score_impact": false},
            }},
        });
        ok(&server, "PUT", &format!("/{index}"), &body).await?;
        for (id, document) in [
            (
                "1",
                json!({"topics": {"sport": 20, "news": "2.5", "none": null}, "costs": {"time": 4}}),
            ),
            (
                "2",
                json!({"topics": [{"sport": 5}, {"tech": 1}], "costs": {"time": 2}}),
            ),
            ("3", json!({"topics": {"tech": 7}})),
            ("4", json!({})),
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

/// Returns the ids and scores that a query finds, which are the same in all layouts.
async fn found(server: &Server, query: &Value) -> Result<Vec<(String, f64)>> {
    let mut answers = Vec::new();
    for (index, _) in LAYOUTS {
        let body = json!({"query": query});
        let answer = ok(server, "POST", &format!("/{index}/_search"), &body).await?;
        ensure!(answer["_shards"]["failed"] == 0, "{answer}");
        let hits = answer["hits"]["hits"].as_array().context("hits")?.clone();
        let hits = hits.into_iter().map(|hit| {
            let id = hit["_id"].as_str().unwrap_or_default().to_owned();
            (id, hit["_score"].as_f64().unwrap_or_default())
        });
        answers.push(hits.collect::<Vec<_>>());
    }
    ensure!(answers[0] == answers[1], "{query}: {answers:?}");
    Ok(answers.remove(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn features_score_by_their_own_numbers() -> Result<()> {
    let (_folder, server) = start().await?;
    let feature =
        |field: &str| json!({"rank_feature": {"field": field, "saturation": {"pivot": 5}}});
    for (field, expected) in [
        ("topics.sport", vec![("1", 0.8), ("2", 0.5)]),
        ("topics.news", vec![("1", 2.5 / 7.5)]),
        ("topics.tech", vec![("3", 7.0 / 12.0), ("2", 1.0 / 6.0)]),
        // Smaller ones score more.
        ("costs.time", vec![("2", 5.0 / 7.0), ("1", 5.0 / 9.0)]),
        ("topics.none", vec![]),
        ("topics.unknown", vec![]),
    ] {
        let found = found(&server, &feature(field)).await?;
        ensure!(found.len() == expected.len(), "{field}: {found:?}");
        for ((id, score), (wanted, close)) in found.iter().zip(&expected) {
            ensure!(
                id == wanted && (score - close).abs() < 1e-6,
                "{field}: {found:?}"
            );
        }
    }
    let linear = json!({"rank_feature": {"field": "costs.time", "linear": {}}});
    let found_linear = found(&server, &linear).await?;
    let expected = [("2".to_owned(), 0.5), ("1".to_owned(), 0.25)];
    ensure!(found_linear == expected, "{found_linear:?}");
    let boosted = json!({"bool": {"must": {"match_all": {}}, "should": feature("topics.sport")}});
    let found = found(&server, &boosted).await?;
    ensure!(
        found.len() == 4 && found[0].0 == "1" && found[1].0 == "2",
        "{found:?}"
    );
    Ok(())
}

/// The mean is of the upper bits of the values, as Lucene takes it: of 20 and 5 it is 10, of 1/4 and 1/2 it is 3/8.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_pivot_the_mean_of_all_shards_scores_half() -> Result<()> {
    let (_folder, server) = start().await?;
    for (field, expected) in [
        ("topics.sport", [("1", 20.0 / 30.0), ("2", 5.0 / 15.0)]),
        ("costs.time", [("2", 0.5 / 0.875), ("1", 0.25 / 0.625)]),
    ] {
        for options in [json!({}), json!({"saturation": {}})] {
            let mut options = options;
            options["field"] = field.into();
            let found = found(&server, &json!({"rank_feature": options})).await?;
            let ids: Vec<_> = found.iter().map(|(id, _)| id.as_str()).collect();
            ensure!(ids == expected.map(|(id, _)| id), "{field}: {found:?}");
            for ((_, score), (_, wanted)) in found.iter().zip(expected) {
                ensure!((score - wanted).abs() < 1e-6, "{field}: {found:?}");
            }
        }
    }
    ensure!(
        found(
            &server,
            &json!({"rank_feature": {"field": "topics.unknown"}})
        )
        .await?
        .is_empty()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn features_are_shown_whole() -> Result<()> {
    let (_folder, server) = start().await?;
    let body = json!({"fields": ["topics"], "_source": false, "query": {"ids": {"values": ["2"]}}});
    let answer = ok(&server, "POST", "/four/_search", &body).await?;
    let shown = &answer["hits"]["hits"][0]["fields"]["topics"];
    ensure!(*shown == json!([{"sport": 5}, {"tech": 1}]), "{answer}");
    let caps = server
        .send(&Request::new("GET", "/one/_field_caps?fields=topics*"))
        .await?
        .ok()?;
    let caps = caps["fields"].as_object().context("fields")?;
    ensure!(
        caps.len() == 1 && caps["topics"]["rank_features"]["aggregatable"] == false,
        "{caps:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_features_are_and_what_they_do_not_answer_is_refused() -> Result<()> {
    let (_folder, server) = start().await?;
    let query = |query: Value| json!({"query": query});
    let feature = |field: &str| json!({"rank_feature": {"field": field, "linear": {}}});
    let (write, search) = (("PUT", "/four/_doc/9"), ("POST", "/four/_search"));
    let update = json!({"properties": {"topics": {"type": "rank_features", "positive_score_impact": false}}});
    for ((method, path), body, reason) in [
        (write, json!({"topics": 5}), "must be json objects"),
        (
            write,
            json!({"topics": {"a": 0}}),
            "featureValue must be a positive normal float, got: 0",
        ),
        (
            write,
            json!({"topics": {"a": -2}}),
            "must be a positive normal float",
        ),
        (
            write,
            json!({"topics": {"a.b": 1}}),
            "do not support dots in feature names but found [a.b]",
        ),
        (
            write,
            json!({"topics": {"a": [1, 2]}}),
            "got unexpected token",
        ),
        (
            write,
            json!({"topics": [{"a": 1}, {"a": 2}]}),
            "multiple values for the same rank feature [topics.a]",
        ),
        (
            search,
            query(feature("topics")),
            "features of [rank_features] fields, not [rank_features]",
        ),
        (
            search,
            query(json!({"rank_feature": {"field": "costs.time", "log": {"scaling_factor": 2}}})),
            "Cannot use the [log] function with a field that has a negative score impact",
        ),
        (
            search,
            query(json!({"term": {"topics.sport": 5}})),
            "Queries on [rank_features] fields",
        ),
        (
            search,
            query(json!({"exists": {"field": "topics"}})),
            "do not support [exists] queries",
        ),
        (
            search,
            json!({"sort": "topics.sport"}),
            "[rank_features] fields do not support sorting",
        ),
        (
            search,
            json!({"aggs": {"a": {"avg": {"field": "topics.sport"}}}}),
            "[rank_features] fields do not support",
        ),
        (
            ("PUT", "/four/_mapping"),
            update,
            "Cannot update parameter [positive_score_impact] from [true] to [false]",
        ),
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

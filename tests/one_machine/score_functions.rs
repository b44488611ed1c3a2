//! `field_value_factor` and `random_score`: what they score, with numbers that were computed by hand.

use std::collections::BTreeMap;
use std::f64::consts::{LN_2, LN_10, LOG10_2};

use anyhow::{Context, Result, ensure};
use gleaner_testkit::Server;
use serde_json::{Value, json};

use super::asking::{LAYOUTS, answer, asked, ok};

/// Documents without a value beside those with 1, 10 and 100.
const NUM_OTHERS: usize = 30;

async fn started(folder: &tempfile::TempDir) -> Result<Server> {
    let server = Server::start(&folder.path().join("data")).await?;
    let properties = json!({"value": {"type": "double"}, "kind": {"type": "keyword"}});
    for (index, shards) in LAYOUTS {
        let body = json!({
            "settings": {"number_of_shards": shards},
            "mappings": {"properties": properties},
        });
        ok(&server, "PUT", &format!("/{index}"), &body).await?;
        for value in [1, 10, 100] {
            let path = format!("/{index}/_doc/v{value}");
            let document = json!({"value": value, "kind": "some"});
            ok(&server, "PUT", &path, &document).await?;
        }
        for other in 0..NUM_OTHERS {
            let path = format!("/{index}/_doc/n{other}");
            ok(&server, "PUT", &path, &json!({"kind": "none"})).await?;
        }
        let refresh = format!("/{index}/_refresh");
        asked(&server, ("POST", &refresh), &Value::Null).await?;
    }
    Ok(server)
}

/// Returns ids and scores in the order of the hits, of one function alone.
async fn scores(server: &Server, query: &Value, function: &Value) -> Result<Vec<(String, f64)>> {
    let mut body = json!({"query": query, "boost_mode": "replace"});
    for (key, part) in function.as_object().into_iter().flatten() {
        body[key.as_str()] = part.clone();
    }
    let body = json!({"query": {"function_score": body}, "size": 100});
    let found = answer(server, &body).await?;
    let hits = found["hits"]["hits"].as_array().context("hits")?.iter();
    let scores = hits.map(|hit| {
        let id = hit["_id"].as_str().context("an id")?;
        let score = hit["_score"].as_f64().context("a score")?;
        Ok((id.to_owned(), score))
    });
    scores.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn modifiers_make_of_values_what_they_are_named_for() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = started(&folder).await?;
    let some = json!({"term": {"kind": "some"}});
    // Of 1, 10 and 100.
    for (modifier, factor, expected) in [
        ("none", 1.0, [1.0, 10.0, 100.0]),
        ("none", 2.0, [2.0, 20.0, 200.0]),
        ("log", 1.0, [0.0, 1.0, 2.0]),
        ("log", 10.0, [1.0, 2.0, 3.0]),
        ("log1p", 1.0, [LOG10_2, 1.041_392_685, 2.004_321_374]),
        ("log2p", 1.0, [0.477_121_255, 1.079_181_246, 2.008_600_172]),
        ("ln", 1.0, [0.0, LN_10, 2.0 * LN_10]),
        ("ln1p", 1.0, [LN_2, 2.397_895_273, 4.615_120_517]),
        ("ln2p", 1.0, [1.098_612_289, 2.484_906_650, 4.624_972_813]),
        ("square", 1.0, [1.0, 100.0, 10_000.0]),
        ("square", 0.5, [0.25, 25.0, 2_500.0]),
        ("sqrt", 1.0, [1.0, 3.162_277_660, 10.0]),
        ("reciprocal", 1.0, [1.0, 0.1, 0.01]),
    ] {
        let options = json!({"field": "value", "modifier": modifier, "factor": factor});
        let function = json!({"field_value_factor": options});
        let found = scores(&server, &some, &function).await?;
        ensure!(found.len() == 3, "{modifier}: {found:?}");
        let found: BTreeMap<String, f64> = found.into_iter().collect();
        for (id, expected) in ["v1", "v10", "v100"].into_iter().zip(expected) {
            let score = found.get(id).context("it is found")?;
            // Scores are numbers of 32 bits.
            let is_near = (score - expected).abs() <= 1e-6 * expected.max(1.0);
            ensure!(is_near, "{modifier} × {factor} of {id}: {score}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_value_stands_for_one_that_is_missing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = started(&folder).await?;
    let none = json!({"term": {"kind": "none"}});
    let options = json!({"field": "value", "modifier": "log", "factor": 10, "missing": 100});
    let found = scores(&server, &none, &json!({"field_value_factor": options})).await?;
    ensure!(found.len() == NUM_OTHERS, "{found:?}");
    // The logarithm of 10 × 100.
    let are_three = found.iter().all(|(_, score)| (score - 3.0).abs() < 1e-6);
    ensure!(are_three, "{found:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_always_gives_the_same_order() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = started(&folder).await?;
    let all = json!({"match_all": {}});
    let drawn = |seed: u64| json!({"random_score": {"seed": seed}});
    let first = scores(&server, &all, &drawn(7)).await?;
    ensure!(first.len() == NUM_OTHERS + 3, "{first:?}");
    let are_shares = first.iter().all(|(_, score)| (0.0..1.0).contains(score));
    ensure!(are_shares, "{first:?}");
    let different = first.windows(2).filter(|pair| pair[0].1 != pair[1].1);
    ensure!(different.count() > NUM_OTHERS / 2, "{first:?}");
    let again = scores(&server, &all, &drawn(7)).await?;
    ensure!(again == first, "{again:?}\n{first:?}");
    let other = scores(&server, &all, &drawn(8)).await?;
    let ids = |scores: &[(String, f64)]| -> Vec<String> {
        scores.iter().map(|(id, _)| id.clone()).collect()
    };
    ensure!(ids(&other) != ids(&first), "{other:?}");
    // Documents of equal values have equal numbers.
    let by_kind = json!({"random_score": {"seed": 7, "field": "kind"}});
    let found = scores(&server, &all, &by_kind).await?;
    let of = |kind: char| {
        let scores = found.iter().filter(move |(id, _)| id.starts_with(kind));
        let mut bits: Vec<u64> = scores.map(|(_, score)| score.to_bits()).collect();
        bits.sort_unstable();
        bits.dedup();
        bits
    };
    let (some, none) = (of('v'), of('n'));
    ensure!(some.len() == 1 && none.len() == 1, "{found:?}");
    ensure!(some != none, "{found:?}");
    Ok(())
}

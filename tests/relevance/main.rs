//! How good rankings are, measured over HTTP on judged collections.
//!
//! Title and text in one field of the `english` analyzer, one `match` per query: plain BM25, as
//! published figures have it. All figures are computed here from the hits of plain searches; the nDCG of
//! `_rank_eval`, whose best order is as long as the hits, must agree with the same hits. The small collection is
//! part of the project; BEIR SciFact is read from the shared data and skipped where that is absent.

mod promises;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use gleaner_datasets::beir::Beir;
use gleaner_datasets::evaluation::{Scores, evaluate, ndcg};
use gleaner_datasets::{Corpus, Judgements, Query, collection};
use gleaner_testkit::http::Request;
use gleaner_testkit::{Server, run, skipped};
use serde_json::{Value, json};

/// Least nDCG@10 of the project's own collection, with exponential gains; measured 0.93 with plain BM25.
const OWN_FLOOR: f64 = 0.91;
/// Least nDCG@10 of SciFact, as the issue asks; published for BM25: 0.665 with two fields to 0.679
/// with one.
const SCIFACT_FLOOR: f64 = 0.67;
/// Said where SciFact is absent.
const NO_SCIFACT: &str = "no `scifact` in the shared data (GLEANER_DATA, ../shared/data)";
/// How far the nDCG of `_rank_eval` may lie from our own: both add the same fractions up.
const TOLERANCE: f64 = 1e-9;
/// Hits that count.
const K: usize = 10;
/// Documents of a bulk request.
const BATCH: usize = 500;

/// A collection with its answers.
struct Judged {
    documents: Corpus,
    queries: Vec<Query>,
    judgements: Judgements,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_own_collection_ranks_as_plain_bm25_does() -> Result<()> {
    let judged = Judged {
        documents: collection::documents(),
        queries: collection::queries(),
        judgements: collection::judgements(),
    };
    let scores = measure(judged).await?;
    println!("own collection: {scores:?}");
    ensure!(scores.ndcg >= OWN_FLOOR, "nDCG@10 {}", scores.ndcg);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn scifact_ranks_as_published_figures_say() -> Result<()> {
    let Some(folder) = run::shared_data("scifact") else {
        let test = "relevance::scifact_ranks_as_published_figures_say";
        return skipped(test, NO_SCIFACT);
    };
    let beir = Beir::open(&folder)?;
    let judged = Judged {
        documents: beir.documents()?,
        queries: beir.queries()?,
        judgements: beir.judgements()?,
    };
    let scores = measure(judged).await?;
    run::report(
        "relevance",
        &json!({
            "scifact_ndcg_at_10": scores.ndcg,
            "recall_at_10": scores.recall,
            "mrr_at_10": scores.mrr,
            "queries": scores.num_queries,
        }),
    )?;
    ensure!(scores.num_queries == 300, "{scores:?}");
    ensure!(scores.ndcg >= SCIFACT_FLOOR, "nDCG@10 {}", scores.ndcg);
    Ok(())
}

/// Loads a collection into a server of its own and runs all its queries; `_rank_eval` must say of their hits what is
/// computed here.
async fn measure(judged: Judged) -> Result<Scores> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(&folder.path().join("data")).await?;
    load(&server, judged.documents).await?;
    let (queries, judgements) = (&judged.queries, &judged.judgements);
    let mut ranked = BTreeMap::new();
    for query in queries {
        let body = json!({"size": K, "_source": false, "query": query_of(query)});
        let request = Request::json("POST", "/judged/_search", &body);
        let answer = server.send(&request).await?.ok()?;
        let hits = answer["hits"]["hits"].as_array().context("hits")?;
        let ids = hits.iter().filter_map(|hit| hit["_id"].as_str());
        ranked.insert(query.id.clone(), ids.map(str::to_owned).collect());
    }
    let gains = with_gains(judgements)?;
    let of_hits = ndcg_of_hits(&ranked, &gains);
    let told = rank_eval(&server, queries, judgements).await?;
    ensure!(
        (told - of_hits).abs() <= TOLERANCE,
        "`_rank_eval` says {told}, the hits {of_hits}"
    );
    Ok(evaluate(&ranked, &gains, K))
}

/// Returns the mean nDCG by the rule of `_rank_eval`: the best order of a query has as many documents as were found.
fn ndcg_of_hits(ranked: &BTreeMap<String, Vec<String>>, gains: &Judgements) -> f64 {
    let of_query = |query: &str| {
        let found = ranked.get(query).map_or(&[][..], Vec::as_slice);
        let grades = gains.of_query(query);
        grades.map_or(0.0, |grades| ndcg(found, grades, found.len()))
    };
    let figures: Vec<f64> = gains.queries().map(of_query).collect();
    figures.iter().sum::<f64>() / figures.len().max(1) as f64
}

fn query_of(query: &Query) -> Value {
    json!({"match": {"all": query.text}})
}

/// Returns the judgements with the gain of `_rank_eval`, 2^grade − 1, in the place of each grade.
fn with_gains(judgements: &Judgements) -> Result<Judgements> {
    let mut gains = Judgements::default();
    for query in judgements.queries() {
        for (document, grade) in judgements.of_query(query).into_iter().flatten() {
            let gain = 1_u32.checked_shl(*grade).context("a small grade")? - 1;
            gains.insert(query, document, gain);
        }
    }
    Ok(gains)
}

/// Returns the mean nDCG that `_rank_eval` computes over the queries that have a relevant document.
async fn rank_eval(server: &Server, queries: &[Query], judgements: &Judgements) -> Result<f64> {
    let answerable: BTreeSet<&str> = judgements.queries().collect();
    let judged = queries
        .iter()
        .filter(|query| answerable.contains(query.id.as_str()));
    let requests = judged.map(|query| {
        let grades = judgements.of_query(&query.id).into_iter().flatten();
        let rating =
            |(id, grade): (&String, &u32)| json!({"_index": "judged", "_id": id, "rating": grade});
        let ratings: Vec<Value> = grades.map(rating).collect();
        json!({"id": query.id, "request": {"query": query_of(query)}, "ratings": ratings})
    });
    let requests: Vec<Value> = requests.collect();
    let metric = json!({"dcg": {"k": K, "normalize": true}});
    let body = json!({"requests": requests, "metric": metric});
    let request = Request::json("POST", "/judged/_rank_eval", &body);
    let answer = server.send(&request).await?.ok()?;
    ensure!(answer["failures"] == json!({}), "{}", answer["failures"]);
    let num_evaluated = answer["details"].as_object().map(serde_json::Map::len);
    ensure!(
        num_evaluated == Some(answerable.len()),
        "{num_evaluated:?} queries"
    );
    answer["metric_score"].as_f64().context("a figure")
}

async fn load(server: &Server, documents: Corpus) -> Result<()> {
    let mapping =
        json!({"mappings": {"properties": {"all": {"type": "text", "analyzer": "english"}}}});
    server
        .send(&Request::json("PUT", "/judged", &mapping))
        .await?
        .ok()?;
    let documents: Vec<_> = documents.collect::<Result<_, _>>()?;
    for batch in documents.chunks(BATCH) {
        let mut body = String::new();
        for document in batch {
            let source: Value = serde_json::from_str(&document.source)?;
            let text = |field: &str| source[field].as_str().unwrap_or_default().to_owned();
            let id = document
                .id
                .as_deref()
                .context("judged documents have ids")?;
            let all = json!({"all": format!("{} {}", text("title"), text("text"))});
            let action = json!({"index": {"_id": id}});
            body.push_str(&format!("{action}\n{all}\n"));
        }
        let request = Request::ndjson("POST", "/judged/_bulk", body);
        let answer = server.send(&request).await?.ok()?;
        ensure!(answer["errors"] == false, "{answer}");
    }
    server
        .send(&Request::new("POST", "/judged/_refresh"))
        .await?
        .ok()?;
    Ok(())
}

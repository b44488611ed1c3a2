//! The judged documents and searches, and what an answer shows.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use gleaner_datasets::collection;
use gleaner_testkit::http::Request;
use serde_json::{Value, json};

/// Index of the judged documents.
pub(crate) const JUDGED: &str = "judged";

/// Total, and ids and scores in order: as the answer has them, digit by digit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shown {
    total: Value,
    hits: Vec<(Value, Value)>,
}

/// Returns the judged documents.
pub(crate) fn documents() -> Result<Vec<(String, Value)>> {
    let documents = collection::documents().map(|document| {
        let document = document?;
        let id = document.id.context("judged documents have ids")?;
        Ok((id, serde_json::from_str(&document.source)?))
    });
    documents.collect()
}

/// Returns the body of a search for each judged query.
pub(crate) fn searches() -> Vec<Value> {
    let queries = collection::queries().into_iter();
    let body = |query: gleaner_datasets::Query| json!({"query": {"multi_match": {"query": query.text, "fields": ["title^2", "text"]}}});
    queries.map(body).collect()
}

/// Returns a search's answer, whatever it lacks.
pub(crate) async fn search(root: SocketAddr, body: &Value) -> Result<Value> {
    // What is kept would answer for leaves that are gone, for as long as they have leased.
    let path = format!("/{JUDGED}/_search?request_cache=false");
    let request = Request::json("POST", &path, body);
    request.send(root).await?.ok()
}

/// Deadline of searches that must be answered whole. It is no measurement: a search that waits until a
/// connection breaks is answered too, after 15 s, and counts as failed.
const WITHIN: &str = "10s";

/// Returns a search's answer, of which nothing may be missing.
pub(crate) async fn whole_search(root: SocketAddr, body: &Value) -> Result<Shown> {
    let mut body = body.clone();
    body["timeout"] = WITHIN.into();
    let answer = search(root, &body).await?;
    let shards = &answer["_shards"];
    ensure!(
        answer["timed_out"] == false && shards["failed"] == 0,
        "a search failed: {shards}"
    );
    let hits = answer["hits"]["hits"].as_array().context("no hits")?;
    let hit = |hit: &Value| (hit["_id"].clone(), hit["_score"].clone());
    Ok(Shown {
        total: answer["hits"]["total"].clone(),
        hits: hits.iter().map(hit).collect(),
    })
}

/// Answers every search.
pub(crate) async fn all(root: SocketAddr) -> Result<Vec<Shown>> {
    let mut all = Vec::new();
    for body in searches() {
        all.push(whole_search(root, &body).await?);
    }
    Ok(all)
}

/// Answers every search and compares each with what it was.
pub(crate) async fn same(root: SocketAddr, expected: &[Shown]) -> Result<()> {
    for (body, expected) in searches().iter().zip(expected) {
        let shown = whole_search(root, body).await?;
        ensure!(
            shown == *expected,
            "{body} has another answer: {shown:?} instead of {expected:?}"
        );
    }
    Ok(())
}

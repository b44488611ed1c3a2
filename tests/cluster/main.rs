//! Roots and leaves over real sockets, behind a network that misbehaves.

mod capabilities;
mod copies;
mod faults;
mod kept;
mod nodes;
mod stale;
mod writes;

use anyhow::Result;
use gleaner_datasets::collection;
use gleaner_root::SearchResponse;
use gleaner_testkit::Cluster;
use serde_json::{Value, json};

/// Index of the tests.
const INDEX: &str = "judged";

/// Returns the body that creates the index.
fn index_body(shards: u32, replicas: u32) -> Value {
    json!({
        "settings": {"number_of_shards": shards, "number_of_replicas": replicas},
        "mappings": {"properties": {
            "title": {"type": "text", "analyzer": "english"},
            "text": {"type": "text", "analyzer": "english"},
        }},
    })
}

/// Returns the judged documents.
fn documents() -> Vec<(String, Value)> {
    collection::documents()
        .map(|document| {
            let document = document.expect("the collection is whole");
            let source = serde_json::from_str(&document.source).expect("a JSON document");
            (document.id.expect("judged documents have ids"), source)
        })
        .collect()
}

/// Returns a search for each judged query.
fn searches() -> Vec<Value> {
    collection::queries()
        .into_iter()
        .map(|query| {
            json!({"query": {"multi_match": {"query": query.text, "fields": ["title^2", "text"]}}})
        })
        .collect()
}

/// Total, and per hit its id and the bits of its score.
type Answer = (u64, Vec<(String, Option<u32>)>);

fn answer(response: &SearchResponse) -> Answer {
    let hits = response.hits.iter();
    let hits = hits.map(|hit| (hit.content.id.to_string(), hit.score.map(f32::to_bits)));
    (response.total.expect("counted").value, hits.collect())
}

/// Starts leaves that hold the judged documents.
async fn filled(num_leaves: usize, shards: u32, replicas: u32) -> Result<Cluster> {
    let cluster = Cluster::start(num_leaves, gleaner_root::RootOptions::default()).await?;
    cluster.create(INDEX, &index_body(shards, replicas)).await?;
    cluster.put(INDEX, &documents()).await?;
    Ok(cluster)
}

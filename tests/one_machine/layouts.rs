//! Layout changes nothing: the same documents with 1, 3 and 8 shards give the same answers.

use anyhow::Result;
use gleaner_datasets::collection;
use gleaner_testkit::Node;
use serde_json::{Value, json};

type Answer = (u64, Vec<(String, Option<u32>)>);

async fn answers(shards: u32) -> Result<Vec<Answer>> {
    let node = Node::start().await?;
    let body = json!({
        "settings": {"number_of_shards": shards},
        "mappings": {"properties": {
            "title": {"type": "text", "analyzer": "english"},
            "text": {"type": "text", "analyzer": "english"},
        }},
    });
    node.create("judged", &body).await?;
    let documents: Vec<(String, Value)> = collection::documents()
        .map(|document| {
            let document = document.expect("the collection is whole");
            let source = serde_json::from_str(&document.source).expect("a JSON document");
            (document.id.expect("judged documents have ids"), source)
        })
        .collect();
    // In several refreshes, with some documents written twice and some deleted: several segments.
    for chunk in documents.chunks(7) {
        node.put("judged", chunk).await?;
    }
    node.put("judged", &documents[..11]).await?;
    let mut answers = Vec::new();
    for query in collection::queries() {
        for kind in ["best_fields", "most_fields", "phrase"] {
            let body = json!({
                "query": {"multi_match": {"query": query.text, "fields": ["title^2", "text"], "type": kind}},
            });
            let response = node.search("judged", &body).await?;
            let hits = response.hits.iter();
            let hits = hits.map(|hit| (hit.content.id.to_string(), hit.score.map(f32::to_bits)));
            answers.push((response.total.expect("counted").value, hits.collect()));
        }
    }
    Ok(answers)
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_order_scores_and_totals_do_not_depend_on_the_shard_count() -> Result<()> {
    let one = answers(1).await?;
    assert!(
        one.iter().filter(|(total, _)| *total > 5).count() > 10,
        "queries find something"
    );
    assert_eq!(one, answers(3).await?);
    assert_eq!(one, answers(8).await?);
    Ok(())
}

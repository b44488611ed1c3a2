//! A boolean is a term: where it scores, it does as a whole word does.

use anyhow::Result;
use gleaner_testkit::Node;
use serde_json::{Value, json};

const NUM_DOCUMENTS: usize = 30;

/// Starts a node on which `flags` holds `flag` as a boolean and `words` as a keyword; `word` says the same
/// in both. Of 30 documents in each, 24 have a value, and 8 of these are true.
async fn node() -> Result<Node> {
    let node = Node::start().await?;
    for (name, kind) in [("flags", "boolean"), ("words", "keyword")] {
        let body = json!({
            "settings": {"number_of_shards": 2},
            "mappings": {"properties": {
                "flag": {"type": kind}, "word": {"type": "keyword"}, "text": {"type": "text"},
            }},
        });
        node.create(name, &body).await?;
        node.put(name, &documents()).await?;
    }
    Ok(node)
}

fn documents() -> Vec<(String, Value)> {
    let document = |n: usize| {
        let text = if n.is_multiple_of(7) { "red" } else { "blue" };
        let mut source = json!({"text": text});
        if !n.is_multiple_of(5) {
            let value = n.is_multiple_of(3);
            source["flag"] = value.into();
            source["word"] = value.to_string().into();
        }
        (n.to_string(), source)
    };
    (0..NUM_DOCUMENTS).map(document).collect()
}

/// Returns ids and scores of all hits, best first.
async fn hits(node: &Node, index: &str, query: &Value) -> Result<Vec<(String, f32)>> {
    let body = json!({"query": query, "size": 3 * NUM_DOCUMENTS});
    let answer = node.search(index, &body).await?;
    assert!(answer.shards.failures.is_empty(), "{query}");
    let hits = answer.hits.iter();
    let hits = hits.map(|hit| {
        let score = hit.score.expect("ordered by score");
        (hit.content.id.to_string(), score)
    });
    Ok(hits.collect())
}

/// What a value scores that `matching` of `documents` hold.
fn idf(matching: f64, documents: f64) -> f32 {
    (1.0 + (documents - matching + 0.5) / (matching + 0.5)).ln() as f32
}

#[tokio::test(flavor = "multi_thread")]
async fn booleans_score_as_keywords_do() -> Result<()> {
    let node = node().await?;
    let term = |field: &str| json!({"term": {field: "true"}});
    let red = json!({"match": {"text": "red"}});
    type Asks<'a> = Box<dyn Fn(&str) -> Value + 'a>;
    let queries: [Asks<'_>; 9] = [
        Box::new(term),
        Box::new(|field| json!({"term": {field: {"value": "false", "boost": 2.5}}})),
        Box::new(|field| json!({"match": {field: "true"}})),
        Box::new(|field| json!({"match_phrase": {field: "true"}})),
        Box::new(|field| json!({"multi_match": {"query": "true", "fields": [field, "text"]}})),
        Box::new(|field| json!({"query_string": {"query": format!("{field}:true text:red")}})),
        Box::new(|field| json!({"simple_query_string": {"query": "true", "fields": [field]}})),
        Box::new(|field| json!({"bool": {"must": [term(field)], "should": [red]}})),
        Box::new(|field| json!({"dis_max": {"queries": [term(field), red], "tie_breaker": 0.5}})),
    ];
    for query in queries {
        let (flag, word) = (query("flag"), query("word"));
        let found = hits(&node, "flags", &flag).await?;
        assert!(!found.is_empty(), "{flag}");
        assert_eq!(found, hits(&node, "flags", &word).await?, "{flag}");
    }
    let found = hits(&node, "flags", &term("flag")).await?;
    assert_eq!(found.len(), 8);
    assert!(found.iter().all(|(_, score)| *score == idf(8.0, 24.0)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn booleans_that_only_match_score_one_or_nothing() -> Result<()> {
    let node = node().await?;
    let term = json!({"term": {"flag": true}});
    for (query, expected) in [
        (json!({"terms": {"flag": [true]}}), 1.0),
        (json!({"range": {"flag": {"gte": true}}}), 1.0),
        (json!({"constant_score": {"filter": term}}), 1.0),
        (json!({"bool": {"filter": term}}), 0.0),
    ] {
        let found = hits(&node, "flags", &query).await?;
        assert_eq!(found.len(), 8, "{query}");
        assert!(
            found.iter().all(|(_, score)| *score == expected),
            "{query}: {found:?}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_boolean_and_a_keyword_of_one_name_are_counted_together() -> Result<()> {
    let node = node().await?;
    for (value, matching) in [(true, 16.0), (false, 32.0)] {
        let query = json!({"term": {"flag": value}});
        let found = hits(&node, "flags,words", &query).await?;
        assert_eq!(found.len(), matching as usize, "{query}");
        let expected = idf(matching, 48.0);
        assert!(
            found.iter().all(|(_, score)| *score == expected),
            "{query}: {found:?}"
        );
    }
    Ok(())
}

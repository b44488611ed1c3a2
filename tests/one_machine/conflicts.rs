//! Indices that hold a field as different types: those for which a search is wrong are missing from its
//! answer, by name, and never in silence.

use anyhow::Result;
use gleaner_proto::LeafFault;
use gleaner_testkit::Node;
use serde_json::{Value, json};

/// Starts a node on which `words` and `numbers` hold the field `key` as different types.
async fn node() -> Result<Node> {
    let node = Node::start().await?;
    for (name, kind, value) in [
        ("words", "keyword", json!("red fox")),
        ("numbers", "integer", json!(7)),
        ("texts", "text", json!("red fox")),
    ] {
        let properties = json!({"key": {"type": kind}});
        let body =
            json!({"settings": {"number_of_shards": 2}, "mappings": {"properties": properties}});
        node.create(name, &body).await?;
        let documents: Vec<_> = (0..6)
            .map(|i| (i.to_string(), json!({"key": value})))
            .collect();
        node.put(name, &documents).await?;
    }
    Ok(node)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_is_wrong_for_one_index_is_answered_by_the_others() -> Result<()> {
    let node = node().await?;
    let of_terms = json!({"terms": {"field": "key"}});
    let cases: [(&str, &str, Value); 5] = [
        (
            "words,numbers",
            "numbers",
            json!({"query": {"term": {"key": "red fox"}}}),
        ),
        (
            "words,numbers",
            "numbers",
            json!({"query": {"wildcard": {"key": "red*"}}}),
        ),
        ("words,texts", "texts", json!({"sort": ["key"]})),
        (
            "words,texts",
            "texts",
            json!({"size": 20, "docvalue_fields": ["key"]}),
        ),
        ("words,texts", "texts", json!({"aggs": {"keys": of_terms}})),
    ];
    for (both, wrong, body) in cases {
        let answer = node.search(both, &body).await?;
        let of = |index: &str| answer.hits.iter().filter(|hit| hit.index == index).count();
        assert_eq!((of("words"), of(wrong)), (6, 0), "{body}");
        assert!(!answer.shards.failures.is_empty(), "{body}");
        for failure in &answer.shards.failures {
            assert_eq!(failure.index, wrong, "{body}");
            assert!(
                matches!(failure.fault, LeafFault::BadQuery { .. }),
                "{body}"
            );
        }
        assert!(answer.coverage.share() < 1.0, "{body}");
        assert!(node.search(wrong, &body).await.is_err(), "{body}");
    }
    Ok(())
}

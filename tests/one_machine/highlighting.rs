//! What is marked in hits: what the request looks for, patterns too, and not what aliases keep it to.

use anyhow::{Context, Result};
use gleaner_query::answer::{AggregationValue, Hit};
use gleaner_testkit::Node;
use serde_json::{Value, json};

async fn index() -> Result<Node> {
    let node = Node::start().await?;
    let filter = json!({"match": {"text": "brown"}});
    let body = json!({
        "settings": {"number_of_shards": 2},
        "mappings": {"properties": {"text": {"type": "text"}}},
        "aliases": {"mine": {"filter": filter}},
    });
    node.create("notes", &body).await?;
    let source = json!({"text": "a quick brown fox"});
    node.put("notes", &[("1".to_owned(), source)]).await?;
    Ok(node)
}

fn fragments(hit: &Hit) -> Value {
    json!(hit.content.highlight)
}

async fn marked(node: &Node, index: &str, body: &Value) -> Result<Value> {
    let response = node.search(index, body).await?;
    let hit = response.hits.first().context("a hit")?;
    Ok(fragments(hit))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_of_its_own_marks_what_its_patterns_stand_for() -> Result<()> {
    let node = index().await?;
    let fuzzy = json!({"match": {"text": {"query": "quack", "fuzziness": 1}}});
    let prefix = json!({"match_phrase_prefix": {"text": "brown fo"}});
    let both = json!({"bool": {"should": [fuzzy, prefix]}});
    for (query, expected) in [
        (&fuzzy, "a <em>quick</em> brown fox"),
        (&prefix, "a quick <em>brown fox</em>"),
        (&both, "a <em>quick</em> <em>brown fox</em>"),
    ] {
        let expected = json!({"text": [expected]});
        let of_all = json!({"highlight_query": query, "fields": {"text": {}}});
        let of_one = json!({"fields": {"text": {"highlight_query": query}}});
        for highlight in [of_all, of_one] {
            // What patterns stand for is remembered from the second time on.
            for _ in 0..2 {
                let body = json!({"query": {"match_all": {}}, "highlight": highlight});
                assert_eq!(marked(&node, "notes", &body).await?, expected, "{body}");
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_of_aliases_are_not_marked() -> Result<()> {
    let node = index().await?;
    let query = json!({"match": {"text": "fox"}});
    let highlight = json!({"fields": {"text": {}}});
    let top = json!({"top_hits": {"highlight": highlight}});
    for (index, query, expected) in [
        (
            "mine",
            &query,
            json!({"text": ["a quick brown <em>fox</em>"]}),
        ),
        ("mine", &json!({"match_all": {}}), json!({})),
        // A filter of the request's own is.
        (
            "notes",
            &json!({"bool": {"filter": {"match": {"text": "brown"}}}}),
            json!({"text": ["a quick <em>brown</em> fox"]}),
        ),
        (
            "mine",
            &json!({"bool": {"filter": {"match": {"text": "quick"}}}}),
            json!({"text": ["a <em>quick</em> brown fox"]}),
        ),
    ] {
        let body = json!({"query": query, "highlight": highlight, "aggs": {"top": top}});
        assert_eq!(marked(&node, index, &body).await?, expected, "{body}");
        let response = node.search(index, &body).await?;
        let AggregationValue::TopHits { hits, .. } = &response.aggregations[0].value else {
            anyhow::bail!("{:?} are no hits", response.aggregations[0].value);
        };
        assert_eq!(fragments(&hits[0]), expected, "top hits of {body}");
    }
    Ok(())
}

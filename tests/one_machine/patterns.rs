//! Patterns of a search over several indices.

use anyhow::Result;
use gleaner_testkit::Node;
use serde_json::{Value, json};

/// Writes one document a title, into an index each.
async fn indices(titles: &[&str]) -> Result<Node> {
    let node = Node::start().await?;
    let mapping = json!({"mappings": {"properties": {"title": {"type": "text"}}}});
    for (number, title) in titles.iter().enumerate() {
        let name = format!("notes-{number}");
        node.create(&name, &mapping).await?;
        let source: Value = json!({"title": title});
        node.put(&name, &[("a".to_owned(), source)]).await?;
    }
    Ok(node)
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_of_an_index_without_a_similar_word_count_each_time() -> Result<()> {
    let node = indices(&["fox", "nothing that is like it", "box and fix"]).await?;
    let fuzzy = json!({"query": {"match": {"title": {"query": "fox", "fuzziness": 1}}}});
    let mut seen = Vec::new();
    // The first asks what the pattern stands for, the others go by what is remembered of that.
    for _ in 0..3 {
        let response = node.search("notes-*", &fuzzy).await?;
        let scores = response.hits.iter().map(|hit| hit.score);
        seen.push(scores.collect::<Vec<_>>());
    }
    assert_eq!(seen[0].len(), 2);
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
    // As with a word that each index is asked for: three documents, one of which has it.
    let exact = json!({"query": {"match": {"title": "fox"}}, "size": 1});
    let exact = node.search("notes-*", &exact).await?.hits[0].score;
    let body = json!({"query": {"match": {
        "title": {"query": "fox", "fuzziness": 1, "max_expansions": 1}}}, "size": 1});
    assert_eq!(node.search("notes-*", &body).await?.hits[0].score, exact);
    Ok(())
}

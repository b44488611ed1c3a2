//! Synonyms of several words, given at search time: found by either form, and not by single words of
//! them.

use anyhow::{Result, ensure};
use gleaner_testkit::Node;
use serde_json::{Value, json};

const TEXTS: [&str; 7] = [
    "",
    "made in usa",
    "united states of america",
    "university of applied sciences",
    "the state of the art",
    "made in the united states of america",
    "america, united with the states of usage",
];

async fn index() -> Result<Node> {
    let node = Node::start().await?;
    let body = json!({
        "settings": {"number_of_shards": 2, "analysis": {
            "filter": {"places": {
                "type": "synonym_graph", "synonyms": ["usa, united states of america"],
            }},
            "analyzer": {"searched": {
                "tokenizer": "standard", "filter": ["lowercase", "places"],
            }},
        }},
        "mappings": {"properties": {"text": {
            "type": "text", "analyzer": "standard", "search_analyzer": "searched",
        }}},
    });
    node.create("notes", &body).await?;
    let documents: Vec<(String, Value)> = (1..TEXTS.len())
        .map(|n| (n.to_string(), json!({"text": TEXTS[n]})))
        .collect();
    node.put("notes", &documents).await?;
    Ok(node)
}

async fn ids(node: &Node, query: &Value) -> Result<Vec<String>> {
    let response = node.search("notes", &json!({"query": query})).await?;
    let ids = response.hits.iter().map(|hit| hit.content.id.to_string());
    let mut ids: Vec<String> = ids.collect();
    ids.sort_unstable();
    Ok(ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn both_forms_are_found_and_nothing_else() -> Result<()> {
    let node = index().await?;
    let matching = |text: &str, more: Value| {
        let mut options = more;
        options["query"] = json!(text);
        json!({"match": {"text": options}})
    };
    let strings = |text: &str| json!({"query_string": {"query": text, "fields": ["text"]}});
    let words = json!({"operator": "and", "auto_generate_synonyms_phrase_query": false});
    let simple = json!({"simple_query_string": {
        "query": "usa +made", "fields": ["text"], "default_operator": "and",
    }});
    let several = json!({"multi_match": {"query": "usa", "fields": ["text", "other"]}});
    for (query, expected) in [
        (matching("usa", json!({})), &["1", "2", "5"][..]),
        (
            matching("USA", json!({"operator": "and"})),
            &["1", "2", "5"],
        ),
        (
            matching("united states of america", json!({})),
            &["1", "2", "5"],
        ),
        (
            matching("made in usa", json!({"operator": "and"})),
            &["1", "5"],
        ),
        (matching("applied usa", json!({})), &["1", "2", "3", "5"]),
        (matching("usa", words), &["1", "2", "5", "6"]),
        (json!({"match_phrase": {"text": "usa"}}), &["1", "2", "5"]),
        (json!({"match_phrase": {"text": "in usa"}}), &["1"]),
        (json!({"match_phrase": {"text": "the usa"}}), &["5"]),
        (
            json!({"match_phrase_prefix": {"text": "in the united states of america"}}),
            &["5"],
        ),
        (
            json!({"match_bool_prefix": {"text": {"query": "made usa", "operator": "and"}}}),
            &["1", "5"],
        ),
        (strings("usa"), &["1", "2", "5"]),
        (strings("made AND usa"), &["1", "5"]),
        (strings("\"in usa\""), &["1"]),
        (simple, &["1", "5"]),
        (several, &["1", "2", "5"]),
    ] {
        let found = ids(&node, &query).await?;
        ensure!(found == expected, "{query}: {found:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_forms_are_refused_by_name() -> Result<()> {
    let node = index().await?;
    let text = "usa ".repeat(11);
    for query in [
        json!({"match_phrase": {"text": text}}),
        json!({"query_string": {"query": format!("\"{text}\"")}}),
    ] {
        let Err(error) = node.search("notes", &json!({"query": query})).await else {
            anyhow::bail!("accepted: {query}");
        };
        ensure!(
            format!("{error:?}").contains("synonyms of several words"),
            "{error:?}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn synonyms_that_no_document_holds_add_nothing_to_the_score_of_a_phrase() -> Result<()> {
    let node = Node::start().await?;
    let body = json!({
        "settings": {"number_of_shards": 2, "analysis": {
            "filter": {"cars": {"type": "synonym", "synonyms": ["car, auto, automobile"]}},
            "analyzer": {"searched": {"tokenizer": "standard", "filter": ["lowercase", "cars"]}},
        }},
        "mappings": {"properties": {"text": {"type": "text"}}},
    });
    node.create("notes", &body).await?;
    let texts = ["a red car", "a blue car", "red roses", "a car of red wood"];
    let documents: Vec<(String, Value)> = (0..)
        .zip(texts)
        .map(|(n, text): (u32, _)| (n.to_string(), json!({"text": text})))
        .collect();
    node.put("notes", &documents).await?;
    for slop in [0, 3] {
        let mut found = Vec::new();
        for analyzer in ["standard", "searched"] {
            let phrase = json!({"query": "red car", "slop": slop, "analyzer": analyzer});
            let body = json!({"query": {"match_phrase": {"text": phrase}}, "explain": true});
            let hits = node.search("notes", &body).await?.hits;
            let scores: Vec<Option<u32>> =
                hits.iter().map(|hit| hit.score.map(f32::to_bits)).collect();
            for hit in &hits {
                let explanation = hit.content.explanation.as_ref();
                let value = explanation.map(|explanation| explanation.value.to_bits());
                ensure!(value == hit.score.map(f32::to_bits), "{explanation:?}");
            }
            found.push(scores);
        }
        ensure!(!found[0].is_empty() && found[0] == found[1], "{found:?}");
    }
    Ok(())
}

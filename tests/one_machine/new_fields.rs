//! Fields that documents bring: found as if the mapping had had them from the start, however the documents came.

mod documents;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use gleaner_datasets::Random;
use gleaner_query::mapping::mapping_tree;
use gleaner_root::ingest::RefreshPolicy;
use gleaner_testkit::node::item;
use gleaner_testkit::{Node, run};
use serde_json::{Value, json};

use documents::Documents;

const NUM_DOCUMENTS: u64 = 60;

/// How documents are sent.
#[derive(Debug, Clone, Copy)]
enum Way {
    OneBulk,
    Bulks,
    Singly,
    Concurrently,
}

const WAYS: [Way; 4] = [Way::OneBulk, Way::Bulks, Way::Singly, Way::Concurrently];

#[tokio::test(flavor = "multi_thread")]
async fn brought_fields_answer_as_declared_ones() -> Result<()> {
    for number in 0..run::sized(1, 20) as u64 {
        let mut random = Random::stream(run::seed(), 5_000 + number);
        let drawn = documents::draw(&mut random, NUM_DOCUMENTS);
        let node = Node::start().await?;
        create(&node, "declared", 1, &documents::declared()).await?;
        send(&node, "declared", &drawn, Way::OneBulk).await?;
        let expected = answers(&node, "declared").await?;
        for way in WAYS {
            let num_shards = [1, 2 + random.below(7)][random.below(2) as usize];
            let name = format!("{way:?}-{num_shards}").to_lowercase();
            create(&node, &name, num_shards, &documents::brought()).await?;
            send(&node, &name, &drawn, way).await?;
            for (expected, found) in expected.iter().zip(answers(&node, &name).await?) {
                let context = format!("seed {}, {name}", run::seed());
                ensure!(*expected == found, "{context}\n{found}\n{expected}");
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_gives_the_mapping_that_its_lines_give_one_by_one() -> Result<()> {
    for number in 0..run::sized(3, 60) as u64 {
        let mut random = Random::stream(run::seed(), 6_000 + number);
        let drawn = documents::draw_conflicting(&mut random, NUM_DOCUMENTS / 2);
        let node = Node::start().await?;
        create(&node, "single", 1, &json!({})).await?;
        let mut expected = Vec::new();
        for document in &drawn {
            expected.extend(taken(&node, "single", std::slice::from_ref(document)).await);
        }
        for num_shards in [1, 2, 5, 8] {
            let name = format!("bulk-{num_shards}");
            create(&node, &name, num_shards, &json!({})).await?;
            let context = format!("seed {}, corpus {number}, {name}", run::seed());
            let found = taken(&node, &name, &drawn).await;
            ensure!(found == expected, "{context}\n{found:?}\n{expected:?}");
            let (found, expected) = (mapping_of(&node, &name)?, mapping_of(&node, "single")?);
            ensure!(found == expected, "{context}\n{found}\n{expected}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_line_of_a_bulk_says_what_a_field_is() -> Result<()> {
    let lines = [json!({"n": 1}), json!({"n": "abc"}), json!({"n": {"x": 1}})];
    let types = ["long", "text", "object"];
    let node = Node::start().await?;
    for num_shards in 1..=8 {
        for first in 0..3 {
            let name = format!("m-{num_shards}-{first}");
            create(&node, &name, num_shards, &json!({})).await?;
            let line = |at: usize| (format!("{at}"), lines[(first + at) % 3].clone());
            let bulk: Documents = (0..3).map(line).collect();
            let found = taken(&node, &name, &bulk).await;
            // A number is text too.
            let expected = if first == 1 {
                [true, false, true]
            } else {
                [true, false, false]
            };
            ensure!(found == expected, "{name}: {found:?}");
            let mapping = mapping_of(&node, &name)?;
            let kind = mapping["properties"]["n"]["type"].as_str();
            ensure!(
                kind.unwrap_or("object") == types[first],
                "{name}: {mapping}"
            );
        }
    }
    Ok(())
}

async fn create(node: &Node, name: &str, num_shards: u64, mapping: &Value) -> Result<()> {
    let settings = json!({"number_of_shards": num_shards, "number_of_replicas": 0});
    let body = json!({"settings": settings, "mappings": mapping});
    node.create(name, &body).await
}

fn mapping_of(node: &Node, name: &str) -> Result<Value> {
    let state = node.root.cluster().state();
    let index = state.index_named(name).context("it was made")?;
    Ok(mapping_tree(&index.mapping))
}

/// Writes documents; returns which were taken.
async fn taken(node: &Node, name: &str, documents: &[(String, Value)]) -> Vec<bool> {
    let items = documents.iter();
    let items = items.map(|(id, source)| item(name, id, source)).collect();
    let results = node.ingest(items, RefreshPolicy::Immediate).await;
    results
        .iter()
        .map(|result| result.outcome.is_ok())
        .collect()
}

async fn send(node: &Node, name: &str, documents: &Documents, way: Way) -> Result<()> {
    match way {
        Way::OneBulk => node.put(name, documents).await,
        Way::Bulks => {
            for part in documents.chunks(7) {
                node.put(name, part).await?;
            }
            Ok(())
        }
        Way::Singly => {
            for document in documents {
                node.put(name, std::slice::from_ref(document)).await?;
            }
            Ok(())
        }
        Way::Concurrently => {
            let writing = documents.iter().map(|document| async move {
                let items = vec![item(name, &document.0, &document.1)];
                let results = node.ingest(items, RefreshPolicy::None).await;
                results
                    .into_iter()
                    .try_for_each(|result| result.outcome.map(drop))
            });
            try_join_all(writing).await?;
            node.root.refresher().refresh(&Default::default()).await?;
            Ok(())
        }
    }
}

/// Returns what searches find by every field that documents may have.
async fn answers(node: &Node, name: &str) -> Result<Vec<String>> {
    let mut answers = Vec::new();
    for (prefix, path) in documents::paths() {
        for body in searches(prefix, &path) {
            let response = node.search(name, &body).await;
            let response = response.with_context(|| format!("{name}: {body}"))?;
            ensure!(response.shards.failures.is_empty(), "{name}: {body}");
            let hits = response.hits.iter();
            let hits = hits.map(|hit| (&hit.content.id, hit.score.map(f32::to_bits), &hit.sort));
            let found = (
                response.total,
                hits.collect::<Vec<_>>(),
                &response.aggregations,
            );
            answers.push(format!("{body}: {found:?}"));
            let is_first = body["query"]["exists"].is_object() && body["sort"].is_null();
            if is_first && response.hits.is_empty() {
                // Nobody brought the field: one index has it, and another not.
                break;
            }
        }
    }
    Ok(answers)
}

fn searches(prefix: &str, path: &str) -> Vec<Value> {
    let of_query = |query: Value| json!({"query": query, "size": 100});
    let ordered = |by: &str| {
        let sort = json!([{by: {"order": "desc"}}]);
        json!({"sort": sort, "query": {"exists": {"field": by}}, "size": 100})
    };
    let counted =
        |by: &str| json!({"size": 0, "aggs": {"a": {"terms": {"field": by, "size": 50}}}});
    let mut searches = vec![of_query(json!({"exists": {"field": path}}))];
    match prefix {
        "t" => {
            let keyword = format!("{path}.keyword");
            searches.push(of_query(json!({"match": {path: "red new"}})));
            searches.push(of_query(json!({"term": {&keyword: "old"}})));
            searches.push(counted(&keyword));
        }
        "k" => {
            let words = format!("{path}.words");
            searches.push(of_query(json!({"match": {words: "blue"}})));
            searches.push(counted(path));
        }
        "n" | "f" => {
            searches.push(of_query(json!({"range": {path: {"gte": 1}}})));
            searches.push(json!({"size": 0, "aggs": {"a": {"stats": {"field": path}}}}));
        }
        _ => searches.push(counted(path)),
    }
    if prefix != "t" {
        searches.push(ordered(path));
    }
    searches
}

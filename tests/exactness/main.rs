//! Layout changes nothing: whole nodes against the exhaustive oracle, over queries of the dialect.
//!
//! A history of puts, updates, deletes and duplicates is played into indices of 1, 3 and 8 shards,
//! merged to one segment, left in several, or merged half way; each index has its fields from the start, or
//! documents bring some or all of them, and scores text by k1 and b that are drawn. Of some texts words count
//! once, or the length does not count; values of one keyword count as often as they are given. Routing sends long
//! documents to other shards than short ones, where ordinary collections would hide the faults. Every query must give the oracle's ids, order, scores (to the
//! bit) and totals in every index; over the network too, from any copy, and when a leaf is lost. Real
//! collections are compared with one shard of one process.

mod aggregations;
mod alike;
mod buckets;
mod collections;
mod corpus;
mod families;
mod figures;
mod layout;
mod look_ups;
mod network;
mod pipelines;
mod placed;
mod queries;
mod scored;
mod skipping;
mod told;
mod types;
mod vectors;
mod wide;

use anyhow::{Result, anyhow, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use gleaner_datasets::Random;
use gleaner_root::Root;
use gleaner_testkit::oracle::{Answer, Clause, Oracle};
use gleaner_testkit::{Node, node, run};
use serde_json::{Value, json};

use corpus::{Corpus, draw_mapping};
use layout::{LAYOUTS, Layout};

/// Queries put to every layout: reduced, and in full.
const NUM_QUERIES: (usize, usize) = (400, 20_000);
/// Different corpora that the queries are spread over.
const NUM_CORPORA: (usize, usize) = (1, 8);
/// Steps of each corpus's history.
const NUM_STEPS: (usize, usize) = (900, 4_000);

/// A search, the window of hits that is looked at, and what the oracle finds there.
struct Asked {
    clause: Clause,
    from: usize,
    size: usize,
    /// `track_total_hits`.
    track: Value,
    expected: Answer,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_layout_answers_as_the_oracle_does() -> Result<()> {
    let num_corpora = run::sized(NUM_CORPORA.0, NUM_CORPORA.1);
    let per_corpus = run::sized(NUM_QUERIES.0, NUM_QUERIES.1) / num_corpora;
    let num_steps = run::sized(NUM_STEPS.0, NUM_STEPS.1);
    let at_once = std::thread::available_parallelism()?.get();
    let corpora = stream::iter(0..num_corpora as u64)
        .map(|number| tokio::spawn(compare_corpus(number, num_steps, per_corpus)))
        .buffer_unordered(at_once);
    let num_hits: usize = corpora
        .map(|hits| hits?)
        .try_collect::<Vec<_>>()
        .await?
        .iter()
        .sum();
    ensure!(num_hits > per_corpus, "queries must find something");
    run::report(
        "exactness",
        &json!({
            "queries": per_corpus * num_corpora,
            "searches": per_corpus * num_corpora * LAYOUTS.len(),
            "hits_compared": num_hits,
            "differences": 0,
        }),
    )
}

/// Puts queries to every layout of one corpus; returns how many hits were compared.
async fn compare_corpus(number: u64, num_steps: usize, num_queries: usize) -> Result<usize> {
    let mut random = Random::stream(run::seed(), number);
    let corpus = Corpus::generate(&mut random, num_steps);
    let node = Node::start().await?;
    for layout in LAYOUTS {
        let mapping = draw_mapping(&mut random);
        layout.build(&node, &corpus, &mapping).await?;
    }
    let mut num_hits = 0;
    for _ in 0..num_queries {
        let asked = draw(&mut random, &corpus.oracle);
        num_hits += compare(&node, &asked).await?;
    }
    Ok(num_hits)
}

fn draw(random: &mut Random, oracle: &Oracle) -> Asked {
    let size = [0, 1, 3, 10, 10, 10, 50][random.below(7) as usize];
    let from = [0, 0, 0, 0, 5, 40][random.below(6) as usize];
    let track = match random.below(3) {
        0 => json!(true),
        1 => json!(1 + random.below(300)),
        _ => json!(10_000),
    };
    let clause = queries::draw(random, oracle);
    let expected = oracle.search(&clause, from, size);
    Asked {
        clause,
        from,
        size,
        track,
        expected,
    }
}

/// Puts one search to every layout; returns how many hits were compared.
async fn compare(node: &Node, asked: &Asked) -> Result<usize> {
    let mut num_hits = 0;
    for Layout { name, .. } in LAYOUTS {
        num_hits += compare_one((&node.root, name), asked).await?;
    }
    Ok(num_hits)
}

/// Puts one search to one index; returns how many hits were compared.
async fn compare_one((root, name): (&Root, &str), asked: &Asked) -> Result<usize> {
    let expected = &asked.expected;
    let limit = asked.track.as_u64().unwrap_or(u64::MAX);
    let body = json!({
        "query": asked.clause.to_json(),
        "from": asked.from,
        "size": asked.size,
        "track_total_hits": asked.track,
    });
    let context = format!("seed {}, {name}: {body}", run::seed());
    let response = node::search(root, name, &body).await;
    let response = response.map_err(|error| {
        anyhow!(
            "{context}: {:?}",
            error.downcast::<gleaner_root::RootError>()
        )
    })?;
    ensure!(
        response.shards.failures.is_empty(),
        "{context}: {:?}",
        response.shards
    );
    let total = response.total.expect("it was asked for");
    let hits = response.hits.iter();
    let score = |score: Option<f32>| score.expect("ordered by score").to_bits();
    let found: Vec<_> = hits
        .map(|hit| (hit.content.id.to_string(), score(hit.score)))
        .collect();
    for (at, (found, expected)) in found.iter().zip(&expected.hits).enumerate() {
        ensure!(
            found == expected,
            "{context}\nhit {at}: {found:?}, oracle {expected:?}"
        );
    }
    ensure!(
        found.len() == expected.hits.len(),
        "{context}\n{} hits",
        found.len()
    );
    ensure!(
        (total.value, total.is_exact) == (expected.total.min(limit), expected.total <= limit),
        "{context}\n{total:?} of {}",
        expected.total
    );
    Ok(expected.hits.len())
}

//! The same over the network: any copy gives the oracle's answer, and so does what is left when a leaf
//! is lost. What the oracle does not know is answered as by one shard of one process.

use anyhow::{Result, ensure};
use gleaner_datasets::Random;
use gleaner_root::RootOptions;
use gleaner_testkit::proxy::Fault;
use gleaner_testkit::{Cluster, Node, run};
use serde_json::json;

use crate::alike::Search;
use crate::corpus::{Corpus, draw_mapping};
use crate::families::Coverage;
use crate::layout::{LAYOUTS, SPREAD};
use crate::told::Answer;
use crate::{NUM_STEPS, alike, compare_one, draw, look_ups};

/// Queries put to clusters: reduced, and in full.
const NUM_QUERIES: (usize, usize) = (200, 10_000);
/// Searches of no family that the oracle does not know. Those of families come on top.
const NUM_SEARCHES: (usize, usize) = (50, 2_000);
/// Different corpora, each on leaves of its own, that the queries are spread over.
const NUM_CORPORA: (usize, usize) = (1, 4);
const NUM_LEAVES: usize = 4;
/// Most draws of one member of a family: of one that finds something in each tenth draw, all these find nothing in
/// 2 of 1,000 runs.
const MOST_DRAWS: usize = 60;

#[tokio::test(flavor = "multi_thread")]
async fn leaves_answer_as_the_oracle_does_and_go_on_without_one() -> Result<()> {
    let num_corpora = run::sized(NUM_CORPORA.0, NUM_CORPORA.1);
    let per_corpus = run::sized(NUM_QUERIES.0, NUM_QUERIES.1) / num_corpora;
    let num_steps = run::sized(NUM_STEPS.0, NUM_STEPS.1);
    let (mut num_hits, mut num_without, mut num_of_families) = (0, 0, 0);
    for number in 0..num_corpora {
        let mut random = Random::stream(run::seed(), 1_000 + number as u64);
        let corpus = Corpus::generate(&mut random, num_steps);
        let cluster = Cluster::start(NUM_LEAVES, RootOptions::default()).await?;
        let mapping = draw_mapping(&mut random);
        let body = SPREAD.body(&corpus, &mapping);
        cluster.create(SPREAD.name, &body).await?;
        SPREAD.play(&cluster.root, &corpus).await?;
        let node = Node::start().await?;
        LAYOUTS[0].build(&node, &corpus, &mapping).await?;
        add_lists(&cluster, &node).await?;
        for at in 0..per_corpus {
            if at == per_corpus / 2 {
                let lost = random.below(NUM_LEAVES as u64) as usize;
                cluster.leaves[lost].proxy.set(Fault::Reset);
            }
            num_without += usize::from(at >= per_corpus / 2);
            let asked = draw(&mut random, &corpus.oracle);
            num_hits += compare_one((&cluster.root, SPREAD.name), &asked).await?;
        }
        let num_searches = run::sized(NUM_SEARCHES.0, NUM_SEARCHES.1) / num_corpora;
        for _ in 0..num_searches {
            let search = alike::draw(&mut random);
            let answer = compare_alike(&cluster, &node, &search).await?;
            num_hits += answer.hits.len();
        }
        num_of_families += compare_families(&cluster, &node, &mut random).await?;
        let calls = cluster.leaves.iter().map(|leaf| leaf.slow.num_calls());
        ensure!(calls.clone().all(|calls| calls > 0), "every leaf is asked");
    }
    ensure!(num_hits > per_corpus, "queries must find something");
    run::report(
        "exactness-network",
        &json!({
            "queries": per_corpus * num_corpora,
            "without_a_leaf": num_without,
            "searches": run::sized(NUM_SEARCHES.0, NUM_SEARCHES.1),
            "searches_of_families": num_of_families,
            "hits_compared": num_hits,
            "differences": 0,
        }),
    )
}

/// Adds the documents that queries name.
async fn add_lists(cluster: &Cluster, node: &Node) -> Result<()> {
    let documents = look_ups::documents();
    cluster
        .create(look_ups::LISTS, &look_ups::index_body(1))
        .await?;
    cluster.put(look_ups::LISTS, &documents).await?;
    node.create(look_ups::LISTS, &look_ups::index_body(0))
        .await?;
    node.put(look_ups::LISTS, &documents).await
}

/// Puts searches of each member of each family, in order, until it has found something; returns how many there were.
async fn compare_families(cluster: &Cluster, node: &Node, random: &mut Random) -> Result<usize> {
    let mut coverage = Coverage::new();
    let mut num_searches = 0;
    for at in coverage.places() {
        for _ in 0..MOST_DRAWS {
            let search = coverage.draw(at, random);
            let answer = compare_alike(cluster, node, &search).await?;
            coverage.note(at, &answer);
            num_searches += 1;
            if coverage.has_found(at) {
                break;
            }
        }
    }
    coverage.check()?;
    Ok(num_searches)
}

/// Puts a search that the oracle does not know to the cluster and to one shard of one process; returns the answer of
/// both.
async fn compare_alike(cluster: &Cluster, node: &Node, search: &Search) -> Result<Answer> {
    let expected = alike::answer(&node.root, LAYOUTS[0].name, search).await?;
    let found = alike::answer(&cluster.root, SPREAD.name, search).await?;
    ensure!(
        found == expected,
        "seed {}: {search}\n{found:?}\none shard: {expected:?}",
        run::seed()
    );
    Ok(found)
}

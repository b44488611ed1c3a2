//! Real documents and real queries: leaves over the network against one shard in one process.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use gleaner_datasets::beir::Beir;
use gleaner_datasets::catalog::{self, Sources};
use gleaner_datasets::query_set::{self, TaggedQuery};
use gleaner_datasets::{Corpus, Document, Input, Query};
use gleaner_root::{Root, RootOptions, SearchResponse};
use gleaner_testkit::proxy::Fault;
use gleaner_testkit::{Cluster, Node, node, run, skipped};
use serde_json::{Value, json};

const INDEX: &str = "real";

/// Articles of Wikipedia: reduced, and all.
const NUM_ARTICLES: (usize, usize) = (600, usize::MAX);
/// Reduced, one in so many queries is asked.
const STRIDE: (usize, usize) = (12, 1);
/// Documents written at once.
const BATCH: usize = 500;

/// Documents and searches that go with them.
struct Collection {
    name: &'static str,
    documents: Vec<(String, Value)>,
    searches: Vec<Value>,
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_rank_wikipedia_and_scifact_as_one_shard_does() -> Result<()> {
    let Some(data) = run::shared_data("queries") else {
        let test = "exactness::leaves_rank_wikipedia_and_scifact_as_one_shard_does";
        return skipped(test, "the shared collections are not on this machine");
    };
    let data = data.parent().context("it is in a folder")?;
    for collection in [wikipedia(data)?, scifact(data)?] {
        let name = collection.name;
        let num_searches = compare(collection).await.context(name)?;
        let figures = json!({"searches": num_searches, "differences": 0});
        run::report(&format!("exactness-{name}"), &figures)?;
    }
    Ok(())
}

/// Asks leaves for what one shard answered: twice, so that other copies come up, and once more without
/// one of the leaves. Returns how many searches were compared.
async fn compare(collection: Collection) -> Result<usize> {
    let one = Node::start().await?;
    one.create(INDEX, &index_body(1, 0)).await?;
    let cluster = Cluster::start(4, RootOptions::default()).await?;
    cluster.create(INDEX, &index_body(8, 1)).await?;
    for batch in collection.documents.chunks(BATCH) {
        one.put(INDEX, batch).await?;
        cluster.put(INDEX, batch).await?;
    }
    let mut expected = Vec::with_capacity(collection.searches.len());
    for search in &collection.searches {
        expected.push(answer(&one.root, search).await?);
    }
    ensure!(
        expected.iter().any(|answer| answer.1.len() == 10),
        "queries must find something"
    );
    let mut num_compared = 0;
    for round in 0..3 {
        if round == 2 {
            cluster.leaves[1].proxy.set(Fault::Reset);
        }
        for (search, expected) in collection.searches.iter().zip(&expected) {
            let found = answer(&cluster.root, search).await?;
            ensure!(found == *expected, "{search}: {found:?}, not {expected:?}");
            num_compared += 1;
        }
    }
    Ok(num_compared)
}

/// Total, and per hit its id and the bits of its score.
type Answer = (u64, Vec<(String, Option<u32>)>);

async fn answer(root: &Root, search: &Value) -> Result<Answer> {
    let response: SearchResponse = node::search(root, INDEX, search).await?;
    let failures = &response.shards.failures;
    ensure!(failures.is_empty(), "{search}: {failures:?}");
    let hits = response.hits.iter();
    let hits = hits.map(|hit| (hit.content.id.to_string(), hit.score.map(f32::to_bits)));
    Ok((response.total.context("counted")?.value, hits.collect()))
}

fn index_body(shards: u32, replicas: u32) -> Value {
    json!({
        "settings": {
            "number_of_shards": shards,
            "number_of_replicas": replicas,
            "refresh_interval": -1,
        },
        "mappings": {"properties": {
            "title": {"type": "text", "analyzer": "english"},
            "text": {"type": "text", "analyzer": "english"},
            "body": {"type": "text"},
        }},
    })
}

/// The articles with the queries of the search-benchmark-game.
fn wikipedia(data: &Path) -> Result<Collection> {
    let sources = Sources {
        data: Some(PathBuf::from(data)),
        cargo_home: None,
        seed: run::seed(),
        num_documents: 0,
    };
    let all = catalog::open("wikipedia", &sources)?;
    let queries = query_set::read(Input::open(&data.join("queries/sbg_queries.txt"))?)?;
    let search = |query: &TaggedQuery| {
        let query = json!({"query_string": {"query": query.query, "fields": ["body"]}});
        json!({"query": query, "_source": false, "track_total_hits": true})
    };
    Ok(Collection {
        name: "wikipedia",
        documents: documents(all, run::sized(NUM_ARTICLES.0, NUM_ARTICLES.1))?,
        searches: some(queries.iter()).map(search).collect(),
    })
}

/// SciFact's abstracts with its own queries.
fn scifact(data: &Path) -> Result<Collection> {
    let beir = Beir::open(&data.join("scifact"))?;
    let queries = beir.queries()?;
    let search = |query: &Query| {
        let fields = ["title^2", "text"];
        let query = json!({"multi_match": {"query": query.text, "fields": fields}});
        json!({"query": query, "_source": false, "track_total_hits": true})
    };
    Ok(Collection {
        name: "scifact",
        documents: documents(
            beir.documents()?,
            run::sized(NUM_ARTICLES.0, NUM_ARTICLES.1),
        )?,
        searches: some(queries.iter()).map(search).collect(),
    })
}

fn some<T>(all: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    all.step_by(run::sized(STRIDE.0, STRIDE.1))
}

fn documents(corpus: Corpus, at_most: usize) -> Result<Vec<(String, Value)>> {
    let document = |document: Result<Document, _>| {
        let document = document?;
        let id = document.id.context("it has an id")?;
        Ok((id, serde_json::from_str(&document.source)?))
    };
    corpus.take(at_most).map(document).collect()
}

//! What each further shard costs a search, in one process.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use gleaner_model::ChosenTemplates;
use gleaner_proto::write::{Condition, WriteAction};
use gleaner_query::limits::Limits;
use gleaner_query::search::{SearchRequest, parse_search};
use gleaner_root::Root;
use gleaner_root::force_merge::ForceMerge;
use gleaner_root::ingest::{IngestItem, IngestOptions};
use gleaner_root::plan::Target;
use gleaner_root::search::SearchOptions;
use gleaner_testkit::Node;
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{Bench, body};
use crate::corpus::Corpus;
use crate::ours::{self, Ours, Wanted};
use crate::queries::{Class, Query};
use crate::race::{self, Figures, Results, Runner};
use crate::report::{Section, Table, tell};

/// The numbers of shards, with the names of their runners.
const COUNTS: [(u32, &str); 7] = [
    (1, "1"),
    (2, "2"),
    (4, "4"),
    (8, "8"),
    (16, "16"),
    (32, "32"),
    (64, "64"),
];

/// Documents: each number of shards holds all of them, twice.
const DOCUMENTS: usize = 30_000;
/// Documents put at once.
const BATCH: usize = 1_000;

/// Times the engine, and the whole way from the root, on the same documents in more and more shards.
///
/// # Errors
/// When an index cannot be built.
pub(super) fn measure(bench: &Bench) -> Result<Section> {
    let corpus = bench.corpus.first(bench.options.sized(5_000, DOCUMENTS));
    let rounds = bench.options.sized(3, 4);
    let folder = TempDir::new()?;
    let engine = engine(folder.path(), &corpus, &bench.queries, rounds)?;
    let whole = whole(&bench.runtime, &corpus, &bench.queries, rounds)?;
    Ok(Section {
        title: "What a shard costs",
        method: format!(
            "{} documents in one process, in more and more shards of one segment each; {} queries, \
             {rounds} rounds in turns, one at a time. CPU is that of the process in each class's best \
             round, mean over the classes. *Engine* evaluates ready-made trees on one thread, with \
             statistics given. *Whole search* is a root over a leaf in the same process: analyses, \
             plans, scatters, merges, fetches ten titles; as `gleaner serve` without HTTP and JSON.",
            corpus.sources.len(),
            bench.queries.len(),
        ),
        tables: vec![table(&engine, &whole)],
        remarks: Vec::new(),
    })
}

fn engine(folder: &Path, corpus: &Corpus, queries: &[Query], rounds: usize) -> Result<Results> {
    let mut sides = Vec::new();
    for (num_shards, name) in COUNTS {
        tell(&format!("engine: filling {num_shards} shards"));
        let ours = Ours::fill(&folder.join(name), corpus, num_shards)?;
        let asked = queries.iter().map(|query| ours.ask(query, Wanted::Top));
        let asked: Vec<_> = asked.collect::<Result<_>>()?;
        sides.push((name, ours, asked));
    }
    let mut runners: Vec<Runner<'_>> = Vec::new();
    for (name, ours, asked) in &sides {
        runners.push(Runner {
            name,
            answer: Box::new(|at| ours.search(&asked[at], None)),
        });
    }
    Ok(race::run(queries, rounds, &mut runners))
}

fn whole(runtime: &Runtime, corpus: &Corpus, queries: &[Query], rounds: usize) -> Result<Results> {
    let node = runtime.block_on(Node::start())?;
    for (num_shards, name) in COUNTS {
        tell(&format!("root and leaf: filling {num_shards} shards"));
        runtime.block_on(fill(&node, &index(name), corpus, num_shards))?;
    }
    let requests = queries.iter().map(|query| {
        let text = body(query)?.to_string();
        Ok(parse_search(text.as_bytes(), &Limits::default())?)
    });
    let requests: Vec<SearchRequest> = requests.collect::<Result<_>>()?;
    tell("timing searches of more and more shards");
    let mut runners: Vec<Runner<'_>> = Vec::new();
    for (_, name) in COUNTS {
        let (root, target, requests) = (&node.root, target(&index(name)), &requests);
        runners.push(Runner {
            name,
            answer: Box::new(move |at| runtime.block_on(answer(root, &target, &requests[at]))),
        });
    }
    Ok(race::run(queries, rounds, &mut runners))
}

fn index(name: &str) -> String {
    format!("shards-{name}")
}

fn target(index: &str) -> Target {
    Target {
        expression: Some(index.to_owned()),
        ..Target::default()
    }
}

/// Makes an index of `num_shards` and puts the documents into it, one segment a shard.
async fn fill(node: &Node, name: &str, corpus: &Corpus, num_shards: u32) -> Result<()> {
    let declared = json!({
        "settings": {
            "number_of_shards": num_shards,
            "number_of_replicas": 0,
            "refresh_interval": "-1",
        },
        "mappings": ours::declared_mapping(),
    });
    node.create(name, &declared).await?;
    let documents: Vec<_> = corpus.articles.iter().zip(&corpus.sources).collect();
    for batch in documents.chunks(BATCH) {
        let item = |(article, source): &(&crate::corpus::Article, &bytes::Bytes)| IngestItem {
            index: name.to_owned(),
            id: Some(article.id.clone()),
            routing: None,
            action: WriteAction::Index {
                source: (*source).clone(),
                create: false,
            },
            condition: Condition::None,
            require_alias: false,
            require_data_stream: false,
            templates: ChosenTemplates::default(),
        };
        let items = batch.iter().map(item).collect();
        for result in node
            .root
            .ingester()
            .ingest(items, &IngestOptions::default())
            .await
        {
            result.outcome.with_context(|| result.id.clone())?;
        }
    }
    let target = target(name);
    let merge = ForceMerge::new(target.clone(), 1);
    node.root.force_merge(&merge).await?;
    node.root.refresher().refresh(&target).await?;
    let all = br#"{"size": 0, "track_total_hits": true}"#;
    let all = parse_search(all, &Limits::default())?;
    let seen = node
        .root
        .search(&target, &all, &SearchOptions::default())
        .await?;
    let seen = seen.total.map(|total| total.value);
    ensure!(
        seen == Some(corpus.sources.len() as u64),
        "{name} holds {seen:?} documents"
    );
    Ok(())
}

/// Answers a search; returns how many hits it has.
///
/// # Panics
/// When the search fails or a shard is missing.
async fn answer(root: &Arc<Root>, target: &Target, request: &SearchRequest) -> u64 {
    let options = SearchOptions::default();
    let answer = root.search(target, request, &options).await;
    let answer = answer.expect("the index is whole");
    assert!(answer.shards.failures.is_empty(), "the index is whole");
    answer.hits.len() as u64
}

fn table(engine: &Results, whole: &Results) -> Table {
    let mut table = Table::new([
        "shards",
        "engine, CPU µs per search",
        "/ 1 shard",
        "whole search, CPU µs",
        "/ 1 shard",
        "each further shard, µs",
        "whole search, mean ms on the clock",
    ]);
    let cpu = |results: &Results, name: &str| mean(results, name, |figures| figures.cpu_us);
    for (num_shards, name) in COUNTS {
        let [own, all] = [cpu(engine, name), cpu(whole, name)];
        let [own_of_one, all_of_one] = [cpu(engine, "1"), cpu(whole, "1")];
        let each = (all - all_of_one) / f64::from(num_shards - 1);
        table.row([
            name.to_owned(),
            format!("{own:.0}"),
            format!("{:.2}", own / own_of_one),
            format!("{all:.0}"),
            format!("{:.2}", all / all_of_one),
            match num_shards {
                1 => "–".to_owned(),
                _ => format!("{each:.1}"),
            },
            format!(
                "{:.3}",
                mean(whole, name, |figures| figures.wall_us) / 1_000.0
            ),
        ]);
    }
    table
}

/// Returns the mean of a figure over the classes.
fn mean(results: &Results, name: &str, figure: impl Fn(&Figures) -> f64) -> f64 {
    let by_class = &results[name];
    let sum: f64 = Class::ALL
        .iter()
        .map(|class| figure(&by_class[class]))
        .sum();
    sum / Class::ALL.len() as f64
}

//! A cluster that holds the documents.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use gleaner_model::{ChosenTemplates, NodeId};
use gleaner_proto::write::{Condition, WriteAction};
use gleaner_query::search::SearchRequest;
use gleaner_root::force_merge::ForceMerge;
use gleaner_root::ingest::{IngestItem, IngestOptions};
use gleaner_root::plan::Target;
use gleaner_root::search::SearchOptions;
use gleaner_root::{Root, RootOptions, SearchResponse};
use gleaner_testkit::Cluster;
use gleaner_testkit::cluster::Way as Reached;
use gleaner_testkit::proxy::Traffic;
use serde_json::json;

use super::NUM_LEAVES;
use super::asked::{Extra, Way, unheard};
use crate::corpus::Corpus;
use crate::ours::declared_mapping;

const INDEX: &str = "articles";

/// Documents of one write request.
const BATCH: usize = 500;

/// Pause between two looks at the counters of the network.
const QUIET: Duration = Duration::from_millis(1);

/// A root and leaves, and the index in it.
pub(super) struct Filled {
    cluster: Cluster,
}

/// What came to the leaves so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// Calls that read.
    pub(super) calls: u64,
    /// Leaves that were called.
    pub(super) leaves: usize,
    pub(super) bytes: Traffic,
}

/// What each leaf had counted at one moment.
pub(super) struct Moment(Vec<(NodeId, u64, Traffic)>);

impl Filled {
    /// Indexes `corpus` into `num_shards` shards of one segment each, with one copy.
    pub(super) async fn new(corpus: &Corpus, num_shards: u32) -> Result<Self> {
        let cluster = Cluster::start(NUM_LEAVES, options()).await?;
        let body = json!({
            "settings": {"number_of_shards": num_shards, "number_of_replicas": 0},
            "mappings": declared_mapping(),
        });
        cluster.create(INDEX, &body).await?;
        let documents = corpus.articles.iter().zip(&corpus.sources);
        let items: Vec<IngestItem> = documents
            .map(|(article, source)| IngestItem {
                index: INDEX.to_owned(),
                id: Some(article.id.clone()),
                routing: None,
                action: WriteAction::Index {
                    source: source.clone(),
                    create: false,
                },
                condition: Condition::None,
                require_alias: false,
                require_data_stream: false,
                templates: ChosenTemplates::default(),
            })
            .collect();
        let no_refresh = IngestOptions::default();
        for batch in items.chunks(BATCH) {
            for answer in cluster
                .root
                .ingester()
                .ingest(batch.to_vec(), &no_refresh)
                .await
            {
                answer.outcome.with_context(|| answer.id)?;
            }
        }
        let target = target();
        for outcome in cluster.root.refresher().refresh(&target).await? {
            outcome.outcome?;
        }
        let merge = ForceMerge::new(target.clone(), 1);
        for outcome in cluster.root.force_merge(&merge).await? {
            outcome.outcome?;
        }
        for outcome in cluster.root.refresher().refresh(&target).await? {
            outcome.outcome?;
        }
        Ok(Self { cluster })
    }

    /// Returns a root that knows the index and remembers nothing of what will be asked.
    pub(super) async fn new_root(&self, reached: Reached, way: Way) -> Result<Root> {
        let root = self.cluster.another_root(reached, options());
        let first = unheard().request(way, Extra::Nothing)?;
        let found = search(&root, &first).await?;
        ensure!(found.hits.is_empty(), "a word that nobody knows was found");
        Ok(root)
    }

    /// Returns what the leaves have counted, once nothing is under way any more.
    pub(super) async fn now(&self) -> Moment {
        let look = || {
            let leaves = self.cluster.leaves.iter();
            let counted =
                leaves.map(|leaf| (leaf.id.clone(), leaf.slow.num_calls(), leaf.proxy.traffic()));
            counted.collect::<Vec<_>>()
        };
        let mut before = look();
        loop {
            // What ends a call on the connection may arrive after its answer.
            tokio::time::sleep(QUIET).await;
            let now = look();
            if now == before {
                return Moment(now);
            }
            before = now;
        }
    }
}

impl Moment {
    /// Returns what was counted from `self` to `later`.
    pub(super) fn until(&self, later: &Self) -> Counted {
        let mut sum = Counted::default();
        for ((_, calls, bytes), (_, later_calls, later_bytes)) in self.0.iter().zip(&later.0) {
            sum.calls += later_calls - calls;
            sum.leaves += usize::from(later_calls > calls);
            sum.bytes.there += later_bytes.there - bytes.there;
            sum.bytes.back += later_bytes.back - bytes.back;
        }
        sum
    }
}

/// Answers, and says how long that took.
pub(super) async fn timed(
    root: &Root,
    request: &SearchRequest,
) -> Result<(SearchResponse, Duration)> {
    let began = Instant::now();
    let response = search(root, request).await?;
    Ok((response, began.elapsed()))
}

/// Answers; every shard must.
pub(super) async fn search(root: &Root, request: &SearchRequest) -> Result<SearchResponse> {
    let response = root
        .search(&target(), request, &SearchOptions::default())
        .await?;
    let failures = &response.shards.failures;
    ensure!(failures.is_empty(), "shards are missing: {failures:?}");
    ensure!(!response.timed_out, "the deadline cut an answer short");
    Ok(response)
}

fn target() -> Target {
    Target {
        expression: Some(INDEX.to_owned()),
        ..Target::default()
    }
}

fn options() -> RootOptions {
    RootOptions {
        // One copy of each shard leaves nothing to hedge; said so that counts cannot depend on it.
        hedge_share: 0.0,
        ..RootOptions::default()
    }
}

//! A node in one process, on a folder of its own.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use gleaner_coordinator::Embedded;
use gleaner_leaf::{Leaf, LeafOptions};
use gleaner_log::{LocalLog, LogOptions};
use gleaner_model::{ChosenTemplates, ClusterState, NodeId};
use gleaner_proto::write::{Condition, WriteAction};
use gleaner_query::limits::Limits;
use gleaner_query::search::{SearchRequest, parse_search};
use gleaner_query::settings::parse_create_index;
use gleaner_root::ingest::{IngestItem, IngestOptions, IngestResult, RefreshPolicy};
use gleaner_root::leaves::SingleLeaf;
use gleaner_root::plan::Target;
use gleaner_root::search::SearchOptions;
use gleaner_root::{LeafHandle, Root, RootOptions, SearchResponse};
use serde_json::Value;

/// A fixed time: 2026-01-01T00:00:00Z, so that `now` in queries means the same in every run.
pub const NOW_MS: i64 = 1_767_225_600_000;

fn clock() -> i64 {
    NOW_MS
}

/// Coordinator, log, leaf and root of one process.
pub struct Node {
    folder: tempfile::TempDir,
    leaf: Arc<Leaf>,
    /// What requests go to.
    pub root: Arc<Root>,
}

impl Node {
    /// Starts a node on an empty folder.
    ///
    /// # Errors
    /// When the folder cannot be made or opened.
    pub async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (leaf, root) = wire(folder.path())?;
        Ok(Self { folder, leaf, root })
    }

    /// Stops as asked (durable commit when `is_graceful`) and starts again on the same data.
    ///
    /// # Errors
    /// When the data cannot be opened.
    pub async fn restart(self, is_graceful: bool) -> Result<Self> {
        let Self { folder, leaf, root } = self;
        if is_graceful {
            leaf.stop().await;
        } else {
            leaf.abandon().await;
        }
        drop((leaf, root));
        let (leaf, root) = wire(folder.path())?;
        Ok(Self { folder, leaf, root })
    }

    /// Creates an index from a body of the dialect.
    ///
    /// # Errors
    /// When the body or the name is refused.
    pub async fn create(&self, name: &str, body: &Value) -> Result<()> {
        let new = parse_create_index(body, &Limits::default())?;
        self.root.admin().create_index(name, new).await?;
        Ok(())
    }

    /// Puts documents and makes them visible; every one must be taken.
    ///
    /// # Errors
    /// The first refusal.
    pub async fn put(&self, index: &str, documents: &[(String, Value)]) -> Result<()> {
        put(&self.root, index, documents).await
    }

    /// Applies writes and returns their answers.
    pub async fn ingest(
        &self,
        items: Vec<IngestItem>,
        refresh: RefreshPolicy,
    ) -> Vec<IngestResult> {
        let options = IngestOptions {
            refresh,
            ..IngestOptions::default()
        };
        self.root.ingester().ingest(items, &options).await
    }

    /// Answers a search given as a body of the dialect.
    ///
    /// # Errors
    /// When the search is refused.
    pub async fn search(&self, index: &str, body: &Value) -> Result<SearchResponse> {
        search(&self.root, index, body).await
    }
}

/// Puts documents through `root` and makes them visible; every one must be taken.
///
/// # Errors
/// The first refusal.
pub async fn put(root: &Root, index: &str, documents: &[(String, Value)]) -> Result<()> {
    let items = documents
        .iter()
        .map(|(id, source)| item(index, id, source))
        .collect();
    let options = IngestOptions {
        refresh: RefreshPolicy::Immediate,
        ..IngestOptions::default()
    };
    for result in root.ingester().ingest(items, &options).await {
        result
            .outcome
            .with_context(|| format!("document `{}`", result.id))?;
    }
    Ok(())
}

/// Answers a search given as a body of the dialect.
///
/// # Errors
/// When the search is refused.
pub async fn search(root: &Root, index: &str, body: &Value) -> Result<SearchResponse> {
    let request = parse_search(body.to_string().as_bytes(), &Limits::default())?;
    run_search(root, index, &request).await
}

/// Answers a search.
///
/// # Errors
/// When the search is refused.
pub async fn run_search(
    root: &Root,
    index: &str,
    request: &SearchRequest,
) -> Result<SearchResponse> {
    let target = Target {
        expression: Some(index.to_owned()),
        ..Target::default()
    };
    let options = SearchOptions::default();
    Ok(root.search(&target, request, &options).await?)
}

/// Returns a write of a whole document.
pub fn item(index: &str, id: &str, source: &Value) -> IngestItem {
    IngestItem {
        index: index.to_owned(),
        id: Some(id.to_owned()),
        routing: None,
        action: WriteAction::Index {
            source: Bytes::from(source.to_string()),
            create: false,
        },
        condition: Condition::None,
        require_alias: false,
        require_data_stream: false,
        templates: ChosenTemplates::default(),
    }
}

fn wire(folder: &Path) -> Result<(Arc<Leaf>, Arc<Root>)> {
    let initial = ClusterState {
        cluster_name: "test".to_owned(),
        ..ClusterState::default()
    };
    let coordinator = Arc::new(Embedded::open(folder, initial)?);
    let (log, _) = LocalLog::open(&folder.join("log"), LogOptions::default())?;
    let options = LeafOptions::new(folder.join("indices"), clock);
    std::fs::create_dir_all(&options.folder)?;
    let leaf = Leaf::start(options, Arc::clone(&coordinator) as _, Arc::new(log))?;
    let located = LeafHandle {
        node: NodeId("node-1".into()),
        client: Arc::clone(&leaf) as _,
    };
    let leaves = Arc::new(SingleLeaf::new(located));
    let root = Root::new(coordinator, leaves, RootOptions::default(), clock);
    Ok((leaf, Arc::new(root)))
}

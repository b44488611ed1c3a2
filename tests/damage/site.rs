//! One or two leaves on a folder that was written before, and a root over the one whose files are damaged.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use gleaner_coordinator::{CoordinatorError, Embedded, ShardEntries as _, update};
use gleaner_leaf::peers::InProcess;
use gleaner_leaf::{Leaf, LeafOptions, NodeIdentity, Readiness};
use gleaner_log::{LocalLog, LogOptions};
use gleaner_model::{
    ClusterState, CopyId, CopyMeta, Entry, Incarnation, IndexMeta, NodeId, NodeUuid,
};
use gleaner_proto::LeafClient;
use gleaner_proto::write::WriteAction;
use gleaner_query::limits::Limits;
use gleaner_query::settings::parse_create_index;
use gleaner_root::ingest::{IngestItem, IngestOptions, RefreshPolicy};
use gleaner_root::leaves::SingleLeaf;
use gleaner_root::{LeafHandle, Root, RootOptions};
use gleaner_testkit::node::{self, NOW_MS};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::questions::{Answer, ask};

/// Documents written, some of which are deleted again.
const NUM_DOCUMENTS: usize = 140;

/// How long a copy may take to be mended, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Which copy is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The only one.
    Alone,
    /// The replica.
    Replica,
    /// The primary, whose replica is sound.
    Primary,
}

impl Standing {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Replica => "replica",
            Self::Primary => "primary with a replica",
        }
    }

    /// Returns the leaves there are, the primary's first.
    fn nodes(self) -> &'static [&'static str] {
        match self {
            Self::Alone => &["a"],
            Self::Replica | Self::Primary => &["a", "b"],
        }
    }

    /// Returns the leaf whose files are damaged.
    fn damaged(self) -> &'static str {
        match self {
            Self::Alone | Self::Primary => "a",
            Self::Replica => "b",
        }
    }

    /// Says that a leaf is alive, and returns who it is; `None` where there is no other to agree with.
    fn identity(self, coordinator: &Embedded, name: &str) -> Result<Option<NodeIdentity>> {
        if self == Self::Alone {
            return Ok(None);
        }
        let identity = NodeIdentity {
            node: node_of(name),
            incarnation: Incarnation(rand::random()),
        };
        let entries = coordinator.embedded_entries();
        let entries = entries.context("no entries are kept")?;
        let id = NodeId(name.into());
        entries.set_alive(&id, identity.node, Some(identity.incarnation));
        Ok(Some(identity))
    }
}

fn node_of(name: &str) -> NodeUuid {
    NodeUuid([name.as_bytes()[0]; 16])
}

fn clock() -> i64 {
    NOW_MS
}

/// A folder that leaves were stopped on, and what they answered.
pub(crate) struct Template {
    folder: TempDir,
    pub(crate) answers: Vec<Answer>,
}

impl Template {
    pub(crate) fn copy(&self) -> Result<TempDir> {
        let folder = tempfile::tempdir()?;
        copy_all(self.folder.path(), folder.path())?;
        Ok(folder)
    }
}

/// Leaves that run.
pub(crate) struct Site {
    folder: TempDir,
    pub(crate) standing: Standing,
    coordinator: Arc<Embedded>,
    leaves: Vec<Arc<Leaf>>,
    pub(crate) root: Arc<Root>,
}

/// Writes documents, new versions and deletions, with commits between, and stops.
pub(crate) async fn template(standing: Standing) -> Result<Template> {
    let site = Site::start_asking(tempfile::tempdir()?, standing, "a").await?;
    let body = json!({
        "settings": {"number_of_shards": 2, "number_of_replicas": 0, "refresh_interval": "-1"},
        "mappings": {"properties": {
            "text": {"type": "text"}, "tag": {"type": "keyword"}, "n": {"type": "long"},
            "price": {"type": "double"}, "day": {"type": "date"}, "rare": {"type": "keyword"},
        }},
    });
    let new = parse_create_index(&body, &Limits::default())?;
    site.root.admin().create_index("books", new).await?;
    site.hold(standing.nodes()).await?;
    for half in [0..NUM_DOCUMENTS / 2, NUM_DOCUMENTS / 2..NUM_DOCUMENTS] {
        for part in [half.start..half.start + 35, half.start + 35..half.end] {
            let documents: Vec<_> = part.map(|n| (format!("d{n}"), document(n))).collect();
            node::put(&site.root, "books", &documents).await?;
        }
        site.commit().await?;
    }
    let deleted = (0..NUM_DOCUMENTS).filter(|n| n % 9 == 2);
    let deletes = deleted.map(|n| IngestItem {
        action: WriteAction::Delete,
        ..node::item("books", &format!("d{n}"), &Value::Null)
    });
    let options = IngestOptions {
        refresh: RefreshPolicy::Immediate,
        ..IngestOptions::default()
    };
    for result in site
        .root
        .ingester()
        .ingest(deletes.collect(), &options)
        .await
    {
        result.outcome?;
    }
    site.commit().await?;
    let answers = ask(&site.root).await;
    for (number, answer) in answers.iter().enumerate() {
        ensure!(
            matches!(answer, Answer::Whole(_)),
            "question {number}: {answer:?}"
        );
    }
    ensure!(answers.len() == 40, "{} questions", answers.len());
    let folder = site.stop().await;
    Ok(Template { folder, answers })
}

fn document(n: usize) -> Value {
    let words = ["ash", "beech", "cedar", "elm", "fir", "gum"];
    let text: Vec<&str> = (0..=(n * 7) % 23)
        .map(|i| words[(n + i * i) % words.len()])
        .collect();
    let mut document = json!({
        "text": text.join(" "), "tag": format!("t{}", n % 7), "n": n,
        "price": n as f64 * 1.25, "day": format!("2026-0{}-1{}", 1 + n % 4, n % 10),
    });
    if n % 20 == 7 {
        document["rare"] = json!("yes");
    }
    document
}

impl Site {
    /// Starts the leaves on a folder; the damaged copy is asked.
    pub(crate) async fn start(folder: TempDir, standing: Standing) -> Result<Self> {
        Self::start_asking(folder, standing, standing.damaged()).await
    }

    /// Starts the leaves on a folder; `asked` answers.
    async fn start_asking(folder: TempDir, standing: Standing, asked: &str) -> Result<Self> {
        let initial = ClusterState {
            cluster_name: "test".to_owned(),
            ..ClusterState::default()
        };
        let coordinator = Embedded::open(folder.path(), initial)?.with_entries()?;
        let coordinator = Arc::new(coordinator);
        let peers = Arc::new(InProcess::default());
        let mut leaves = Vec::new();
        for name in standing.nodes() {
            let own = folder.path().join(name);
            // Small segments, so that the log is trimmed.
            let log = LogOptions {
                segment_bytes: 1_000,
                ..LogOptions::default()
            };
            let (log, _) = LocalLog::open(&own.join("log"), log)?;
            let options = LeafOptions {
                node: Some(NodeId((*name).into())),
                identity: standing.identity(&coordinator, name)?,
                ..LeafOptions::new(own.join("indices"), clock)
            };
            fs::create_dir_all(&options.folder)?;
            let state = Arc::clone(&coordinator) as _;
            let leaf = Leaf::start_with(options, state, Arc::new(log), Arc::clone(&peers) as _)?;
            peers.add(NodeId((*name).into()), &leaf);
            leaves.push(leaf);
        }
        let at = standing.nodes().iter().position(|name| *name == asked);
        let at = at.unwrap_or_default();
        let located = LeafHandle {
            node: NodeId(standing.nodes()[at].into()),
            client: Arc::clone(&leaves[at]) as _,
        };
        let single = Arc::new(SingleLeaf::new(located));
        let state = Arc::clone(&coordinator) as _;
        let root = Arc::new(Root::new(state, single, RootOptions::default(), clock));
        Ok(Self {
            folder,
            standing,
            coordinator,
            leaves,
            root,
        })
    }

    /// Gives each shard to the leaves, the first of which leads, and waits until all of them serve and are in sync.
    async fn hold(&self, names: &[&str]) -> Result<()> {
        let copies: Vec<NodeId> = names.iter().map(|name| NodeId((*name).into())).collect();
        let state = update::<CoordinatorError, _>(&*self.coordinator, |state| {
            let mut next = state.clone();
            for index in next.indices.values_mut() {
                let mut meta = IndexMeta::clone(index);
                meta.copies = vec![copies.clone(); 2];
                *index = Arc::new(meta);
            }
            Ok(Some(next))
        })
        .await?;
        let entries = self.coordinator.embedded_entries();
        let entries = entries.context("no entries are kept")?;
        if self.standing != Standing::Alone {
            for shard in state.indices.values().flat_map(|index| index.shards()) {
                let copies = names.iter().map(|name| {
                    let node = node_of(name);
                    (CopyId(node.0), CopyMeta::on(node))
                });
                entries.put(
                    shard,
                    Entry::first(CopyId(node_of("a").0), copies.collect()),
                );
            }
            let mut tables = entries.watch();
            let are_in_sync = tables.wait_for(|table| {
                let mut shards = table.shards.values();
                shards.all(|stored| stored.entry.in_sync.len() == names.len())
            });
            drop(timeout(PATIENCE, are_in_sync).await??);
        }
        ensure!(self.settle().await?.is_empty(), "a copy fails");
        Ok(())
    }

    /// Makes a durable commit on each copy, once all show the same.
    async fn commit(&self) -> Result<()> {
        let begun = Instant::now();
        loop {
            let mut shown = BTreeSet::new();
            let mut shards = BTreeSet::new();
            for leaf in &self.leaves {
                let states = leaf.shard_states().await?;
                shards.extend(states.iter().map(|state| state.shard));
                shown.insert(format!(
                    "{:?}",
                    states
                        .iter()
                        .map(|state| state.generation)
                        .collect::<Vec<_>>()
                ));
            }
            if shown.len() == 1 {
                for leaf in self.leaves.iter().rev() {
                    for shard in &shards {
                        leaf.flush(*shard).await?;
                    }
                }
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "copies show {shown:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until each copy serves or has failed; returns why those have. Where there is another copy a failed
    /// one is opened again, which is waited for: the other leaf may have been unknown at the first attempt.
    pub(crate) async fn settle(&self) -> Result<Vec<String>> {
        let begun = Instant::now();
        loop {
            let readiness = self.leaves.iter().map(|leaf| leaf.readiness());
            let readiness: Vec<_> = readiness.collect();
            let is_settled = match self.standing {
                Standing::Alone => readiness.iter().all(|one| one.opening.is_empty()),
                Standing::Replica | Standing::Primary => readiness.iter().all(Readiness::is_ready),
            };
            let is_late = begun.elapsed() >= PATIENCE;
            if is_settled || is_late {
                let opening = readiness.iter().all(|one| one.opening.is_empty());
                ensure!(opening, "copies do not open: {readiness:?}");
                let failed = readiness.into_iter().flat_map(|one| one.failed);
                return Ok(failed.map(|(_, reason)| reason).collect());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Returns the damages that were found.
    pub(crate) fn damages(&self) -> Vec<String> {
        let found = self.leaves.iter().flat_map(|leaf| leaf.found_damages());
        found.map(|(_, reason)| reason).collect()
    }

    /// Stops the leaves.
    pub(crate) async fn stop(self) -> TempDir {
        for leaf in self.leaves.iter().rev() {
            leaf.stop().await;
        }
        self.folder
    }
}

/// Returns the folders of the copies that may be damaged.
pub(crate) fn shard_folders(folder: &Path, standing: Standing) -> Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for index in fs::read_dir(folder.join(standing.damaged()).join("indices"))? {
        let index = index?.path();
        // Beside them the node's starts are counted.
        if !index.is_dir() {
            continue;
        }
        for shard in fs::read_dir(index)? {
            let path = shard?.path();
            // Beside them is said which copies they are.
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    folders.sort();
    ensure!(folders.len() == 2, "{folders:?}");
    Ok(folders)
}

fn copy_all(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_all(&entry.path(), &target)?,
            false => drop(fs::copy(entry.path(), target)?),
        }
    }
    Ok(())
}

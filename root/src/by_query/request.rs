//! What a task by query is asked to do.

use std::time::Duration;

use gleaner_model::ActiveShards;
use gleaner_query::search::{SearchRequest, SourceFilter};
use parking_lot::Mutex;

use super::DocumentPages;
use crate::memory::HeldMemory;
use crate::plan::Target;

/// What is done to the documents that a query finds.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Each is deleted, unless it changed meanwhile.
    Delete,
    /// Each is written again as it is, for a mapping that has grown, unless it changed meanwhile.
    Update,
    /// Each is copied to another index.
    Reindex(Destination),
}

/// Where documents are copied to, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Destination {
    /// Index or alias.
    pub index: String,
    /// Whether `index` must be an alias.
    pub require_alias: bool,
    /// Whether a document that is there already stays, and counts as a conflict (`op_type=create`).
    pub creates: bool,
    /// What a document must be to replace the one that is there.
    pub version_type: VersionType,
    /// The routing of copies.
    pub routing: NewRouting,
    /// What of each document is copied.
    pub source: SourceFilter,
}

/// What a document must be to replace another (`version_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VersionType {
    /// Anything.
    #[default]
    Internal,
    /// Of a larger version, which it keeps.
    External,
    /// Of the same version or a larger one, which it keeps.
    ExternalGte,
}

/// The routing of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum NewRouting {
    /// That of the document.
    #[default]
    Keep,
    /// None.
    Discard,
    /// This one.
    Is(String),
}

/// Where the documents come from.
pub enum DocumentSource {
    /// Indices of this cluster.
    Here(Target),
    /// Another cluster, and its address for people.
    Elsewhere(String, Mutex<Option<Box<dyn DocumentPages>>>),
}

/// How many parts a task is done in, side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slices {
    /// As many as the smallest index has shards, 20 at most.
    Auto,
    /// So many, ≥ 1.
    Number(u32),
}

/// What is to be done, and how.
pub struct ByQueryRequest {
    /// What is done.
    pub change: Change,
    /// Where the documents come from.
    pub source: DocumentSource,
    /// The query, and the order in which matches are taken.
    pub search: SearchRequest,
    /// What it works on, for the list of tasks.
    pub description: String,
    /// Documents of a page, ≥ 1; the dialect's default is 1,000.
    pub page_size: usize,
    /// Documents written at most; `None` is all.
    pub max_docs: Option<usize>,
    /// Whether documents that changed meanwhile are left and counted; else the first ends it.
    pub is_proceeding_on_conflicts: bool,
    /// Whether the shards written to are refreshed at the end.
    pub is_refreshed: bool,
    /// Documents a second at most; `None` is as fast as it goes.
    pub requests_per_second: Option<f64>,
    /// Longest time between two pages.
    pub keep_alive: Duration,
    /// How long the writes of a page may take; `None` is the node's default.
    pub write_timeout: Option<Duration>,
    /// How many copies are to be in sync before a shard is written to; `None` is what its index says.
    pub active_shards: Option<ActiveShards>,
    /// How many parts it is done in.
    pub slices: Slices,
    /// What the documents that its query names take in memory, until it has ended.
    pub held: Vec<HeldMemory>,
}

impl ByQueryRequest {
    /// Returns a request for all that `search` finds in `target`, by the dialect's defaults.
    pub fn new(change: Change, target: Target, search: SearchRequest) -> Self {
        Self {
            change,
            description: target.name().to_owned(),
            source: DocumentSource::Here(target),
            search,
            page_size: 1_000,
            max_docs: None,
            is_proceeding_on_conflicts: false,
            is_refreshed: false,
            requests_per_second: None,
            keep_alive: Duration::from_secs(300),
            write_timeout: None,
            active_shards: None,
            slices: Slices::Number(1),
            held: Vec::new(),
        }
    }
}

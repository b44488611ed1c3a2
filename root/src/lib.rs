//! Plans, scatters, gathers: the stateless coordinator of searches and writes.
//!
//! Does: resolve names and queries, ask leaves for statistics, scatter the query, merge ranked
//! lists and aggregations, fetch the winners; route writes by shard and answer them in order;
//! change index metadata through the coordinator.
//! Does not: evaluate queries, hold shards, parse or render the dialect's JSON.
//! Called by `api`. Read [`Root`] first, then [`search`].

pub mod admin;
mod aggregations;
pub mod analyzers;
pub mod blocks;
pub mod by_query;
mod by_term;
pub mod deadline;
mod dynamic;
pub mod error;
mod expansion;
mod explain;
mod fetch;
mod health;
pub mod ingest;
pub mod leaves;
pub mod memory;
pub mod merge;
pub mod placing;
pub mod plan;
pub mod point_in_time;
pub mod read;
pub mod resolve;
pub mod response;
pub mod scatter;
pub mod scroll;
pub mod search;
mod shown;
mod slow_log;
mod statistics;
pub mod tasks;
#[cfg(test)]
mod testing;
mod token;
pub mod validation;
mod vanished;
pub mod visibility;
pub mod waterfall;
mod work;

use std::sync::Arc;
use std::time::{Duration, Instant};

use gleaner_coordinator::Coordinator;
use gleaner_engine::control::MemoryAccount;
use gleaner_model::{ClusterState, NodeId};
use gleaner_query::limits::Limits;

pub use error::RootError;
pub use leaves::{LeafHandle, Leaves};
pub use response::{Coverage, SearchResponse, ShardFailure, ShardSummary, Total};

/// What a root may use up; every number has a default.
#[derive(Debug, Clone)]
pub struct RootOptions {
    /// Name of this node, which ids of tasks begin with; default `root`.
    pub node: NodeId,
    /// Deadline of searches that name none, unless the cluster's settings say; default 60 s.
    pub default_timeout: Duration,
    /// How long a shard is waited for by writes that name no time; default 60 s, as the dialect's.
    pub write_timeout: Duration,
    /// Longest `keep_alive` of scrolls and points in time, unless the cluster's settings say; default
    /// 24 h.
    pub max_keep_alive: Duration,
    /// Most shards of all indices together (`cluster.max_shards_per_node`); default 1,000.
    pub max_shards: usize,
    /// Whether a write to an unknown index creates it; default true.
    pub auto_create_index: bool,
    /// Copies beside the primary of indices that do not say; default 1, as the dialect's.
    pub default_replicas: u32,
    /// Share of the shard requests that may be sent to a second copy because the first is late, 0 to
    /// 1; default 0.05. 0 sends none.
    pub hedge_share: f64,
    /// Whether the copy that is asked is chosen by load and warmth; else the primary is asked first.
    /// Default true: switched off only to measure what it is worth.
    pub is_choosing_copies: bool,
    /// Bytes of posting lists that are remembered for searches scattered by terms; default 64 MiB.
    pub term_lists_cache_bytes: u64,
    /// Bytes of posting lists that all searches scattered by terms together may hold; default 1 GiB.
    /// One of them may hold a quarter.
    pub term_lists_memory_bytes: u64,
    /// Bytes that all answers together may hold, from what is fetched to what is written to clients; default
    /// 1 GiB. In one process with a leaf, its queries draw on the same ([`Root::sharing`]).
    pub query_memory_bytes: u64,
    /// Bytes that one answer may hold; default 256 MiB.
    pub memory_per_query_bytes: u64,
    /// Limits on requests.
    pub limits: Limits,
}

impl Default for RootOptions {
    fn default() -> Self {
        Self {
            node: NodeId("root".into()),
            default_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            max_keep_alive: Duration::from_secs(24 * 3600),
            max_shards: 1_000,
            auto_create_index: true,
            default_replicas: 1,
            hedge_share: 0.05,
            is_choosing_copies: true,
            term_lists_cache_bytes: 64 << 20,
            term_lists_memory_bytes: 1 << 30,
            query_memory_bytes: 1 << 30,
            memory_per_query_bytes: 256 << 20,
            limits: Limits::default(),
        }
    }
}

/// Answers searches and writes by asking leaves. Cheap to share; keeps no state of requests, only
/// caches that any root could fill.
pub struct Root {
    coordinator: Arc<dyn Coordinator>,
    leaves: Arc<dyn Leaves>,
    analyzers: analyzers::Cache,
    statistics: statistics::Cache,
    expansions: expansion::Cache,
    health: Arc<health::Book>,
    shown: shown::Shown,
    tasks: tasks::Tasks,
    terms: by_term::Means,
    memory: Arc<MemoryAccount>,
    workers: work::Workers,
    ids: ingest::IdSource,
    keys: ingest::Keys,
    options: RootOptions,
    clock: fn() -> i64,
    begun: Instant,
}

impl Root {
    /// Returns a root over `leaves`; `clock` gives milliseconds since the epoch.
    pub fn new(
        coordinator: Arc<dyn Coordinator>,
        leaves: Arc<dyn Leaves>,
        options: RootOptions,
        clock: fn() -> i64,
    ) -> Self {
        scatter::begin_counting();
        Self {
            coordinator,
            leaves,
            analyzers: analyzers::Cache::default(),
            statistics: statistics::Cache::default(),
            expansions: expansion::Cache::default(),
            health: Arc::new(health::Book::new(
                options.hedge_share,
                options.is_choosing_copies,
            )),
            shown: shown::Shown::default(),
            tasks: tasks::Tasks::default(),
            terms: by_term::Means::new(&options),
            memory: MemoryAccount::root("parent", options.query_memory_bytes),
            workers: work::Workers::default(),
            ids: ingest::IdSource::new(),
            keys: ingest::Keys::default(),
            options,
            clock,
            begun: Instant::now(),
        }
    }

    /// Returns the newest cluster state known here.
    pub fn state(&self) -> Arc<ClusterState> {
        self.coordinator.state()
    }

    /// Returns the options in force.
    pub fn options(&self) -> &RootOptions {
        &self.options
    }

    /// Returns the leaves.
    pub fn leaves(&self) -> &Arc<dyn Leaves> {
        &self.leaves
    }

    /// Returns the coordinator.
    pub fn coordinator(&self) -> &Arc<dyn Coordinator> {
        &self.coordinator
    }

    /// Returns the time of a request: milliseconds since the epoch.
    pub fn now_ms(&self) -> i64 {
        (self.clock)()
    }
}

//! Plans, scatters, gathers: the stateless coordinator of searches and writes.
//!
//! Does: resolve names and queries, ask leaves for statistics, scatter the query, merge ranked
//! lists and aggregations, fetch the winners; route writes by shard and answer them in order;
//! change index metadata through the coordinator.
//! Does not: evaluate queries, hold shards, parse or render the dialect's JSON.
//! Called by `api`. Read [`Root`] first, then [`search`].

#![cfg_attr(not(test), warn(clippy::large_futures))]

pub mod admin;
mod aggregations;
pub mod analyzers;
pub mod blocks;
pub mod by_query;
mod by_term;
pub mod cluster;
pub mod deadline;
pub mod edition;
pub mod error;
mod expansion;
mod explain;
mod fetch;
mod field_texts;
pub mod force_merge;
mod health;
pub mod ingest;
pub mod leaves;
pub mod lifecycle;
pub mod losses;
pub mod memory;
pub mod merge;
pub mod origin;
pub mod placing;
pub mod plan;
pub mod planner;
pub mod point_in_time;
mod primary;
pub mod read;
pub mod resize;
pub mod resolve;
pub mod response;
pub mod rollover;
pub mod scatter;
pub mod scroll;
pub mod search;
mod shown;
mod slow_log;
mod statistics;
pub mod task_results;
pub mod tasks;
pub mod term_vectors;
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
use gleaner_model::{Edition, NodeId};
use gleaner_partial::control::MemoryAccount;
use gleaner_query::canonical::edition::Targets;
use gleaner_query::limits::Limits;
use gleaner_query::settings::cluster::DEFAULT_MAX_SHARDS_PER_NODE;

use admin::Admin;
use by_query::ByQuery;
use cluster::ClusterView;
use edition::Editions;
use ingest::Ingester;
use memory::Accounts;
use planner::Planner;
use point_in_time::Contexts;
use read::Reader;
use scatter::Scatterer;
use search::Searcher;
use task_results::Results;
use tasks::Tasks;
use visibility::Refresher;

pub use error::RootError;
pub use leaves::{LeafHandle, Leaves};
pub use response::{Coverage, SearchResponse, ShardFailure, ShardSummary, Total};
pub use work::{measured, on_own_thread};

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
    /// Most copies of shards for each leaf (`cluster.max_shards_per_node`); default 1,000.
    pub max_shards_per_node: usize,
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
    /// 1 GiB. In one process with a leaf, its queries draw on the same ([`Accounts::sharing`]).
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
            max_shards_per_node: DEFAULT_MAX_SHARDS_PER_NODE,
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

/// What several parts of a root use.
pub(crate) struct SharedParts {
    pub(crate) cluster: Arc<ClusterView>,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) health: Arc<health::Book>,
    pub(crate) shown: Arc<shown::VisibleFloor>,
    pub(crate) statistics: Arc<statistics::Cache>,
    pub(crate) analyzers: Arc<analyzers::Cache>,
    pub(crate) workers: Arc<work::Workers>,
    pub(crate) editions: Arc<Editions>,
}

impl SharedParts {
    fn new(cluster: Arc<ClusterView>, memory: Arc<MemoryAccount>) -> Self {
        let options = &cluster.options;
        let health = health::Book::new(options.hedge_share, options.is_choosing_copies);
        let health = Arc::new(health);
        Self {
            accounts: Arc::new(Accounts {
                cluster: Arc::clone(&cluster),
                memory,
            }),
            tasks: Arc::new(Tasks::new(Arc::clone(&cluster))),
            shown: Arc::default(),
            statistics: Arc::default(),
            analyzers: Arc::default(),
            workers: Arc::default(),
            editions: Arc::new(Editions::new(&cluster, &health)),
            health,
            cluster,
        }
    }
}

/// Answers searches and writes by asking leaves. Cheap to share; keeps no state of requests, only
/// caches that any root could fill. It is made of parts, each with its own state.
pub struct Root {
    cluster: Arc<ClusterView>,
    accounts: Arc<Accounts>,
    tasks: Arc<Tasks>,
    planner: Arc<Planner>,
    searcher: Arc<Searcher>,
    contexts: Arc<Contexts>,
    refresher: Arc<Refresher>,
    admin: Arc<Admin>,
    ingester: Arc<Ingester>,
    reader: Reader,
    by_query: Arc<ByQuery>,
    results: Arc<Results>,
    editions: Arc<Editions>,
    seen_due: lifecycle::SeenDue,
}

impl Root {
    /// Returns a root over `leaves`; `clock` gives milliseconds since the epoch.
    pub fn new(
        coordinator: Arc<dyn Coordinator>,
        leaves: Arc<dyn Leaves>,
        options: RootOptions,
        clock: fn() -> i64,
    ) -> Self {
        let memory = MemoryAccount::root("parent", options.query_memory_bytes);
        Self::with_memory(coordinator, leaves, options, clock, memory)
    }

    /// As [`Root::new`]; answers draw on `memory`, the account of the leaf in the same process.
    pub fn with_memory(
        coordinator: Arc<dyn Coordinator>,
        leaves: Arc<dyn Leaves>,
        options: RootOptions,
        clock: fn() -> i64,
        memory: Arc<MemoryAccount>,
    ) -> Self {
        scatter::begin_counting();
        let cluster = Arc::new(ClusterView {
            coordinator,
            leaves,
            options,
            clock,
            begun: Instant::now(),
        });
        let shared = SharedParts::new(cluster, memory);
        let scatterer = Arc::new(Scatterer::new(&shared));
        let planner = Arc::new(Planner::new(&shared, &scatterer));
        let searcher = Arc::new(Searcher::new(&shared, &scatterer, &planner));
        let contexts = Arc::new(Contexts::new(&shared, &searcher));
        let refresher = Arc::new(Refresher::new(&shared, &planner));
        let admin = Arc::new(Admin::new(&shared, &refresher));
        let ingester = Arc::new(Ingester::new(&shared, &admin));
        let reader = Reader::new(&shared, &searcher);
        let results = Arc::new(Results::new(&ingester));
        let by_query = Arc::new(ByQuery::new(&shared, &contexts, &ingester, &results));
        let SharedParts {
            cluster,
            accounts,
            tasks,
            editions,
            ..
        } = shared;
        Self {
            cluster,
            accounts,
            tasks,
            planner,
            searcher,
            contexts,
            refresher,
            admin,
            ingester,
            reader,
            by_query,
            results,
            editions,
            seen_due: lifecycle::SeenDue::default(),
        }
    }

    /// Returns the cluster as this root sees it: state, leaves, options, limits.
    pub fn cluster(&self) -> &ClusterView {
        &self.cluster
    }

    /// Returns the edition that an answer from `targets` would have now, by what is known in this process, without a
    /// call. `None` where nobody can tell: a shard is elsewhere and not leased, does not serve or rests, an index is
    /// gone.
    ///
    /// The shards count as read: one that rests is refreshed again from now on.
    pub fn current_edition(&self, targets: &Targets) -> Option<Edition> {
        self.editions.current(targets)
    }

    /// Returns whether [`Self::current_edition`] can tell: the leaf is in this process. Else [`Self::ask_edition`] can.
    pub fn knows_editions(&self) -> bool {
        self.cluster.leaves.are_here()
    }

    /// Returns the edition that an answer from `targets` would have now, by what primaries say within `patience`: one
    /// call to each leaf that holds one of them. `None` where nobody can tell: a primary is away, does not serve or
    /// rests, an index is gone. A write that was acknowledged as visible before this call is in it.
    ///
    /// The shards count as read.
    pub async fn ask_edition(&self, targets: &Targets, patience: Duration) -> Option<Edition> {
        self.editions.ask(targets, patience).await
    }

    /// Returns the memory of answers.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Returns the list of tasks.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Returns what plans requests and validates queries.
    pub fn planner(&self) -> &Planner {
        &self.planner
    }

    /// Returns what searches.
    pub fn searcher(&self) -> &Searcher {
        &self.searcher
    }

    /// Returns the scrolls and points in time.
    pub fn contexts(&self) -> &Contexts {
        &self.contexts
    }

    /// Returns what makes writes visible.
    pub fn refresher(&self) -> &Refresher {
        &self.refresher
    }

    /// Returns what changes indices and settings.
    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    /// Returns what writes documents.
    pub fn ingester(&self) -> &Ingester {
        &self.ingester
    }

    /// Returns what looks at lost copies, and forces one.
    pub fn losses(&self) -> losses::Losses<'_> {
        losses::Losses {
            cluster: &self.cluster,
        }
    }

    /// Returns what reads documents by id and describes shards.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Returns what begins tasks by query.
    pub fn by_query(&self) -> &Arc<ByQuery> {
        &self.by_query
    }
}

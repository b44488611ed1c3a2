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
pub mod by_query;
pub mod deadline;
pub mod error;
mod expansion;
mod fetch;
pub mod ingest;
pub mod leaves;
pub mod merge;
mod placing;
pub mod plan;
pub mod point_in_time;
pub mod read;
pub mod resolve;
pub mod response;
pub mod scatter;
pub mod scroll;
pub mod search;
mod statistics;
#[cfg(test)]
mod testing;
mod token;

use std::sync::Arc;
use std::time::Duration;

use gleaner_coordinator::Coordinator;
use gleaner_model::ClusterState;
use gleaner_query::limits::Limits;

pub use error::RootError;
pub use leaves::{Leaves, Located};
pub use response::{SearchResponse, ShardFailure, ShardSummary, Total};

/// What a root may use up; every number has a default.
#[derive(Debug, Clone)]
pub struct RootOptions {
    /// Deadline of searches that name none; default 60 s.
    pub default_timeout: Duration,
    /// Deadline of writes that name none; default 60 s, as the dialect's.
    pub write_timeout: Duration,
    /// Longest `keep_alive` of scrolls and points in time; default 24 h.
    pub max_keep_alive: Duration,
    /// Most shards of all indices together (`cluster.max_shards_per_node`); default 1,000.
    pub max_shards: usize,
    /// Whether a write to an unknown index creates it; default true.
    pub auto_create_index: bool,
    /// Limits on requests.
    pub limits: Limits,
}

impl Default for RootOptions {
    fn default() -> Self {
        Self {
            default_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            max_keep_alive: Duration::from_secs(24 * 3600),
            max_shards: 1_000,
            auto_create_index: true,
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
    options: RootOptions,
    clock: fn() -> i64,
}

impl Root {
    /// Returns a root over `leaves`; `clock` gives milliseconds since the epoch.
    pub fn new(
        coordinator: Arc<dyn Coordinator>,
        leaves: Arc<dyn Leaves>,
        options: RootOptions,
        clock: fn() -> i64,
    ) -> Self {
        Self {
            coordinator,
            leaves,
            analyzers: analyzers::Cache::default(),
            statistics: statistics::Cache::default(),
            options,
            clock,
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

//! What a search answers, before rendering.

use std::time::Duration;

use gleaner_model::{NodeId, ShardKey};
use gleaner_proto::LeafFault;
use gleaner_query::answer::{AggregationResult, Hit};

use crate::token::Position;

/// The answer to a search.
#[derive(Debug, Clone, Default)]
pub struct SearchResponse {
    /// Time from reception to this answer.
    pub took: Duration,
    /// Whether the deadline cut something short.
    pub timed_out: bool,
    /// Whether `terminate_after` did; `None` when it was not asked for.
    pub terminated_early: Option<bool>,
    /// What the answer covers.
    pub shards: ShardSummary,
    /// How many matched; `None` when it was not asked for.
    pub total: Option<Total>,
    /// Largest score; `None` when scores were not computed or nothing matched.
    pub max_score: Option<f32>,
    /// The hits.
    pub hits: Vec<Hit>,
    /// The aggregations, in the order asked.
    pub aggregations: Vec<AggregationResult>,
    /// Id to continue the scroll with.
    pub scroll_id: Option<String>,
    /// The point in time searched.
    pub pit_id: Option<String>,
    /// Timings, when asked for.
    pub profile: Vec<CallProfile>,
    /// The last hit of the window, for scrolls.
    pub(crate) last: Option<Position>,
}

/// How many documents matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// min(matches, limit).
    pub value: u64,
    /// Whether `value` is all of them.
    pub is_exact: bool,
}

/// Which shards an answer covers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ShardSummary {
    /// Shards that were to answer.
    pub total: u32,
    /// Shards that did.
    pub successful: u32,
    /// Shards that could not match and were not asked.
    pub skipped: u32,
    /// Why the others did not.
    pub failures: Vec<ShardFailure>,
    /// Live documents in the shards that answered.
    pub documents: u64,
}

/// Why a shard is missing from an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ShardFailure {
    /// The index's name.
    pub index: String,
    /// The shard.
    pub shard: ShardKey,
    /// The leaf asked, when there was one.
    pub node: Option<NodeId>,
    /// What it said.
    pub fault: LeafFault,
}

/// Time of one call to a leaf, on the root's clock.
#[derive(Debug, Clone, PartialEq)]
pub struct CallProfile {
    /// `statistics`, `expand`, `query` or `fetch`.
    pub phase: &'static str,
    /// The leaf.
    pub node: NodeId,
    /// The shards asked.
    pub shards: Vec<ShardKey>,
    /// From the request's start to the call.
    pub started_after: Duration,
    /// The call's time.
    pub took: Duration,
}

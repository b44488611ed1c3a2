//! What a search answers, before rendering.

use std::sync::Arc;
use std::time::Duration;

use gleaner_model::{Edition, NodeId, ShardKey};
use gleaner_partial::control::Ledger;
use gleaner_proto::LeafFault;
use gleaner_query::answer::{AggregationResult, Hit};

use crate::memory::HeldMemory;
use crate::token::Position;
use crate::waterfall::Waterfall;

/// The answer to a search.
#[derive(Debug, Clone, Default)]
pub struct SearchResponse {
    /// Time from reception to this answer.
    pub took: Duration,
    /// The processor time that leaves took for it, all threads together.
    pub cpu: Duration,
    /// Whether the deadline cut something short.
    pub timed_out: bool,
    /// Whether `terminate_after` did; `None` when it was not asked for.
    pub terminated_early: Option<bool>,
    /// Which shards the answer is made of.
    pub shards: ShardSummary,
    /// How much of what was asked it has seen.
    pub coverage: Coverage,
    /// How many matched; `None` when it was not asked for.
    pub total: Option<Total>,
    /// Largest score; `None` when scores were not computed or nothing matched.
    pub max_score: Option<f32>,
    /// The hits.
    pub hits: Vec<Hit>,
    /// The leaf that ranked each hit, for searches that explain them; empty for others.
    pub explained_on: Vec<NodeId>,
    /// The aggregations, in the order asked.
    pub aggregations: Vec<AggregationResult>,
    /// Id to continue the scroll with.
    pub scroll_id: Option<String>,
    /// The point in time searched.
    pub pit_id: Option<String>,
    /// Where the time went, when asked for.
    pub profile: Option<Box<Waterfall>>,
    /// Bytes that what is shown of the hits takes, roughly.
    pub content_bytes: usize,
    /// The memory that the hits hold.
    pub(crate) held: Option<Arc<HeldMemory>>,
    /// The memory that hits within hits hold.
    pub(crate) held_inner: Vec<Arc<HeldMemory>>,
    /// The memory that the aggregations hold.
    pub(crate) held_results: Option<Arc<Ledger>>,
    /// The last hit of the window, for scrolls.
    pub(crate) last: Option<Position>,
    /// The state that it was evaluated on, where that was asked for. `None` where the answer is not whole, or is of
    /// a pinned moment: it is good for the one who asked alone.
    pub edition: Option<Edition>,
}

impl SearchResponse {
    /// Returns whether all that was asked was seen, and nothing of it may be old.
    pub fn is_whole(&self) -> bool {
        !self.timed_out
            && self.terminated_early.is_none()
            && self.shards.failures.is_empty()
            && self.shards.stale == 0
            && !self.coverage.is_partial()
    }
}

/// How many documents matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// min(matches, limit).
    pub value: u64,
    /// Whether `value` is all of them.
    pub is_exact: bool,
}

/// Which shards an answer is made of.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ShardSummary {
    /// Shards that were to answer.
    pub total: u32,
    /// Shards that did.
    pub successful: u32,
    /// Shards that could not match and were not asked.
    pub skipped: u32,
    /// Shards among those that did whose copies were without their primaries: acknowledged writes may be
    /// missing.
    pub stale: u32,
    /// Why the others did not.
    pub failures: Vec<ShardFailure>,
}

/// How much of what was asked an answer has seen. Shards that were not asked for what they hold count as
/// seen; those of indices that have nothing to match by the query alone count nowhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Live documents in the shards that answered whole.
    pub documents_seen: u64,
    /// Those in shards whose evaluation the deadline cut short: some were seen, others not.
    pub documents_cut: u64,
    /// Those of all shards, the missing ones as last seen by this root; `None` when it never saw one.
    pub documents_total: Option<u64>,
    /// Shards that answered whole.
    pub shards_seen: u32,
    /// Shards that were cut short.
    pub shards_cut: u32,
    /// Shards that did not answer.
    pub shards_missing: u32,
}

impl Coverage {
    /// Returns the share of the documents that were seen for certain, 0 to 1; that of the shards
    /// while nobody knows how many documents the missing ones hold. Of nothing, everything was seen.
    pub fn share(&self) -> f64 {
        let num_shards = self.shards_seen + self.shards_cut + self.shards_missing;
        let (seen, total) = match self.documents_total {
            Some(total) if total > 0 => (self.documents_seen as f64, total as f64),
            _ => (f64::from(self.shards_seen), f64::from(num_shards)),
        };
        if total == 0.0 { 1.0 } else { seen / total }
    }

    /// Returns whether something was not seen for certain.
    pub fn is_partial(&self) -> bool {
        self.shards_cut + self.shards_missing > 0
    }
}

/// Why a shard is missing from an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ShardFailure {
    /// The index's name.
    pub index: String,
    /// The shard.
    pub shard: ShardKey,
    /// The leaf asked last, when there was one.
    pub node: Option<NodeId>,
    /// What it said.
    pub fault: LeafFault,
}

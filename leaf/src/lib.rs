//! Shard copies on a node: search, fetch, write as primary, refresh, checkpoint, recovery.
//!
//! Does: open the copies that the cluster state gives this node, recover them from their logs,
//! order writes as primary, make them durable and visible, evaluate queries on a pool of their own; have the
//! copies of a shard agree, and change their roles.
//! Does not: route, merge over leaves, render, decide who leads (`replication` does).
//! Called through `proto::LeafClient`, by other leaves through `proto::ReplicationClient`. Read
//! [`Leaf`] first, then `write` for the life of a write and `agree` for that of a copy.

#![cfg_attr(not(test), warn(clippy::large_futures))]

mod agree;
mod client;
mod copy;
mod counts;
mod fault;
mod lifecycle;
mod node;
mod read;
mod replicate;
mod rules;
#[cfg(test)]
mod testing;
mod write;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use gleaner_engine::document_cache;
use gleaner_machine::Probe;
use gleaner_model::{Incarnation, NodeId, NodeUuid};
use tokio::sync::Semaphore;

use copy::registry::CopyRegistry;
use lifecycle::healing::Damages;
pub use lifecycle::readiness::Readiness;
use lifecycle::recovery::Opener;
use lifecycle::reopening::{ReleasedCopies, Retries};
use node::Node;
use read::search::Searcher;
pub use replicate::peers;
pub use replicate::peers::Peers;
use write::WriteResources;

/// Who a node is to others, and which process runs on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeIdentity {
    /// The identity of its data folder.
    pub node: NodeUuid,
    /// The process, as it has registered itself.
    pub incarnation: Incarnation,
}

/// What a leaf may use up; every number has a default.
#[derive(Debug, Clone)]
pub struct LeafOptions {
    /// Folder of the shards' indices.
    pub folder: PathBuf,
    /// This node's name in the cluster state. `None` (default): one process holds everything.
    pub node: Option<NodeId>,
    /// Who this node is among those whose copies agree through the entries that the coordinator keeps. `None` (default):
    /// one process holds the only copy of every shard.
    pub identity: Option<NodeIdentity>,
    /// Threads of each of the two lanes that evaluate queries, short ones and long ones, ≥ 1; default the number of cores.
    pub search_threads: usize,
    /// Calls that may wait for a thread of a lane, in each of the two, ≥ 1; a search makes up to one for each shard.
    /// Default 1,000, then they are rejected.
    pub search_queue: usize,
    /// Bytes that all queries together may hold; default 1 GiB.
    pub query_memory_bytes: u64,
    /// Bytes that one query may hold; default 256 MiB.
    pub memory_per_query_bytes: u64,
    /// Bytes of cached filters; default 128 MiB.
    pub filter_cache_bytes: u64,
    /// Bytes of documents that searches read lately, unpacked; default 64 MiB.
    pub document_cache_bytes: u64,
    /// Bytes of documents not yet in segments, of all shards together; default 128 MiB. A shard that
    /// is written to takes 7 MiB at least.
    pub indexing_memory_bytes: usize,
    /// Bytes of writes that may be under way on the leaf, and half as many for one shard; default 512
    /// MiB, then they wait, and as many may wait.
    pub write_queue_bytes: usize,
    /// How long a write waits for room before it is rejected, at most half of the time it has left;
    /// default 1 s.
    pub write_patience: Duration,
    /// Bytes remembered of documents, per shard, that searches cannot see yet: their ids and versions,
    /// and the newest of themselves, up to a sixteenth of it. Default 16 MiB. Beyond it a refresh is made
    /// at once, far beyond it writers wait for one. Half of it is for tombstones that are visible, the
    /// newest ones.
    pub unseen_bytes: usize,
    /// Operations not yet durably committed after which a durable commit is made; default 500,000.
    pub flush_operations: u64,
    /// Longest time an operation waits for its durable commit; default 60 s. A restart replays what
    /// is not committed.
    pub flush_interval: Duration,
    /// How long a primary keeps its log for a copy that it does not hear of; default 5 min.
    pub follower_patience: Duration,
    /// Bytes of its log that a primary keeps for a copy that is behind; default 512 MiB. Beyond it
    /// the copy begins again from files.
    pub follower_log_bytes: u64,
    /// How long a shard goes without writes before it gives back its writer's memory and threads;
    /// default 5 min.
    pub writer_idle: Duration,
    /// For how long a shard that has nothing for a query promises to show nothing newer, so that roots
    /// need not ask it; default 500 ms. A refresh waits for it. Zero: no promises.
    pub lease: Duration,
    /// How long a shard must have shown the same before it promises that; default 30 s.
    pub lease_after: Duration,
    /// How long a deleted document's version is remembered; default 60 s (`index.gc_deletes`).
    pub tombstone_age: Duration,
    /// Share of the disk in use from which indices refuse writes; default 0.95.
    pub flood_stage: f64,
    /// Share of the disk in use below which they take them again; default 0.90.
    pub high_watermark: f64,
    /// Free bytes that are enough whatever the share: a nearly full disk of terabytes still has
    /// room. Default 4 GiB; half of it is the flood stage.
    pub headroom_bytes: u64,
    /// Whether all files of a copy are read and checked before it serves, and not only their lengths;
    /// default true.
    pub verify_at_opening: bool,
    /// Bytes a second at which the files of open copies are checked, over and over; default 8 MiB. 0: never.
    pub scrub_rate: u64,
    /// Clock: milliseconds since the epoch.
    pub clock: fn() -> i64,
    /// The rule that a planted error breaks.
    #[cfg(test)]
    pub(crate) omitted: Option<rules::Rule>,
}

impl LeafOptions {
    /// Returns the defaults for shards in `folder`.
    pub fn new(folder: PathBuf, clock: fn() -> i64) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            folder,
            node: None,
            identity: None,
            search_threads: cores,
            search_queue: 1_000,
            query_memory_bytes: 1 << 30,
            memory_per_query_bytes: 256 << 20,
            filter_cache_bytes: 128 << 20,
            document_cache_bytes: document_cache::DEFAULT_BUDGET_BYTES,
            indexing_memory_bytes: 128 << 20,
            write_queue_bytes: 512 << 20,
            write_patience: Duration::from_secs(1),
            unseen_bytes: 16 << 20,
            flush_operations: 500_000,
            flush_interval: Duration::from_secs(60),
            follower_patience: Duration::from_secs(300),
            follower_log_bytes: 512 << 20,
            writer_idle: Duration::from_secs(300),
            lease: Duration::from_millis(500),
            lease_after: Duration::from_secs(30),
            tombstone_age: Duration::from_secs(60),
            flood_stage: 0.95,
            high_watermark: 0.90,
            headroom_bytes: 4 << 30,
            verify_at_opening: true,
            scrub_rate: 8 << 20,
            clock,
            #[cfg(test)]
            omitted: None,
        }
    }
}

/// A node's shard copies. Share it by `Arc`; it answers through `proto::LeafClient`.
pub struct Leaf {
    node: Arc<Node>,
    copies: Arc<CopyRegistry>,
    opener: Opener,
    searcher: Searcher,
    writes: Arc<WriteResources>,
    retries: Retries,
    released: ReleasedCopies,
    damages: Damages,
    /// Bounds how many replicas copy files at once.
    copying: Semaphore,
    /// Copies that are looked after at once.
    maintaining: Semaphore,
    /// Reads what process, machine and disk say of themselves.
    probe: Arc<Probe>,
    /// Numbers of snapshots handed out; begins at the time of the start, so that one of an earlier
    /// life is not taken for another.
    next_snapshot: AtomicU64,
}

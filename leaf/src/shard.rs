//! One shard copy: its index, its log, and the state of its primary.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use gleaner_analysis::AnalyzerRegistry;
use gleaner_engine::copy::ShardIndex;
use gleaner_engine::schema::document::DocumentParser;
use gleaner_log::{LogError, ShardLog};
use gleaner_model::{IndexMeta, PrimaryTerm, SeqNo, ShardKey};
use gleaner_proto::read::ShardCounters;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::applier::Applier;
use crate::applying::ApplyThreads;
use crate::followers::Followers;
use crate::link::Link;
use crate::makers::Makers;
use crate::opening::Opening;
use crate::pipeline::{Pipeline, PipelineState};
use crate::resting::Resting;
use crate::role::Role;
use crate::scrubber::Checks;
use crate::snapshots::Snapshots;
use crate::versions::VersionMap;
use crate::views::Views;
use crate::write::{Gathering, ShardRoom};

/// Where a shard stands on this leaf.
#[derive(Clone)]
pub(crate) enum Slot {
    /// Its index is being opened, its log replayed, its files copied or its primary caught up with.
    Opening(Arc<Opening>),
    /// It serves.
    Open(Arc<Shard>),
    /// It cannot serve; says why.
    Failed(Arc<str>),
    /// It is not wanted here any more and is being removed.
    Closing,
}

/// An open shard copy.
pub(crate) struct Shard {
    pub(crate) key: ShardKey,
    /// Of a replica, that to its primary. A copy keeps the role it was opened with.
    pub(crate) link: Option<Link>,
    pub(crate) log: Arc<dyn ShardLog>,
    pub(crate) index: ArcSwap<IndexMeta>,
    pub(crate) analyzers: ArcSwap<AnalyzerRegistry>,
    /// Reads documents under the mapping in force.
    pub(crate) parser: ArcSwap<DocumentParser>,
    /// Held while the index's meta is taken over, so that mapping, parser and engine agree.
    pub(crate) taking_meta: Mutex<()>,
    /// Held by who waits for that.
    pub(crate) taking_turn: tokio::sync::Mutex<()>,
    pub(crate) primary: Arc<tokio::sync::Mutex<Primary>>,
    pub(crate) applier: Applier,
    /// Threads that apply operations.
    pub(crate) applying: ApplyThreads,
    pub(crate) views: Views,
    /// Those who follow this copy's log.
    pub(crate) followers: Followers,
    /// Durable commits that followers copy.
    pub(crate) snapshots: Snapshots,
    /// What its writes may take.
    pub(crate) room: ShardRoom,
    /// Small calls that are about to be written together.
    pub(crate) gathering: Gathering,
    /// Batches between the log and the index.
    pub(crate) pipeline: Pipeline,
    /// Whether refreshes are left out because nobody reads.
    pub(crate) resting: Resting,
    /// Tells the refresh loop that the version map is full, or that somebody reads after a rest.
    pub(crate) refresh_wanted: Notify,
    /// Tells the refresh loop that the index has another refresh interval.
    pub(crate) interval_changed: Notify,
    /// A replica was asked for a durable commit where it could not make one.
    pub(crate) flush_wanted: AtomicBool,
    /// A round of maintenance is under way.
    pub(crate) is_maintained: AtomicBool,
    /// Held while documents that lack fields are looked for: one such task a shard.
    pub(crate) mending: tokio::sync::Mutex<()>,
    /// When its files were checked.
    pub(crate) checks: Mutex<Checks>,
    pub(crate) counters: Counters,
    pub(crate) flushes: Mutex<Flushes>,
}

/// What the primary knows; held while writes are ordered, not while they become durable.
pub(crate) struct Primary {
    pub(crate) term: PrimaryTerm,
    /// The next operation's position.
    pub(crate) next: SeqNo,
    pub(crate) versions: VersionMap,
    pub(crate) makers: Makers,
    /// This copy takes no more writes: it is being removed, opened again, or the leaf stops.
    pub(crate) is_closed: bool,
}

/// How far durable commits reach.
pub(crate) struct Flushes {
    pub(crate) committed: SeqNo,
    /// The log was trimmed below this.
    pub(crate) trimmed: SeqNo,
    pub(crate) since: Instant,
    /// Where the last round of maintenance found the applied operations, and since when.
    pub(crate) idle_at: SeqNo,
    pub(crate) idle_since: Instant,
}

/// What the shard has done since it was opened.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) index: AtomicU64,
    pub(crate) index_us: AtomicU64,
    pub(crate) index_failed: AtomicU64,
    pub(crate) delete: AtomicU64,
    pub(crate) noop: AtomicU64,
    pub(crate) query: AtomicU64,
    pub(crate) query_us: AtomicU64,
    pub(crate) fetch: AtomicU64,
    pub(crate) fetch_us: AtomicU64,
    pub(crate) get: AtomicU64,
    pub(crate) refresh: AtomicU64,
    pub(crate) flush: AtomicU64,
}

impl Counters {
    /// Counts one more event that took `elapsed`.
    pub(crate) fn add(count: &AtomicU64, time_us: &AtomicU64, elapsed: std::time::Duration) {
        count.fetch_add(1, Ordering::Relaxed);
        time_us.fetch_add(elapsed.as_micros() as u64, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> ShardCounters {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ShardCounters {
            index_total: get(&self.index),
            index_time_ms: get(&self.index_us) / 1_000,
            index_failed: get(&self.index_failed),
            delete_total: get(&self.delete),
            noop_total: get(&self.noop),
            query_total: get(&self.query),
            query_time_ms: get(&self.query_us) / 1_000,
            fetch_total: get(&self.fetch),
            fetch_time_ms: get(&self.fetch_us) / 1_000,
            get_total: get(&self.get),
            refresh_total: get(&self.refresh),
            flush_total: get(&self.flush),
        }
    }
}

impl Shard {
    /// Returns how many operations the follower lacks that is furthest behind; 0 where there is none.
    pub(crate) fn replica_lag(&self) -> u64 {
        let slowest = self.followers.slowest();
        slowest.map_or(0, |slowest| self.applier.next().0.saturating_sub(slowest.0))
    }

    /// Takes no more writes and waits for those under way. Nothing is made durable.
    pub(crate) async fn refuse_writes(&self) {
        self.primary.lock().await.is_closed = true;
        self.wait_idle().await;
        self.applier.close("this copy was closed");
    }

    /// Waits until no batch is under way. Who holds the primary keeps new ones from beginning.
    pub(crate) async fn wait_idle(&self) {
        let is_idle = |state: PipelineState| state.num_in_flight == 0;
        self.pipeline.wait_for(is_idle).await;
    }

    /// Stops the copy because its log takes nothing any more until the process is started again: it
    /// goes on to serve what it shows, and is not opened anew.
    pub(crate) fn lose_log(&self, error: &LogError) {
        self.pipeline.lose();
        self.applier
            .stop(&format!("{error}; it serves what it shows until a restart"));
    }

    /// Waits until it is known what becomes of the operations that were ordered below `ordered` when the
    /// log had been read again `num_readings` times; returns whether all of them are durable and applied.
    pub(crate) async fn has_settled(&self, ordered: SeqNo, num_readings: u64) -> bool {
        let is_applied = || self.applier.next() >= ordered;
        let is_same = |state: PipelineState| state.num_readings == num_readings;
        // A batch is applied, or the shard stopped, before it is counted out.
        let is_known = |state: PipelineState| {
            let is_lost = state.is_uncertain || self.applier.failure().is_some();
            is_applied() || is_lost || !is_same(state)
        };
        self.pipeline.wait_for(is_known).await;
        // In this order: others may have taken their positions since.
        is_applied() && is_same(self.pipeline.state())
    }

    /// Returns what this copy is among those of its shard.
    pub(crate) fn role(&self) -> Role {
        match self.link {
            Some(_) => Role::Replica,
            None => Role::Primary,
        }
    }

    /// Returns whether what it serves may lack acknowledged writes: a replica without its primary.
    pub(crate) fn may_be_stale(&self) -> bool {
        self.link.as_ref().is_some_and(Link::is_cut_off)
    }

    /// Returns why what a replica serves may be old.
    pub(crate) fn cut_off(&self) -> Option<String> {
        self.link.as_ref()?.cut_off()
    }

    /// Returns whether searches see everything that was applied.
    pub(crate) fn shows_all(&self) -> bool {
        self.applier.next() == self.engine().view().generation().visible
    }

    /// Returns whether other leaves are to hold copies of the shard.
    pub(crate) fn has_replicas(&self) -> bool {
        self.index.load().copies_of(self.key.shard).len() > 1
    }

    /// Returns the engine.
    pub(crate) fn engine(&self) -> &Arc<ShardIndex> {
        &self.applier.engine
    }
}

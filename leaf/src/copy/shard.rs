//! What every open copy has, whatever its role: its index, its log, what searches see of it.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use gleaner_engine::copy::ShardIndex;
use gleaner_log::ShardLog;
use gleaner_model::{Generation, SeqNo, ShardKey};
use gleaner_proto::LeafFault;
use parking_lot::Mutex;

use crate::agree::CopyDriver;
use crate::copy::applier::Applier;
use crate::copy::apply_threads::ApplyThreads;
use crate::copy::checks::Checks;
use crate::copy::counters::Counters;
use crate::copy::flushes::Flushes;
use crate::copy::opening::EndedOpening;
use crate::copy::pipeline::Pipeline;
use crate::copy::refresh::RefreshSignals;
use crate::copy::schema::CopySchema;
use crate::node::Node;
use crate::read::views::Views;
use crate::replicate::followers::Followers;
use crate::replicate::snapshots::Snapshots;

/// How long a shard keeps its thread while others wait for one.
const TURN: Duration = Duration::from_millis(100);

/// An open shard copy, without what its role adds: see [`crate::copy::registry::OpenCopy`].
pub(crate) struct Shard {
    pub(crate) key: ShardKey,
    pub(crate) node: Arc<Node>,
    pub(crate) schema: CopySchema,
    pub(crate) applier: Applier,
    /// Threads that apply operations.
    pub(crate) applying: ApplyThreads,
    /// Batches between the log and the index.
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) refreshes: RefreshSignals,
    pub(crate) views: Views,
    /// The copies that follow this one's log.
    pub(crate) followers: Arc<Followers>,
    /// What agrees with the other copies through the shard's entry, where copies do.
    pub(crate) driver: OnceLock<Arc<CopyDriver>>,
    /// Durable commits that followers copy.
    pub(crate) snapshots: Snapshots,
    pub(crate) flushes: Flushes,
    /// When its files were checked.
    pub(crate) checks: Mutex<Checks>,
    /// A round of maintenance is under way.
    pub(crate) is_maintained: AtomicBool,
    pub(crate) counters: Counters,
    /// Position after the last operation that its files had when they were opened.
    pub(crate) opened_at: SeqNo,
    /// How it came to serve.
    pub(crate) opening: OnceLock<EndedOpening>,
}

impl Shard {
    /// Returns what agrees with the other copies, where they agree through the shard's entry.
    pub(crate) fn driver(&self) -> Option<&Arc<CopyDriver>> {
        self.driver.get()
    }

    /// Has the copy agree with others from now on.
    pub(crate) fn set_driver(&self, driver: &Arc<CopyDriver>) {
        // One is set when the copy is opened, before anybody else knows of it.
        drop(self.driver.set(Arc::clone(driver)));
    }

    /// Ends the agreement with others: who waits for it hears of that.
    pub(crate) fn end_driver(&self) {
        if let Some(driver) = self.driver() {
            driver.end();
        }
    }

    /// Returns the log that the copy is a view of.
    pub(crate) fn log(&self) -> &Arc<dyn ShardLog> {
        &self.node.log
    }

    /// Returns the engine.
    pub(crate) fn engine(&self) -> &Arc<ShardIndex> {
        &self.applier.engine
    }

    /// Returns how many operations the follower lacks that is furthest behind; 0 where there is none.
    pub(crate) fn replica_lag(&self) -> u64 {
        let slowest = self.followers.slowest();
        slowest.map_or(0, |slowest| self.applier.next().0.saturating_sub(slowest.0))
    }

    /// Returns whether searches see everything that was applied.
    pub(crate) fn shows_all(&self) -> bool {
        self.applier.next() == self.engine().view().generation().visible
    }

    /// Returns whether other leaves are to hold copies of the shard.
    pub(crate) fn has_replicas(&self) -> bool {
        self.schema.index.load().copies_of(self.key.shard).len() > 1
    }

    /// Lets a thread that may block apply what is due, turn by turn.
    pub(crate) fn drain(self: &Arc<Self>) {
        let shard = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                let draining = Arc::clone(&shard);
                let turn = move || draining.applier.drain(Instant::now() + TURN);
                // A panic stops the copy, which tells those who wait.
                if shard.applying.run(turn).await.unwrap_or(true) {
                    return;
                }
            }
        });
    }

    /// Waits until searches of this copy see all operations below `wanted`; refreshes nothing.
    ///
    /// # Errors
    /// [`LeafFault::Behind`] when they do not by the deadline, or when the copy has stopped.
    pub(crate) async fn shows(
        &self,
        wanted: SeqNo,
        deadline: Instant,
    ) -> Result<Generation, LeafFault> {
        let mut visible = self.applier.visible();
        let shown = visible.wait_for(|generation| generation.visible >= wanted);
        let shown = tokio::time::timeout_at(deadline.into(), shown);
        tokio::select! {
            biased;
            shown = shown => if let Ok(Ok(generation)) = shown {
                return Ok(*generation);
            },
            () = self.applier.stopped() => {}
        }
        Err(LeafFault::Behind {
            shard: self.key,
            wanted,
            visible: self.engine().view().generation().visible,
        })
    }
}

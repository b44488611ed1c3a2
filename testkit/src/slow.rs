//! A leaf that is slow as told, whatever the machine.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use gleaner_leases::{FollowAnswer, FollowCall, FollowFault, Grantor};
use gleaner_model::node_stats::NodeStats;
use gleaner_model::{Generation, ShardKey};
use gleaner_proto::node::NodeFault;
use gleaner_proto::postings::{LocateAnswer, LocateCall, PostingsAnswer, PostingsCall};
use gleaner_proto::read::{
    CopyOnDisk, Documents, GenerationsCall, GetCall, ShardState, ShownGeneration,
    WaitForRefreshCall,
};
use gleaner_proto::search::{
    ExpandAnswer, ExpandCall, ExplainAnswer, ExplainCall, FetchCall, OpenViewsCall, PinnedView,
    SearchCall, StatisticsAnswer, StatisticsCall,
};
use gleaner_proto::write::{WriteAnswer, WriteCall};
use gleaner_proto::{LeafClient, LeafFault};
use gleaner_query::answer::{FetchedHits, ShardHits};
use parking_lot::Mutex;
use tokio::sync::watch;

/// How slow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// As it is.
    Normal,
    /// Every reading call takes that many times as long.
    Times(u32),
    /// One in `one_in` reading calls takes `times` as long; which ones is decided by a counter, so
    /// that runs are alike.
    Sometimes {
        /// The share's inverse.
        one_in: u64,
        /// How many times as long.
        times: u32,
    },
    /// Reading calls never answer.
    Never,
}

/// A leaf behind a pace.
pub struct Slow {
    leaf: Arc<dyn LeafClient>,
    grantor: Arc<dyn Grantor>,
    pace: watch::Sender<Pace>,
    calls: AtomicU64,
    generations: AtomicU64,
    lag: Mutex<Option<Lag>>,
}

/// How many answers after a change a leaf that lags says what was before it.
const ANSWERS_LATE: u32 = 16;

/// What a leaf that lags says of each shard.
#[derive(Default)]
struct Lag(HashMap<ShardKey, LateShard>);

/// What a shard shows, and what it showed before that changed.
struct LateShard {
    now: Generation,
    before: Generation,
    /// How many answers more say what was before.
    num_late: u32,
}

impl Lag {
    /// Says of a shard what it showed before it showed `generation`, for a while after each change: shards that did
    /// not change are up to date, so that what a root keeps of all of them agrees but for the one that lags.
    fn hold_back(&mut self, shard: ShardKey, generation: &mut Generation) {
        let late = self.0.entry(shard).or_insert(LateShard {
            now: *generation,
            before: *generation,
            num_late: 0,
        });
        if late.now != *generation {
            late.before = std::mem::replace(&mut late.now, *generation);
            late.num_late = ANSWERS_LATE;
        }
        if late.num_late > 0 {
            late.num_late -= 1;
            *generation = late.before;
        }
    }
}

impl Slow {
    /// Returns `leaf` at its own pace.
    pub fn new<L: LeafClient + Grantor + 'static>(leaf: &Arc<L>) -> Self {
        Self {
            leaf: Arc::clone(leaf) as _,
            grantor: Arc::clone(leaf) as _,
            pace: watch::Sender::new(Pace::Normal),
            calls: AtomicU64::new(0),
            generations: AtomicU64::new(0),
            lag: Mutex::default(),
        }
    }

    /// From now on says of each shard what it showed before it showed what it does, as a replica that lags would. A
    /// fault, to see that it is found.
    pub fn lag(&self) {
        self.lag.lock().get_or_insert_default();
    }

    /// Sets the pace of calls that begin from now on.
    pub fn set(&self, pace: Pace) {
        self.pace.send_replace(pace);
    }

    /// Returns how many reading calls there were.
    pub fn num_calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Returns how many calls asked what shards show.
    pub fn num_generations(&self) -> u64 {
        self.generations.load(Ordering::Relaxed)
    }

    /// Answers `call` at the pace in force.
    async fn paced<T>(&self, call: impl Future<Output = T> + Send) -> T {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let pace = *self.pace.borrow();
        let started = Instant::now();
        if pace == Pace::Never {
            std::future::pending::<()>().await;
        }
        let answer = call.await;
        let times = match pace {
            Pace::Times(times) => times,
            Pace::Sometimes { one_in, times } if number.is_multiple_of(one_in) => times,
            _ => 1,
        };
        if times > 1 {
            tokio::time::sleep(started.elapsed() * (times - 1)).await;
        }
        answer
    }
}

#[async_trait]
impl LeafClient for Slow {
    async fn statistics(&self, call: StatisticsCall) -> Vec<Result<StatisticsAnswer, LeafFault>> {
        self.paced(self.leaf.statistics(call)).await
    }

    async fn expand(&self, call: ExpandCall) -> Vec<Result<ExpandAnswer, LeafFault>> {
        self.paced(self.leaf.expand(call)).await
    }

    async fn search(&self, call: SearchCall) -> Vec<Result<ShardHits, LeafFault>> {
        self.paced(self.leaf.search(call)).await
    }

    async fn postings(&self, call: PostingsCall) -> Vec<Result<PostingsAnswer, LeafFault>> {
        self.paced(self.leaf.postings(call)).await
    }

    async fn locate(&self, call: LocateCall) -> Vec<Result<LocateAnswer, LeafFault>> {
        self.paced(self.leaf.locate(call)).await
    }

    async fn fetch(&self, call: FetchCall) -> Vec<Result<FetchedHits, LeafFault>> {
        self.paced(self.leaf.fetch(call)).await
    }

    async fn explain(&self, call: ExplainCall) -> Result<ExplainAnswer, LeafFault> {
        self.paced(self.leaf.explain(call)).await
    }

    async fn open_views(&self, call: OpenViewsCall) -> Vec<Result<PinnedView, LeafFault>> {
        self.leaf.open_views(call).await
    }

    async fn renew_views(
        &self,
        views: Vec<PinnedView>,
        keep_alive: Duration,
    ) -> Vec<Result<(), LeafFault>> {
        self.leaf.renew_views(views, keep_alive).await
    }

    async fn release_views(&self, views: Vec<PinnedView>) -> usize {
        self.leaf.release_views(views).await
    }

    async fn write(&self, call: WriteCall) -> Result<WriteAnswer, LeafFault> {
        self.leaf.write(call).await
    }

    async fn get(&self, call: GetCall) -> Result<Documents, LeafFault> {
        self.leaf.get(call).await
    }

    async fn refresh(&self, shard: ShardKey) -> Result<Generation, LeafFault> {
        self.leaf.refresh(shard).await
    }

    async fn wait_for_refresh(&self, call: WaitForRefreshCall) -> Result<Generation, LeafFault> {
        self.leaf.wait_for_refresh(call).await
    }

    async fn flush(&self, shard: ShardKey) -> Result<(), LeafFault> {
        self.leaf.flush(shard).await
    }

    async fn retry_failed(&self, shard: ShardKey) -> Result<(), LeafFault> {
        self.leaf.retry_failed(shard).await
    }

    async fn force_merge(&self, shard: ShardKey, max_segments: usize) -> Result<(), LeafFault> {
        self.leaf.force_merge(shard, max_segments).await
    }

    async fn generations(&self, call: GenerationsCall) -> Vec<Result<ShownGeneration, LeafFault>> {
        self.generations.fetch_add(1, Ordering::Relaxed);
        let shards = call.shards.clone();
        let mut answers = self.leaf.generations(call).await;
        if let Some(lag) = &mut *self.lag.lock() {
            for (shard, answer) in shards.into_iter().zip(&mut answers) {
                if let Ok(shown) = answer {
                    lag.hold_back(shard, &mut shown.generation);
                }
            }
        }
        answers
    }

    async fn shard_states(&self) -> Result<Vec<ShardState>, NodeFault> {
        self.leaf.shard_states().await
    }

    async fn copies_on_disk(&self) -> Result<Vec<CopyOnDisk>, NodeFault> {
        self.leaf.copies_on_disk().await
    }

    async fn node_stats(&self) -> Result<NodeStats, NodeFault> {
        self.leaf.node_stats().await
    }
}

#[async_trait]
impl Grantor for Slow {
    async fn follow(&self, call: FollowCall) -> Result<FollowAnswer, FollowFault> {
        let mut answer = self.grantor.follow(call).await?;
        if let Some(lag) = &mut *self.lag.lock() {
            for (shard, generation) in &mut answer.shown {
                lag.hold_back(*shard, generation);
            }
        }
        Ok(answer)
    }
}

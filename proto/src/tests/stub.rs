//! A leaf that notes what it is asked and answers samples.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use gleaner_model::node_stats::NodeStats;
use gleaner_model::{Generation, ShardKey};
use gleaner_query::answer::{FetchedHits, ShardHits};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::samples;
use crate::node::NodeFault;
use crate::postings::{LocateAnswer, LocateCall, PostingsAnswer, PostingsCall};
use crate::read::{
    Documents, GenerationsCall, GetCall, ShardState, ShownGeneration, WaitForRefreshCall,
};
use gleaner_leases::{FollowAnswer, FollowCall, FollowFault, Grantor};

use crate::replicate::{
    FileCall, FollowerMessage, FollowerMessages, PrimaryMessages, Snapshot, SnapshotCall,
};
use crate::search::{
    ExpandAnswer, ExpandCall, ExplainAnswer, ExplainCall, FetchCall, OpenViewsCall, PinnedView,
    SearchCall, StatisticsAnswer, StatisticsCall,
};
use crate::write::{WriteAnswer, WriteCall};
use crate::{LeafClient, LeafFault, ReplicationClient};

/// What becomes of calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Conduct {
    /// They are answered.
    #[default]
    Answer,
    /// They pend for ever.
    Stall,
    /// They panic.
    Panic,
    /// Fetches answer more than a message may hold.
    Flood,
}

/// What happens to calls, as it happens.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// One began.
    Began,
    /// One that pended was dropped.
    Dropped,
}

#[derive(Default)]
pub(crate) struct StubLeaf {
    /// Each call with its arguments, as debug text.
    pub(crate) calls: Mutex<Vec<String>>,
    pub(super) conduct: Mutex<Conduct>,
    /// What followers have said.
    pub(super) said: Arc<Mutex<Vec<FollowerMessage>>>,
    /// The file that `read_file` reads.
    pub(super) file: Mutex<Bytes>,
    events: Mutex<Option<mpsc::UnboundedSender<Event>>>,
}

impl StubLeaf {
    /// Returns what happens from now on.
    pub(super) fn events(&self) -> mpsc::UnboundedReceiver<Event> {
        let (sender, events) = mpsc::unbounded_channel();
        *self.events.lock() = Some(sender);
        events
    }

    pub(super) fn conduct(&self, conduct: Conduct) {
        *self.conduct.lock() = conduct;
    }

    fn tell(&self, event: Event) {
        if let Some(events) = &*self.events.lock() {
            // A test may have stopped listening.
            drop(events.send(event));
        }
    }

    async fn note(&self, call: impl Debug) {
        self.calls.lock().push(format!("{call:?}"));
        self.tell(Event::Began);
        let conduct = *self.conduct.lock();
        match conduct {
            Conduct::Answer | Conduct::Flood => {}
            Conduct::Panic => panic!("the stub was told to"),
            Conduct::Stall => {
                let _dropped = Dropping(self);
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Tells that the call it is part of was dropped.
struct Dropping<'a>(&'a StubLeaf);

impl Drop for Dropping<'_> {
    fn drop(&mut self) {
        self.0.tell(Event::Dropped);
    }
}

/// The second of two shards fails.
fn first_alone<T>(shards: usize, good: T) -> Vec<Result<T, LeafFault>> {
    let mut answers = vec![Ok(good)];
    answers.resize_with(shards, || {
        Err(LeafFault::NotHere {
            shard: samples::shard(1),
        })
    });
    answers
}

#[async_trait]
impl LeafClient for StubLeaf {
    async fn statistics(&self, call: StatisticsCall) -> Vec<Result<StatisticsAnswer, LeafFault>> {
        self.note(&call).await;
        let answer = StatisticsAnswer {
            view: gleaner_query::answer::ViewId(9),
            generation: samples::generation(),
            statistics: samples::statistics(),
            num_documents: Some(4),
            may_be_stale: true,
        };
        first_alone(call.shards.len(), answer)
    }

    async fn expand(&self, call: ExpandCall) -> Vec<Result<ExpandAnswer, LeafFault>> {
        self.note(&call).await;
        let answer = ExpandAnswer {
            view: gleaner_query::answer::ViewId(9),
            generation: samples::generation(),
            candidates: vec![Vec::new()],
            may_be_stale: true,
        };
        first_alone(call.shards.len(), answer)
    }

    async fn search(&self, call: SearchCall) -> Vec<Result<ShardHits, LeafFault>> {
        self.note(&call).await;
        first_alone(call.shards.len(), samples::hits())
    }

    async fn postings(&self, call: PostingsCall) -> Vec<Result<PostingsAnswer, LeafFault>> {
        self.note(&call).await;
        first_alone(call.shards.len(), samples::postings())
    }

    async fn locate(&self, call: LocateCall) -> Vec<Result<LocateAnswer, LeafFault>> {
        self.note(&call).await;
        first_alone(call.shards.len(), samples::places())
    }

    async fn fetch(&self, call: FetchCall) -> Vec<Result<FetchedHits, LeafFault>> {
        self.note(&call).await;
        let mut hit = samples::fetched();
        if *self.conduct.lock() == Conduct::Flood {
            hit.source = vec![b' '; crate::MAX_MESSAGE_BYTES].into();
        }
        first_alone(call.shards.len(), vec![hit].into())
    }

    async fn explain(&self, call: ExplainCall) -> Result<ExplainAnswer, LeafFault> {
        self.note(&call).await;
        Ok(samples::explained())
    }

    async fn open_views(&self, call: OpenViewsCall) -> Vec<Result<PinnedView, LeafFault>> {
        self.note(&call).await;
        let view = PinnedView {
            shard: call.shards[0],
            view: gleaner_query::answer::ViewId(9),
            holder: call.holder,
            may_be_stale: true,
        };
        first_alone(call.shards.len(), view)
    }

    async fn renew_views(
        &self,
        views: Vec<PinnedView>,
        keep_alive: Duration,
    ) -> Vec<Result<(), LeafFault>> {
        self.note(("renew_views", &views, keep_alive)).await;
        first_alone(views.len(), ())
    }

    async fn release_views(&self, views: Vec<PinnedView>) -> usize {
        self.note(("release_views", &views)).await;
        views.len()
    }

    async fn write(&self, call: WriteCall) -> Result<WriteAnswer, LeafFault> {
        self.note(&call).await;
        Ok(samples::written())
    }

    async fn get(&self, call: GetCall) -> Result<Documents, LeafFault> {
        self.note(&call).await;
        Ok(samples::documents())
    }

    async fn refresh(&self, shard: ShardKey) -> Result<Generation, LeafFault> {
        self.note(("refresh", shard)).await;
        Ok(samples::generation())
    }

    async fn wait_for_refresh(&self, call: WaitForRefreshCall) -> Result<Generation, LeafFault> {
        self.note(("wait_for_refresh", call)).await;
        Ok(samples::generation())
    }

    async fn flush(&self, shard: ShardKey) -> Result<(), LeafFault> {
        self.note(("flush", shard)).await;
        Err(LeafFault::DiskFull { shard })
    }

    async fn force_merge(&self, shard: ShardKey, max_segments: usize) -> Result<(), LeafFault> {
        self.note(("force_merge", shard, max_segments)).await;
        Ok(())
    }

    async fn generations(&self, call: GenerationsCall) -> Vec<Result<ShownGeneration, LeafFault>> {
        self.note(&call).await;
        first_alone(call.shards.len(), samples::shown())
    }

    async fn shard_states(&self) -> Result<Vec<ShardState>, NodeFault> {
        self.note("shard_states").await;
        Ok(vec![samples::state()])
    }

    async fn node_stats(&self) -> Result<NodeStats, NodeFault> {
        self.note("node_stats").await;
        Ok(samples::node_stats())
    }
}

#[async_trait]
impl ReplicationClient for StubLeaf {
    async fn open_snapshot(&self, call: SnapshotCall) -> Result<Snapshot, LeafFault> {
        self.note(&call).await;
        Ok(samples::snapshot())
    }

    async fn read_file(&self, call: FileCall) -> Result<Bytes, LeafFault> {
        self.note(&call).await;
        let file = self.file.lock();
        let start = (call.offset as usize).min(file.len());
        let end = (start + call.max_bytes).min(file.len());
        Ok(file.slice(start..end))
    }

    /// Answers what is said at a time with one message of a primary, the largest one in pieces.
    async fn follow(&self, said: FollowerMessages) -> Result<PrimaryMessages, NodeFault> {
        let answers = stream::iter(samples::primary_messages(9 << 20));
        let calls = Arc::clone(&self.said);
        let answers = said.zip(answers).map(move |(said, answer)| {
            calls.lock().extend(said);
            Ok(vec![answer])
        });
        Ok(answers.boxed())
    }

    async fn close_snapshot(&self, shard: ShardKey, snapshot: u64) -> Result<(), LeafFault> {
        self.note(("close_snapshot", shard, snapshot)).await;
        Ok(())
    }
}

#[async_trait]
impl Grantor for StubLeaf {
    async fn follow(&self, call: FollowCall) -> Result<FollowAnswer, FollowFault> {
        assert_eq!(call, samples::follow_call());
        Ok(samples::follow_answer())
    }
}

//! The leaf as roots see it: every call of [`LeafClient`] on the shards of this node.

use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::future::join_all;
use gleaner_model::node_stats::NodeStats;
use gleaner_model::{Generation, IndexUuid, ShardKey};
use gleaner_partial::control::MemoryAccount;
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
use gleaner_telemetry::SpanKind::Server;
use gleaner_telemetry::traced;

use crate::Leaf;
use crate::copy::registry::OpenCopy;
use crate::fault::copy_fault;
use crate::node::Role;
use crate::read::shown::shown_by;
use crate::read::views::MAX_HOLDERS;
use crate::write::item_bytes;

/// How long administrative calls wait for a shard that is being opened.
pub(crate) const OPENING_PATIENCE: Duration = Duration::from_secs(30);

#[async_trait]
impl LeafClient for Leaf {
    async fn statistics(&self, call: StatisticsCall) -> Vec<Result<StatisticsAnswer, LeafFault>> {
        traced(
            "leaf statistics",
            Server,
            self.searcher.count_statistics(call),
        )
        .await
    }

    async fn expand(&self, call: ExpandCall) -> Vec<Result<ExpandAnswer, LeafFault>> {
        traced("leaf expand", Server, self.searcher.expand_patterns(call)).await
    }

    async fn search(&self, call: SearchCall) -> Vec<Result<ShardHits, LeafFault>> {
        traced("leaf search", Server, self.searcher.search_shards(call)).await
    }

    async fn postings(&self, call: PostingsCall) -> Vec<Result<PostingsAnswer, LeafFault>> {
        traced("leaf postings", Server, self.searcher.posting_lists(call)).await
    }

    async fn locate(&self, call: LocateCall) -> Vec<Result<LocateAnswer, LeafFault>> {
        traced("leaf locate", Server, self.searcher.locate_documents(call)).await
    }

    async fn fetch(&self, call: FetchCall) -> Vec<Result<FetchedHits, LeafFault>> {
        traced("leaf fetch", Server, self.searcher.fetch_hits(call)).await
    }

    async fn explain(&self, call: ExplainCall) -> Result<ExplainAnswer, LeafFault> {
        traced("leaf explain", Server, self.searcher.explain_document(call)).await
    }

    async fn open_views(&self, call: OpenViewsCall) -> Vec<Result<PinnedView, LeafFault>> {
        // Together: each may have to wait for a refresh.
        let opened = call.shards.iter().map(|key| async {
            let copy = self.copies.copy(*key, OPENING_PATIENCE).await?;
            copy.wake(Instant::now() + OPENING_PATIENCE).await;
            Ok(copy)
        });
        let opened = join_all(opened).await;
        let pin = |(key, copy): (&ShardKey, Result<OpenCopy, LeafFault>)| {
            let copy = copy?;
            let (staleness, shard) = (copy.staleness(), copy.shard());
            let view = shard.engine().view();
            let views = &shard.views;
            if !views.pin(&view, staleness, call.holder, call.keep_alive) {
                return Err(LeafFault::Rejected {
                    queue: "open contexts".into(),
                    capacity: MAX_HOLDERS,
                });
            }
            Ok(PinnedView {
                shard: *key,
                view: view.id(),
                holder: call.holder,
                may_be_stale: staleness.may_be_stale,
            })
        };
        call.shards.iter().zip(opened).map(pin).collect()
    }

    async fn renew_views(
        &self,
        views: Vec<PinnedView>,
        keep_alive: Duration,
    ) -> Vec<Result<(), LeafFault>> {
        let mut renewed = Vec::with_capacity(views.len());
        for pinned in views {
            let missing = LeafFault::ViewMissing {
                shard: pinned.shard,
                view: pinned.view.0,
            };
            let copy = self.copies.copy(pinned.shard, OPENING_PATIENCE).await;
            renewed.push(copy.and_then(|copy| {
                if copy
                    .shard()
                    .views
                    .renew(pinned.view, pinned.holder, keep_alive)
                {
                    Ok(())
                } else {
                    Err(missing)
                }
            }));
        }
        renewed
    }

    async fn release_views(&self, views: Vec<PinnedView>) -> usize {
        let held = |pinned: &PinnedView| {
            self.copies
                .open_now(pinned.shard)
                .is_some_and(|copy| copy.shard().views.release(pinned.view, pinned.holder))
        };
        views.iter().filter(|pinned| held(pinned)).count()
    }

    async fn write(&self, call: WriteCall) -> Result<WriteAnswer, LeafFault> {
        let key = call.shard;
        if call.items.is_empty() {
            let state = self.node.coordinator.latest().await;
            state.map_err(|error| LeafFault::Recovering {
                shard: key,
                progress: format!("the cluster state in force is not known: {error}"),
            })?;
            let primary = self.copies.primary(key, call.remaining).await?;
            primary.settle().await?;
            return Ok(WriteAnswer {
                items: Vec::new(),
                duplicate: false,
            });
        }
        let bytes = call.items.iter().map(item_bytes).sum();
        let mut opening = std::pin::pin!(self.copies.primary(key, call.remaining));
        let primary = match futures::poll!(&mut opening) {
            Poll::Ready(primary) => primary?,
            // It waits as a write does that finds no room, and what waits is bounded together.
            Poll::Pending => {
                let _waiting = self.writes.queue.wait(bytes)?;
                opening.await?
            }
        };
        traced("leaf write", Server, primary.write(call, bytes)).await
    }

    async fn get(&self, call: GetCall) -> Result<Documents, LeafFault> {
        traced("leaf get", Server, self.searcher.get_documents(call)).await
    }

    fn shown_now(&self, shard: ShardKey) -> Option<Generation> {
        let shown = shown_by(&self.copies, shard).ok()?;
        (!shown.is_resting).then_some(shown.generation)
    }

    async fn refresh(&self, shard: ShardKey) -> Result<Generation, LeafFault> {
        let primary = self.copies.primary(shard, OPENING_PATIENCE).await?;
        let shown = primary.refresh().await?;
        primary.wait_refreshed(shown).await?;
        self.acknowledge(&primary, shown).await;
        Ok(shown)
    }

    async fn wait_for_refresh(&self, call: WaitForRefreshCall) -> Result<Generation, LeafFault> {
        let WaitForRefreshCall {
            shard,
            seq_no,
            by_primary,
            remaining,
        } = call;
        match self.copies.copy(shard, remaining).await? {
            OpenCopy::Primary(primary) => {
                let shown = primary.wait_visible(seq_no, remaining).await?;
                if shown.visible <= seq_no {
                    // It shows all that it has: another leads, and has ordered the operation.
                    return Err(LeafFault::NotHere { shard });
                }
                if by_primary != Some(false) {
                    primary.wait_refreshed(shown).await?;
                    self.acknowledge(&primary, shown).await;
                }
                Ok(shown)
            }
            // It is to lead by now, and has not heard of that.
            OpenCopy::Replica(_) if by_primary == Some(true) => Err(LeafFault::NotHere { shard }),
            OpenCopy::Replica(replica) => {
                let deadline = Instant::now() + remaining;
                replica.shard.shows(seq_no.next(), deadline).await
            }
        }
    }

    async fn flush(&self, shard: ShardKey) -> Result<(), LeafFault> {
        let copy = self.copies.copy(shard, OPENING_PATIENCE).await?;
        if let OpenCopy::Primary(primary) = &copy {
            primary.wait_indexed().await;
        }
        copy.flush().await.map(drop)
    }

    async fn retry_failed(&self, shard: ShardKey) -> Result<(), LeafFault> {
        self.open_again_soon(shard).await
    }

    async fn force_merge(&self, shard: ShardKey, max_segments: usize) -> Result<(), LeafFault> {
        let copy = self.copies.copy(shard, OPENING_PATIENCE).await?;
        if let OpenCopy::Primary(primary) = &copy {
            primary.refresh().await?;
        }
        let merging = Arc::clone(copy.shard());
        let merged = tokio::task::spawn_blocking(move || {
            merging.engine().force_merge(max_segments)?;
            merging.applier.show_merges()
        });
        match merged.await {
            Ok(merged) => merged.map_err(|error| copy_fault(copy.shard(), &error)),
            Err(error) => Err(LeafFault::Internal {
                shard,
                reason: error.to_string(),
            }),
        }
    }

    async fn generations(&self, call: GenerationsCall) -> Vec<Result<ShownGeneration, LeafFault>> {
        let state = self.node.coordinator.state();
        // One that has another role by now is open in the old one until it is closed.
        let is_primary = |shard| self.node.role(&state, shard) == Some(Role::Primary);
        let shown = |shard: &ShardKey| match is_primary(*shard) {
            true => shown_by(&self.copies, *shard),
            false => Err(LeafFault::NotHere { shard: *shard }),
        };
        call.shards.iter().map(shown).collect()
    }

    async fn shard_states(&self) -> Result<Vec<ShardState>, NodeFault> {
        Ok(self.states(|_| true).await)
    }

    async fn shard_states_of(&self, indices: &[IndexUuid]) -> Result<Vec<ShardState>, NodeFault> {
        Ok(self.states(|key| indices.contains(&key.index)).await)
    }

    async fn copies_on_disk(&self) -> Result<Vec<CopyOnDisk>, NodeFault> {
        self.copies_held().await
    }

    async fn node_stats(&self) -> Result<NodeStats, NodeFault> {
        self.stats_of_node().await
    }
}

impl Leaf {
    /// Returns the account that all queries of the node draw on.
    pub fn memory(&self) -> &Arc<MemoryAccount> {
        &self.searcher.memory
    }
}

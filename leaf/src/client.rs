//! The leaf as roots see it: every call of [`LeafClient`] on the shards of this node.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::future::join_all;
use gleaner_model::node_stats::NodeStats;
use gleaner_model::{Generation, SeqNo, ShardKey};
use gleaner_proto::node::NodeFault;
use gleaner_proto::postings::{LocateAnswer, LocateCall, PostingsAnswer, PostingsCall};
use gleaner_proto::read::{Documents, GetCall, ShardState};
use gleaner_proto::search::{
    ExpandAnswer, ExpandCall, ExplainAnswer, ExplainCall, FetchCall, OpenViewsCall, PinnedView,
    SearchCall, StatisticsAnswer, StatisticsCall,
};
use gleaner_proto::write::{WriteAnswer, WriteCall};
use gleaner_proto::{LeafClient, LeafFault};
use gleaner_query::answer::{FetchedHit, ShardHits};

use crate::Leaf;
use crate::role::Role;
use crate::shard::Shard;
use crate::views::MAX_HOLDERS;

/// How long administrative calls wait for a shard that is being opened.
pub(crate) const OPENING_PATIENCE: Duration = Duration::from_secs(30);

#[async_trait]
impl LeafClient for Leaf {
    async fn statistics(&self, call: StatisticsCall) -> Vec<Result<StatisticsAnswer, LeafFault>> {
        self.count_statistics(call).await
    }

    async fn expand(&self, call: ExpandCall) -> Vec<Result<ExpandAnswer, LeafFault>> {
        self.expand_patterns(call).await
    }

    async fn search(&self, call: SearchCall) -> Vec<Result<ShardHits, LeafFault>> {
        self.search_shards(call).await
    }

    async fn postings(&self, call: PostingsCall) -> Vec<Result<PostingsAnswer, LeafFault>> {
        self.posting_lists(call).await
    }

    async fn locate(&self, call: LocateCall) -> Vec<Result<LocateAnswer, LeafFault>> {
        self.locate_documents(call).await
    }

    async fn fetch(&self, call: FetchCall) -> Vec<Result<Vec<FetchedHit>, LeafFault>> {
        self.fetch_hits(call).await
    }

    async fn explain(&self, call: ExplainCall) -> Result<Option<ExplainAnswer>, LeafFault> {
        self.explain_document(call).await
    }

    async fn open_views(&self, call: OpenViewsCall) -> Vec<Result<PinnedView, LeafFault>> {
        // Together: each may have to wait for a refresh.
        let opened = call.shards.iter().map(|key| async {
            let shard = self.shard(*key, OPENING_PATIENCE).await?;
            shard.wake(Instant::now() + OPENING_PATIENCE).await;
            Ok(shard)
        });
        let opened = join_all(opened).await;
        let pin = |(key, shard): (&ShardKey, Result<Arc<Shard>, LeafFault>)| {
            let shard = shard?;
            let view = shard.engine().view();
            if !shard.views.pin(&view, call.holder, call.keep_alive) {
                return Err(LeafFault::Rejected {
                    queue: "open contexts".into(),
                    capacity: MAX_HOLDERS,
                });
            }
            Ok(PinnedView {
                shard: *key,
                view: view.id(),
                holder: call.holder,
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
            let shard = self.shard(pinned.shard, OPENING_PATIENCE).await;
            renewed.push(shard.and_then(|shard| {
                if shard.views.renew(pinned.view, pinned.holder, keep_alive) {
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
            self.open_now(pinned.shard)
                .is_some_and(|shard| shard.views.release(pinned.view, pinned.holder))
        };
        views.iter().filter(|pinned| held(pinned)).count()
    }

    async fn write(&self, call: WriteCall) -> Result<WriteAnswer, LeafFault> {
        self.write_call(call).await
    }

    async fn get(&self, call: GetCall) -> Result<Documents, LeafFault> {
        // Only the primary knows what was acknowledged and is not visible yet.
        let shard = if call.realtime {
            self.primary_shard(call.shard, call.remaining).await?
        } else {
            self.shard(call.shard, call.remaining).await?
        };
        self.get_documents(&shard, call).await
    }

    async fn refresh(&self, shard: ShardKey) -> Result<Generation, LeafFault> {
        let shard = self.primary_shard(shard, OPENING_PATIENCE).await?;
        self.refresh_shard(&shard).await
    }

    async fn wait_for_refresh(
        &self,
        shard: ShardKey,
        seq_no: SeqNo,
        deadline: Duration,
    ) -> Result<Generation, LeafFault> {
        let shard = self.shard(shard, deadline).await?;
        self.wait_visible(&shard, seq_no, deadline).await
    }

    async fn flush(&self, shard: ShardKey) -> Result<(), LeafFault> {
        let shard = self.shard(shard, OPENING_PATIENCE).await?;
        self.flush_shard(&shard).await
    }

    async fn force_merge(&self, shard: ShardKey, max_segments: usize) -> Result<(), LeafFault> {
        let shard = self.shard(shard, OPENING_PATIENCE).await?;
        if shard.role() == Role::Primary {
            self.refresh_shard(&shard).await?;
        }
        let merging = Arc::clone(&shard);
        let merged = tokio::task::spawn_blocking(move || {
            merging.engine().force_merge(max_segments)?;
            merging.applier.show_merges()
        });
        let reason = match merged.await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        Err(LeafFault::Internal {
            shard: shard.key,
            reason,
        })
    }

    async fn shard_states(&self) -> Result<Vec<ShardState>, NodeFault> {
        Ok(self.states().await)
    }

    async fn node_stats(&self) -> Result<NodeStats, NodeFault> {
        self.stats_of_node().await
    }
}

impl Leaf {
    /// Returns the shard as [`Leaf::shard`] does when this copy is the primary; another copy is
    /// `NotHere`, so that the caller goes to the primary.
    pub(crate) async fn primary_shard(
        &self,
        key: ShardKey,
        patience: Duration,
    ) -> Result<Arc<Shard>, LeafFault> {
        let not_here = LeafFault::NotHere { shard: key };
        // Before the wait: a replica may take long to open.
        if self.role(&self.coordinator.state(), key) == Some(Role::Replica) {
            return Err(not_here);
        }
        let shard = self.shard(key, patience).await?;
        match shard.role() {
            Role::Primary => Ok(shard),
            Role::Replica => Err(not_here),
        }
    }
}

//! A leaf on another node.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gleaner_model::node_stats::NodeStats;
use gleaner_model::{Generation, IndexUuid, ShardKey};
use gleaner_query::answer::{FetchedHits, ShardHits};
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::fault::CallFault;
use super::line::{Line, OnLine};
use super::{
    GRACE, GrpcNode, LONG_CALL, MERGE_CALL, Peer, SHORT_CALL, ask, of_shard, per_shard, replication,
};
use crate::node::{NodeClient, NodeFault};
use crate::postings::{LocateAnswer, LocateCall, PostingsAnswer, PostingsCall};
use crate::read::{
    CopyOnDisk, Documents, GenerationsCall, GetCall, ShardState, ShownGeneration,
    WaitForRefreshCall,
};
use crate::search::{
    ExpandAnswer, ExpandCall, ExplainAnswer, ExplainCall, FetchCall, OpenViewsCall, PinnedView,
    SearchCall, ShardView, StatisticsAnswer, StatisticsCall,
};
use crate::wire::v1::leaf_client::LeafClient as LeafStub;
use crate::wire::{MAX_MESSAGE_BYTES, Wire, all, messages, millis, v1};
use crate::write::{WriteAnswer, WriteCall};
use crate::{LeafClient, LeafFault};

/// How long a call that reads is waited for before the leaf is asked whether it serves.
const LOOK_AFTER: Duration = Duration::from_millis(500);

/// How long the answer to that is waited for.
const LOOK_WITHIN: Duration = Duration::from_millis(600);

/// How many in a row may be without an answer: the first one may have waited for this process.
const MOST_SILENT: u32 = 2;

pub(super) type Stub = LeafStub<Channel>;

/// A leaf on another node, as [`LeafClient`] and as [`crate::ReplicationClient`].
///
/// Queries inside aggregations and highlighting travel in their resolved form only: in the trees as
/// parsed, `Query::MatchNone` or nothing stands in their place on the leaf.
#[derive(Clone)]
pub struct GrpcLeaf {
    pub(super) peer: Peer,
    stub: Stub,
    /// For the calls that searches are made of; `None` makes each by itself.
    line: Option<Arc<Line>>,
    pub(super) replication: replication::Stub,
}

impl GrpcLeaf {
    async fn states(&self, call: v1::ShardStatesCall) -> Result<Vec<ShardState>, NodeFault> {
        let request = self.peer.request(call);
        let sent = async { self.stub().shard_states(request?).await };
        let answer = ask(SHORT_CALL, sent).await.map_err(CallFault::of_node)?;
        all(answer.states).map_err(|error| NodeFault::Unreadable {
            reason: error.to_string(),
        })
    }

    /// Returns the leaf that `peer` is.
    pub fn new(peer: Peer) -> Self {
        let stub = Stub::new(peer.channel())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let replication = replication::stub(&peer);
        let line = Line::new(peer.clone(), stub.clone());
        Self {
            peer,
            stub,
            line: Some(line),
            replication,
        }
    }

    /// As it is, but every call is one of gRPC by itself: to measure what lines are worth.
    #[must_use]
    pub fn without_line(self) -> Self {
        Self { line: None, ..self }
    }

    /// Waits for what is read. A leaf that answers nothing at all any more is not waited for: one that takes longer is asked
    /// whether it serves, and again where it does not say so.
    async fn while_alive<T>(
        &self,
        read: impl Future<Output = Result<T, CallFault>>,
    ) -> Result<T, CallFault> {
        let mut read = pin!(read);
        let mut num_silent = 0;
        let mut patience = LOOK_AFTER;
        loop {
            if let Ok(answer) = timeout(patience, &mut read).await {
                return answer;
            }
            let node = GrpcNode::new(self.peer.clone());
            let look = timeout(LOOK_WITHIN, node.readiness());
            let is_silent = tokio::select! {
                biased;
                answer = &mut read => return answer,
                looked = look => matches!(looked, Err(_) | Ok(Err(NodeFault::Unreachable { .. }))),
            };
            num_silent = if is_silent { num_silent + 1 } else { 0 };
            if num_silent == MOST_SILENT {
                return Err(CallFault::Broken("it answers nothing any more".to_owned()));
            }
            patience = if is_silent {
                Duration::ZERO
            } else {
                LOOK_AFTER
            };
        }
    }

    /// Makes a call that reads, as [`Self::while_alive`] waits.
    async fn called<D, C, F>(
        &self,
        call: &D,
        remaining: Duration,
        alone: impl FnOnce(Stub, Request<C>) -> F + Send,
    ) -> Result<C::Answer, CallFault>
    where
        D: Wire<Message = C>,
        C: OnLine,
        F: Future<Output = Result<Response<C::Answer>, Status>> + Send,
    {
        let called = Box::pin(self.called_once(call, remaining, alone));
        self.while_alive(called).await
    }

    /// Makes a call on the line, or by itself where there is none.
    async fn called_once<D, C, F>(
        &self,
        call: &D,
        remaining: Duration,
        alone: impl FnOnce(Stub, Request<C>) -> F + Send,
    ) -> Result<C::Answer, CallFault>
    where
        D: Wire<Message = C>,
        C: OnLine,
        F: Future<Output = Result<Response<C::Answer>, Status>> + Send,
    {
        let limit = limit(remaining);
        if let Some(line) = &self.line
            && let Some(answer) = line.ask(limit, call.to_message()).await
        {
            return answer;
        }
        let request = self.peer.request(call.to_message());
        ask(limit, async { alone(self.stub(), request?).await }).await
    }

    /// Returns the node.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    fn stub(&self) -> Stub {
        self.stub.clone()
    }
}

fn keys(shards: &[ShardView]) -> Vec<ShardKey> {
    shards.iter().map(|view| view.shard).collect()
}

fn limit(remaining: Duration) -> Duration {
    remaining.saturating_add(GRACE)
}

#[async_trait]
impl LeafClient for GrpcLeaf {
    async fn statistics(&self, call: StatisticsCall) -> Vec<Result<StatisticsAnswer, LeafFault>> {
        let alone = |mut stub: Stub, request| async move { stub.statistics(request).await };
        let answer = self.called(&call, call.remaining, alone).await;
        per_shard(&keys(&call.shards), answer.map(|answers| answers.answers))
    }

    async fn expand(&self, call: ExpandCall) -> Vec<Result<ExpandAnswer, LeafFault>> {
        let alone = |mut stub: Stub, request| async move { stub.expand(request).await };
        let answer = self.called(&call, call.remaining, alone).await;
        per_shard(&keys(&call.shards), answer.map(|answers| answers.answers))
    }

    async fn search(&self, call: SearchCall) -> Vec<Result<ShardHits, LeafFault>> {
        let alone = |mut stub: Stub, request| async move { stub.search(request).await };
        let answer = self.called(&call, call.remaining, alone).await;
        per_shard(&keys(&call.shards), answer.map(|answers| answers.answers))
    }

    async fn postings(&self, call: PostingsCall) -> Vec<Result<PostingsAnswer, LeafFault>> {
        let request = self.peer.request(call.to_message());
        let sent = async { self.stub().postings(request?).await };
        let answer = self.while_alive(ask(limit(call.remaining), sent)).await;
        let shards: Vec<ShardKey> = call.shards.iter().map(|list| list.shard.shard).collect();
        per_shard(&shards, answer.map(|answers| answers.answers))
    }

    async fn locate(&self, call: LocateCall) -> Vec<Result<LocateAnswer, LeafFault>> {
        let request = self.peer.request(call.to_message());
        let sent = async { self.stub().locate(request?).await };
        let answer = self.while_alive(ask(limit(call.remaining), sent)).await;
        let shards: Vec<ShardKey> = call.shards.iter().map(|of| of.shard.shard).collect();
        per_shard(&shards, answer.map(|answers| answers.answers))
    }

    async fn fetch(&self, call: FetchCall) -> Vec<Result<FetchedHits, LeafFault>> {
        #[expect(clippy::large_futures, reason = "`ask` puts it in a box")]
        let alone = |mut stub: Stub, request| async move { stub.fetch(request).await };
        let answer = self.called(&call, call.remaining, alone).await;
        let shards: Vec<ShardKey> = call.shards.iter().map(|from| from.shard.shard).collect();
        per_shard(&shards, answer.map(|answers| answers.answers))
    }

    async fn explain(&self, call: ExplainCall) -> Result<ExplainAnswer, LeafFault> {
        let request = self.peer.request(call.to_message());
        #[expect(clippy::large_futures, reason = "`ask` puts it in a box")]
        let sent = async { self.stub().explain(request?).await };
        let answer = self.while_alive(ask(limit(call.remaining), sent)).await;
        of_shard(call.shard.shard, answer)
    }

    async fn open_views(&self, call: OpenViewsCall) -> Vec<Result<PinnedView, LeafFault>> {
        let request = self.peer.request(call.to_message());
        let sent = async { self.stub().open_views(request?).await };
        let answer = ask(SHORT_CALL, sent).await;
        let answer = answer.map_err(CallFault::of_silence);
        per_shard(&call.shards, answer.map(|answers| answers.answers))
    }

    async fn renew_views(
        &self,
        views: Vec<PinnedView>,
        keep_alive: Duration,
    ) -> Vec<Result<(), LeafFault>> {
        let request = self.peer.request(v1::RenewViewsCall {
            views: messages(&views),
            keep_alive_ms: millis(keep_alive),
        });
        let sent = async { self.stub().renew_views(request?).await };
        let answer = ask(SHORT_CALL, sent).await;
        let shards: Vec<ShardKey> = views.iter().map(|view| view.shard).collect();
        per_shard(&shards, answer.map(|answers| answers.answers))
    }

    /// Views on a leaf that is away count as gone; they end by themselves.
    async fn release_views(&self, views: Vec<PinnedView>) -> usize {
        let request = self.peer.request(v1::ReleaseViewsCall {
            views: messages(&views),
        });
        let sent = async { self.stub().release_views(request?).await };
        match ask(SHORT_CALL, sent).await {
            Ok(v1::ReleaseViewsAnswer { num_released }) => num_released as usize,
            Err(fault) => {
                self.warn("views not released", &fault);
                0
            }
        }
    }

    async fn write(&self, call: WriteCall) -> Result<WriteAnswer, LeafFault> {
        let (shard, request) = (call.shard, self.peer.request(call.to_message()));
        let sent = async { self.stub().write(request?).await };
        match ask(limit(call.remaining), sent).await {
            Ok(message) => Result::from_message(message).unwrap_or_else(|error| {
                // It was answered, so it was seen.
                Err(CallFault::Internal(error.to_string()).of_write(shard))
            }),
            Err(fault) => Err(fault.of_write(shard)),
        }
    }

    async fn get(&self, call: GetCall) -> Result<Documents, LeafFault> {
        let request = self.peer.request(call.to_message());
        let sent = async { self.stub().get(request?).await };
        let answer = self.while_alive(ask(limit(call.remaining), sent)).await;
        of_shard(call.shard, answer)
    }

    async fn refresh(&self, shard: ShardKey) -> Result<Generation, LeafFault> {
        let request = self.peer.request(shard_call(shard));
        let sent = async { self.stub().refresh(request?).await };
        of_shard(shard, self.while_alive(ask(LONG_CALL, sent)).await)
    }

    async fn wait_for_refresh(&self, call: WaitForRefreshCall) -> Result<Generation, LeafFault> {
        let request = self.peer.request(v1::WaitForRefreshCall {
            shard: Some(call.shard.to_message()),
            seq_no: call.seq_no.0,
            remaining_ms: millis(call.remaining),
            by_primary: call.by_primary,
        });
        let sent = async { self.stub().wait_for_refresh(request?).await };
        let answer = ask(limit(call.remaining), sent).await;
        of_shard(call.shard, answer)
    }

    async fn flush(&self, shard: ShardKey) -> Result<(), LeafFault> {
        let request = self.peer.request(shard_call(shard));
        let sent = async { self.stub().flush(request?).await };
        of_shard(shard, ask(LONG_CALL, sent).await)
    }

    async fn retry_failed(&self, shard: ShardKey) -> Result<(), LeafFault> {
        let request = self.peer.request(shard_call(shard));
        let sent = async { self.stub().retry_failed(request?).await };
        of_shard(shard, ask(SHORT_CALL, sent).await)
    }

    async fn force_merge(&self, shard: ShardKey, max_segments: usize) -> Result<(), LeafFault> {
        let request = self.peer.request(v1::ForceMergeCall {
            shard: Some(shard.to_message()),
            max_segments: max_segments as u64,
        });
        let sent = async { self.stub().force_merge(request?).await };
        let answer = ask(MERGE_CALL, sent).await;
        of_shard(shard, answer)
    }

    async fn generations(&self, call: GenerationsCall) -> Vec<Result<ShownGeneration, LeafFault>> {
        let request = self.peer.request(call.to_message());
        let sent = async { self.stub().generations(request?).await };
        let answer = ask(limit(call.remaining), sent).await;
        per_shard(&call.shards, answer.map(|answers| answers.answers))
    }

    async fn shard_states(&self) -> Result<Vec<ShardState>, NodeFault> {
        self.states(v1::ShardStatesCall::default()).await
    }

    async fn shard_states_of(&self, indices: &[IndexUuid]) -> Result<Vec<ShardState>, NodeFault> {
        let named = indices.iter().map(|index| Bytes::copy_from_slice(&index.0));
        let call = v1::ShardStatesCall {
            indices: named.collect(),
        };
        let mut states = self.states(call).await?;
        // One of an older version tells of all.
        states.retain(|state| indices.contains(&state.shard.index));
        Ok(states)
    }

    async fn copies_on_disk(&self) -> Result<Vec<CopyOnDisk>, NodeFault> {
        let request = self.peer.request(v1::CopiesOnDiskCall {});
        let sent = async { self.stub().copies_on_disk(request?).await };
        let answer = ask(SHORT_CALL, sent).await.map_err(CallFault::of_node)?;
        all(answer.copies).map_err(|error| NodeFault::Unreadable {
            reason: error.to_string(),
        })
    }

    async fn node_stats(&self) -> Result<NodeStats, NodeFault> {
        let request = self.peer.request(v1::NodeStatsCall {});
        let sent = async { self.stub().node_stats(request?).await };
        let answer = ask(SHORT_CALL, sent).await.map_err(CallFault::of_node)?;
        NodeStats::from_message(answer).map_err(|error| NodeFault::Unreadable {
            reason: error.to_string(),
        })
    }
}

impl GrpcLeaf {
    fn warn(&self, message: &'static str, fault: &CallFault) {
        tracing::warn!(peer = self.peer.address(), ?fault, "{message}");
    }
}

fn shard_call(shard: ShardKey) -> v1::ShardCall {
    v1::ShardCall {
        shard: Some(shard.to_message()),
    }
}

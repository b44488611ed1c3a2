//! The borders between nodes: the calls they answer, as traits over domain types, and the wire.
//!
//! Does: define [`LeafClient`], [`ReplicationClient`] and [`NodeClient`] with
//! their requests and answers. In one process they are implemented directly and values pass without
//! serialising; [`GrpcLeaf`] and [`GrpcNode`] stand behind the same traits for
//! another node, and [`serve`] answers them. [`serve_on`] and [`Peer::over`] are the same on any
//! stream of bytes; [`Handshake`] and [`Connect`] are where a node's streams are encrypted, and callers
//! get the role by which services are answered or refused; [`etcd`] calls an etcd, [`otlp`] encodes spans for a collector.
//! The only room that knows messages.
//! Does not: route, retry, hedge (`root` does), evaluate (`leaf` does), know TLS (a [`Handshake`] does).
//! Read [`LeafClient`] first, then `docs/decisions/0011-wire.md`.

#![cfg_attr(not(test), warn(clippy::large_futures))]

pub mod client;
pub mod connect;
pub mod etcd;
pub mod fault;
pub mod node;
pub mod otlp;
pub mod postings;
pub mod read;
pub mod replicate;
pub mod search;
pub mod server;
pub mod version;
mod wire;
pub mod write;

#[cfg(test)]
mod tests;

use async_trait::async_trait;

pub use client::{GRACE, GrpcGrantor, GrpcLeaf, GrpcNode, Peer};
pub use connect::{Admission, ByteStream, Caller, Connect, Handshake, SecuredStream};
pub use fault::LeafFault;
pub use node::NodeClient;
pub use replicate::ReplicationClient;
pub use server::{MAX_CONNECTIONS, Services, serve, serve_admitted, serve_on};
pub use version::Versions;
pub use wire::{MAX_MESSAGE_BYTES, MESSAGE_KINDS, MessageKind};

/// The calls of one leaf. A call names the shards it is for; a leaf that does not hold one answers
/// [`LeafFault::NotHere`] for it.
///
/// Every request carries the time left until its deadline; clocks are never compared.
///
/// # Cancel safety
/// Dropping a future of a reading call cancels its evaluation. A dropped [`LeafClient::write`] may
/// still be carried out: its outcome is unknown.
#[async_trait]
pub trait LeafClient: Send + Sync {
    /// Returns the numbers asked for, per shard in the order asked.
    async fn statistics(
        &self,
        call: search::StatisticsCall,
    ) -> Vec<Result<search::StatisticsAnswer, LeafFault>>;

    /// Returns the terms patterns stand for, per shard in the order asked.
    async fn expand(
        &self,
        call: search::ExpandCall,
    ) -> Vec<Result<search::ExpandAnswer, LeafFault>>;

    /// Evaluates the query phase, per shard in the order asked, with one threshold for all.
    async fn search(
        &self,
        call: search::SearchCall,
    ) -> Vec<Result<gleaner_query::answer::ShardHits, LeafFault>>;

    /// Returns pages of a term's posting lists, per shard in the order asked.
    ///
    /// A leaf that knows nothing of it answers [`LeafFault::Unsupported`].
    async fn postings(
        &self,
        call: postings::PostingsCall,
    ) -> Vec<Result<postings::PostingsAnswer, LeafFault>> {
        let what = "posting lists".to_owned();
        let fault = LeafFault::Unsupported { what };
        call.shards.iter().map(|_| Err(fault.clone())).collect()
    }

    /// Returns where documents stand that were found by number, per shard in the order asked.
    ///
    /// A leaf that knows nothing of it answers [`LeafFault::Unsupported`].
    async fn locate(
        &self,
        call: postings::LocateCall,
    ) -> Vec<Result<postings::LocateAnswer, LeafFault>> {
        let what = "documents by number".to_owned();
        let fault = LeafFault::Unsupported { what };
        call.shards.iter().map(|_| Err(fault.clone())).collect()
    }

    /// Returns the content of hits, in the order asked, per shard in the order asked.
    async fn fetch(
        &self,
        call: search::FetchCall,
    ) -> Vec<Result<gleaner_query::answer::FetchedHits, LeafFault>>;

    /// Explains the score of one document; nothing is found when the shard has no such live document, and
    /// the explanation says `matched = false` when the query does not match it.
    async fn explain(&self, call: search::ExplainCall) -> Result<search::ExplainAnswer, LeafFault>;

    /// Pins the newest view of each shard until released or until `keep_alive` passes unused.
    async fn open_views(
        &self,
        call: search::OpenViewsCall,
    ) -> Vec<Result<search::PinnedView, LeafFault>>;

    /// Keeps pinned views for another `keep_alive`; a view that is gone is
    /// [`LeafFault::ViewMissing`].
    async fn renew_views(
        &self,
        views: Vec<search::PinnedView>,
        keep_alive: std::time::Duration,
    ) -> Vec<Result<(), LeafFault>>;

    /// Releases pinned views; returns how many were still there.
    async fn release_views(&self, views: Vec<search::PinnedView>) -> usize;

    /// Applies writes to one shard as its primary, in order; on return every item that is `Ok` is
    /// durable. Items of the same document see each other. A replica answers
    /// [`LeafFault::NotHere`]. A call without items returns once the writes have ended that were ordered
    /// under an older cluster state than the one in force: after a block was set, that none comes any more.
    async fn write(&self, call: write::WriteCall) -> Result<write::WriteAnswer, LeafFault>;

    /// Returns documents by id, the newest version when `realtime`, also one that is not durable yet;
    /// only a primary knows that, a replica answers [`LeafFault::NotHere`].
    async fn get(&self, call: read::GetCall) -> Result<read::Documents, LeafFault>;

    /// Makes every write acknowledged before the call visible to searches of the primary; replicas
    /// follow. A replica answers [`LeafFault::NotHere`].
    async fn refresh(
        &self,
        shard: gleaner_model::ShardKey,
    ) -> Result<gleaner_model::Generation, LeafFault>;

    /// Waits until the shard's visible generation includes an operation, without forcing a refresh
    /// unless none is due (`refresh_interval` −1), or none has come after two intervals. A replica forces
    /// none: it answers [`LeafFault::Behind`] at the deadline, and [`LeafFault::NotHere`] where it is asked as the
    /// primary.
    async fn wait_for_refresh(
        &self,
        call: read::WaitForRefreshCall,
    ) -> Result<gleaner_model::Generation, LeafFault>;

    /// Makes a durable commit and trims the log below it; a replica makes it at its next refresh when
    /// it has applied more than it shows.
    async fn flush(&self, shard: gleaner_model::ShardKey) -> Result<(), LeafFault>;

    /// Has a copy that has failed opened again, also one that was set aside as what it applies ended its process. It is
    /// not waited for.
    ///
    /// A leaf that knows nothing of it answers [`LeafFault::Unsupported`].
    async fn retry_failed(&self, _shard: gleaner_model::ShardKey) -> Result<(), LeafFault> {
        let what = "trying copies again that have failed".to_owned();
        Err(LeafFault::Unsupported { what })
    }

    /// Merges the shard's segments down to at most `max_segments`.
    async fn force_merge(
        &self,
        shard: gleaner_model::ShardKey,
        max_segments: usize,
    ) -> Result<(), LeafFault>;

    /// Returns what a search of the shard would see now, where that is known without a call: the leaf is in this
    /// process, and its copy serves and does not rest. It counts as a read of the copy. A write or refresh that was
    /// acknowledged before this call is in it.
    fn shown_now(&self, _shard: gleaner_model::ShardKey) -> Option<gleaner_model::Generation> {
        None
    }

    /// Returns what the primaries of shards show, per shard in the order asked, at once. It counts as a read of each.
    /// A write or refresh that was acknowledged as visible before the call is in the answer. A copy that is no primary
    /// is [`LeafFault::NotHere`], one that does not serve is not waited for.
    ///
    /// A leaf that knows nothing of it answers [`LeafFault::Unsupported`].
    async fn generations(
        &self,
        call: read::GenerationsCall,
    ) -> Vec<Result<read::ShownGeneration, LeafFault>> {
        let what = "generations of primaries".to_owned();
        let fault = LeafFault::Unsupported { what };
        call.shards.iter().map(|_| Err(fault.clone())).collect()
    }

    /// Returns the state of each shard this leaf holds.
    async fn shard_states(&self) -> Result<Vec<read::ShardState>, node::NodeFault>;

    /// Returns the state of each shard of `indices` that this leaf holds. What wraps a leaf may pick them from all.
    async fn shard_states_of(
        &self,
        indices: &[gleaner_model::IndexUuid],
    ) -> Result<Vec<read::ShardState>, node::NodeFault> {
        let mut states = self.shard_states().await?;
        states.retain(|state| indices.contains(&state.shard.index));
        Ok(states)
    }

    /// Returns what the leaf's disk holds of copies, also of those that do not serve, and of indices that nobody knows. What
    /// wraps a leaf passes it on; one without a disk holds none.
    async fn copies_on_disk(&self) -> Result<Vec<read::CopyOnDisk>, node::NodeFault> {
        Ok(Vec::new())
    }

    /// Returns what the node says of its process and its machine. What wraps a leaf passes it on; one that
    /// has no node of its own leaves it at this.
    async fn node_stats(&self) -> Result<gleaner_model::node_stats::NodeStats, node::NodeFault> {
        let reason = "it does not tell of its node".to_owned();
        Err(node::NodeFault::Unreadable { reason })
    }
}

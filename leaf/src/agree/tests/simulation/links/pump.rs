//! What carries messages between a leaf's streams and the links.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use gleaner_model::{NodeId, ShardKey};
use gleaner_proto::node::NodeFault;
use gleaner_proto::replicate::{
    FileCall, FollowerMessages, PrimaryMessages, Snapshot, SnapshotCall,
};
use gleaner_proto::{LeafFault, ReplicationClient};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::Links;
use crate::agree::Agreeing;
use crate::agree::tests::simulation::process::name_of;
use crate::replicate::peers::Peers;

/// The other leaves, as one of them reaches them.
pub(in crate::agree::tests::simulation) struct LeafPeers {
    pub(in crate::agree::tests::simulation) links: Links,
    pub(in crate::agree::tests::simulation) leaf: usize,
    pub(in crate::agree::tests::simulation) num_leaves: usize,
}

impl Peers for LeafPeers {
    fn replication(&self, node: &NodeId) -> Option<Arc<dyn ReplicationClient>> {
        let to = (0..self.num_leaves).find(|leaf| name_of(*leaf) == *node)?;
        Some(Arc::new(Peer {
            links: self.links.clone(),
            from: self.leaf,
            to,
        }))
    }
}

struct Peer {
    links: Links,
    from: usize,
    to: usize,
}

#[async_trait]
impl ReplicationClient for Peer {
    async fn open_snapshot(&self, call: SnapshotCall) -> Result<Snapshot, LeafFault> {
        Err(no_files(call.shard))
    }

    async fn read_file(&self, call: FileCall) -> Result<Bytes, LeafFault> {
        Err(no_files(call.shard))
    }

    async fn follow(&self, mut messages: FollowerMessages) -> Result<PrimaryMessages, NodeFault> {
        let requesting = self.links.request(self.from, self.to);
        let (number, links) = (requesting.number, self.links.clone());
        requesting
            .is_open
            .await
            .map_err(|_| NodeFault::Unreachable {
                reason: "nobody is there".to_owned(),
            })?;
        tokio::spawn(async move {
            while let Some(said) = messages.next().await {
                links.send_up(number, Some(said));
            }
            links.send_up(number, None);
        });
        Ok(received(requesting.heard))
    }

    async fn close_snapshot(&self, shard: ShardKey, _: u64) -> Result<(), LeafFault> {
        Err(no_files(shard))
    }
}

impl Links {
    /// Has the leaf of the primary open a stream, in its own process.
    pub(in crate::agree::tests::simulation) fn open(
        &self,
        number: u64,
        hub: &Arc<Agreeing>,
        process: &Handle,
    ) {
        let Some(said) = self.accept(number) else {
            return;
        };
        let (links, hub) = (self.clone(), Arc::clone(hub));
        process.spawn(async move {
            let mut messages = hub.open_downstream(received(said));
            drop(hub);
            while let Some(said) = messages.next().await {
                links.send_down(number, Some(said));
            }
            links.send_down(number, None);
        });
    }
}

fn received<T: Send + 'static>(
    receiver: mpsc::UnboundedReceiver<T>,
) -> stream::BoxStream<'static, T> {
    let items = stream::unfold(receiver, |mut receiver| async move {
        let item = receiver.recv().await?;
        Some((item, receiver))
    });
    items.boxed()
}

fn no_files(shard: ShardKey) -> LeafFault {
    LeafFault::NotHere { shard }
}

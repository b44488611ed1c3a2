//! Other leaves, as those who follow their logs reach them.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use gleaner_model::NodeId;
use gleaner_proto::ReplicationClient;
use parking_lot::Mutex;

use crate::Leaf;

/// Finds the leaf of a node.
pub trait Peers: Send + Sync {
    /// Returns how to call `node`; `None` when it is not known (yet). Asked before each call, so a
    /// node may come, go and change its address.
    fn replication(&self, node: &NodeId) -> Option<Arc<dyn ReplicationClient>>;

    /// Returns whether roots call this leaf, as far as it can tell: one has within the last moment. Where it is not known, they
    /// do.
    fn is_called(&self) -> bool {
        true
    }
}

/// No other leaves: one process holds everything.
pub(crate) struct NoPeers;

impl Peers for NoPeers {
    fn replication(&self, _: &NodeId) -> Option<Arc<dyn ReplicationClient>> {
        None
    }
}

/// Leaves of one process, for tests and simulations. Does not keep them alive.
#[derive(Default)]
pub struct InProcess {
    leaves: Mutex<BTreeMap<NodeId, Weak<Leaf>>>,
}

impl InProcess {
    /// Makes `leaf` the one of `node`.
    pub fn add(&self, node: NodeId, leaf: &Arc<Leaf>) {
        self.leaves.lock().insert(node, Arc::downgrade(leaf));
    }

    /// Makes `node` unknown.
    pub fn remove(&self, node: &NodeId) {
        self.leaves.lock().remove(node);
    }
}

impl Peers for InProcess {
    fn replication(&self, node: &NodeId) -> Option<Arc<dyn ReplicationClient>> {
        let leaf = self.leaves.lock().get(node)?.upgrade()?;
        Some(leaf)
    }
}

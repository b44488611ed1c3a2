//! Which copies this node holds, and as what.

use std::sync::Arc;

use gleaner_model::{ClusterState, IndexMeta, NodeId, ShardKey, ShardNumber};
use gleaner_proto::ReplicationClient;

use crate::Leaf;

/// What a copy is among the copies of its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Orders the writes.
    Primary,
    /// Follows the primary.
    Replica,
}

impl Leaf {
    /// Returns what this node holds of a shard of `index`; `None` when it holds no copy.
    pub(crate) fn role_in(&self, index: &IndexMeta, shard: ShardNumber) -> Option<Role> {
        let copies = index.copies_of(shard);
        let Some(node) = &self.options.node else {
            return Some(Role::Primary);
        };
        match copies.iter().position(|copy| copy == node) {
            Some(0) => Some(Role::Primary),
            Some(_) => Some(Role::Replica),
            // One process holds everything.
            None if copies.is_empty() => Some(Role::Primary),
            None => None,
        }
    }

    /// Returns what this node is to hold of `key`; `None` when it is to hold no copy.
    pub(crate) fn role(&self, state: &ClusterState, key: ShardKey) -> Option<Role> {
        self.role_in(state.indices.get(&key.index)?, key.shard)
    }

    /// Returns the leaf of `key`'s primary, when that is another one that can be called.
    pub(crate) fn primary_of(&self, key: ShardKey) -> Option<Arc<dyn ReplicationClient>> {
        let state = self.coordinator.state();
        let copies = state.indices.get(&key.index)?.copies_of(key.shard);
        let primary = copies.first()?;
        if Some(primary) == self.options.node.as_ref() {
            return None;
        }
        self.peers.replication(primary)
    }

    /// Returns this node's name among the copies.
    pub(crate) fn node(&self) -> NodeId {
        let node = self.options.node.clone();
        node.unwrap_or_else(|| NodeId("".into()))
    }
}

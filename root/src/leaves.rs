//! Where shards are: the root's view of the leaves.

use std::sync::Arc;

use gleaner_model::{NodeId, ShardKey};
use gleaner_proto::LeafClient;

/// A leaf and how to reach it.
#[derive(Clone)]
pub struct Located {
    /// Its name.
    pub node: NodeId,
    /// The calls it answers.
    pub client: Arc<dyn LeafClient>,
}

/// Finds the leaf to ask for a shard. Implementations answer from memory.
pub trait Leaves: Send + Sync {
    /// Returns the leaf that holds the primary of `shard`; `None` while nobody does.
    fn primary(&self, shard: ShardKey) -> Option<Located>;

    /// Returns the leaf to search `shard` on; `None` while nobody serves it.
    fn searcher(&self, shard: ShardKey) -> Option<Located>;

    /// Returns all leaves, each once.
    fn all(&self) -> Vec<Located>;
}

/// One leaf that holds every shard: the process of `serve`.
pub struct SingleLeaf(pub Located);

impl Leaves for SingleLeaf {
    fn primary(&self, _shard: ShardKey) -> Option<Located> {
        Some(self.0.clone())
    }

    fn searcher(&self, _shard: ShardKey) -> Option<Located> {
        Some(self.0.clone())
    }

    fn all(&self) -> Vec<Located> {
        vec![self.0.clone()]
    }
}

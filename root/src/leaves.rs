//! Where shards are: the root's view of the leaves.

mod members;

use std::sync::Arc;

use gleaner_model::{HistoryId, NodeId, ShardKey};
use gleaner_proto::LeafClient;

pub use members::Members;

/// A leaf and how to reach it.
#[derive(Clone)]
pub struct LeafHandle {
    /// Its name.
    pub node: NodeId,
    /// The calls it answers.
    pub client: Arc<dyn LeafClient>,
}

/// The leaves that hold a shard, the primary first.
pub type Copies = Arc<[LeafHandle]>;

/// Finds the leaves to ask for a shard. Implementations answer from memory, and often: a search asks
/// once for each of its shards.
pub trait Leaves: Send + Sync {
    /// Returns the leaves that hold a copy of `shard`, the primary first; none while nobody does.
    /// Whether they are alive is not said here.
    fn copies(&self, shard: ShardKey) -> Copies;

    /// Returns the leaves whose copies of `shard` hold everything acknowledged, the primary first; all that hold a copy,
    /// where that is not known.
    fn in_sync(&self, shard: ShardKey) -> Copies {
        self.copies(shard)
    }

    /// Returns the leaf that holds the primary of `shard`; `None` while nobody does.
    fn primary(&self, shard: ShardKey) -> Option<LeafHandle> {
        self.copies(shard).first().cloned()
    }

    /// Returns the history that the copies of `shard` hold, as far as it is known here.
    fn history(&self, _shard: ShardKey) -> HistoryId {
        HistoryId::FIRST
    }

    /// Returns all leaves, each once.
    fn all(&self) -> Vec<LeafHandle>;

    /// Returns whether the copies of a shard agree through an entry, so that another one takes over when the leaf of
    /// the primary is gone.
    fn copies_agree(&self) -> bool {
        false
    }

    /// Returns whether all leaves there will ever be are in this process.
    fn are_here(&self) -> bool {
        false
    }
}

/// One leaf that holds every shard: the process of `serve`.
pub struct SingleLeaf(Copies);

impl SingleLeaf {
    /// Returns the only leaf there is.
    pub fn new(leaf: LeafHandle) -> Self {
        Self(Arc::new([leaf]))
    }
}

impl Leaves for SingleLeaf {
    fn copies(&self, _shard: ShardKey) -> Copies {
        Arc::clone(&self.0)
    }

    fn all(&self) -> Vec<LeafHandle> {
        self.0.to_vec()
    }

    fn are_here(&self) -> bool {
        true
    }
}

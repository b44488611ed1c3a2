//! Blocks of an index, where its writes are ordered.
//!
//! Does: refuses what a block keeps out once it is a write's turn, and waits until what was let in before has
//! ended. Does not: set blocks, or name them to clients (`root` does).
//! Called by: [`crate::write`]. Read first: [`Leaf::settle_writes`].

use gleaner_coordinator::CoordinatorError;
use gleaner_proto::LeafFault;
use gleaner_proto::write::{WriteAnswer, WriteCall, WriteFault};

use crate::Leaf;
use crate::shard::Shard;

impl Leaf {
    /// Returns the fault of writes while a block of the index keeps them out, by the newest cluster state known
    /// here. It is asked with the primary locked, before each batch.
    pub(super) fn block_of(&self, shard: &Shard) -> Option<WriteFault> {
        let state = self.coordinator.state();
        let index = state.indices.get(&shard.key.index)?;
        let blocks = index.settings.blocks;
        let is_blocked = blocks.write || blocks.read_only || blocks.read_only_allow_delete;
        is_blocked.then(|| WriteFault::Blocked {
            reason: format!("a block of index [{}] keeps writes out", index.name),
        })
    }

    /// Waits until the writes have ended that were ordered under an older cluster state than the one in force
    /// now: what such a call returns after a block was set, no write follows.
    ///
    /// # Errors
    /// When who keeps the state cannot be asked, or the shard does not come to take writes.
    pub(super) async fn settle_writes(&self, call: &WriteCall) -> Result<WriteAnswer, LeafFault> {
        let shard = call.shard;
        let unknown = |error: CoordinatorError| LeafFault::Recovering {
            shard,
            progress: format!("the cluster state in force is not known: {error}"),
        };
        self.coordinator.latest().await.map_err(unknown)?;
        let shard = self.primary_shard(shard, call.remaining).await?;
        // Who held it before may have found no block; who comes after finds it.
        let mut primary = shard.primary.lock().await;
        shard.wait_idle().await;
        // What is not known to have failed may be in the log all the same.
        let term = primary.term;
        self.prepare(&shard, &mut primary, term).await?;
        Ok(WriteAnswer {
            items: Vec::new(),
            duplicate: false,
        })
    }
}

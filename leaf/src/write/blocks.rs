//! Blocks of an index, where its writes are ordered.
//!
//! Does: refuses what a block keeps out once it is a write's turn, and waits until what was let in before has
//! ended. Does not: set blocks, or name them to clients (`root` does).
//! Called by: [`crate::write`], and by the leaf for a call without items. Read first: [`Primary::settle`].

use gleaner_proto::LeafFault;
use gleaner_proto::write::WriteFault;

use super::Primary;

impl Primary {
    /// Returns the fault of writes while a block of the index keeps them out, by the newest cluster state known
    /// here. It is asked with the order locked, before each batch.
    pub(super) fn block(&self) -> Option<WriteFault> {
        let state = self.node().coordinator.state();
        let index = state.indices.get(&self.shard.key.index)?;
        let blocks = index.settings.blocks;
        let is_blocked = blocks.write || blocks.read_only || blocks.read_only_allow_delete;
        is_blocked.then(|| WriteFault::Blocked {
            reason: format!("a block of index [{}] keeps writes out", index.name),
        })
    }

    /// Waits until the writes have ended that were ordered under an older cluster state than the one known
    /// here: after it returns, no write follows that a block of that state keeps out.
    ///
    /// # Errors
    /// When the shard does not come to take writes.
    pub(crate) async fn settle(&self) -> Result<(), LeafFault> {
        // A write that held the lock before may have found no block; the next one finds it.
        let mut order = self.order.lock().await;
        self.shard.pipeline.wait_idle().await;
        // What is not known to have failed may be in the log all the same.
        let term = order.term;
        self.prepare(&mut order, term).await
    }
}

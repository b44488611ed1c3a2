//! Copies that are not wanted here any more: their index was deleted, or other leaves hold it.

use std::sync::Arc;

use gleaner_model::ShardKey;

use crate::Leaf;
use crate::copy::registry::CopyState;

impl Leaf {
    /// Closes a copy and removes its files and its log, in the background. A copy that is being
    /// opened is removed by who opens it. One that is wanted again meanwhile is opened afterwards.
    pub(crate) fn remove(self: &Arc<Self>, key: ShardKey) {
        let Some(before) = self.copies.begin_closing(key) else {
            return;
        };
        match before {
            CopyState::Closing => {}
            CopyState::Opening(opening) => opening.close(),
            CopyState::Open(_) | CopyState::Failed(_) => self.wipe(key, before),
        }
    }

    /// Removes a copy that is already [`CopyState::Closing`], and was `before`.
    pub(crate) fn wipe(self: &Arc<Self>, key: ShardKey, before: CopyState) {
        let leaf = Arc::clone(self);
        self.node.spawn(async move {
            // A batch under way would make log and files anew after they were removed.
            let released = leaf.release_state(key, before).await;
            if let Err(reason) = released {
                tracing::warn!(shard = %key, %reason, "a copy is removed while in use");
            }
            if let Err(error) = leaf.node.log.remove(key).await {
                tracing::warn!(shard = %key, %error, "log of a removed copy stays on disk");
            }
            let folders = leaf.node.folders(key);
            let node = Arc::clone(&leaf.node);
            let removed = tokio::task::spawn_blocking(move || {
                node.set_aside.forget(key)?;
                folders.remove()
            });
            match removed.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(shard = %key, %error, "files of a removed copy stay on disk");
                }
                Err(error) => tracing::warn!(shard = %key, %error, "removal failed"),
            }
            leaf.copies.forget(key);
            let state = leaf.node.coordinator.state();
            if let Some(index) = state.indices.get(&key.index)
                && !leaf.node.is_stopping()
            {
                leaf.open_missing(index);
            }
        });
    }
}

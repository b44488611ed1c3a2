//! Copies that have failed are opened again, where somebody asks for it.

use futures::future::join_all;
use gleaner_proto::read::ShardPhase;

use super::{LocatedShard, Reader};
use crate::visibility::CopyOutcome;

impl Reader {
    /// Has all copies that have failed opened again, also those that their leaves have set aside; returns what became of
    /// the asking. They are not waited for.
    pub async fn retry_failed(&self) -> Vec<CopyOutcome> {
        let states = self.shard_states().await;
        let leaves = self.cluster.leaves.all();
        let has_failed = |copy: &&LocatedShard| copy.state.phase == ShardPhase::Failed;
        let failed = states.copies.iter().filter(has_failed);
        let asked = failed.filter_map(|copy| {
            let leaf = leaves.iter().find(|leaf| leaf.node == copy.node)?;
            let shard = copy.state.shard;
            Some(async move {
                CopyOutcome {
                    shard,
                    node: Some(leaf.node.clone()),
                    outcome: leaf.client.retry_failed(shard).await,
                }
            })
        });
        join_all(asked).await
    }
}

//! What primaries show now: what those who keep answers ask before each hit, or hold leases on.
//!
//! Does: answer from memory, at once; grant leases ([`gleaner_leases`]); hold back what is said to be visible until
//! those with a lease have heard. Does not: wait for a copy that is being opened, make a refresh.
//! Called by: [`crate::client`]. Read first: [`shown_by`], then [`Leaf::acknowledge`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gleaner_leases::{FollowAnswer, FollowCall, FollowFault, GRANTED, Grantor, Shown};
use gleaner_model::{Generation, IndexUuid, ShardKey};
use gleaner_proto::LeafFault;
use gleaner_proto::read::ShownGeneration;
use tokio::time::sleep_until;

use crate::Leaf;
use crate::copy::registry::{CopyRegistry, OpenCopy};
use crate::copy::shard::Shard;
use crate::node::Role;

/// Returns what the primary of `shard` shows, if that is open here. The shard counts as read.
///
/// # Errors
/// [`LeafFault::NotHere`] where no primary is open, [`LeafFault::Stopped`] where it applies nothing any more.
pub(crate) fn shown_by(
    copies: &CopyRegistry,
    shard: ShardKey,
) -> Result<ShownGeneration, LeafFault> {
    let Some(copy) = primary_here(copies, shard) else {
        return Err(LeafFault::NotHere { shard });
    };
    if let Some(reason) = copy.applier.failure() {
        let reason = reason.to_string();
        return Err(LeafFault::Stopped { shard, reason });
    }
    let is_resting = copy.refreshes.read();
    Ok(ShownGeneration {
        // The view itself, not the channel that tells of it: a refresh that has nothing left to show is
        // acknowledged as soon as another has changed the view.
        generation: copy.engine().view().generation(),
        is_resting,
    })
}

fn primary_here(copies: &CopyRegistry, shard: ShardKey) -> Option<Arc<Shard>> {
    match copies.open_now(shard)? {
        OpenCopy::Primary(primary) => Some(Arc::clone(&primary.shard)),
        OpenCopy::Replica(_) => None,
    }
}

impl Leaf {
    /// Waits until no holder of a lease serves anything older than `generation`: then a client may be told that it is
    /// visible.
    pub(crate) async fn acknowledge(&self, shard: ShardKey, generation: Generation) {
        let reopened = primary_here(&self.copies, shard).and_then(|copy| copy.reopened);
        if let Some(began) = reopened {
            // Leases of an earlier process of this leaf.
            sleep_until((began + GRANTED).into()).await;
        }
        self.node.grants.acknowledge(shard, generation).await;
    }
}

#[async_trait]
impl Grantor for Leaf {
    async fn follow(&self, call: FollowCall) -> Result<FollowAnswer, FollowFault> {
        self.node.grants.answer(&call, self).await
    }
}

impl Shown for Leaf {
    fn leasable(&self, index: IndexUuid, _longest: &mut Duration) -> Vec<(ShardKey, Generation)> {
        let mut leasable = Vec::new();
        self.each_primary(index, |shard, copy| {
            if copy.applier.failure().is_none() && !copy.refreshes.is_resting() {
                leasable.push((shard, copy.engine().view().generation()));
            }
        });
        leasable
    }

    fn note_read(&self, index: IndexUuid) {
        self.each_primary(index, |_, copy| {
            copy.refreshes.read();
        });
    }

    fn state_version(&self) -> u64 {
        self.node.coordinator.state().version
    }
}

impl Leaf {
    /// Calls `visit` for each primary of `index` that is open here and is to be one; for none while the leaf stops.
    fn each_primary(&self, index: IndexUuid, mut visit: impl FnMut(ShardKey, &Shard)) {
        let state = self.node.coordinator.state();
        let Some(meta) = state.indices.get(&index) else {
            return;
        };
        if self.node.is_stopping() {
            return;
        }
        for shard in meta.shards() {
            if self.node.role_in(meta, shard.shard) == Some(Role::Primary)
                && let Some(copy) = primary_here(&self.copies, shard)
            {
                visit(shard, &copy);
            }
        }
    }
}

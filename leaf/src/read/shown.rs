//! What primaries show now: what those who keep answers ask before each hit, or hold leases on.
//!
//! Does: answer from memory, at once; grant leases ([`gleaner_leases`]); hold back what is said to be visible until
//! those with a lease have heard. Does not: wait for a copy that is being opened, make a refresh.
//! Called by: [`crate::client`]. Read first: [`shown_by`], then [`Leaf::acknowledge`].
//!
//! Another copy may have taken the place of a primary that does not know of it yet, and one that has just begun to lead may
//! show less than the one before. So both tell and lease only what they may answer searches from without a flag. That
//! right is over before another copy leads, and leases that were granted under it have run out [`GRANTED`] later: a
//! primary that took over acknowledges nothing until then.

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
use crate::node::Role;
use crate::rules::Rule;
use crate::write::Primary;

/// Returns what the primary of `shard` shows, if that is open here. The shard counts as read.
///
/// # Errors
/// [`LeafFault::NotHere`] where no primary is open, [`LeafFault::Stopped`] where it applies nothing any more,
/// [`LeafFault::Recovering`] where another copy may have shown more.
pub(crate) fn shown_by(
    copies: &CopyRegistry,
    shard: ShardKey,
) -> Result<ShownGeneration, LeafFault> {
    let Some(primary) = primary_here(copies, shard) else {
        return Err(LeafFault::NotHere { shard });
    };
    let copy = &primary.shard;
    if let Some(reason) = copy.applier.failure() {
        let reason = reason.to_string();
        return Err(LeafFault::Stopped { shard, reason });
    }
    let is_resting = copy.refreshes.read();
    // The view itself, not the channel that tells of it: a refresh that has nothing left to show is
    // acknowledged as soon as another has changed the view.
    let generation = copy.engine().view().generation();
    if !may_tell(&primary) {
        let progress = "it does not know whether another copy has shown more".to_owned();
        return Err(LeafFault::Recovering { shard, progress });
    }
    Ok(ShownGeneration {
        generation,
        is_resting,
    })
}

fn primary_here(copies: &CopyRegistry, shard: ShardKey) -> Option<Arc<Primary>> {
    match copies.open_now(shard)? {
        OpenCopy::Primary(primary) => Some(primary),
        OpenCopy::Replica(_) => None,
    }
}

/// Returns whether no other copy had shown more when what `primary` shows was read. To be asked after that.
fn may_tell(primary: &Primary) -> bool {
    let driver = primary.shard.driver();
    driver.is_none_or(|driver| driver.may_serve()) || primary.node().omits(Rule::TellByRight)
}

impl Leaf {
    /// Waits until no holder of a lease serves anything older than `generation`, which `primary` shows: then a client
    /// may be told that it is visible.
    pub(crate) async fn acknowledge(&self, primary: &Primary, generation: Generation) {
        if let Some(since) = primary.took_over
            && !self.node.omits(Rule::OutlastEarlier)
        {
            // Leases of another leaf, or of an earlier process of this one.
            sleep_until((since + GRANTED).into()).await;
        }
        let shard = primary.shard.key;
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
        self.each_primary(index, |shard, primary| {
            let copy = &primary.shard;
            let is_resting = copy.refreshes.is_resting() && !self.node.omits(Rule::LeaseAwake);
            let generation = copy.engine().view().generation();
            if copy.applier.failure().is_none() && !is_resting && may_tell(primary) {
                leasable.push((shard, generation));
            }
        });
        leasable
    }

    fn note_read(&self, index: IndexUuid) {
        self.each_primary(index, |_, primary| {
            primary.shard.refreshes.read();
        });
    }

    fn state_version(&self) -> u64 {
        self.node.coordinator.state().version
    }
}

impl Leaf {
    /// Calls `visit` for each primary of `index` that is open here and is to be one; for none while the leaf stops.
    fn each_primary(&self, index: IndexUuid, mut visit: impl FnMut(ShardKey, &Primary)) {
        let state = self.node.coordinator.state();
        let Some(meta) = state.indices.get(&index) else {
            return;
        };
        if self.node.is_stopping() {
            return;
        }
        for shard in meta.shards() {
            if self.node.role_in(meta, shard.shard) == Some(Role::Primary)
                && let Some(primary) = primary_here(&self.copies, shard)
            {
                visit(shard, &primary);
            }
        }
    }
}

#[cfg(test)]
mod tests;

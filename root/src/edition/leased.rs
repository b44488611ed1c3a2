//! Leases of a root: those that it holds from leaves, and those that it grants to fronts on the strength of them.
//!
//! Does: say what is leased, follow leaves for fronts' indices too. Does not: run the loops that follow leaves (the
//! process of a root does, with [`Root::following`]). Read first: [`Editions::leased`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gleaner_leases::{
    FollowAnswer, FollowCall, FollowFault, Following, Grantor, Grants, Holdings, Interest, Shown,
};
use gleaner_model::{Generation, IndexUuid, NodeId, ShardKey};

use super::Editions;
use crate::Root;

/// What must be left of a leaf's lease for a front to get one: shorter ones would be over before they are renewed.
const LEAST: Duration = Duration::from_millis(100);

/// What a root holds and grants.
#[derive(Debug)]
pub(super) struct RootLeases {
    /// A number of this process.
    holder: u64,
    holdings: Arc<Holdings>,
    pub(super) interest: Arc<Interest>,
    grants: Arc<Grants>,
}

impl Default for RootLeases {
    fn default() -> Self {
        Self {
            holder: rand::random(),
            holdings: Arc::default(),
            interest: Arc::default(),
            grants: Arc::default(),
        }
    }
}

impl Editions {
    /// Returns what the primary of `shard` shows, if that is leased, and for how long it is.
    pub(super) fn leased(
        &self,
        shard: ShardKey,
        state_version: u64,
    ) -> Option<(Generation, Duration)> {
        let primary = self.cluster.leaves.primary(shard)?;
        let holdings = &self.leases.holdings;
        holdings.shown(&primary.node, shard, state_version)
    }
}

impl Shown for Editions {
    fn leasable(&self, index: IndexUuid, longest: &mut Duration) -> Vec<(ShardKey, Generation)> {
        // What fronts follow this root for, it follows leaves for.
        self.leases.interest.note([index].into_iter(), false);
        let state = self.cluster.state();
        let Some(meta) = state.indices.get(&index) else {
            return Vec::new();
        };
        let leased = meta.shards().filter_map(|shard| {
            let (generation, left) = self.leased(shard, state.version)?;
            if left < LEAST {
                return None;
            }
            *longest = left.min(*longest);
            Some((shard, generation))
        });
        leased.collect()
    }

    fn note_read(&self, index: IndexUuid) {
        self.leases.interest.note([index].into_iter(), true);
    }

    fn state_version(&self) -> u64 {
        self.cluster.state().version
    }
}

#[async_trait]
impl Grantor for Root {
    async fn follow(&self, call: FollowCall) -> Result<FollowAnswer, FollowFault> {
        let editions = &*self.editions;
        editions.leases.grants.answer(&call, editions).await
    }
}

impl Root {
    /// Returns what follows `leaf` for this root, so that it answers from what is kept without a call:
    /// [`gleaner_leases::follow`] runs it.
    pub fn following(&self, leaf: NodeId) -> Following {
        let RootLeases {
            holder,
            holdings,
            interest,
            grants,
        } = &self.editions.leases;
        Following {
            name: leaf,
            holder: *holder,
            holdings: Arc::clone(holdings),
            interest: Arc::clone(interest),
            grants: Some(Arc::clone(grants)),
        }
    }
}

//! Editions: what an answer was evaluated on, and what is current.
//!
//! Does: gather the state that an answer depends on, of plans that were evaluated ([`Editions::evaluated`]) and of
//! indices now: [`Editions::current`] in one process with the leaf and under leases, else [`Editions::ask`]. Does not: define
//! what an edition covers (`query::canonical::edition` does), keep answers. Called by: [`crate::search`] and, through
//! [`crate::Root`], by who keeps answers.
//! Read first: [`Editions::current`].
//!
//! An answer that is kept while its edition is the current one is what a search at that moment would have answered:
//! generations only grow, so one that was evaluated before and is current after was in force in between.

mod asking;
mod leased;
mod maker;
mod targets;

use std::sync::Arc;

use gleaner_model::{ClusterState, Edition, Generation, ShardKey, ShardNumber};
use gleaner_query::canonical::edition::{SettingsDigest, TargetIndex, Targets, edition};

use crate::cluster::ClusterView;
use crate::health::Book;
use crate::plan::IndexPlan;

use leased::RootLeases;
pub use maker::EditionMaker;
pub use targets::targets_of;

#[cfg(test)]
mod tests;

/// Says which state answers depend on.
pub(crate) struct Editions {
    cluster: Arc<ClusterView>,
    health: Arc<Book>,
    maker: EditionMaker,
    leases: RootLeases,
}

impl Editions {
    pub(crate) fn new(cluster: &Arc<ClusterView>, health: &Arc<Book>) -> Self {
        Self {
            cluster: Arc::clone(cluster),
            health: Arc::clone(health),
            maker: EditionMaker::default(),
            leases: RootLeases::default(),
        }
    }

    /// Returns the digest of the cluster's settings.
    pub(crate) fn cluster_settings(&self, state: &ClusterState) -> SettingsDigest {
        self.maker.cluster_settings(state)
    }

    /// Returns the edition of an answer to which all shards of `plans` answered, each from the generation that it is
    /// bound to; `settings` were those of the cluster when it was planned. `None` where a shard was left out and
    /// nobody knows what it showed.
    pub(crate) fn evaluated(
        &self,
        plans: &[IndexPlan],
        settings: &SettingsDigest,
    ) -> Option<Edition> {
        let mut plans: Vec<&IndexPlan> = plans.iter().collect();
        plans.sort_by_key(|plan| plan.index.uuid);
        let mut parts = Vec::with_capacity(plans.len());
        for plan in plans {
            let mut shown = self.shown_of(plan)?;
            shown.sort_by_key(|(number, _)| *number);
            let target = TargetIndex {
                uuid: plan.index.uuid,
                filters: plan.alias_filter_texts.clone(),
                boost: plan.boost,
                shards: shown.iter().map(|(number, _)| *number).collect(),
            };
            let shown = shown.into_iter().map(|(_, generation)| generation);
            let shown: Vec<Generation> = shown.collect();
            parts.push((&plan.index, target, shown));
        }
        let states = parts
            .iter()
            .map(|(index, target, shown)| self.maker.state_of(index, target, shown));
        Some(edition(settings, &states.collect::<Vec<_>>()))
    }

    /// Returns what each shard of an index showed to the answer.
    fn shown_of(&self, plan: &IndexPlan) -> Option<Vec<(ShardNumber, Generation)>> {
        let bound = plan.shards.iter().chain(&plan.excluded);
        let bound = bound.map(|planned| Some((planned.shard.shard, planned.generation?)));
        let hopeless = plan.hopeless.iter().map(|planned| {
            let shown = match planned.generation {
                // What patterns stand for depends on what the shard held then.
                None if plan.has_patterns => None,
                // The answer is the same, whatever the shard shows.
                None => self.shown(planned.shard),
                bound => bound,
            };
            Some((planned.shard.shard, shown?))
        });
        bound.chain(hopeless).collect()
    }

    /// Returns the edition of an answer that would be evaluated on `targets` now, without a call. `None` where a shard
    /// does not serve or rests, is in another process and not leased, or an index is gone or closed.
    pub(crate) fn current(&self, targets: &Targets) -> Option<Edition> {
        let state = self.cluster.state();
        if self.cluster.leaves.are_here() {
            let shown = |shard| self.shown(shard);
            return self.maker.edition_at(&state, targets, shown);
        }
        let indices = targets.indices.iter().map(|index| index.uuid);
        self.leases.interest.note(indices, true);
        let shown = |shard| Some(self.leased(shard, state.version)?.0);
        self.maker.edition_at(&state, targets, shown)
    }

    fn shown(&self, shard: ShardKey) -> Option<Generation> {
        let primary = self.cluster.leaves.primary(shard)?;
        primary.client.shown_now(shard)
    }
}

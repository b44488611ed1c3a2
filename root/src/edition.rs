//! Editions: what an answer was evaluated on, and what is current.
//!
//! Does: gather the state that an answer depends on, of plans that were evaluated ([`Editions::evaluated`]) and of
//! indices now: [`Editions::current`] in one process with the leaf, [`Editions::ask`] in a cluster. Does not: define
//! what an edition covers (`query::canonical::edition` does), keep answers. Called by: [`crate::search`] and, through
//! [`crate::Root`], by who keeps answers.
//! Read first: [`Editions::current`].
//!
//! An answer that is kept while its edition is the current one is what a search at that moment would have answered:
//! generations only grow, so one that was evaluated before and is current after was in force in between.

mod asking;
mod targets;

use std::collections::HashMap;
use std::sync::Arc;

use gleaner_model::{
    ClusterState, Edition, Generation, IndexMeta, IndexUuid, ShardKey, ShardNumber,
};
use gleaner_query::canonical::edition::{
    IndexState, SettingsDigest, ShardState, TargetIndex, Targets, edition,
};
use parking_lot::Mutex;

use crate::cluster::ClusterView;
use crate::health::Book;
use crate::plan::IndexPlan;

pub use targets::targets_of;

#[cfg(test)]
mod tests;

/// Indices whose settings' digests are remembered; beyond it all are forgotten.
const MAX_DIGESTS: usize = 8_192;

/// Says which state answers depend on.
pub(crate) struct Editions {
    cluster: Arc<ClusterView>,
    health: Arc<Book>,
    /// Digests of the settings of indices, each with the metadata that it was made of.
    of_indices: Mutex<HashMap<IndexUuid, (Arc<IndexMeta>, SettingsDigest)>>,
    /// Digest of the cluster's settings, with the version of the state that it was made of.
    of_cluster: Mutex<Option<(u64, SettingsDigest)>>,
}

impl Editions {
    pub(crate) fn new(cluster: &Arc<ClusterView>, health: &Arc<Book>) -> Self {
        Self {
            cluster: Arc::clone(cluster),
            health: Arc::clone(health),
            of_indices: Mutex::default(),
            of_cluster: Mutex::default(),
        }
    }

    /// Returns the digest of the cluster's settings.
    pub(crate) fn cluster_settings(&self, state: &ClusterState) -> SettingsDigest {
        let mut known = self.of_cluster.lock();
        match *known {
            Some((version, digest)) if version == state.version => digest,
            _ => {
                let digest = SettingsDigest::of(&state.persistent_settings);
                *known = Some((state.version, digest));
                digest
            }
        }
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
            .map(|(index, target, shown)| self.state_of(index, target, shown));
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

    /// Returns the edition of an answer that would be evaluated on `targets` now; `None` where a shard does not serve
    /// here or rests, or an index is gone or closed. No calls are made.
    pub(crate) fn current(&self, targets: &Targets) -> Option<Edition> {
        self.edition_at(&self.cluster.state(), targets, |shard| self.shown(shard))
    }

    /// Returns the edition of an answer from `targets` under `state`; `shown` says what each shard shows.
    fn edition_at(
        &self,
        state: &ClusterState,
        targets: &Targets,
        shown: impl Fn(ShardKey) -> Option<Generation>,
    ) -> Option<Edition> {
        let mut states = Vec::with_capacity(targets.indices.len());
        for target in &targets.indices {
            let index = state.indices.get(&target.uuid);
            let index = index.filter(|index| !index.is_closed)?;
            let shard = |number: &ShardNumber| {
                shown(ShardKey {
                    index: target.uuid,
                    shard: *number,
                })
            };
            let shown: Option<Vec<Generation>> = target.shards.iter().map(shard).collect();
            states.push(self.state_of(index, target, &shown?));
        }
        Some(edition(&self.cluster_settings(state), &states))
    }

    fn shown(&self, shard: ShardKey) -> Option<Generation> {
        let primary = self.cluster.leaves.primary(shard)?;
        primary.client.shown_now(shard)
    }

    fn state_of<'a>(
        &self,
        index: &Arc<IndexMeta>,
        target: &'a TargetIndex,
        shown: &[Generation],
    ) -> IndexState<'a> {
        let term = |number: &ShardNumber| {
            let term = index.primary_terms.get(number.0 as usize);
            term.copied().unwrap_or_default()
        };
        let shards = target.shards.iter().zip(shown);
        let shards = shards.map(|(number, generation)| ShardState {
            term: term(number),
            generation: *generation,
        });
        IndexState {
            target,
            mapping: index.mapping.version,
            settings: self.settings_of(index),
            shards: shards.collect(),
        }
    }

    fn settings_of(&self, index: &Arc<IndexMeta>) -> SettingsDigest {
        let mut known = self.of_indices.lock();
        match known.get(&index.uuid) {
            Some((of, digest)) if Arc::ptr_eq(of, index) => *digest,
            _ => {
                if known.len() >= MAX_DIGESTS {
                    known.clear();
                }
                let digest = SettingsDigest::of(&index.settings);
                known.insert(index.uuid, (Arc::clone(index), digest));
                digest
            }
        }
    }
}

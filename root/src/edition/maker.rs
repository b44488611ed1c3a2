//! Editions from what shards show: the same function for who evaluates and who keeps answers.

use std::collections::HashMap;
use std::sync::Arc;

use gleaner_model::{
    ClusterState, Edition, Generation, IndexMeta, IndexUuid, ShardKey, ShardNumber,
};
use gleaner_query::canonical::edition::{
    IndexState, SettingsDigest, ShardState, TargetIndex, Targets, edition,
};
use parking_lot::Mutex;

/// Indices whose settings' digests are remembered; beyond it all are forgotten.
const MAX_DIGESTS: usize = 8_192;

/// Makes editions; remembers digests of settings.
#[derive(Debug, Default)]
pub struct EditionMaker {
    /// Digests of the settings of indices, each with the metadata that it was made of.
    of_indices: Mutex<HashMap<IndexUuid, (Arc<IndexMeta>, SettingsDigest)>>,
    /// Digest of the cluster's settings, with the version of the state that it was made of.
    of_cluster: Mutex<Option<(u64, SettingsDigest)>>,
}

impl EditionMaker {
    /// Returns the edition of an answer from `targets` under `state`; `shown` says what each shard shows. `None` where
    /// that is not known of one, and where an index is gone or closed.
    pub fn edition_at(
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

    /// Returns the digest of the cluster's settings.
    pub(super) fn cluster_settings(&self, state: &ClusterState) -> SettingsDigest {
        let mut known = self.of_cluster.lock();
        match *known {
            Some((version, digest)) if version == state.version => digest,
            _ => {
                let digest = SettingsDigest::of(&state.settings());
                *known = Some((state.version, digest));
                digest
            }
        }
    }

    pub(super) fn state_of<'a>(
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

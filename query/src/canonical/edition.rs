//! The edition of an answer: a digest of all state that it depends on.
//!
//! Does: define what an edition covers, once, for those who evaluate and those who look up what is current.
//! Does not: know which state is in force; it is given.
//! Called by: `root`, on what was evaluated and on what is current. Read first: [`edition`].
//!
//! ```text
//! edition = first 16 bytes of BLAKE3 over
//!   version u8 | digest of the cluster's settings [32] | number of indices u32
//!   per index, by UUID:   UUID [16] | mapping version u64 | digest of its settings [32] | boost f32
//!                         | number of filters u32 | per filter: length u64, JSON | number of shards u32
//!   per shard, by number: number u32 | primary term u64 | generation: mapping u64, visible u64
//!                         | its history [16], but for the shard's first one
//! ```
//!
//! Numbers are little-endian.

use gleaner_model::{
    Edition, Generation, IndexUuid, MappingVersion, PrimaryTerm, ShardKey, ShardNumber,
};
use serde::Serialize;

use super::json;

/// Version of the layout above; a change of it makes all editions others.
const VERSION: u8 = 1;

/// A digest of settings: BLAKE3 of their JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettingsDigest([u8; 32]);

impl SettingsDigest {
    /// Returns the digest of `settings`.
    pub fn of(settings: &impl Serialize) -> Self {
        Self(*blake3::hash(&json(settings)).as_bytes())
    }

    /// Returns its bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The indices that a search's names stand for, and what of each is searched.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Targets {
    /// The indices, by UUID.
    pub indices: Vec<TargetIndex>,
}

impl Targets {
    /// Returns the shards of all indices, by UUID and number.
    pub fn shards(&self) -> impl Iterator<Item = ShardKey> {
        self.indices.iter().flat_map(|target| {
            let index = target.uuid;
            let numbers = target.shards.iter();
            numbers.map(move |shard| ShardKey {
                index,
                shard: *shard,
            })
        })
    }
}

/// What is searched of an index.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetIndex {
    /// The index.
    pub uuid: IndexUuid,
    /// Filters of the aliases that it was reached through, as JSON, in resolved order; a hit matches one of them.
    pub filters: Vec<String>,
    /// Factor on its scores.
    pub boost: f32,
    /// The shards that the routing leaves, ascending.
    pub shards: Vec<ShardNumber>,
}

/// The state of an index that an answer depends on.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexState<'a> {
    /// What is searched of it; its `shards` are those of the field below.
    pub target: &'a TargetIndex,
    /// The mapping that queries were resolved by.
    pub mapping: MappingVersion,
    /// Digest of its settings.
    pub settings: SettingsDigest,
    /// Its shards, in the order of the target's.
    pub shards: Vec<ShardState>,
}

/// The state of a shard that an answer depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardState {
    /// Its primary term; 0 where none was taken yet.
    pub term: PrimaryTerm,
    /// What was visible.
    pub generation: Generation,
}

/// Returns the edition of an answer that was evaluated on `indices`, sorted by UUID, under the cluster's settings.
///
/// Every part has a fixed length or its length before it, so no two states have the same bytes.
pub fn edition(settings: &SettingsDigest, indices: &[IndexState<'_>]) -> Edition {
    let mut hash = blake3::Hasher::new();
    hash.update(&[VERSION]);
    hash.update(settings.as_bytes());
    count(&mut hash, indices.len());
    for index in indices {
        add_index(&mut hash, index);
    }
    let mut digest = [0; 16];
    hash.finalize_xof().fill(&mut digest);
    Edition(digest)
}

fn add_index(hash: &mut blake3::Hasher, index: &IndexState<'_>) {
    let IndexState {
        target,
        mapping,
        settings,
        shards,
    } = index;
    let TargetIndex {
        uuid,
        filters,
        boost,
        shards: numbers,
    } = target;
    hash.update(&uuid.0);
    hash.update(&mapping.0.to_le_bytes());
    hash.update(settings.as_bytes());
    hash.update(&boost.to_le_bytes());
    count(hash, filters.len());
    for filter in filters {
        hash.update(&(filter.len() as u64).to_le_bytes());
        hash.update(filter.as_bytes());
    }
    count(hash, shards.len());
    for (number, shard) in numbers.iter().zip(shards) {
        let ShardState { term, generation } = shard;
        let Generation {
            mapping,
            visible,
            history,
        } = generation;
        hash.update(&number.0.to_le_bytes());
        hash.update(&term.0.to_le_bytes());
        hash.update(&mapping.0.to_le_bytes());
        hash.update(&visible.0.to_le_bytes());
        if !history.is_first() {
            hash.update(&history.0);
        }
    }
}

fn count(hash: &mut blake3::Hasher, number: usize) {
    hash.update(&(number as u32).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use gleaner_model::{HistoryId, SeqNo};

    use super::*;

    fn target() -> TargetIndex {
        TargetIndex {
            uuid: IndexUuid([7; 16]),
            filters: vec![r#"{"term":{"year":1990}}"#.to_owned()],
            boost: 1.0,
            shards: vec![ShardNumber(0), ShardNumber(3)],
        }
    }

    fn state(target: &TargetIndex) -> IndexState<'_> {
        let shard = |visible| ShardState {
            term: PrimaryTerm(2),
            generation: Generation {
                mapping: MappingVersion(4),
                visible: SeqNo(visible),
                history: HistoryId::FIRST,
            },
        };
        IndexState {
            target,
            mapping: MappingVersion(5),
            settings: SettingsDigest::of(&"settings"),
            shards: vec![shard(10), shard(11)],
        }
    }

    fn edition_of(target: &TargetIndex, change: impl Fn(&mut IndexState<'_>)) -> Edition {
        let mut state = state(target);
        change(&mut state);
        edition(&SettingsDigest::of(&"cluster"), &[state])
    }

    #[test]
    fn editions_are_frozen() {
        let line = format!("{}\n", edition_of(&target(), |_| {}));
        assert_eq!(line, include_str!("edition_vectors.txt"));
    }

    #[test]
    fn each_part_of_the_state_makes_another_edition() {
        let with = |change: fn(&mut TargetIndex)| {
            let mut target = target();
            change(&mut target);
            edition_of(&target, |_| {})
        };
        let target = target();
        let all = [
            edition_of(&target, |_| {}),
            edition_of(&target, |state| state.mapping = MappingVersion(6)),
            edition_of(&target, |state| state.settings = SettingsDigest::of(&1)),
            edition_of(&target, |state| state.shards[0].term = PrimaryTerm(3)),
            edition_of(&target, |state| {
                state.shards[1].generation.visible = SeqNo(12);
            }),
            edition_of(&target, |state| {
                state.shards[1].generation.mapping = MappingVersion(5);
            }),
            edition_of(&target, |state| {
                state.shards[1].generation.history = HistoryId([1; 16]);
            }),
            edition_of(&target, |state| state.shards.truncate(1)),
            edition(&SettingsDigest::of(&"other"), &[state(&target)]),
            edition(&SettingsDigest::of(&"cluster"), &[]),
            with(|target| target.uuid = IndexUuid([8; 16])),
            with(|target| target.filters.clear()),
            with(|target| target.filters[0].push(' ')),
            with(|target| target.boost = 2.0),
            with(|target| target.shards[1] = ShardNumber(2)),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[at + 1..].contains(one), "case {at}");
        }
    }
}

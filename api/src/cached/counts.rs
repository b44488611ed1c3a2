//! How often what is kept answered for a shard, and how often it was asked: `request_cache` of statistics.
//!
//! Does: count hits and misses of searches by the shards that their answers are of. Does not: know what is kept. The
//! counts are those of this node since it started: each root keeps answers of its own. Called by: the ways of requests
//! whose answers may be kept, and the routes that show counts. Read first: [`Counts::note`].

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gleaner_cache::Served;
use gleaner_model::{ClusterState, IndexUuid, ShardKey};
use gleaner_query::canonical::edition::Targets;
use parking_lot::RwLock;

/// Hits and misses of every shard that was asked, while its index is there: 16 bytes a shard.
#[derive(Default)]
pub(crate) struct Counts {
    indices: RwLock<HashMap<IndexUuid, Arc<[OfShard]>>>,
}

#[derive(Default)]
struct OfShard {
    hits: AtomicU64,
    misses: AtomicU64,
}

/// What was counted of a shard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Answers that were kept.
    pub(crate) hits: u64,
    /// Answers that were evaluated, as none was kept that is current.
    pub(crate) misses: u64,
}

/// Whether what is kept answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lookup {
    Hit,
    Miss,
}

impl Lookup {
    /// Returns how a request went; `None` where it did not take what is kept.
    pub(crate) fn of(served: &Served) -> Option<Self> {
        match served {
            Served::Kept(_) | Served::Shared(_) | Served::Stale(_) => Some(Self::Hit),
            Served::Evaluated(_) => Some(Self::Miss),
            Served::Renewed(_) => None,
        }
    }
}

impl Counts {
    /// Counts a request once for every shard that its answer is of.
    pub(crate) fn note(&self, lookup: Lookup, targets: &Targets, state: &ClusterState) {
        for target in &targets.indices {
            let Some(counts) = self.of_index(target.uuid, state) else {
                continue;
            };
            let asked = target.shards.iter();
            for shard in asked.filter_map(|number| counts.get(number.0 as usize)) {
                let count = match lookup {
                    Lookup::Hit => &shard.hits,
                    Lookup::Miss => &shard.misses,
                };
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Returns what was counted of a shard.
    pub(crate) fn of(&self, shard: ShardKey) -> Counted {
        let indices = self.indices.read();
        let counts = indices.get(&shard.index);
        let counts = counts.and_then(|counts| counts.get(shard.shard.0 as usize));
        let counted = |counts: &OfShard| Counted {
            hits: counts.hits.load(Ordering::Relaxed),
            misses: counts.misses.load(Ordering::Relaxed),
        };
        counts.map(counted).unwrap_or_default()
    }

    /// Returns the counts of an index; `None` where it is deleted. A first one ends those of indices that are gone.
    fn of_index(&self, uuid: IndexUuid, state: &ClusterState) -> Option<Arc<[OfShard]>> {
        if let Some(counts) = self.indices.read().get(&uuid) {
            return Some(Arc::clone(counts));
        }
        let num_shards = state.indices.get(&uuid)?.settings.number_of_shards;
        let mut indices = self.indices.write();
        indices.retain(|known, _| state.indices.contains_key(known));
        let fresh = || (0..num_shards).map(|_| OfShard::default()).collect();
        Some(Arc::clone(indices.entry(uuid).or_insert_with(fresh)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gleaner_model::{IndexMeta, IndexName, IndexSettings, ShardNumber};
    use gleaner_query::canonical::edition::TargetIndex;

    use super::*;

    fn state(names: &[u8]) -> ClusterState {
        let mut state = ClusterState::default();
        for name in names {
            let index = IndexMeta {
                settings: IndexSettings {
                    number_of_shards: 2,
                    ..IndexSettings::default()
                },
                ..IndexMeta::new(
                    IndexUuid([*name; 16]),
                    IndexName::parse(&format!("books-{name}")).expect("a good name"),
                )
            };
            state.indices.insert(index.uuid, Arc::new(index));
        }
        state
    }

    fn targets(name: u8, shards: &[u32]) -> Targets {
        let target = TargetIndex {
            uuid: IndexUuid([name; 16]),
            filters: Vec::new(),
            boost: 1.0,
            shards: shards.iter().copied().map(ShardNumber).collect(),
        };
        Targets {
            indices: vec![target],
        }
    }

    fn counted(counts: &Counts, name: u8, shard: u32) -> (u64, u64) {
        let Counted { hits, misses } = counts.of(ShardKey {
            index: IndexUuid([name; 16]),
            shard: ShardNumber(shard),
        });
        (hits, misses)
    }

    #[test]
    fn a_request_counts_once_for_each_shard_that_it_asks() {
        let (counts, state) = (Counts::default(), state(&[1]));
        counts.note(Lookup::Miss, &targets(1, &[0, 1]), &state);
        counts.note(Lookup::Hit, &targets(1, &[1]), &state);
        counts.note(Lookup::Hit, &targets(1, &[1, 7]), &state);
        assert_eq!(counted(&counts, 1, 0), (0, 1));
        assert_eq!(counted(&counts, 1, 1), (2, 1));
        assert_eq!(counted(&counts, 1, 7), (0, 0));
    }

    #[test]
    fn deleted_indices_are_forgotten() {
        let counts = Counts::default();
        counts.note(Lookup::Hit, &targets(1, &[0]), &state(&[1]));
        // Its index is gone before it is counted.
        counts.note(Lookup::Hit, &targets(3, &[0]), &state(&[1]));
        counts.note(Lookup::Hit, &targets(2, &[0]), &state(&[2]));
        let known: Vec<_> = counts.indices.read().keys().copied().collect();
        assert_eq!(known, [IndexUuid([2; 16])]);
        assert_eq!(counted(&counts, 1, 0), (0, 0));
    }
}

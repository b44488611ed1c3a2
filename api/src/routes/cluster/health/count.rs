//! Copies counted, and the colour that follows.

use std::collections::HashMap;

use gleaner_model::{IndexMeta, ShardKey, ShardNumber};
use gleaner_proto::read::ShardPhase;
use gleaner_root::read::LocatedShard;
use serde_json::{Map, Value, json};

use crate::error::ApiError;

/// The three colours, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::routes) enum HealthLevel {
    Green,
    Yellow,
    Red,
}

impl HealthLevel {
    pub(in crate::routes) fn as_str(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Yellow => "yellow",
            Self::Red => "red",
        }
    }

    /// Reads a colour.
    pub(in crate::routes) fn parse(text: &str) -> Result<Self, ApiError> {
        match text.to_ascii_lowercase().as_str() {
            "green" => Ok(Self::Green),
            "yellow" => Ok(Self::Yellow),
            "red" => Ok(Self::Red),
            _ => Err(ApiError::illegal(format!(
                "unknown cluster health status [{text}]"
            ))),
        }
    }
}

/// Copies counted: of a shard, an index or the cluster.
#[derive(Debug, Clone, Copy)]
pub(in crate::routes) struct Health {
    pub(in crate::routes) level: HealthLevel,
    pub(in crate::routes) primaries: u64,
    pub(in crate::routes) active_primaries: u64,
    pub(in crate::routes) active: u64,
    pub(in crate::routes) initializing: u64,
    pub(in crate::routes) unassigned: u64,
    /// Shards whose primary neither serves nor recovers.
    pub(in crate::routes) unassigned_primaries: u64,
}

/// The copies of each shard that has any.
pub(in crate::routes) struct CopiesByShard<'a>(HashMap<ShardKey, Vec<&'a LocatedShard>>);

impl<'a> CopiesByShard<'a> {
    pub(in crate::routes) fn of(copies: &'a [LocatedShard]) -> Self {
        let mut by_shard: HashMap<_, Vec<_>> = HashMap::new();
        for copy in copies {
            by_shard.entry(copy.state.shard).or_default().push(copy);
        }
        Self(by_shard)
    }

    fn of_shard(&self, shard: ShardKey) -> &[&'a LocatedShard] {
        self.0.get(&shard).map_or(&[], Vec::as_slice)
    }
}

impl Health {
    const NONE: Self = Self {
        level: HealthLevel::Green,
        primaries: 0,
        active_primaries: 0,
        active: 0,
        initializing: 0,
        unassigned: 0,
        unassigned_primaries: 0,
    };

    fn add(&mut self, other: &Self) {
        self.level = self.level.max(other.level);
        self.primaries += other.primaries;
        self.active_primaries += other.active_primaries;
        self.active += other.active;
        self.initializing += other.initializing;
        self.unassigned += other.unassigned;
        self.unassigned_primaries += other.unassigned_primaries;
    }

    /// Returns the health of shard `number` of an index.
    pub(in crate::routes) fn of_shard(
        index: &IndexMeta,
        number: u32,
        copies: &CopiesByShard<'_>,
    ) -> Self {
        let shard = ShardKey {
            index: index.uuid,
            shard: ShardNumber(number),
        };
        Self::of_copies(index, copies.of_shard(shard))
    }

    /// Returns the health of a shard of `index` with these copies.
    fn of_copies(index: &IndexMeta, copies: &[&LocatedShard]) -> Self {
        let count = |is_so: &dyn Fn(&LocatedShard) -> bool| {
            copies.iter().filter(|copy| is_so(copy)).count() as u64
        };
        // One that serves and has a reason to tell is behind.
        let is_behind = |copy: &LocatedShard| copy.state.reason.is_some();
        let is = |copy: &LocatedShard, phase| copy.state.phase == phase;
        let active = count(&|copy| is(copy, ShardPhase::Started) && !is_behind(copy));
        let initializing = count(&|copy| {
            is(copy, ShardPhase::Recovering) || is(copy, ShardPhase::Started) && is_behind(copy)
        });
        let wanted = 1 + u64::from(index.settings.number_of_replicas);
        let primaries = copies.iter().filter(|copy| copy.state.is_primary);
        let mut phases = primaries.map(|copy| copy.state.phase);
        let has_primary = phases.clone().any(|phase| phase == ShardPhase::Started);
        let is_assigned = phases.any(|phase| phase != ShardPhase::Failed);
        let level = match active {
            _ if !has_primary => HealthLevel::Red,
            _ if active < wanted => HealthLevel::Yellow,
            _ => HealthLevel::Green,
        };
        Self {
            level,
            primaries: 1,
            active_primaries: u64::from(has_primary),
            active,
            initializing,
            unassigned: wanted.saturating_sub(active + initializing),
            unassigned_primaries: u64::from(!is_assigned),
        }
    }

    /// Returns the health of an index.
    pub(in crate::routes) fn of_index(index: &IndexMeta, copies: &CopiesByShard<'_>) -> Self {
        let mut health = Self::NONE;
        index
            .shards()
            .for_each(|shard| health.add(&Self::of_copies(index, copies.of_shard(shard))));
        health
    }

    /// Returns the health of several indices together.
    pub(in crate::routes) fn of_all<'a>(
        indices: impl IntoIterator<Item = &'a IndexMeta>,
        copies: &CopiesByShard<'_>,
    ) -> Self {
        let mut health = Self::NONE;
        indices
            .into_iter()
            .for_each(|index| health.add(&Self::of_index(index, copies)));
        health
    }

    pub(super) fn counts(&self) -> Map<String, Value> {
        let counts = json!({
            "active_primary_shards": self.active_primaries,
            "active_shards": self.active,
            "relocating_shards": 0,
            "initializing_shards": self.initializing,
            "unassigned_shards": self.unassigned,
            "unassigned_primary_shards": self.unassigned_primaries,
        });
        match counts {
            Value::Object(counts) => counts,
            _ => Map::new(),
        }
    }

    /// Returns the share of copies that are active, in percent.
    pub(in crate::routes) fn active_percent(&self) -> f64 {
        let all = self.active + self.initializing + self.unassigned;
        if all == 0 {
            100.0
        } else {
            self.active as f64 * 100.0 / all as f64
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gleaner_model::{IndexName, IndexSettings, IndexUuid, NodeId};
    use gleaner_proto::read::ShardState;

    use super::*;

    /// Returns index `n`, of two shards with a replica each.
    fn index(n: u8) -> IndexMeta {
        let name = IndexName::parse(&format!("index-{n}")).expect("a good name");
        let settings = IndexSettings {
            number_of_shards: 2,
            number_of_replicas: 1,
            ..IndexSettings::default()
        };
        IndexMeta {
            settings,
            ..IndexMeta::new(IndexUuid([n; 16]), name)
        }
    }

    fn copy(index: &IndexMeta, number: u32, is_primary: bool, phase: ShardPhase) -> LocatedShard {
        let shard = ShardKey {
            index: index.uuid,
            shard: ShardNumber(number),
        };
        LocatedShard {
            index: Arc::new(index.clone()),
            node: NodeId("a".into()),
            state: ShardState::empty(shard, is_primary, phase),
        }
    }

    #[test]
    fn a_primary_that_recovers_is_neither_active_nor_unassigned() {
        let index = index(1);
        for (phase, active, unassigned) in [
            (ShardPhase::Started, 1, 0),
            (ShardPhase::Recovering, 0, 0),
            (ShardPhase::Failed, 0, 1),
        ] {
            let replica = copy(&index, 0, false, ShardPhase::Started);
            let copies = [replica, copy(&index, 0, true, phase)];
            let health = Health::of_shard(&index, 0, &CopiesByShard::of(&copies));
            let found = (health.active_primaries, health.unassigned_primaries);
            assert_eq!(found, (active, unassigned), "{phase:?}");
        }
        let health = Health::of_shard(&index, 0, &CopiesByShard::of(&[]));
        assert_eq!(health.counts()["unassigned_primary_shards"], 1);
    }

    #[test]
    fn copies_count_for_their_own_shard_only() {
        let indices = [index(1), index(2)];
        let copies = [
            copy(&indices[0], 0, true, ShardPhase::Started),
            copy(&indices[1], 1, true, ShardPhase::Recovering),
            copy(&indices[0], 1, true, ShardPhase::Started),
            copy(&indices[0], 0, false, ShardPhase::Started),
        ];
        let copies = CopiesByShard::of(&copies);
        let first = Health::of_index(&indices[0], &copies);
        assert_eq!(first.level, HealthLevel::Yellow);
        assert_eq!((first.active, first.unassigned), (3, 1));
        let all = Health::of_all(&indices, &copies);
        assert_eq!(all.level, HealthLevel::Red);
        assert_eq!((all.primaries, all.active_primaries), (4, 2));
        assert_eq!((all.active, all.initializing, all.unassigned), (3, 1, 4));
        assert_eq!(all.unassigned_primaries, 1);
    }

    #[test]
    fn nothing_at_all_is_green() {
        let health = Health::of_all([], &CopiesByShard::of(&[]));
        assert_eq!(health.level, HealthLevel::Green);
        assert!((health.active_percent() - 100.0).abs() < f64::EPSILON);
    }
}

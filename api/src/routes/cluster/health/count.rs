//! Copies counted, and the colour that follows.

use gleaner_model::IndexMeta;
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
}

impl Health {
    const NONE: Self = Self {
        level: HealthLevel::Green,
        primaries: 0,
        active_primaries: 0,
        active: 0,
        initializing: 0,
        unassigned: 0,
    };

    fn add(&mut self, other: &Self) {
        self.level = self.level.max(other.level);
        self.primaries += other.primaries;
        self.active_primaries += other.active_primaries;
        self.active += other.active;
        self.initializing += other.initializing;
        self.unassigned += other.unassigned;
    }

    /// Returns the health of shard `number` of an index.
    pub(in crate::routes) fn of_shard(
        index: &IndexMeta,
        number: u32,
        copies: &[LocatedShard],
    ) -> Self {
        let is_copy = |copy: &&LocatedShard| {
            copy.state.shard.index == index.uuid && copy.state.shard.shard.0 == number
        };
        let count = |is_so: &dyn Fn(&LocatedShard) -> bool| {
            let copies = copies.iter().filter(is_copy);
            copies.filter(|copy| is_so(copy)).count() as u64
        };
        // One that serves and has a reason to tell is behind.
        let is_behind = |copy: &LocatedShard| copy.state.reason.is_some();
        let is = |copy: &LocatedShard, phase| copy.state.phase == phase;
        let active = count(&|copy| is(copy, ShardPhase::Started) && !is_behind(copy));
        let initializing = count(&|copy| {
            is(copy, ShardPhase::Recovering) || is(copy, ShardPhase::Started) && is_behind(copy)
        });
        let wanted = 1 + u64::from(index.settings.number_of_replicas);
        let is_primary =
            |copy: &LocatedShard| copy.state.is_primary && copy.state.phase == ShardPhase::Started;
        let has_primary = copies.iter().filter(is_copy).any(is_primary);
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
        }
    }

    /// Returns the health of an index.
    pub(in crate::routes) fn of_index(index: &IndexMeta, copies: &[LocatedShard]) -> Self {
        let mut health = Self::NONE;
        for number in 0..index.settings.number_of_shards {
            health.add(&Self::of_shard(index, number, copies));
        }
        health
    }

    /// Returns the health of several indices together.
    pub(in crate::routes) fn of_all<'a>(
        indices: impl IntoIterator<Item = &'a IndexMeta>,
        copies: &[LocatedShard],
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
            "unassigned_primary_shards": self.primaries - self.active_primaries.min(self.primaries),
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
    use super::*;

    #[test]
    fn nothing_at_all_is_green() {
        let health = Health::of_all([], &[]);
        assert_eq!(health.level, HealthLevel::Green);
        assert!((health.active_percent() - 100.0).abs() < f64::EPSILON);
    }
}

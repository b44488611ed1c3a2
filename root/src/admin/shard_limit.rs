//! How many shards a cluster takes: `cluster.max_shards_per_node`.

use gleaner_model::{ClusterState, IndexSettings, Role};
use gleaner_query::QueryError;
use gleaner_query::error::ErrorType;
use gleaner_query::settings::cluster;

use crate::RootError;

/// Refuses an index of these settings that would take the cluster beyond its copies of shards: each costs memory and
/// files, those of closed indices too. Where the cluster's settings do not say how many a leaf takes, it is `default`.
///
/// Replicas count as far as there are leaves to hold them.
///
/// # Errors
/// `validation_exception`.
pub(super) fn check(
    state: &ClusterState,
    settings: &IndexSettings,
    default: usize,
) -> Result<(), RootError> {
    let limit = Limit::of(state, default);
    limit.check(limit.taken(state), limit.copies(settings))
}

/// Refuses a change of settings that would take the cluster beyond its copies, or further beyond.
///
/// # Errors
/// `validation_exception`.
pub(super) fn check_growth(
    before: &ClusterState,
    next: &ClusterState,
    default: usize,
) -> Result<(), RootError> {
    let limit = Limit::of(next, default);
    let (taken, wanted) = (limit.taken(before), limit.taken(next));
    match wanted > taken {
        true => limit.check(taken, wanted - taken),
        false => Ok(()),
    }
}

/// How many copies a cluster takes.
struct Limit {
    most: usize,
    num_leaves: usize,
}

impl Limit {
    fn of(state: &ClusterState, default: usize) -> Self {
        let leaves = state.nodes.values().filter(|meta| meta.role == Role::Leaf);
        // A process that is alone is in no list.
        let num_leaves = leaves.count().max(1);
        let per_leaf = cluster::number(state.settings(), cluster::MAX_SHARDS_PER_NODE);
        Self {
            most: per_leaf.unwrap_or(default).saturating_mul(num_leaves),
            num_leaves,
        }
    }

    fn copies(&self, settings: &IndexSettings) -> usize {
        let copies = 1 + settings.number_of_replicas as usize;
        settings.number_of_shards as usize * copies.min(self.num_leaves)
    }

    fn taken(&self, state: &ClusterState) -> usize {
        let indices = state.indices.values();
        indices.map(|index| self.copies(&index.settings)).sum()
    }

    fn check(&self, taken: usize, added: usize) -> Result<(), RootError> {
        if taken + added <= self.most {
            return Ok(());
        }
        let reason = format!(
            "Validation Failed: 1: this action would add [{added}] shards, but this cluster currently has \
             [{taken}]/[{}] maximum normal shards open;",
            self.most
        );
        Err(QueryError::new(ErrorType::ShardLimit, reason).into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use gleaner_model::{NodeId, NodeMeta};
    use serde_json::json;

    use super::*;

    fn reason(state: &ClusterState, num_shards: u32, num_replicas: u32) -> Option<String> {
        let settings = IndexSettings {
            number_of_shards: num_shards,
            number_of_replicas: num_replicas,
            ..IndexSettings::default()
        };
        let checked = check(state, &settings, 10);
        checked.err().map(|error| error.to_string())
    }

    #[test]
    fn an_index_may_stay_as_large_as_it_is_beyond_the_limit() {
        let index = |num_replicas: u32| {
            let mut index = crate::testing::index(1, &json!({}));
            index.settings.number_of_shards = 8;
            index.settings.number_of_replicas = num_replicas;
            crate::testing::state([index])
        };
        let (mut before, mut next) = (index(0), index(1));
        for state in [&mut before, &mut next] {
            state.nodes = BTreeMap::from([leaf("a"), leaf("b")]);
        }
        assert!(check_growth(&before, &next, 8).is_ok());
        assert!(check_growth(&before, &next, 7).is_err());
        assert!(check_growth(&next, &before, 3).is_ok());
        assert!(check_growth(&next, &next, 3).is_ok());
    }

    fn leaf(name: &str) -> (NodeId, NodeMeta) {
        let meta = NodeMeta {
            role: Role::Leaf,
            address: format!("{name}:9300"),
            http_address: None,
            weight: 1.0,
            zone: None,
        };
        (NodeId(name.into()), meta)
    }

    #[test]
    fn replicas_count_as_far_as_leaves_can_hold_them() {
        let mut state = ClusterState::default();
        assert_eq!(reason(&state, 10, 3), None, "there is nowhere to put them");
        assert!(reason(&state, 11, 0).is_some());
        state.nodes = BTreeMap::from([leaf("a"), leaf("b")]);
        assert_eq!(reason(&state, 20, 0), None);
        assert_eq!(reason(&state, 10, 3), None);
        let told = reason(&state, 11, 3).expect("too many");
        assert!(told.contains("would add [22] shards"), "{told}");
        assert!(told.contains("[0]/[20] maximum normal"), "{told}");
        let key = cluster::MAX_SHARDS_PER_NODE.to_owned();
        state.persistent_settings.insert(key, json!("11"));
        assert_eq!(reason(&state, 11, 3), None);
    }
}

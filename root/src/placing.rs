//! Which leaves hold the shards of an index: what its settings ask, on the members there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use gleaner_model::{ClusterState, IndexMeta, NodeId, NodeMeta, Role, ShardKey};
use gleaner_shard_router::{Bound, Member, replace};

use crate::RootError;

/// Returns the copies of each shard by number, the primary first: `number_of_replicas` + 1, or as many
/// as there are leaves. Empty where no leaf is a member: one process holds everything then.
///
/// What `index` has is kept as far as its settings and the members allow; primaries stay.
///
/// # Errors
/// A member's weight out of range.
pub(crate) fn copies(
    state: &ClusterState,
    index: &IndexMeta,
) -> Result<Vec<Vec<NodeId>>, RootError> {
    let is_leaf = |(_, meta): &(&NodeId, &NodeMeta)| meta.role == Role::Leaf;
    let leaves = state.nodes.iter().filter(is_leaf);
    let members: Vec<Member> = leaves.map(|(node, meta)| Member::new(node, meta)).collect();
    if members.is_empty() {
        return Ok(Vec::new());
    }
    let shards: Vec<ShardKey> = index.shards().collect();
    let previous: BTreeMap<ShardKey, Vec<NodeId>> = shards
        .iter()
        .copied()
        .zip(index.copies.iter().cloned())
        .collect();
    let copies = index.settings.number_of_replicas as usize + 1;
    let placed = replace(&previous, &shards, &members, copies, Bound::default());
    let placed = placed.map_err(|error| RootError::Internal(error.to_string()))?;
    // Keys of one index are in the order of its shards.
    Ok(placed.copies.into_values().collect())
}

/// Gives the indices of `state` the copies that they lack, on members that joined since they were
/// placed; returns whether any lacked one. No copy that is there moves, so the new leaves may hold less
/// than their share.
///
/// # Errors
/// A member's weight out of range.
pub fn fill_up(state: &mut ClusterState) -> Result<bool, RootError> {
    let mut filled = Vec::new();
    for index in state.indices.values() {
        if let Some(copies) = with_missing(state, index)? {
            filled.push((index.uuid, copies));
        }
    }
    let lacked_any = !filled.is_empty();
    for (uuid, copies) in filled {
        if let Some(index) = state.indices.get_mut(&uuid) {
            Arc::make_mut(index).copies = copies;
        }
    }
    Ok(lacked_any)
}

/// Returns the copies of `index` with those that it lacks behind them; `None` where it lacks none.
///
/// A shard none of whose copies is on a member lacks none: there is nothing to make a copy from.
pub(crate) fn with_missing(
    state: &ClusterState,
    index: &IndexMeta,
) -> Result<Option<Vec<Vec<NodeId>>>, RootError> {
    let is_leaf = |node: &NodeId| {
        let meta = state.nodes.get(node);
        meta.is_some_and(|meta| meta.role == Role::Leaf)
    };
    let num_leaves = state.nodes.keys().filter(|node| is_leaf(node)).count();
    let wanted = (index.settings.number_of_replicas as usize + 1).min(num_leaves);
    let num_missing = |row: &[NodeId]| match row.iter().any(is_leaf) {
        true => wanted.saturating_sub(row.iter().filter(|node| is_leaf(node)).count()),
        false => 0,
    };
    if index.copies.iter().all(|row| num_missing(row) == 0) {
        return Ok(None);
    }
    let filled = index.copies.iter().zip(copies(state, index)?);
    let filled = filled.map(|(row, placed)| {
        let new = placed.into_iter().filter(|node| !row.contains(node));
        let new = new.take(num_missing(row));
        row.iter().cloned().chain(new).collect::<Vec<NodeId>>()
    });
    Ok(Some(filled.collect()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing;

    fn node(name: &str, role: Role) -> (NodeId, NodeMeta) {
        let meta = NodeMeta {
            role,
            address: format!("{name}:9300"),
            http_address: None,
            weight: 1.0,
            zone: None,
        };
        (NodeId(name.into()), meta)
    }

    fn cluster(num_leaves: usize) -> ClusterState {
        let leaves = (0..num_leaves).map(|n| node(&format!("leaf-{n}"), Role::Leaf));
        ClusterState {
            nodes: leaves.chain([node("root-0", Role::Root)]).collect(),
            ..ClusterState::default()
        }
    }

    fn index(num_replicas: u32) -> IndexMeta {
        let mut index = testing::index(1, &json!({}));
        index.settings.number_of_replicas = num_replicas;
        index
    }

    #[test]
    fn copies_go_to_distinct_leaves_and_never_to_roots() {
        let copies = copies(&cluster(3), &index(1)).expect("placed");
        assert_eq!(copies.len(), 2);
        for row in &copies {
            assert!(row.len() == 2 && row[0] != row[1], "{copies:?}");
            assert!(row.iter().all(|node| node.0.starts_with("leaf")));
        }
    }

    #[test]
    fn without_leaves_nothing_is_placed() {
        assert!(copies(&cluster(0), &index(1)).expect("placed").is_empty());
    }

    #[test]
    fn other_numbers_of_replicas_keep_primaries() {
        let state = cluster(4);
        let mut changed = index(1);
        changed.copies = copies(&state, &changed).expect("placed");
        let primaries = |copies: &[Vec<NodeId>]| -> Vec<NodeId> {
            copies.iter().map(|row| row[0].clone()).collect()
        };
        let before = primaries(&changed.copies);
        for (num_replicas, num_copies) in [(3, 4), (0, 1), (9, 4)] {
            changed.settings.number_of_replicas = num_replicas;
            changed.copies = copies(&state, &changed).expect("placed");
            assert_eq!(primaries(&changed.copies), before);
            assert!(changed.copies.iter().all(|row| row.len() == num_copies));
        }
    }

    #[test]
    fn leaves_that_join_take_what_is_missing_and_nothing_moves() {
        let mut lone = index(1);
        lone.copies = copies(&cluster(1), &lone).expect("placed");
        let before = lone.copies.clone();
        assert!(before.iter().all(|row| row.len() == 1));
        let mut state = cluster(3);
        state.indices.insert(lone.uuid, Arc::new(lone.clone()));
        assert!(fill_up(&mut state).expect("filled"));
        let after = &state.indices[&lone.uuid].copies;
        for (before, after) in before.iter().zip(after) {
            assert_eq!((after.len(), &after[..1]), (2, &before[..]));
            assert_ne!(after[0], after[1]);
        }
        let filled = state.clone();
        assert!(!fill_up(&mut state).expect("nothing is missing"));
        assert_eq!(state, filled);
    }

    #[test]
    fn copies_on_leaves_that_left_stay_and_nothing_is_made_of_them_alone() {
        let mut orphaned = index(1);
        let gone = NodeId("gone".into());
        let here = NodeId("leaf-0".into());
        orphaned.copies = vec![vec![gone.clone(), here.clone()], vec![gone.clone()]];
        let filled = with_missing(&cluster(2), &orphaned).expect("filled");
        let filled = filled.expect("one lacks a copy");
        let third = NodeId("leaf-1".into());
        assert_eq!(filled[0], [gone.clone(), here, third]);
        assert_eq!(filled[1], [gone]);
    }

    #[test]
    fn a_weight_out_of_range_is_told() {
        let mut state = cluster(2);
        for meta in state.nodes.values_mut() {
            meta.weight = -1.0;
        }
        let error = copies(&state, &index(1))
            .expect_err("no weight")
            .to_string();
        assert_eq!(error, "leaf `leaf-0` has weight -1, wanted 0.001 to 1000");
    }
}

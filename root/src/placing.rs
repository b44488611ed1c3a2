//! Which leaves hold the shards of an index: what its settings ask, on the members there are.

use std::collections::BTreeMap;

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

//! The members as placement sees them: numbered by name, with weights and zones.

use std::collections::BTreeMap;

use gleaner_model::{NodeId, ShardKey};

use super::{Member, PlacementError};
use crate::rendezvous::{Draw, NodeHash, NodeRank, Weight};

/// A member's number: its place in the order of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Leaf(pub(super) usize);

/// A zone's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Zone(pub(super) usize);

/// All members, at least one.
pub(super) struct Fleet {
    leaves: Vec<LeafFacts>,
    /// [num_zones]: the leaves of each zone, at least one.
    zones: Vec<Vec<Leaf>>,
    is_weighted: bool,
}

struct LeafFacts {
    node: NodeId,
    hash: NodeHash,
    weight: Weight,
    zone: Zone,
}

impl Fleet {
    /// Numbers the members; their order does not matter.
    pub(super) fn new(members: &[Member]) -> Result<Self, PlacementError> {
        let mut sorted: Vec<&Member> = members.iter().collect();
        sorted.sort_by(|one, two| one.node.cmp(&two.node));
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0].node == pair[1].node) {
            let node = pair[0].node.clone();
            return Err(PlacementError::RepeatedMember { node });
        }
        if sorted.is_empty() {
            return Err(PlacementError::NoMembers);
        }
        let mut fleet = Self {
            leaves: Vec::with_capacity(sorted.len()),
            zones: Vec::new(),
            is_weighted: false,
        };
        let mut named = BTreeMap::new();
        for member in sorted {
            let next = Zone(fleet.zones.len());
            let zone = match &member.zone {
                Some(name) => *named.entry(name).or_insert(next),
                None => next,
            };
            if zone == next {
                fleet.zones.push(Vec::new());
            }
            fleet.add(member, zone)?;
        }
        let first = fleet.leaves[0].weight;
        fleet.is_weighted = fleet.leaves.iter().any(|leaf| leaf.weight != first);
        Ok(fleet)
    }

    fn add(&mut self, member: &Member, zone: Zone) -> Result<(), PlacementError> {
        let wrong = || PlacementError::Weight {
            node: member.node.clone(),
            weight: member.weight,
        };
        let weight = Weight::of_node(member.weight).ok_or_else(wrong)?;
        self.zones[zone.0].push(Leaf(self.leaves.len()));
        self.leaves.push(LeafFacts {
            hash: NodeHash::of(&member.node),
            node: member.node.clone(),
            weight,
            zone,
        });
        Ok(())
    }

    pub(super) fn num_leaves(&self) -> usize {
        self.leaves.len()
    }

    pub(super) fn leaves(&self) -> impl Iterator<Item = Leaf> + use<> {
        (0..self.leaves.len()).map(Leaf)
    }

    pub(super) fn leaf(&self, node: &NodeId) -> Option<Leaf> {
        let found = self.leaves.binary_search_by(|leaf| leaf.node.cmp(node));
        found.ok().map(Leaf)
    }

    pub(super) fn node(&self, leaf: Leaf) -> &NodeId {
        &self.leaves[leaf.0].node
    }

    /// Returns a leaf's weight in thousandths.
    pub(super) fn weight(&self, leaf: Leaf) -> u64 {
        self.leaves[leaf.0].weight.thousandths()
    }

    pub(super) fn zone(&self, leaf: Leaf) -> Zone {
        self.leaves[leaf.0].zone
    }

    pub(super) fn zones(&self) -> &[Vec<Leaf>] {
        &self.zones
    }

    /// Returns how a leaf stands for a shard; of a shard's standings the least is its first choice.
    pub(super) fn standing(&self, shard: ShardKey, leaf: Leaf) -> NodeRank {
        let facts = &self.leaves[leaf.0];
        let draw = Draw::for_placement(shard, facts.hash);
        if self.is_weighted {
            NodeRank::weighted(draw, facts.weight)
        } else {
            NodeRank::unweighted(draw)
        }
    }

    /// Returns all leaves, a shard's first choice first.
    pub(super) fn ranking(&self, shard: ShardKey) -> Vec<Leaf> {
        let standing = |leaf| (self.standing(shard, leaf), leaf);
        let mut ranked: Vec<(NodeRank, Leaf)> = self.leaves().map(standing).collect();
        ranked.sort_unstable();
        ranked.into_iter().map(|(_, leaf)| leaf).collect()
    }
}

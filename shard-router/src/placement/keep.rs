//! What stays of an earlier table.

use std::collections::BTreeMap;

use gleaner_model::{NodeId, ShardKey};

use super::fleet::Leaf;
use super::spread::Layers;
use super::table::Table;

/// Takes over the copies whose leaves are members, as far as number and spread allow.
pub(super) fn keep_previous(
    table: &mut Table<'_>,
    previous: &BTreeMap<ShardKey, Vec<NodeId>>,
    copies: usize,
) {
    let layers = Layers::of(table.fleet, copies);
    for row in 0..table.num_rows() {
        let Some(nodes) = previous.get(&table.row(row).shard) else {
            continue;
        };
        let mut holders: Vec<Leaf> = Vec::with_capacity(nodes.len());
        for leaf in nodes.iter().filter_map(|node| table.fleet.leaf(node)) {
            if !holders.contains(&leaf) {
                holders.push(leaf);
            }
        }
        let mut kept = layers.keep(table.fleet, &holders);
        kept.truncate(copies);
        table.set_kept(row, kept);
    }
}

/// Takes copies off the leaves that hold too many: of each those whose shards like it least.
///
/// Primaries stay, so a leaf may remain beyond its limit.
pub(super) fn shed_beyond(table: &mut Table<'_>, limits: &[usize]) {
    for leaf in table.fleet.leaves() {
        let surplus = table.load(leaf).saturating_sub(limits[leaf.0]);
        if surplus == 0 {
            continue;
        }
        let replicas = table.held_by(leaf).filter(|(_, position)| *position > 0);
        let by_standing = |(row, position)| {
            let standing = table.fleet.standing(table.row(row).shard, leaf);
            (standing, row, position)
        };
        let mut ranked: Vec<_> = replicas.map(by_standing).collect();
        ranked.sort_unstable();
        for (_, row, position) in ranked.into_iter().rev().take(surplus) {
            table.take(row, position);
        }
    }
}

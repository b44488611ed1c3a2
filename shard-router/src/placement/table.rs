//! The table under work: which leaf holds which shard, and how many copies each leaf has.

use std::collections::{BTreeMap, BTreeSet};

use gleaner_model::{NodeId, ShardKey};

use super::Overfull;
use super::fleet::{Fleet, Leaf};
use super::spread;

/// All shards with their holders.
pub(super) struct Table<'a> {
    pub(super) fleet: &'a Fleet,
    rows: Vec<Row>,
    /// [num_leaves]: copies that each leaf holds.
    loads: Vec<usize>,
}

/// A shard with its holders.
pub(super) struct Row {
    pub(super) shard: ShardKey,
    /// The primary first.
    pub(super) holders: Vec<Leaf>,
    /// Whether the first holder must remain.
    pub(super) is_primary_fixed: bool,
    /// All leaves, the first choice first; empty until it is needed.
    ranking: Vec<Leaf>,
}

impl<'a> Table<'a> {
    /// Returns a table of these shards, each once and in their order, that nobody holds.
    pub(super) fn new(fleet: &'a Fleet, shards: &[ShardKey]) -> Self {
        let row = |shard| Row {
            shard,
            holders: Vec::new(),
            is_primary_fixed: false,
            ranking: Vec::new(),
        };
        let shards: BTreeSet<ShardKey> = shards.iter().copied().collect();
        Self {
            fleet,
            rows: shards.into_iter().map(row).collect(),
            loads: vec![0; fleet.num_leaves()],
        }
    }

    pub(super) fn num_rows(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn row(&self, row: usize) -> &Row {
        &self.rows[row]
    }

    pub(super) fn load(&self, leaf: Leaf) -> usize {
        self.loads[leaf.0]
    }

    /// Returns the shards of a leaf: row and position among the row's holders.
    pub(super) fn held_by(&self, leaf: Leaf) -> impl Iterator<Item = (usize, usize)> {
        let position = move |row: &Row| row.holders.iter().position(|holder| *holder == leaf);
        let rows = self.rows.iter().enumerate();
        rows.filter_map(move |(row, facts)| Some((row, position(facts)?)))
    }

    /// Returns the leaves that may take the row's next copy, the first choice first.
    pub(super) fn takers(&mut self, row: usize) -> Vec<Leaf> {
        let fleet = self.fleet;
        let row = &mut self.rows[row];
        if row.ranking.is_empty() {
            row.ranking = fleet.ranking(row.shard);
        }
        let is_open = spread::open_zones(fleet, &row.holders);
        let may_take = |leaf: &&Leaf| is_open[fleet.zone(**leaf).0] && !row.holders.contains(*leaf);
        row.ranking.iter().filter(may_take).copied().collect()
    }

    /// Sets the holders of a row that has none.
    pub(super) fn set_kept(&mut self, row: usize, holders: Vec<Leaf>) {
        for leaf in &holders {
            self.loads[leaf.0] += 1;
        }
        let row = &mut self.rows[row];
        row.is_primary_fixed = !holders.is_empty();
        row.holders = holders;
    }

    /// Gives a copy of the row to `leaf`, after those it has.
    pub(super) fn give(&mut self, row: usize, leaf: Leaf) {
        self.rows[row].holders.push(leaf);
        self.loads[leaf.0] += 1;
    }

    /// Takes the copy at a position of the row's holders away.
    pub(super) fn take(&mut self, row: usize, position: usize) {
        let leaf = self.rows[row].holders.remove(position);
        self.loads[leaf.0] -= 1;
    }

    /// Moves the copy at a position of the row's holders to `to`.
    pub(super) fn pass(&mut self, row: usize, position: usize, to: Leaf) {
        let from = std::mem::replace(&mut self.rows[row].holders[position], to);
        self.loads[from.0] -= 1;
        self.loads[to.0] += 1;
    }

    pub(super) fn overfull(&self, limits: &[usize]) -> Vec<Overfull> {
        let overfull = |leaf: Leaf| Overfull {
            node: self.fleet.node(leaf).clone(),
            copies: self.load(leaf),
            limit: limits[leaf.0],
        };
        let all = self.fleet.leaves().map(overfull);
        all.filter(|leaf| leaf.copies > leaf.limit).collect()
    }

    pub(super) fn into_copies(self) -> BTreeMap<ShardKey, Vec<NodeId>> {
        let node = |leaf: &Leaf| self.fleet.node(*leaf).clone();
        let rows = self.rows.iter();
        rows.map(|row| (row.shard, row.holders.iter().map(node).collect()))
            .collect()
    }
}

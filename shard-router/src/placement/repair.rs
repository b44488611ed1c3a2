//! Makes room where all leaves that have some hold the shard already.
//!
//! A shortest augmenting path of a flow (Edmonds and Karp, 1972): the shard takes a full leaf, which
//! passes one of its other copies on, to a leaf that passes one on, until one has room. The path is a
//! shortest one, so no copy moves twice. From an empty table a path always exists, as every leaf
//! giving each shard its share divided by the number of shards would be a flow that fits.

use std::collections::VecDeque;

use super::fleet::Leaf;
use super::spread;
use super::table::Table;

/// How the search came to a leaf: a copy moves to it.
#[derive(Clone, Copy)]
enum Step {
    /// The copy that is to be added.
    Add,
    /// A copy of `row` that `from` passes on.
    Pass { row: usize, from: Leaf },
}

/// Adds a copy of `row` to one of `takers`, all of which are full, by moving copies of other shards.
///
/// Returns whether there was a way.
pub(super) fn make_room(
    table: &mut Table<'_>,
    row: usize,
    takers: &[Leaf],
    limits: &[usize],
) -> bool {
    let mut steps: Vec<Option<Step>> = vec![None; limits.len()];
    let mut queue: VecDeque<Leaf> = takers.iter().copied().collect();
    for leaf in takers {
        steps[leaf.0] = Some(Step::Add);
    }
    while let Some(from) = queue.pop_front() {
        for (row, to) in passes(table, from, &steps) {
            if steps[to.0].is_some() {
                continue;
            }
            steps[to.0] = Some(Step::Pass { row, from });
            queue.push_back(to);
        }
        let end = queue
            .iter()
            .find(|leaf| table.load(**leaf) < limits[leaf.0]);
        if let Some(end) = end.copied() {
            walk_back(table, row, end, &steps);
            return true;
        }
    }
    false
}

/// Returns the copies that `from` may pass on and to whom, replicas before primaries.
fn passes(table: &Table<'_>, from: Leaf, steps: &[Option<Step>]) -> Vec<(usize, Leaf)> {
    let mut held: Vec<(usize, usize)> = table.held_by(from).collect();
    held.retain(|(row, position)| *position > 0 || !table.row(*row).is_primary_fixed);
    held.sort_by_key(|(row, position)| (*position == 0, *row));
    let unseen: Vec<Leaf> = table
        .fleet
        .leaves()
        .filter(|to| steps[to.0].is_none())
        .collect();
    let mut passes = Vec::new();
    for to in unseen {
        let may_pass =
            |row: usize| spread::may_pass(table.fleet, &table.row(row).holders, from, to);
        if let Some((row, _)) = held.iter().find(|(row, _)| may_pass(*row)) {
            passes.push((*row, to));
        }
    }
    passes
}

/// Moves the copies along the way that ends at `end`.
fn walk_back(table: &mut Table<'_>, added: usize, end: Leaf, steps: &[Option<Step>]) {
    let mut to = end;
    while let Some(Step::Pass { row, from }) = steps[to.0] {
        let holders = &table.row(row).holders;
        let position = holders.iter().position(|leaf| *leaf == from);
        table.pass(row, position.expect("`from` holds what it passes on"), to);
        to = from;
    }
    table.give(added, to);
}

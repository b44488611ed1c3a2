//! Gives every shard the copies that it lacks.

use super::fleet::Leaf;
use super::repair;
use super::table::Table;

/// Fills all rows to as many copies as there are `limits`; the n-th holds for tables of n + 1 copies.
///
/// First every shard gets its first copy, then its second: so primaries are even among themselves,
/// and more copies add to what fewer would have given.
pub(super) fn fill(table: &mut Table<'_>, limits: &[Vec<usize>]) {
    let last = limits.last().expect("at least one copy is asked");
    for (round, of_round) in limits.iter().enumerate() {
        for row in 0..table.num_rows() {
            if table.row(row).holders.len() == round {
                add_copy(table, row, of_round, last);
            }
        }
    }
}

/// Adds a copy: on the first choice that has room, else by moving others, else beyond the bound.
fn add_copy(table: &mut Table<'_>, row: usize, of_round: &[usize], last: &[usize]) {
    let takers = table.takers(row);
    let has_room = |limits: &[usize], leaf: &Leaf| table.load(*leaf) < limits[leaf.0];
    for limits in [of_round, last] {
        if let Some(leaf) = takers.iter().find(|leaf| has_room(limits, leaf)) {
            let leaf = *leaf;
            return table.give(row, leaf);
        }
    }
    if repair::make_room(table, row, &takers, last) {
        return;
    }
    // Only primaries that stay lead here: a missing copy would be worse than an overfull leaf.
    let fullness = |one: &Leaf, two: &Leaf| {
        let crosswise = |this: Leaf, other: Leaf| {
            (table.load(this) as u128 + 1) * u128::from(table.fleet.weight(other))
        };
        crosswise(*one, *two).cmp(&crosswise(*two, *one))
    };
    if let Some(leaf) = takers.iter().copied().min_by(fullness) {
        table.give(row, leaf);
    }
}

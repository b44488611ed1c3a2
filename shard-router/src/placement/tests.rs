//! Laws of placement, and how much moves when members change.

mod laws;
mod moves;

use gleaner_model::{IndexUuid, ShardNumber};

use super::*;

type Table = BTreeMap<ShardKey, Vec<NodeId>>;

fn shards(number: u32) -> Vec<ShardKey> {
    let shard = |n| ShardKey {
        index: IndexUuid([7; 16]),
        shard: ShardNumber(n),
    };
    (0..number).map(shard).collect()
}

fn node(n: usize) -> NodeId {
    NodeId(format!("leaf-{n}").into())
}

fn member(n: usize, weight: f64) -> Member {
    Member {
        node: node(n),
        weight,
        zone: None,
    }
}

fn members(number: usize) -> Vec<Member> {
    (0..number).map(|n| member(n, 1.0)).collect()
}

fn placed(num_shards: u32, members: &[Member], copies: usize, load: Bound) -> Table {
    let placement = place(&shards(num_shards), members, copies, load).expect("good members");
    assert_eq!(placement.overfull, []);
    placement.copies
}

fn loads(table: &Table) -> BTreeMap<&NodeId, usize> {
    let mut loads = BTreeMap::new();
    for leaf in table.values().flatten() {
        *loads.entry(leaf).or_insert(0) += 1;
    }
    loads
}

/// Writes a table of nodes `leaf-n` as their numbers.
fn numbers(table: &Table) -> String {
    let number = |node: &NodeId| node.0.trim_start_matches("leaf-").to_owned();
    let row = |row: &Vec<NodeId>| row.iter().map(number).collect::<Vec<_>>().join("");
    table.values().map(row).collect::<Vec<_>>().join(" ")
}

#[test]
fn tables_are_frozen() {
    let weighted: Vec<Member> = (0..6).map(|n| member(n, 0.5 * (n + 1) as f64)).collect();
    let mut zoned = members(6);
    for (n, member) in zoned.iter_mut().enumerate() {
        member.zone = Some(["a", "b", "c"][n % 3].to_owned());
    }
    let tables = [
        numbers(&placed(12, &members(5), 2, Bound::default())),
        numbers(&placed(12, &weighted, 2, Bound::NONE)),
        numbers(&placed(12, &zoned, 3, Bound::new(1.0))),
    ];
    let frozen = [
        "23 40 40 31 01 42 03 04 34 24 20 12",
        "53 45 45 35 54 42 05 45 45 42 42 54",
        "531 405 405 351 012 243 024 342 534 210 120 153",
    ];
    assert_eq!(tables, frozen);
}

#[test]
fn copies_spread_evenly_over_equal_leaves() {
    let table = placed(20_000, &members(10), 2, Bound::NONE);
    let chi_square = |count: &dyn Fn(&NodeId) -> usize, expected: f64| -> f64 {
        let term = |n| (count(&node(n)) as f64 - expected).powi(2) / expected;
        (0..10).map(term).sum()
    };
    let firsts = |leaf: &NodeId| table.values().filter(|row| row[0] == *leaf).count();
    let copies = |leaf: &NodeId| table.values().filter(|row| row.contains(leaf)).count();
    // The 99.9th percentile for nine degrees of freedom; pairs without repeats vary less.
    assert!(chi_square(&firsts, 2_000.0) < 27.9);
    assert!(chi_square(&copies, 4_000.0) < 27.9);
}

#[test]
fn fewer_members_than_copies_is_told_and_no_error() {
    let placement = place(&shards(4), &members(2), 3, Bound::default()).expect("placed");
    assert_eq!(placement.copies_each, 2);
    assert!(placement.copies.values().all(|row| row.len() == 2));
    let placement = place(&shards(4), &members(2), 0, Bound::default()).expect("placed");
    assert_eq!(placement.copies_each, 1);
    let none = place(&[], &members(2), 1, Bound::default()).expect("placed");
    assert!(none.copies.is_empty());
}

#[test]
fn members_that_cannot_be_are_refused_by_name() {
    let fault = |members: &[Member]| place(&shards(1), members, 1, Bound::default()).unwrap_err();
    assert_eq!(fault(&[]), PlacementError::NoMembers);
    let twice = [member(1, 1.0), member(0, 1.0), member(1, 2.0)];
    assert_eq!(fault(&twice).to_string(), "leaf `leaf-1` is named twice");
    assert_eq!(
        fault(&[member(0, 0.0)]).to_string(),
        "leaf `leaf-0` has weight 0, wanted 0.001 to 1000"
    );
}

#[test]
fn more_copies_add_to_what_fewer_gave() {
    for (num_shards, num_members) in [(64, 5), (30, 12), (7, 7)] {
        let members = members(num_members);
        let one = placed(num_shards, &members, 1, Bound::default());
        let three = placed(num_shards, &members, 3, Bound::default());
        for (shard, row) in &one {
            assert_eq!(three[shard][..1], row[..]);
        }
    }
}

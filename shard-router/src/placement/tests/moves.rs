//! How much moves when leaves join, leave or change weight, and what `replace` keeps.

use super::*;

const NUM_SHARDS: u32 = 2_000;

/// Returns the copies of `after` that `before` has not, as (shard, leaf).
fn added(before: &Table, after: &Table) -> Vec<(ShardKey, NodeId)> {
    let mut added = Vec::new();
    for (shard, row) in after {
        let new = row.iter().filter(|leaf| !before[shard].contains(leaf));
        added.extend(new.map(|leaf| (*shard, leaf.clone())));
    }
    added
}

/// Five standard deviations of a binomial with mean `expected`, and some.
fn is_near(seen: usize, expected: f64) -> bool {
    (seen as f64 - expected).abs() < 5.0 * expected.sqrt()
}

#[test]
fn of_rendezvous_alone_a_join_moves_the_newcomers_share_and_nothing_else() {
    let before = placed(NUM_SHARDS, &members(10), 2, Bound::NONE);
    let after = placed(NUM_SHARDS, &members(11), 2, Bound::NONE);
    let added = added(&before, &after);
    assert!(added.iter().all(|(_, leaf)| *leaf == node(10)));
    assert!(is_near(added.len(), 4_000.0 / 11.0), "{}", added.len());
}

#[test]
fn of_rendezvous_alone_a_leave_moves_what_was_lost_and_nothing_else() {
    let before = placed(NUM_SHARDS, &members(10), 2, Bound::NONE);
    let after = placed(NUM_SHARDS, &members(9), 2, Bound::NONE);
    assert_eq!(added(&before, &after).len(), loads(&before)[&node(9)]);
    let lacks_nothing = |row: &&Vec<NodeId>| !row.contains(&node(9));
    for (shard, row) in before.iter().filter(|(_, row)| lacks_nothing(row)) {
        assert_eq!(*row, after[shard]);
    }
}

#[test]
fn of_rendezvous_alone_a_weight_moves_copies_to_its_leaf_only() {
    let mut members = members(10);
    let before = placed(NUM_SHARDS, &members, 2, Bound::NONE);
    members[4].weight = 2.0;
    let after = placed(NUM_SHARDS, &members, 2, Bound::NONE);
    let added = added(&before, &after);
    assert!(added.iter().all(|(_, leaf)| *leaf == node(4)));
    // Primaries go from 1/10 to 2/11; second copies, drawn without repeats, gain a little less.
    let (least, most) = (0.12 * 2_000.0, 0.1637 * 2_000.0 * 1.3);
    let range = least..most;
    assert!(range.contains(&(added.len() as f64)), "{}", added.len());
}

#[test]
fn with_a_bound_the_cascade_of_a_join_stays_small() {
    // In newcomers' shares; rendezvous alone moves one.
    let cases = [
        (2_000, 1.25, 1.0),
        (2_000, 1.0, 1.15),
        (60, 1.25, 1.2),
        (60, 1.0, 1.9),
    ];
    for (num_shards, factor, most) in cases {
        let table = |number| placed(num_shards, &members(number), 2, Bound::new(factor));
        let num_added = added(&table(10), &table(11)).len() as f64;
        let share = f64::from(2 * num_shards) / 11.0;
        assert!(
            num_added < most * share,
            "{num_shards} {factor}: {num_added}"
        );
    }
}

#[test]
fn replacing_after_a_leave_moves_what_was_lost_and_nothing_else() {
    let before = placed(NUM_SHARDS, &members(10), 3, Bound::default());
    let after = replace(
        &before,
        &shards(NUM_SHARDS),
        &members(9),
        3,
        Bound::default(),
    );
    let after = after.expect("placed");
    assert_eq!(after.overfull, []);
    let num_lost = loads(&before)[&node(9)];
    assert_eq!(added(&before, &after.copies).len(), num_lost);
}

#[test]
fn replacing_after_a_join_moves_what_is_beyond_the_bound_and_no_primary() {
    let before = placed(NUM_SHARDS, &members(4), 2, Bound::default());
    let joined = members(8);
    let after = replace(&before, &shards(NUM_SHARDS), &joined, 2, Bound::default());
    let after = after.expect("placed");
    assert_eq!(after.overfull, []);
    // 1,000 copies a leaf, at most 625 after.
    let num_beyond: usize = loads(&before).values().map(|load| load - 625).sum();
    let added = added(&before, &after.copies);
    assert_eq!(added.len(), num_beyond);
    assert!(added.iter().all(|(_, leaf)| *leaf >= node(4)));
    for (shard, row) in &before {
        assert_eq!(row[0], after.copies[shard][0]);
    }
}

#[test]
fn replacing_tells_when_primaries_alone_exceed_the_bound() {
    let before = placed(40, &members(1), 1, Bound::default());
    let after = replace(&before, &shards(40), &members(4), 1, Bound::default());
    let after = after.expect("placed");
    assert_eq!(after.copies, before);
    let overfull = Overfull {
        node: node(0),
        copies: 40,
        limit: 13,
    };
    assert_eq!(after.overfull, [overfull]);
}

#[test]
fn replacing_for_more_copies_adds_and_for_fewer_takes_the_last() {
    let (shards, members) = (shards(100), members(6));
    let two = placed(100, &members, 2, Bound::default());
    let three = replace(&two, &shards, &members, 3, Bound::default()).expect("placed");
    for (shard, row) in &two {
        assert_eq!(three.copies[shard][..2], row[..]);
    }
    let one = replace(&three.copies, &shards, &members, 1, Bound::default()).expect("placed");
    for (shard, row) in &two {
        assert_eq!(one.copies[shard], row[..1]);
    }
}

#[test]
fn replacing_moves_a_replica_out_of_its_primarys_zone() {
    let zoned = |zones: [&str; 3]| -> Vec<Member> {
        let mut members = members(3);
        for (member, zone) in members.iter_mut().zip(zones) {
            member.zone = Some(zone.to_owned());
        }
        members
    };
    let before: Table = shards(4)
        .into_iter()
        .map(|s| (s, vec![node(1), node(0)]))
        .collect();
    let members = zoned(["a", "a", "b"]);
    let after = replace(&before, &shards(4), &members, 2, Bound::default()).expect("placed");
    assert!(after.copies.values().all(|row| *row == [node(1), node(2)]));
}

#[test]
fn the_next_copy_becomes_primary_when_the_first_is_gone() {
    let before = placed(50, &members(5), 2, Bound::default());
    let rest: Vec<Member> = members(5).into_iter().skip(1).collect();
    let after = replace(&before, &shards(50), &rest, 2, Bound::default()).expect("placed");
    for (shard, row) in before.iter().filter(|(_, row)| row[0] == node(0)) {
        assert_eq!(after.copies[shard][0], row[1]);
    }
}

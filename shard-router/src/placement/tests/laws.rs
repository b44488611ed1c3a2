//! Laws that hold for any cluster, drawn at random.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
struct Case {
    num_shards: u32,
    members: Vec<Member>,
    copies: usize,
    load: Bound,
}

fn weight() -> impl Strategy<Value = f64> {
    prop_oneof![3 => Just(1.0), 1 => 0.1..8.0]
}

fn zone() -> impl Strategy<Value = Option<String>> {
    prop_oneof![1 => Just(None), 3 => "[a-c]".prop_map(Some)]
}

fn cluster(sizes: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Member>> {
    let named = prop::collection::vec((weight(), zone()), sizes.clone());
    let plain = prop::collection::vec((weight(), Just(None)), sizes);
    prop_oneof![named, plain].prop_map(|members| {
        let member = |(n, (weight, zone))| Member {
            node: node(n),
            weight,
            zone,
        };
        members.into_iter().enumerate().map(member).collect()
    })
}

fn case() -> impl Strategy<Value = Case> {
    let factor = prop_oneof![Just(1.0), Just(1.25), 1.0..3.0];
    (1..60_u32, cluster(1..10), 1..6_usize, factor).prop_map(
        |(num_shards, members, copies, factor)| Case {
            num_shards,
            members,
            copies,
            load: Bound::new(factor),
        },
    )
}

/// Returns how many copies of a row are in each zone, with the number of leaves there.
fn levels(row: &[NodeId], members: &[Member]) -> Vec<(usize, usize)> {
    let zone = |member: &Member| match &member.zone {
        Some(zone) => format!("zone {zone}"),
        None => format!("leaf {}", member.node),
    };
    let mut levels: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for member in members {
        let (copies, leaves) = levels.entry(zone(member)).or_default();
        *copies += usize::from(row.contains(&member.node));
        *leaves += 1;
    }
    levels.into_values().collect()
}

/// Checks what holds for each shard by itself: number, distinct leaves, spread over zones.
fn check_rows(case: &Case, table: &Table) -> Result<(), TestCaseError> {
    prop_assert_eq!(table.len(), case.num_shards as usize);
    for row in table.values() {
        prop_assert_eq!(row.len(), case.copies.min(case.members.len()));
        prop_assert_eq!(row.iter().collect::<BTreeSet<_>>().len(), row.len());
        let levels = levels(row, &case.members);
        let highest = levels.iter().map(|(copies, _)| *copies).max();
        let open = levels.iter().filter(|(copies, leaves)| copies < leaves);
        let lowest_open = open.map(|(copies, _)| *copies).min();
        // A zone that has a leaf left is at most one copy behind the fullest.
        prop_assert!(
            lowest_open.is_none_or(|lowest| highest <= Some(lowest + 1)),
            "{levels:?}"
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_copy_finds_a_place_within_the_bound(case in case()) {
        let Case { num_shards, members, copies, load } = &case;
        let placement = place(&shards(*num_shards), members, *copies, *load).expect("placed");
        prop_assert_eq!(&placement.overfull, &[]);
        check_rows(&case, &placement.copies)?;
    }

    /// The limit computed anew, in floats, for leaves that are their own zones.
    #[test]
    fn no_leaf_exceeds_its_weighted_share_by_more_than_the_factor(
        weights in prop::collection::vec(0.5..2.0_f64, 4..12),
        num_shards in 1..80_u32,
        copies in 1..3_usize,
    ) {
        // With weights of 0.5 to 2 and four leaves or more a share of two copies can exceed the
        // number of shards; those cases have another limit, tested beside `share`.
        let total: f64 = weights.iter().sum();
        let members: Vec<Member> = weights.iter().enumerate().map(|(n, w)| member(n, *w)).collect();
        let share = |n: usize| f64::from(num_shards) * copies as f64 * weights[n] / total;
        prop_assume!((0..members.len()).all(|n| share(n) <= f64::from(num_shards)));
        let table = placed(num_shards, &members, copies, Bound::default());
        for (leaf, load) in loads(&table) {
            let n: usize = leaf.0.trim_start_matches("leaf-").parse().expect("a number");
            // Weights count to three places.
            let limit = (1.25 * share(n) * 1.003).ceil();
            prop_assert!(load as f64 <= limit, "{load} {limit}");
        }
    }

    #[test]
    fn the_order_of_the_input_does_not_matter(case in case(), turn in 0..10_usize) {
        let Case { num_shards, members, copies, load } = case;
        let mut shards = shards(num_shards);
        let mut turned = members.clone();
        let placement = place(&shards, &members, copies, load).expect("placed");
        turned.rotate_left(turn % members.len());
        shards.reverse();
        shards.push(shards[0]);
        prop_assert_eq!(&placement, &place(&shards, &turned, copies, load).expect("placed"));
    }

    #[test]
    fn replacing_nothing_moves_nothing(case in case()) {
        let Case { num_shards, members, copies, load } = case;
        let shards = shards(num_shards);
        let placement = place(&shards, &members, copies, load).expect("placed");
        let again = replace(&placement.copies, &shards, &members, copies, load);
        prop_assert_eq!(placement, again.expect("placed"));
    }

    #[test]
    fn replacing_keeps_primaries_and_the_laws_of_rows(
        case in case(),
        members in cluster(1..10),
        copies in 1..6_usize,
        left in 0..4_usize,
    ) {
        let shards = shards(case.num_shards);
        let before = place(&shards, &case.members, case.copies, case.load).expect("placed").copies;
        // Leaves with the smallest numbers are gone; those that remain have new weights and zones.
        let members: Vec<Member> = members.into_iter().skip(left).chain([member(99, 1.0)]).collect();
        let after = replace(&before, &shards, &members, copies, case.load).expect("placed");
        let changed = Case { members, copies, ..case };
        check_rows(&changed, &after.copies)?;
        for (shard, row) in &before {
            let is_member = |node: &&NodeId| changed.members.iter().any(|m| m.node == **node);
            if let Some(primary) = row.iter().find(is_member) {
                prop_assert_eq!(primary, &after.copies[shard][0]);
            }
        }
        for overfull in &after.overfull {
            let load = loads(&after.copies)[&overfull.node];
            prop_assert!(load == overfull.copies && load > overfull.limit);
        }
    }
}

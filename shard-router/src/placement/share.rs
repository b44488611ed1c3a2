//! What each leaf should hold, and what it may hold at most; exact, in fractions of whole numbers.

use super::Bound;
use super::fleet::{Fleet, Leaf};
use super::spread::Layers;

/// A share of copies, `num / den`.
#[derive(Debug, Clone, Copy)]
struct Share {
    num: u128,
    den: u128,
}

/// Returns ⌈c × share⌉ of each leaf, at most `num_shards`, when each shard has `copies` copies.
///
/// The sum is never below the number of copies, and no limit falls when `copies` grows.
pub(super) fn limits(
    fleet: &Fleet,
    num_shards: usize,
    copies: usize,
    Bound(thousandths): Bound,
) -> Vec<usize> {
    let mut limits = vec![0; fleet.num_leaves()];
    let of_zones = zone_shares(fleet, num_shards, Layers::of(fleet, copies));
    for (zone, share) in fleet.zones().iter().zip(of_zones) {
        let weights: Vec<u64> = zone.iter().map(|leaf| fleet.weight(*leaf)).collect();
        for (Leaf(leaf), share) in zone.iter().zip(pour(share, num_shards, &weights)) {
            let limit = (share.num * u128::from(thousandths)).div_ceil(share.den * 1_000);
            limits[*leaf] =
                usize::try_from(limit).map_or(num_shards, |limit| limit.min(num_shards));
        }
    }
    limits
}

/// Returns the share of each zone: a copy of every shard for each full layer, and its part of the top.
fn zone_shares(fleet: &Fleet, num_shards: usize, layers: Layers) -> Vec<Share> {
    let is_open = |zone: &&Vec<Leaf>| zone.len() > layers.num_full;
    let weight = |zone: &Vec<Leaf>| zone.iter().map(|leaf| fleet.weight(*leaf)).sum();
    let weights: Vec<u64> = fleet.zones().iter().filter(is_open).map(weight).collect();
    let on_top = Share {
        num: (layers.num_on_top * num_shards) as u128,
        den: 1,
    };
    let mut on_top = pour(on_top, num_shards, &weights).into_iter();
    let share = |zone: &Vec<Leaf>| {
        let below = (zone.len().min(layers.num_full) * num_shards) as u128;
        let top = if is_open(&zone) { on_top.next() } else { None };
        let Share { num, den } = top.unwrap_or(Share { num: 0, den: 1 });
        Share {
            num: num + below * den,
            den,
        }
    };
    fleet.zones().iter().map(share).collect()
}

/// Divides `total` by weight, nobody getting more than `limit`: what would flow over is divided among
/// the others. `total` is at most `limit` for each.
fn pour(total: Share, limit: usize, weights: &[u64]) -> Vec<Share> {
    let limit = limit as u128;
    let mut rest = total;
    let mut open_weight: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    let mut is_full = vec![false; weights.len()];
    loop {
        let (level, brim) = (rest.num, limit * rest.den * open_weight);
        let overflows =
            |i: &usize| !is_full[*i] && level * u128::from(weights[*i]) >= brim && brim > 0;
        let over: Vec<usize> = (0..weights.len()).filter(overflows).collect();
        if over.is_empty() {
            break;
        }
        for i in over {
            is_full[i] = true;
            open_weight -= u128::from(weights[i]);
            rest.num -= limit * rest.den;
        }
    }
    let share = |(weight, is_full): (&u64, bool)| match is_full {
        true => Share { num: limit, den: 1 },
        false => Share {
            num: rest.num * u128::from(*weight),
            den: rest.den * open_weight,
        },
    };
    weights.iter().zip(is_full).map(share).collect()
}

#[cfg(test)]
mod tests {
    use gleaner_model::NodeId;

    use super::*;
    use crate::placement::Member;

    fn fleet(members: &[(f64, Option<&str>)]) -> Fleet {
        let member = |(n, (weight, zone)): (usize, &(f64, Option<&str>))| Member {
            node: NodeId(n.to_string().into()),
            weight: *weight,
            zone: zone.map(str::to_owned),
        };
        let members: Vec<Member> = members.iter().enumerate().map(member).collect();
        Fleet::new(&members).expect("good members")
    }

    fn exact(members: &[(f64, Option<&str>)], num_shards: usize, copies: usize) -> Vec<usize> {
        limits(&fleet(members), num_shards, copies, Bound::new(1.0))
    }

    #[test]
    fn a_share_follows_weight_and_the_bound_rounds_up() {
        let alike = [(1.0, None); 5];
        assert_eq!(limits(&fleet(&alike), 8, 1, Bound::default()), [2; 5]);
        assert_eq!(limits(&fleet(&alike), 9, 1, Bound::default()), [3; 5]);
        assert_eq!(
            exact(&[(1.0, None), (2.0, None), (5.0, None)], 80, 1),
            [10, 20, 50]
        );
    }

    #[test]
    fn nobody_shares_in_more_than_one_copy_of_each_shard() {
        let heavy = [(1.0, None), (1.0, None), (8.0, None)];
        assert_eq!(exact(&heavy, 10, 2), [5, 5, 10]);
        assert_eq!(exact(&heavy, 10, 3), [10; 3]);
        assert_eq!(limits(&fleet(&heavy), 10, 1, Bound::NONE), [10; 3]);
    }

    #[test]
    fn a_zone_shares_in_its_layers() {
        let (a, b) = (Some("a"), Some("b"));
        let zones = [(1.0, a), (1.0, b), (1.0, b), (2.0, b)];
        assert_eq!(exact(&zones, 20, 1), [4, 4, 4, 8]);
        assert_eq!(exact(&zones, 20, 2), [20, 5, 5, 10]);
        assert_eq!(exact(&zones, 20, 3), [20, 10, 10, 20]);
    }
}

//! Weighted rendezvous hashing in whole numbers: every node has a standing for every key.
//!
//! Highest random weight (Thaler and Ravishankar, 1998), weighted by the logarithmic method
//! (Schindelhauer and Schomaker, *Weighted Distributed Hash Tables*, 2005; Resch, *New Hashing
//! Algorithms for Data Storage*, SNIA SDC 2015): a node of weight w scores −w / ln(h), where h in
//! (0, 1) is a hash of key and node, and the largest score wins. A node's share of the keys is its
//! share of the weights, and when one weight changes, keys move only to or from that node.
//!
//! Here the reciprocal is compared, −log2(h) / w, the least first: the same order, as the base only
//! scales. The logarithm is taken in fixed point and the quotients are compared by multiplying
//! crosswise, because a float `ln` differs in its last bit between platforms and two machines would
//! then place a shard differently once in a while. A software `ln` (the `libm` crate) would agree
//! with itself as well, but its quotient still rounds; whole numbers are exact and need no library.

use std::cmp::Ordering;

use gleaner_model::{NodeId, ShardKey};
use twox_hash::XxHash3_64;

/// Seed of the hash of a node's name ("gleannd1" read as a number). Frozen, as the other two.
const NODE_SEED: u64 = 0x676c_6561_6e6e_6431;
/// Seed of the draw of a shard and a node ("gleanpl1").
const PLACEMENT_SEED: u64 = 0x676c_6561_6e70_6c31;
/// Seed of the draw of a shard, a query and a node ("gleancc1").
const CHOICE_SEED: u64 = 0x676c_6561_6e63_6331;

/// Bits behind the binary point of a logarithm: one part in four billion.
const FRACTION_BITS: u32 = 32;

/// Thousandths in a weight of 1.
const THOUSAND: f64 = 1_000.0;

/// The frozen hash of a node's name: what rendezvous knows of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeHash(u64);

impl NodeHash {
    /// Hashes a name. Whoever asks often keeps the result.
    pub fn of(node: &NodeId) -> Self {
        Self(XxHash3_64::oneshot_with_seed(NODE_SEED, node.0.as_bytes()))
    }
}

/// A weight in thousandths, at most 1,000,000, so that products stay far from 128 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Weight(u32);

impl Weight {
    /// Rounds a weight of 0.001 to 1,000; `None` for any other number.
    pub(crate) fn of_node(weight: f64) -> Option<Self> {
        let is_allowed = (0.001..=1_000.0).contains(&weight);
        is_allowed.then(|| Self((weight * THOUSAND).round() as u32))
    }

    /// Takes a factor of 0 to 1; what lies outside counts as the nearer end, and NaN as 0.
    pub(crate) fn of_warmth(warmth: f64) -> Self {
        Self((warmth.clamp(0.0, 1.0) * THOUSAND).round() as u32)
    }

    /// Returns the thousandths.
    pub(crate) fn thousandths(self) -> u64 {
        u64::from(self.0)
    }
}

/// What a node draws for a key: the larger, the better it stands among nodes of one weight.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draw {
    hash: u64,
    node: NodeHash,
}

impl Draw {
    /// Returns what `node` draws for holding a copy of `shard`.
    pub(crate) fn for_placement(shard: ShardKey, node: NodeHash) -> Self {
        let hash = XxHash3_64::oneshot_with_seed(PLACEMENT_SEED, &pair(shard, node));
        Self { hash, node }
    }

    /// Returns what `node` draws for answering a query on `shard`.
    pub(crate) fn for_choice(shard: ShardKey, fingerprint: u128, node: NodeHash) -> Self {
        let mut bytes = [0; 44];
        bytes[..28].copy_from_slice(&pair(shard, node));
        bytes[28..].copy_from_slice(&fingerprint.to_le_bytes());
        let hash = XxHash3_64::oneshot_with_seed(CHOICE_SEED, &bytes);
        Self { hash, node }
    }
}

/// How a node stands for a key: the least is the first choice. One of weight 0 comes after all others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NodeRank {
    draw: Draw,
    weight: Weight,
    /// −log2(h), ≥ 1, 32 bits behind the binary point; not known among nodes of one weight.
    cost: u64,
}

impl NodeRank {
    /// Returns the standing of a node among nodes of other weights.
    pub(crate) fn weighted(draw: Draw, weight: Weight) -> Self {
        let cost = cost(draw.hash);
        Self { draw, weight, cost }
    }

    /// Returns the standing of a node among nodes of the same weight: the same order as with weights,
    /// and no logarithm.
    pub(crate) fn unweighted(draw: Draw) -> Self {
        Self {
            draw,
            weight: Weight(1),
            cost: 0,
        }
    }
}

impl Ord for NodeRank {
    fn cmp(&self, other: &Self) -> Ordering {
        // With one weight the draw decides alone, as a larger draw never costs more.
        let by_cost = if self.weight == other.weight {
            Ordering::Equal
        } else {
            let crosswise =
                |one: &Self, two: &Self| u128::from(one.cost) * u128::from(two.weight.0);
            crosswise(self, other).cmp(&crosswise(other, self))
        };
        by_cost
            .then(other.draw.hash.cmp(&self.draw.hash))
            .then(self.draw.node.cmp(&other.draw.node))
    }
}

impl PartialOrd for NodeRank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for NodeRank {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for NodeRank {}

/// Lays out shard and node: `[0, 16)` UUID, `[16, 20)` shard, `[20, 28)` node, little-endian.
fn pair(shard: ShardKey, node: NodeHash) -> [u8; 28] {
    let mut bytes = [0; 28];
    bytes[..16].copy_from_slice(&shard.index.0);
    bytes[16..20].copy_from_slice(&shard.shard.0.to_le_bytes());
    bytes[20..].copy_from_slice(&node.0.to_le_bytes());
    bytes
}

/// Returns −log2(`draw` / 2^64), rounded up to 32 bits behind the binary point, at least 1.
fn cost(draw: u64) -> u64 {
    // 0 would be infinitely far; it counts as the smallest number above.
    let draw = draw.max(1);
    let whole = u64::from(draw.leading_zeros() + 1);
    let cost = (whole << FRACTION_BITS) - log2_of_mantissa(draw << draw.leading_zeros());
    cost.max(1)
}

/// Returns log2(`mantissa` / 2^63), rounded down, for a mantissa whose highest bit is set.
///
/// Squaring doubles a logarithm, so each square tells the next binary digit (Knuth, *The Art of
/// Computer Programming* 1, section 1.2.2, exercise 25).
fn log2_of_mantissa(mut mantissa: u64) -> u64 {
    let mut digits = 0;
    for _ in 0..FRACTION_BITS {
        let square = u128::from(mantissa) * u128::from(mantissa);
        let digit = (square >> 127) as u64;
        mantissa = (square >> (63 + digit)) as u64;
        digits = digits << 1 | digit;
    }
    digits
}

#[cfg(test)]
mod tests {
    use gleaner_model::{IndexUuid, ShardNumber};

    use super::*;

    fn shard(number: u32) -> ShardKey {
        ShardKey {
            index: IndexUuid([7; 16]),
            shard: ShardNumber(number),
        }
    }

    fn node(name: &str) -> NodeHash {
        NodeHash::of(&NodeId(name.into()))
    }

    #[test]
    fn hashes_and_logarithms_are_frozen() {
        let leaf = node("leaf-1");
        let placed = Draw::for_placement(shard(3), leaf).hash;
        let chosen = Draw::for_choice(shard(3), 42, leaf).hash;
        let numbers = [leaf.0, placed, cost(placed), cost(chosen)];
        assert_eq!(
            numbers.map(|number| format!("{number:x}")),
            [
                "ad602bdacbc62f72",
                "50163374a607e6f2",
                "1ad2faea6",
                "31425fbd7"
            ]
        );
    }

    #[test]
    fn the_logarithm_is_right_to_a_billionth() {
        assert_eq!((cost(0), cost(1)), (64 << 32, 64 << 32));
        assert_eq!((cost(1 << 63), cost(u64::MAX)), (1 << 32, 1));
        for n in 1..1_000_u64 {
            let draw = XxHash3_64::oneshot_with_seed(1, &n.to_le_bytes());
            let wanted = 64.0 - (draw as f64).log2();
            let seen = cost(draw) as f64 / f64::from(FRACTION_BITS).exp2();
            assert!((wanted - seen).abs() < 1e-9, "{draw}: {wanted} {seen}");
        }
    }

    #[test]
    fn the_first_place_falls_to_each_by_its_weight() {
        let weights = [0.5, 1.0, 2.5].map(|weight| Weight::of_node(weight).expect("allowed"));
        let nodes = ["a", "b", "c"].map(node);
        let mut firsts = [0_u32; 3];
        for number in 0..40_000 {
            let draw = |i: usize| Draw::for_placement(shard(number), nodes[i]);
            let of = |&i: &usize| NodeRank::weighted(draw(i), weights[i]);
            firsts[(0..3).min_by_key(of).expect("three")] += 1;
        }
        let expected = [5_000.0, 10_000.0, 25_000.0];
        let chi_square: f64 = firsts
            .iter()
            .zip(expected)
            .map(|(seen, wanted)| (f64::from(*seen) - wanted).powi(2) / wanted)
            .sum();
        // The 99.9th percentile for two degrees of freedom.
        assert!(chi_square < 13.8, "{firsts:?}");
    }

    #[test]
    fn equal_weights_give_the_order_of_none() {
        let draws: Vec<Draw> = (0..100)
            .map(|n| Draw::for_placement(shard(n), node("a")))
            .collect();
        let weighted = |i: &usize| NodeRank::weighted(draws[*i], Weight(7));
        let unweighted = |i: &usize| NodeRank::unweighted(draws[*i]);
        let [mut one, mut two] = [(); 2].map(|()| (0..100).collect::<Vec<usize>>());
        one.sort_by_key(weighted);
        two.sort_by_key(unweighted);
        assert_eq!(one, two);
        one.sort_by_key(|i| cost(draws[*i].hash));
        assert_eq!(one, two);
    }

    #[test]
    fn a_weight_of_nothing_comes_last() {
        let draw = |name| Draw::for_placement(shard(0), node(name));
        let [cold, colder] = ["a", "b"].map(|name| NodeRank::weighted(draw(name), Weight(0)));
        let warm = NodeRank::weighted(draw("c"), Weight(1));
        assert!(warm < cold && warm < colder && cold != colder);
        assert_eq!(Weight::of_warmth(f64::NAN), Weight(0));
        assert_eq!(Weight::of_warmth(7.0), Weight(1_000));
        for wrong in [0.0, -1.0, 1e9, f64::NAN, f64::INFINITY] {
            assert_eq!(Weight::of_node(wrong), None, "{wrong}");
        }
    }
}

//! Which copy of a shard answers a query: the one whose caches know it, unless that one is busy.
//!
//! Copies are ranked by rendezvous of shard, query and node, so that equal queries meet the same copy
//! and its caches stay warm. A copy that is loaded beyond 1.25 × the mean is passed over (Mirrokni,
//! Thorup and Zadimoghaddam, *Consistent Hashing with Bounded Loads*, 2018); when all are, the less
//! loaded of the first two is taken (Mitzenmacher, *The Power of Two Choices*, 2001).

use gleaner_model::ShardKey;
use smallvec::SmallVec;

use crate::rendezvous::{Draw, NodeHash, NodeRank, Weight};

/// How far beyond the mean a copy may be loaded before the next is taken.
const SLACK: f64 = 1.25;

/// A copy that could be asked, as the caller sees it now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// The leaf that holds it.
    pub node: NodeHash,
    /// How busy it is, ≥ 0, in any unit that is the same for all: requests under way, queue × time.
    /// What is not finite counts as beyond the bound.
    pub load: f64,
    /// Slow start: 0 for a copy that is just there, 1 (usual) for one that has settled. It scales both
    /// the copy's share of the queries and the load it may have.
    pub warmth: f64,
    /// Whether it has failed lately; it is tried when no other is left.
    pub is_ejected: bool,
}

/// Positions in the slice of candidates, the first to be tried first. No allocation up to four.
pub type Order = SmallVec<[usize; 4]>;

/// Returns the order in which to try `candidates` for a query with this fingerprint.
///
/// Three groups follow each other: those within the bound, those beyond it, the ejected; each in the
/// order of rendezvous. The bound is 1.25 × warmth × the mean load of those not ejected. The order of
/// the candidates themselves does not matter; each appears once.
///
/// ```
/// use gleaner_model::{IndexUuid, NodeId, ShardKey, ShardNumber};
/// use gleaner_shard_router::{Candidate, NodeHash, order_copies};
///
/// let shard = ShardKey { index: IndexUuid([7; 16]), shard: ShardNumber(0) };
/// let copy = |name: &str, load| Candidate {
///     node: NodeHash::of(&NodeId(name.into())),
///     load,
///     warmth: 1.0,
///     is_ejected: false,
/// };
/// let calm = order_copies(shard, 42, &[copy("a", 1.0), copy("b", 1.0)]);
/// let mut copies = [copy("a", 1.0), copy("b", 1.0)];
/// copies[calm[0]].load = 9.0;
/// assert_eq!(order_copies(shard, 42, &copies)[0], calm[1]);
/// ```
pub fn order_copies(shard: ShardKey, fingerprint: u128, candidates: &[Candidate]) -> Order {
    let is_equal = |pair: &[Candidate]| pair[0].warmth == pair[1].warmth;
    let are_equal = candidates.windows(2).all(is_equal);
    let standing = |copy: &Candidate| {
        let draw = Draw::for_choice(shard, fingerprint, copy.node);
        if are_equal {
            NodeRank::unweighted(draw)
        } else {
            NodeRank::weighted(draw, Weight::of_warmth(copy.warmth))
        }
    };
    let mut ranked: SmallVec<[(NodeRank, usize); 4]> =
        candidates.iter().map(standing).zip(0..).collect();
    ranked.sort_unstable();
    let ranked = || ranked.iter().map(|(_, place)| *place);
    let bound = SLACK * mean_load(candidates);
    let group_of = |place: usize| group(&candidates[place], bound);
    let mut order = Order::new();
    for group in [Group::Within, Group::Beyond, Group::Ejected] {
        order.extend(ranked().filter(|place| group_of(*place) == group));
    }
    if let [first, second, ..] = order[..]
        && [first, second].map(group_of) == [Group::Beyond; 2]
        && candidates[second].load < candidates[first].load
    {
        order.swap(0, 1);
    }
    order
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Group {
    Within,
    Beyond,
    Ejected,
}

fn group(copy: &Candidate, bound: f64) -> Group {
    match copy {
        copy if copy.is_ejected => Group::Ejected,
        copy if copy.load.is_finite() && copy.load <= bound * copy.warmth => Group::Within,
        _ => Group::Beyond,
    }
}

fn mean_load(candidates: &[Candidate]) -> f64 {
    let (mut sum, mut number) = (0.0, 0.0);
    let counts = |copy: &&Candidate| !copy.is_ejected && copy.load.is_finite();
    for copy in candidates.iter().filter(counts) {
        sum += copy.load;
        number += 1.0;
    }
    if number > 0.0 { sum / number } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use gleaner_model::{IndexUuid, NodeId, ShardNumber};
    use proptest::prelude::*;

    use super::*;

    const SHARD: ShardKey = ShardKey {
        index: IndexUuid([7; 16]),
        shard: ShardNumber(1),
    };

    fn copies<const N: usize>(loads: [f64; N]) -> [Candidate; N] {
        std::array::from_fn(|n| Candidate {
            node: NodeHash::of(&NodeId(format!("leaf-{n}").into())),
            load: loads[n],
            warmth: 1.0,
            is_ejected: false,
        })
    }

    fn order(fingerprint: u128, candidates: &[Candidate]) -> Vec<usize> {
        order_copies(SHARD, fingerprint, candidates).to_vec()
    }

    /// Returns how often each copy comes first in 30,000 queries.
    fn firsts<const N: usize>(candidates: [Candidate; N]) -> [f64; N] {
        let mut firsts = [0.0; N];
        for fingerprint in 0..30_000 {
            firsts[order_copies(SHARD, fingerprint, &candidates)[0]] += 1.0;
        }
        firsts
    }

    #[test]
    fn the_order_is_frozen() {
        let orders: Vec<Vec<usize>> = (0..6).map(|n| order(n, &copies([1.0; 4]))).collect();
        let frozen =
            "[[1, 2, 0, 3], [1, 2, 0, 3], [1, 2, 3, 0], [1, 3, 2, 0], [1, 0, 2, 3], [2, 3, 1, 0]]";
        assert_eq!(format!("{orders:?}"), frozen);
    }

    #[test]
    fn queries_spread_over_idle_copies() {
        for seen in firsts(copies([0.0; 3])) {
            // Five standard deviations of a binomial with p = 1/3.
            assert!((seen - 10_000.0).abs() < 410.0, "{seen}");
        }
    }

    #[test]
    fn a_copy_gets_queries_as_it_warms_up_and_only_it_gains() {
        let mut candidates = copies([0.0; 3]);
        candidates[2].warmth = 0.25;
        let [.., cold] = firsts(candidates);
        assert!((cold - 30_000.0 / 9.0).abs() < 280.0, "{cold}");
        for fingerprint in 0..1_000 {
            let before = order(fingerprint, &candidates)[0];
            let mut warmer = candidates;
            warmer[2].warmth = 0.5;
            let after = order(fingerprint, &warmer)[0];
            assert!(after == before || after == 2, "{before} {after}");
        }
        candidates[2].warmth = 0.0;
        assert_eq!(firsts(candidates)[2], 0.0);
    }

    #[test]
    fn a_busy_copy_is_passed_over_for_the_next_of_the_ranking() {
        for fingerprint in 0..100 {
            let calm = order(fingerprint, &copies([4.0; 3]));
            let mut loads = [4.0; 3];
            // The mean becomes 16 / 3, and the bound 6.67.
            loads[calm[0]] = 8.0;
            let busy = order(fingerprint, &copies(loads));
            assert_eq!(busy, [calm[1], calm[2], calm[0]]);
            loads[calm[0]] = 4.8;
            assert_eq!(order(fingerprint, &copies(loads)), calm);
        }
    }

    #[test]
    fn of_copies_that_are_all_beyond_the_bound_the_less_loaded_of_two_is_first() {
        for fingerprint in 0..100 {
            let mut candidates = copies([10.0, 20.0, 30.0]);
            for copy in &mut candidates {
                copy.warmth = 0.1;
            }
            let seen = order(fingerprint, &candidates);
            assert!(seen[0] < seen[1], "{seen:?}");
        }
    }

    #[test]
    fn the_ejected_come_last_and_do_not_count_as_busy() {
        let mut candidates = copies([1.0, 1.0, 1_000.0]);
        candidates[2].is_ejected = true;
        for fingerprint in 0..100 {
            assert_eq!(order(fingerprint, &candidates)[2], 2);
        }
        let calm = order(5, &copies([1.0; 3]));
        let all_ejected = copies([1.0, 2.0, 3.0]).map(|copy| Candidate {
            is_ejected: true,
            ..copy
        });
        assert_eq!(order(5, &all_ejected), calm);
        assert!(order(5, &[]).is_empty());
    }

    fn candidate() -> impl Strategy<Value = (f64, f64, bool)> {
        let load = prop_oneof![0.0..100.0, Just(0.0), Just(f64::NAN), Just(f64::INFINITY)];
        (load, 0.0..=1.0, any::<bool>())
    }

    proptest! {
        #[test]
        fn each_copy_is_named_once_whatever_the_order_of_the_input(
            copies in prop::collection::vec(candidate(), 0..7),
            fingerprint in any::<u128>(),
            turn in any::<usize>(),
        ) {
            let mut candidates: Vec<Candidate> = (0..)
                .zip(copies)
                .map(|(n, (load, warmth, is_ejected)): (u32, _)| Candidate {
                    node: NodeHash::of(&NodeId(n.to_string().into())),
                    load,
                    warmth,
                    is_ejected,
                })
                .collect();
            let names = |candidates: &[Candidate]| -> Vec<NodeHash> {
                let order = order_copies(SHARD, fingerprint, candidates);
                order.iter().map(|place| candidates[*place].node).collect()
            };
            let seen = names(&candidates);
            let places: std::collections::BTreeSet<_> = seen.iter().collect();
            prop_assert_eq!((places.len(), seen.len()), (candidates.len(), candidates.len()));
            // The sum of loads may differ in its last bit with the order: only whole loads compare.
            for copy in &mut candidates {
                copy.load = copy.load.round();
            }
            let seen = names(&candidates);
            let middle = if candidates.is_empty() { 0 } else { turn % candidates.len() };
            candidates.rotate_left(middle);
            prop_assert_eq!(seen, names(&candidates));
        }
    }
}

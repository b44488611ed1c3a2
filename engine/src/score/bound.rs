//! How far tantivy's block maxima may fall short of the truth, so that pruning stays exact.
//!
//! # The problem
//! A posting block stores one pair (norm, tf): the best of its documents under the average length
//! of the *segment*. Scored under the *global* average it need not be the best any more, so the
//! "maximum" may be too low and pruning may drop a winner.
//!
//! # The factor
//! Write n_s(d), n_g(d) for a document's length norm under the segment's and the global average,
//! and q(d) = n_s(d) / n_g(d), which depends on the length only and is monotonic in it. A term's
//! contribution is w · s(r) with r = tf / n_g and s(r) = r / (1 + r). Let m be the stored document
//! and d any document of its block: tf_d / n_s(d) ≤ tf_m / n_s(m) =: ρ, hence r_d ≤ ρ · q(d), while
//! r_m = ρ · q(m). So the truth exceeds the stored bound at most by
//!
//! s(ρ·q(d)) / s(ρ·q(m)) = q(d)/q(m) · (1 + ρ·q(m)) / (1 + ρ·q(d)),
//!
//! which, where q(d) > q(m), falls as ρ grows; and tf ≥ 1 gives ρ ≥ 1/n_s of the shorter of the
//! two. [`shortfall`] is the maximum of this over the lengths that occur in the segment. q is
//! monotonic, so one of the two is the longest length, and one loop over the lengths suffices.
//!
//! tantivy also uses a global bound per term, the score at norm id 255 and a huge tf. Because norms
//! are quantised downwards, a document that repeats one word may exceed it; [`shortfall`] takes
//! that into account too (id i holds lengths up to length(i + 1) − 1, and tf ≤ length).
//!
//! Weights are ≥ 0 and scores are sums, so the largest factor of a query's fields bounds every sum:
//! Σ truth ≤ F · Σ stored. A document is a winner only if its score reaches the k-th; a collector
//! that hands out `k-th / F` therefore loses none. [`Slack`] adds what f32 arithmetic may lose.

use super::bm25::{length_of, norm_of};

/// Length of the field in the segment's documents, deleted ones included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lengths {
    /// Mean length that tantivy assumed when the segment was written.
    pub average: f64,
    /// Norm id of the shortest document that has the field, ≥ 1.
    pub shortest: u8,
    /// Norm id of the longest.
    pub longest: u8,
}

/// Largest factor by which a true score may exceed tantivy's bound for the same block; ≥ 1.
///
/// Infinite where nothing is known (then nothing may be pruned).
pub fn shortfall(segment: Lengths, global_average: f64) -> f64 {
    let usable = |average: f64| average.is_finite() && average > 0.0;
    if !usable(segment.average) || !usable(global_average) || segment.shortest == 0 {
        return f64::INFINITY;
    }
    block_shortfall(segment, global_average).max(term_shortfall(segment, global_average))
}

fn block_shortfall(segment: Lengths, global_average: f64) -> f64 {
    let norm_s = |id: u8| norm_of(length_of(usize::from(id)), segment.average);
    let ratio = |id: u8| norm_s(id) / norm_of(length_of(usize::from(id)), global_average);
    let longest = segment.longest;
    let (q_longest, mut worst) = (ratio(longest), 1.0_f64);
    for id in segment.shortest..longest {
        let q = ratio(id);
        let (q_true, q_stored) = (q.max(q_longest), q.min(q_longest));
        // `id` is the shorter of the two.
        let rho = 1.0 / norm_s(id);
        worst = worst.max(q_true / q_stored * (1.0 + rho * q_stored) / (1.0 + rho * q_true));
    }
    worst
}

fn term_shortfall(segment: Lengths, global_average: f64) -> f64 {
    /// The frequency tantivy uses for a term's largest score.
    const HUGE_FREQUENCY: f64 = 2_013_265_944.0;
    let saturated = |r: f64| r / (1.0 + r);
    let bound = saturated(HUGE_FREQUENCY / norm_of(length_of(255), global_average));
    let mut worst = 1.0_f64;
    for id in segment.shortest..=segment.longest {
        let longest_of_id = match id {
            255 => f64::from(u32::MAX),
            _ => f64::from(length_of(usize::from(id) + 1) - 1),
        };
        let norm = norm_of(length_of(usize::from(id)), global_average);
        worst = worst.max(saturated(longest_of_id / norm) / bound);
    }
    worst
}

/// How far an f32 score may be from the canonical one, relatively.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slack(f64);

impl Slack {
    /// Smallest score that is told from nothing; below it f32 loses relative precision.
    const TINY: f64 = 1e-30;

    /// Returns the slack of a query of `num_nodes` clauses in all.
    ///
    /// A leaf's f32 score is off by less than 16 roundings (weight, norm table, quotient), each
    /// node of the tree adds one; all terms are ≥ 0, so relative errors do not grow in sums.
    /// Doubled for safety.
    pub fn of(num_nodes: usize) -> Self {
        Self((16.0 + num_nodes as f64) * f64::from(f32::EPSILON))
    }

    /// Returns the slack that also covers a dis-max over `num_alternatives`, whose
    /// `(sum − max) · tie` cancels.
    #[must_use]
    pub fn with_dis_max(self, num_alternatives: usize) -> Self {
        let n = num_alternatives as f64;
        Self(self.0 + n * n * f64::from(f32::EPSILON))
    }

    /// Returns whether a document whose f32 score is `approximate` may have a canonical score of
    /// at least `wanted`.
    pub fn may_reach(self, approximate: f32, wanted: f32) -> bool {
        f64::from(approximate) * (1.0 + self.0) + Self::TINY >= f64::from(wanted)
    }

    /// Returns a score that the canonical score of a document reaches whose f32 score is
    /// `approximate`.
    pub fn floor(self, approximate: f32) -> f32 {
        let safe = f64::from(approximate) * (1.0 - self.0) - Self::TINY;
        (safe as f32).next_down()
    }

    /// Returns the threshold to hand to tantivy so that no document whose canonical score is
    /// `kth` or more is lost: below `kth / (shortfall · (1 + slack))`.
    pub fn threshold(self, kth: f32, shortfall: f64) -> f32 {
        let safe = f64::from(kth) / (shortfall * (1.0 + self.0)) - Self::TINY;
        if safe <= 0.0 || safe.is_nan() {
            return f32::MIN;
        }
        (safe as f32).next_down()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn contribution(tf: f64, id: u8, average: f64) -> f64 {
        let r = tf / norm_of(length_of(usize::from(id)), average);
        r / (1.0 + r)
    }

    fn longest_of(id: u8) -> u32 {
        length_of(usize::from(id) + 1) - 1
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn no_document_of_a_block_exceeds_the_stored_bound_times_the_factor(
            segment_average in 0.5..5_000.0_f64,
            global_average in 0.5..5_000.0_f64,
            documents in proptest::collection::vec((1u8..160, 0.0..1.0_f64), 1..40),
        ) {
            let ids = documents.iter().map(|&(id, _)| id);
            let lengths = Lengths {
                average: segment_average,
                shortest: ids.clone().min().unwrap(),
                longest: ids.max().unwrap(),
            };
            let factor = shortfall(lengths, global_average);
            let block: Vec<(u8, f64)> = documents
                .iter()
                .map(|&(id, share)| (id, 1.0 + (share * f64::from(longest_of(id) - 1)).floor()))
                .collect();
            let stored = block
                .iter()
                .max_by(|a, b| {
                    let left = contribution(a.1, a.0, segment_average);
                    left.total_cmp(&contribution(b.1, b.0, segment_average))
                })
                .unwrap();
            let bound = contribution(stored.1, stored.0, global_average);
            for &(id, tf) in &block {
                let truth = contribution(tf, id, global_average);
                prop_assert!(truth <= bound * factor * (1.0 + 1e-12), "{truth} {bound} {factor}");
                let r = 2_013_265_944.0 / norm_of(length_of(255), global_average);
                prop_assert!(truth <= r / (1.0 + r) * factor * (1.0 + 1e-12));
            }
        }
    }

    #[test]
    fn equal_averages_need_hardly_any_factor() {
        let lengths = Lengths {
            average: 200.0,
            shortest: 5,
            longest: 120,
        };
        assert!(shortfall(lengths, 200.0) < 1.002);
    }

    #[test]
    fn unknown_averages_forbid_pruning() {
        let lengths = Lengths {
            average: 0.0,
            shortest: 1,
            longest: 1,
        };
        assert_eq!(
            Slack::of(1).threshold(3.0, shortfall(lengths, 5.0)),
            f32::MIN
        );
    }

    #[test]
    fn the_threshold_lies_below_the_kth_score() {
        let slack = Slack::of(3);
        assert!(slack.threshold(2.5, 1.0) < 2.5);
        assert!(slack.threshold(2.5, 1.0) > 2.4999);
        assert_eq!(slack.threshold(0.0, 1.0), f32::MIN);
        assert!(slack.may_reach(2.5, 2.5) && !slack.may_reach(2.4, 2.5));
    }
}

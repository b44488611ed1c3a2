//! Upper bounds of scores, so that pruning stays exact.
//!
//! # The problem
//! A posting block stores one pair (norm, tf): the best of its documents under the average length
//! of the *segment*. Scored under the *global* average it need not be the best any more, so the
//! "maximum" may be too low and pruning may drop a winner.
//!
//! # The bound
//! Write n_s(d), n_g(d) for a document's length norm under the segment's and the global average,
//! and q(d) = n_s(d) / n_g(d), which depends on the length only and is monotonic in it. A term's
//! contribution is W · s(r) with W = weight · (k1 + 1), r = tf / n_g and s(r) = r / (1 + r). Let m be
//! the stored document and d any document of its block: tf_d / n_s(d) ≤ tf_m / n_s(m) =: ρ, hence
//! r_d ≤ ρ · q(d) ≤ ρ · q_max, where q_max is q at the shortest or at the longest length of the
//! segment. So no document of the block scores more than
//!
//! W · s(ρ · q_max) = W · tf_m / (tf_m + n_s(m) / q_max).
//!
//! Where the averages agree q_max is 1 and this is the stored maximum itself. A block without a
//! stored pair, and a list as a whole, are bounded by W, since s < 1. Weights are ≥ 0 and scores are
//! sums, so bounds add up.
//!
//! # Arithmetic
//! Bounds are computed in f32 from a W raised by [`MARGIN`]: of the fewer than 16 roundings of 2⁻²⁴
//! in one bound, and of those in a sum of [`MOST_TERMS`] of them, none makes it too low.

use std::sync::LazyLock;

use super::bm25::{B, K1, LengthNorms, length_of, norm_of};

/// Share by which bounds are raised.
pub(crate) const MARGIN: f64 = 2e-5;
/// Bounds that may be added up under the margin.
pub(crate) const MOST_TERMS: usize = 256;
/// Smallest and largest weights whose bounds f32 can tell.
const WEIGHTS: std::ops::RangeInclusive<f64> = 1e-20..=1e20;

/// Lengths by norm id.
static LENGTHS: LazyLock<[f32; 256]> =
    LazyLock::new(|| std::array::from_fn(|id| length_of(id) as f32));

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

/// What the stored pairs of a segment are worth under a global average.
///
/// A block's norm under the segment's average is worked out instead of tabulated: every segment has
/// an average of its own, and so many tables do not stay in the processor's nearest cache.
pub(crate) struct BlockBound {
    lengths: &'static [f32; 256],
    /// k1 · (1 − b) / q_max.
    base: f32,
    /// k1 · b / average / q_max.
    slope: f32,
    /// Norm id of the shortest document.
    shortest: u8,
}

impl BlockBound {
    /// Returns the bound of blocks; `None` where nothing is known of them.
    pub(crate) fn new(lengths: Lengths, global: &LengthNorms) -> Option<Self> {
        let is_usable = lengths.average.is_finite() && lengths.average > 0.0;
        if !is_usable || lengths.shortest == 0 {
            return None;
        }
        let ratio = |id: u8| norm_of(length_of(usize::from(id)), lengths.average) / global.get(id);
        let largest = ratio(lengths.shortest).max(ratio(lengths.longest));
        Some(Self {
            lengths: &LENGTHS,
            base: (K1 * (1.0 - B) / largest) as f32,
            slope: (K1 * B / lengths.average / largest) as f32,
            shortest: lengths.shortest,
        })
    }

    /// Returns n_s / q_max of documents with this norm id.
    #[inline]
    fn norm(&self, id: u8) -> f32 {
        self.base + self.slope * self.lengths[usize::from(id)]
    }
}

/// The scores of one term in one segment: canonical ones, and bounds of them.
#[derive(Clone, Copy)]
pub(crate) struct Scale<'a> {
    weight: f64,
    /// W, raised by the margin.
    most: f32,
    norms: &'a LengthNorms,
    norm_ids: &'a [u8],
    /// Norm of the shortest document.
    least_norm: f32,
    blocks: Option<&'a BlockBound>,
}

impl<'a> Scale<'a> {
    /// Returns whether bounds can be told for scores of this weight.
    pub(crate) fn is_bounded(weight: f64) -> bool {
        WEIGHTS.contains(&weight)
    }

    /// Returns the scale of a term of `weight` = boost · idf, which [`Scale::is_bounded`] takes.
    pub(crate) fn new(
        weight: f64,
        norms: &'a LengthNorms,
        norm_ids: &'a [u8],
        blocks: Option<&'a BlockBound>,
    ) -> Self {
        let most = weight * (K1 + 1.0) * (1.0 + MARGIN);
        Self {
            weight,
            most: most as f32,
            norms,
            norm_ids,
            least_norm: norms.rounded()[usize::from(blocks.map_or(0, |bound| bound.shortest))],
            blocks,
        }
    }

    /// Returns the canonical contribution of a document.
    #[inline]
    pub(crate) fn score(&self, doc: u32, frequency: u32) -> f64 {
        let id = self.norm_ids[doc as usize];
        self.weight * self.norms.saturated(f64::from(frequency), id)
    }

    /// Returns a bound of all contributions.
    pub(crate) fn most(&self) -> f32 {
        self.most
    }

    /// Returns a bound of the contributions of a block whose best document is `best`.
    #[inline]
    pub(crate) fn of_block(&self, best: Option<(u8, u32)>) -> f32 {
        let (Some(bound), Some((id, frequency))) = (self.blocks, best) else {
            return self.most;
        };
        // Without frequencies there is no best document.
        if frequency == 0 {
            return self.most;
        }
        let frequency = frequency as f32;
        let norm = bound.norm(id);
        self.most * (frequency / (frequency + norm))
    }

    /// Returns a bound of a document's contribution: less than [`CLOSE`] of it too high.
    #[inline]
    pub(crate) fn of_document(&self, doc: u32, frequency: u32) -> f32 {
        let frequency = rounded(frequency);
        let norm = self.norms.rounded()[usize::from(self.norm_ids[doc as usize])];
        self.most * (frequency / (frequency + norm))
    }

    /// Writes to `selected` the positions of those documents whose contribution may be `need` or
    /// more; returns how many.
    #[inline]
    pub(crate) fn select(
        &self,
        documents: &[u32],
        frequencies: &[u32],
        need: f32,
        selected: &mut [u8; 128],
    ) -> usize {
        // W · tf / (tf + n) ≥ need, without the division.
        let spare = self.most - need;
        let norms = self.norms.rounded();
        let may_reach = |position: usize| {
            let norm = norms[usize::from(self.norm_ids[documents[position] as usize])];
            rounded(frequencies[position]) * spare >= need * norm
        };
        let least = need * self.least_norm;
        let mut num_selected = 0;
        if spare >= least {
            // A document that holds the term once may do.
            for position in 0..documents.len() {
                selected[num_selected & 127] = position as u8;
                num_selected += usize::from(may_reach(position));
            }
            return num_selected;
        }
        // Lengths lie scattered in memory: they are read only for what would do if it were shortest.
        for (position, &frequency) in frequencies.iter().enumerate() {
            selected[num_selected & 127] = position as u8;
            num_selected += usize::from(rounded(frequency) * spare >= least);
        }
        let num_candidates = num_selected;
        num_selected = 0;
        for at in 0..num_candidates {
            let position = selected[at];
            selected[num_selected] = position;
            num_selected += usize::from(may_reach(usize::from(position)));
        }
        num_selected
    }
}

/// Returns a frequency, which is below 2³¹, as a float: signed numbers convert faster.
#[inline]
fn rounded(frequency: u32) -> f32 {
    frequency as i32 as f32
}

/// Share of a bound of a document by which it may be too high.
pub(crate) const CLOSE: f64 = 2.0 * MARGIN;

/// Returns a score that a document's canonical score reaches when the bounds of its terms add up to
/// `ceiling`.
pub(crate) fn least(ceiling: f32) -> f32 {
    (f64::from(ceiling) * (1.0 - CLOSE)) as f32
}

/// How far an f32 score of tantivy's may be from the canonical one, relatively.
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn longest_of(id: u8) -> u32 {
        length_of(usize::from(id) + 1) - 1
    }

    /// Documents of a block: norm ids and frequencies, at most as large as the length allows.
    fn block() -> impl Strategy<Value = Vec<(u8, u32)>> {
        let document = (1u8..160, 0.0..1.0_f64).prop_map(|(id, share)| {
            let frequency = 1.0 + (share * f64::from(longest_of(id) - 1)).floor();
            (id, frequency as u32)
        });
        proptest::collection::vec(document, 1..40)
    }

    /// The pair that tantivy stores of a block, as the skip entry holds it.
    fn stored(block: &[(u8, u32)], average: f64) -> (u8, u32) {
        let norms = LengthNorms::new(average);
        let value =
            |&(id, tf): &(u8, u32)| tf as f32 / (tf as f32 + norms.rounded()[usize::from(id)]);
        let best = block.iter().max_by(|a, b| value(a).total_cmp(&value(b)));
        let (id, frequency) = *best.expect("a block has documents");
        (id, if frequency < 255 { frequency } else { u32::MAX })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn no_document_of_a_block_exceeds_its_bounds(
            segment_average in 0.5..5_000.0_f64,
            global_average in 0.5..5_000.0_f64,
            block in block(),
            weight in 1e-6..1e6_f64,
        ) {
            let ids: Vec<u8> = block.iter().map(|&(id, _)| id).collect();
            let lengths = Lengths {
                average: segment_average,
                shortest: *ids.iter().min().unwrap(),
                longest: *ids.iter().max().unwrap(),
            };
            let global = LengthNorms::new(global_average);
            let bound = BlockBound::new(lengths, &global);
            let scale = Scale::new(weight, &global, &ids, bound.as_ref());
            let ceiling = scale.of_block(Some(stored(&block, segment_average)));
            for (doc, &(_, frequency)) in (0..).zip(&block) {
                let score = scale.score(doc, frequency) as f32;
                let own = scale.of_document(doc, frequency);
                prop_assert!(score <= ceiling && score <= scale.most(), "{score} {ceiling}");
                prop_assert!(least(own) <= score && score <= own, "{score} {own}");
            }
        }

        #[test]
        fn what_is_selected_holds_all_that_reach_the_need(
            average in 0.5..5_000.0_f64,
            block in block(),
            share in 0.0..1.1_f32,
            is_bounded in proptest::bool::ANY,
        ) {
            let ids: Vec<u8> = block.iter().map(|&(id, _)| id).collect();
            let frequencies: Vec<u32> = block.iter().map(|&(_, tf)| tf).collect();
            let documents: Vec<u32> = (0..ids.len() as u32).collect();
            let norms = LengthNorms::new(average);
            let lengths = Lengths {
                average: average * 1.5,
                shortest: *ids.iter().min().unwrap(),
                longest: *ids.iter().max().unwrap(),
            };
            let bound = BlockBound::new(lengths, &norms).filter(|_| is_bounded);
            let scale = Scale::new(3.0, &norms, &ids, bound.as_ref());
            let need = share * scale.most();
            let mut selected = [0; 128];
            let num_selected = scale.select(&documents, &frequencies, need, &mut selected);
            let selected = &selected[..num_selected];
            for (position, (&doc, &frequency)) in documents.iter().zip(&frequencies).enumerate() {
                let is_selected = selected.contains(&(position as u8));
                let score = scale.score(doc, frequency) as f32;
                prop_assert!(is_selected || score < need);
                prop_assert!(!is_selected || f64::from(score) >= f64::from(need) * (1.0 - 1e-3));
            }
        }
    }

    #[test]
    fn equal_averages_bound_a_block_by_its_best_document() {
        let lengths = Lengths {
            average: 200.0,
            shortest: 5,
            longest: 120,
        };
        let global = LengthNorms::new(200.0);
        let bound = BlockBound::new(lengths, &global).unwrap();
        let ids = [40];
        let scale = Scale::new(1.0, &global, &ids, Some(&bound));
        let (ceiling, score) = (scale.of_block(Some((40, 7))), scale.score(0, 7) as f32);
        assert!(ceiling >= score && ceiling < score * 1.0001);
    }

    #[test]
    fn unknown_averages_leave_only_the_bound_of_the_list() {
        let lengths = Lengths {
            average: 0.0,
            shortest: 1,
            longest: 1,
        };
        let global = LengthNorms::new(5.0);
        assert!(BlockBound::new(lengths, &global).is_none());
        let scale = Scale::new(1.0, &global, &[], None);
        assert_eq!(scale.of_block(Some((1, 1))), scale.most());
    }

    #[test]
    fn slack_lets_pass_what_is_close() {
        let slack = Slack::of(3);
        assert!(slack.may_reach(2.5, 2.5) && !slack.may_reach(2.4, 2.5));
    }
}

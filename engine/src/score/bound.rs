//! Upper bounds of scores, so that pruning stays exact.
//!
//! # The problem
//! A posting block stores one pair (norm, tf): the best of its documents under the average length
//! of the *segment*, and under [`STORED`], whatever the field's k1 and b. Scored under the *global*
//! average and the field's own numbers it need not be the best any more, so the "maximum" may be too
//! low and pruning may drop a winner.
//!
//! # The bound
//! Write n_s(d) for a document's length norm as the segment was written, n_g(d) for the one that
//! scores are made of, and q(d) = n_s(d) / n_g(d). Both norms are a line in the length, with a start
//! and a slope ≥ 0, so q depends on the length only and is monotonic in it: that holds for any two
//! averages, and for any two pairs of k1 and b. A term's contribution is W · s(r) with
//! W = weight · (k1 + 1), r = tf / n_g and s(r) = r / (1 + r). Let m be the stored document and d any
//! document of its block: tf_d / n_s(d) ≤ tf_m / n_s(m) =: ρ, hence r_d ≤ ρ · q(d) ≤ ρ · q_max, where
//! q_max is q at the shortest or at the longest length of the segment. So no document of the block
//! scores more than
//!
//! W · s(ρ · q_max) = W · tf_m / (tf_m + n_s(m) / q_max).
//!
//! Where the norms are alike but for a factor (averages that agree, the same b) q is the same for all
//! lengths, and this is the block's maximum itself. The further b is from the stored one, the weaker
//! it is. With k1 = 0 there is no norm: q_max is infinite and the bound W, which every document scores.
//! A block without a stored pair, and a list as a whole, are bounded by W too, since s ≤ 1. Weights are
//! ≥ 0 and scores are sums, so bounds add up.
//!
//! # Arithmetic
//! Bounds are computed in f32 from a W raised by [`MARGIN`]: of the fewer than 16 roundings of 2⁻²⁴
//! in one bound, and of those in a sum of [`MOST_TERMS`] of them, none makes it too low. A rounding is
//! relative as long as nothing leaves the range of f32: [`Scale::is_bounded`] refuses weights and norms
//! with which something could.
//!
//! tantivy chooses m by s in f32. Of documents with s near 1 it cannot tell which has the larger r: by
//! 4 roundings of s, r may be off by [`UNTOLD`]. That counts for s(ρ · q) only where q is small, so there
//! q_max is raised by it.

use std::sync::LazyLock;

use gleaner_partial::score::bm25::{LengthNorms, length_of, norm_of};
use gleaner_query::resolved::Bm25;

/// What tantivy takes a block's best document by (`tantivy::query::Bm25Weight`).
const STORED: Bm25 = Bm25::DEFAULT;

/// Share by which bounds are raised.
pub(crate) const MARGIN: f64 = 2e-5;
/// Bounds that may be added up under the margin.
pub(crate) const MOST_TERMS: usize = 256;
/// Smallest and largest weights, times k1 + 1, whose bounds f32 can tell.
const WEIGHTS: std::ops::RangeInclusive<f64> = 1e-20..=1e20;
/// Largest norm that it can tell them with: the smallest product is then 1e-35, the largest 1e35.
const LARGEST_NORM: f64 = 1e15;
/// Share by which r of a block's best document may be below that of another one: 2⁻²² / ((1 − s) · s),
/// where 1 − s = n / (tf + n) with n ≥ 0.3 and tf < 255, beyond which no frequency is stored.
const UNTOLD: f64 = 3e-4;
/// Ratio of norms from which on that is 2⁻²² / q at most, which the margin has room for.
const FAINT: f64 = 0.125;

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
    /// k1 · (1 − b) / q_max, of [`STORED`].
    base: f32,
    /// k1 · b / average / q_max, of [`STORED`].
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
        let stored = |id: u8| norm_of(STORED, length_of(usize::from(id)), lengths.average);
        let ratio = |id: u8| stored(id) / global.get(id);
        let mut largest = ratio(lengths.shortest).max(ratio(lengths.longest));
        if largest < FAINT {
            largest *= 1.0 + UNTOLD;
        }
        let (k1, b) = (STORED.k1(), STORED.b());
        Some(Self {
            lengths: &LENGTHS,
            base: (k1 * (1.0 - b) / largest) as f32,
            slope: (k1 * b / lengths.average / largest) as f32,
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
    /// Returns whether bounds can be told for scores of this weight and these norms.
    pub(crate) fn is_bounded(weight: f64, norms: &LengthNorms) -> bool {
        WEIGHTS.contains(&(weight * norms.similarity().gain())) && norms.get(255) <= LARGEST_NORM
    }

    /// Returns the scale of a term of `weight` = boost · idf: [`Scale::is_bounded`] takes it with `norms`.
    pub(crate) fn new(
        weight: f64,
        norms: &'a LengthNorms,
        norm_ids: &'a [u8],
        blocks: Option<&'a BlockBound>,
    ) -> Self {
        let most = weight * norms.similarity().gain() * (1.0 + MARGIN);
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
        // No score is below 0; and −∞ times a norm of 0 would be no number.
        let need = need.max(0.0);
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
mod tests;

//! Candidates of one segment, put off until fewer of them are left.
//!
//! While a segment is walked its threshold rises, and most documents that passed an early one are
//! not among the best in the end. So a candidate is kept with its f32 score, and its canonical
//! score is computed when the segment is done, or when very many candidates tie.

use std::cmp::Reverse;

use tantivy::DocId;

use crate::score::bound::Slack;

/// Candidates beyond the wanted hits at which the buffer is cleaned, and emptied if that is no help.
const SPARE: usize = 256;

/// Documents that may be among the best, in ascending order, with their f32 scores.
pub(super) struct Candidates {
    wanted: usize,
    slack: Slack,
    /// The best `wanted` f32 scores, the worst at the root. Scores are positive, so their bits
    /// order as they do.
    best: std::collections::BinaryHeap<Reverse<u32>>,
    kept: Vec<(DocId, f32)>,
    /// What a canonical score has to reach, by the candidates alone.
    floor: f32,
}

impl Candidates {
    /// Returns an empty buffer for the best `wanted` of a segment, at least 1.
    pub(super) fn new(wanted: usize, slack: Slack) -> Self {
        let best = std::collections::BinaryHeap::new();
        Self {
            wanted,
            slack,
            best,
            kept: Vec::new(),
            floor: f32::MIN,
        }
    }

    /// Keeps a candidate; returns whether the buffer has to be emptied.
    ///
    /// Every candidate must be a document that would be a hit if its score were high enough: the
    /// floor counts on it.
    pub(super) fn push(&mut self, doc: DocId, approximate: f32) -> bool {
        self.kept.push((doc, approximate));
        self.count(approximate);
        if self.kept.len() < self.wanted.saturating_mul(2).saturating_add(SPARE) {
            return false;
        }
        self.clean();
        self.kept.len() >= self.wanted.saturating_add(SPARE)
    }

    /// Returns a score that the canonical scores of at least `wanted` candidates reach, those taken
    /// out before included; the smallest number while there are fewer.
    pub(super) fn floor(&self) -> f32 {
        self.floor
    }

    /// Takes out the candidates that may still be among the best, in ascending order.
    pub(super) fn take(&mut self) -> Vec<(DocId, f32)> {
        self.clean();
        std::mem::take(&mut self.kept)
    }

    fn count(&mut self, approximate: f32) {
        let bits = approximate.max(0.0).to_bits();
        if self.best.len() < self.wanted {
            self.best.push(Reverse(bits));
            if self.best.len() < self.wanted {
                return;
            }
        } else {
            match self.best.peek_mut() {
                Some(mut worst) if worst.0 < bits => worst.0 = bits,
                _ => return,
            }
        }
        let worst = self
            .best
            .peek()
            .map_or(0.0, |worst| f32::from_bits(worst.0));
        self.floor = self.slack.floor(worst);
    }

    fn clean(&mut self) {
        let (floor, slack) = (self.floor, self.slack);
        self.kept
            .retain(|(_, approximate)| slack.may_reach(*approximate, floor));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_stay_in_order_and_the_floor_is_below_the_worst_of_them() {
        let mut candidates = Candidates::new(3, Slack::of(4));
        for (doc, score) in [(1, 1.0), (4, 5.0), (5, 2.0), (9, 4.0), (12, 3.0), (20, 0.5)] {
            assert!(!candidates.push(doc, score));
        }
        assert!(candidates.floor() < 3.0 && candidates.floor() > 2.99);
        assert_eq!(candidates.take(), [(4, 5.0), (9, 4.0), (12, 3.0)]);
    }

    #[test]
    fn ties_are_all_kept_and_fill_the_buffer() {
        let mut candidates = Candidates::new(2, Slack::of(1));
        let num_pushed = (0..).take_while(|doc| !candidates.push(*doc, 1.5)).count();
        assert_eq!(num_pushed + 1, 2 * 2 + SPARE);
        assert_eq!(candidates.take().len(), 2 * 2 + SPARE);
        assert!(candidates.floor() > 1.49, "what was taken out still counts");
    }

    #[test]
    fn few_candidates_have_no_floor() {
        let mut candidates = Candidates::new(5, Slack::of(1));
        candidates.push(7, 3.0);
        assert_eq!(candidates.floor(), f32::MIN);
        assert_eq!(candidates.take(), [(7, 3.0)]);
    }
}

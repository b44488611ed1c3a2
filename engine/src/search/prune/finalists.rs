//! Documents of one segment that may be among the best, put off until fewer of them are left.
//!
//! While a segment is walked its threshold rises, and most documents that passed an early one are
//! not among the best in the end. So tie-break hashes are read, and the top that all segments share
//! is locked, once, when the segment is done, or when very many finalists tie.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tantivy::DocId;

/// Finalists beyond the wanted hits at which the buffer is cleaned, and emptied if that is no help.
const SPARE: usize = 256;

/// Memory of finalists: the scores of the best, and documents with their scores.
type Memory = (Vec<Reverse<u32>>, Vec<(DocId, f32)>);

thread_local! {
    static UNUSED: Cell<Memory> = const { Cell::new((Vec::new(), Vec::new())) };
}

/// Documents in order of arrival, each with a bound of its score until that is settled.
pub(super) struct Finalists {
    wanted: usize,
    /// The `wanted` largest scores that documents are known to reach, the least at the root. Scores
    /// are positive, so their bits order as they do.
    best: BinaryHeap<Reverse<u32>>,
    kept: Vec<(DocId, f32)>,
    /// Of how many of those kept the score is settled; they come first.
    num_settled: usize,
    floor: f32,
}

impl Finalists {
    /// Returns an empty buffer for the best `wanted` of a segment, at least 1.
    pub(super) fn new(wanted: usize) -> Self {
        let (best, kept) = UNUSED.take();
        Self {
            wanted,
            best: best.into(),
            kept,
            num_settled: 0,
            floor: f32::NEG_INFINITY,
        }
    }

    /// Returns a score that at least `wanted` documents reach, those taken out before included; −∞
    /// while there are fewer.
    pub(super) fn floor(&self) -> f32 {
        self.floor
    }

    /// Keeps a document whose score is at most `bound`.
    pub(super) fn push(&mut self, doc: DocId, bound: f32) {
        self.kept.push((doc, bound));
    }

    /// Notes that a document which would be a hit has a score of `least` or more.
    pub(super) fn count(&mut self, least: f32) {
        let bits = least.max(0.0).to_bits();
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
        if let Some(Reverse(worst)) = self.best.peek() {
            self.floor = f32::from_bits(*worst);
        }
    }

    /// Returns whether so many are kept that they have to be cleaned.
    pub(super) fn is_crowded(&self) -> bool {
        self.kept.len() >= self.wanted.saturating_mul(2).saturating_add(SPARE)
    }

    /// Drops those that are no longer among the best; returns whether many are left.
    pub(super) fn clean(&mut self) -> bool {
        let floor = self.floor;
        let settled = self.kept[..self.num_settled].iter();
        let num_settled = settled.filter(|(_, score)| *score >= floor).count();
        self.kept.retain(|(_, bound)| *bound >= floor);
        self.num_settled = num_settled;
        self.kept.len() >= self.wanted.saturating_add(SPARE)
    }

    /// Returns whether scores of some are not settled.
    pub(super) fn has_unsettled(&self) -> bool {
        self.num_settled < self.kept.len()
    }

    /// Takes out those that are not settled, in order of arrival.
    pub(super) fn take_unsettled(&mut self) -> Vec<(DocId, f32)> {
        self.kept.split_off(self.num_settled)
    }

    /// Says that all that are kept have their scores.
    pub(super) fn settle(&mut self) {
        self.num_settled = self.kept.len();
    }

    /// Leaves the buffer's memory to the thread's next one, unless it has grown large.
    pub(super) fn recycle(self) {
        let (mut best, mut kept) = (self.best.into_vec(), self.kept);
        if best.capacity() + kept.capacity() <= 4 * SPARE {
            best.clear();
            kept.clear();
            UNUSED.set((best, kept));
        }
    }

    /// Takes all out, with their scores; they must be settled.
    pub(super) fn take(&mut self) -> std::vec::Drain<'_, (DocId, f32)> {
        debug_assert!(!self.has_unsettled(), "scores are settled first");
        self.num_settled = 0;
        self.kept.drain(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(finalists: &mut Finalists, doc: DocId, score: f32) {
        finalists.push(doc, score);
        finalists.count(score);
        finalists.settle();
    }

    #[test]
    fn the_best_stay_in_order_and_the_floor_is_the_worst_of_them() {
        let mut finalists = Finalists::new(3);
        for (doc, score) in [(1, 1.0), (4, 5.0), (5, 2.0), (9, 4.0), (12, 3.0), (20, 0.5)] {
            offer(&mut finalists, doc, score);
        }
        assert_eq!(finalists.floor(), 3.0);
        assert!(!finalists.clean());
        let kept: Vec<_> = finalists.take().collect();
        assert_eq!(kept, [(4, 5.0), (9, 4.0), (12, 3.0)]);
    }

    #[test]
    fn ties_are_all_kept_until_they_crowd() {
        let mut finalists = Finalists::new(2);
        let offered = (0..).take_while(|&doc| {
            offer(&mut finalists, doc, 1.5);
            !finalists.is_crowded()
        });
        assert_eq!(offered.count() + 1, 2 * 2 + SPARE);
        assert!(finalists.clean(), "none is worse than another");
        assert_eq!(finalists.take().count(), 2 * 2 + SPARE);
        assert_eq!(finalists.floor(), 1.5, "what was taken out still counts");
    }

    #[test]
    fn what_is_not_settled_is_taken_out_apart() {
        let mut finalists = Finalists::new(1);
        offer(&mut finalists, 3, 2.0);
        finalists.push(5, 1.0);
        finalists.push(7, 4.0);
        finalists.count(3.0);
        finalists.clean();
        assert_eq!(finalists.take_unsettled(), [(7, 4.0)]);
        assert_eq!(finalists.take().count(), 0, "3 was below the floor");
    }
}

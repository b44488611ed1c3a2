//! The best entries of an order, and the score that a newcomer has to reach.

use std::cmp::Ordering;
use std::sync::atomic::{AtomicU32, Ordering as Memory};

use parking_lot::Mutex;

/// Keeps the best `wanted` of what is offered; a binary heap whose root is the worst of them.
///
/// The order is given with each call, because comparing two entries may have to read the index.
pub(crate) struct Heap<T> {
    entries: Vec<T>,
    wanted: usize,
}

impl<T> Heap<T> {
    /// Returns an empty heap for `wanted` entries.
    pub(crate) fn new(wanted: usize) -> Self {
        Self {
            entries: Vec::new(),
            wanted,
        }
    }

    /// Returns the worst entry kept, once the heap is full.
    pub(crate) fn worst(&self) -> Option<&T> {
        if self.entries.len() < self.wanted {
            None
        } else {
            self.entries.first()
        }
    }

    /// Takes `entry` in if it is among the best so far; `compare` is Less for what comes first.
    pub(crate) fn offer(&mut self, entry: T, compare: impl Fn(&T, &T) -> Ordering) -> bool {
        if self.wanted == 0 {
            return false;
        }
        if self.entries.len() < self.wanted {
            self.entries.push(entry);
            self.rise(self.entries.len() - 1, compare);
            return true;
        }
        if compare(&entry, &self.entries[0]) != Ordering::Less {
            return false;
        }
        self.entries[0] = entry;
        self.sink(0, compare);
        true
    }

    /// Returns what was kept, in no order.
    pub(crate) fn into_entries(self) -> Vec<T> {
        self.entries
    }

    fn rise(&mut self, mut at: usize, compare: impl Fn(&T, &T) -> Ordering) {
        while at > 0 {
            let parent = (at - 1) / 2;
            if compare(&self.entries[at], &self.entries[parent]) != Ordering::Greater {
                return;
            }
            self.entries.swap(at, parent);
            at = parent;
        }
    }

    fn sink(&mut self, mut at: usize, compare: impl Fn(&T, &T) -> Ordering) {
        loop {
            let mut worst = at;
            for child in [2 * at + 1, 2 * at + 2] {
                if child < self.entries.len()
                    && compare(&self.entries[child], &self.entries[worst]) == Ordering::Greater
                {
                    worst = child;
                }
            }
            if worst == at {
                return;
            }
            self.entries.swap(at, worst);
            at = worst;
        }
    }
}

/// A document by score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ScoredDocument {
    /// Canonical score.
    pub(crate) score: f32,
    /// Tie-break hash of its id.
    pub(crate) hash: u64,
    /// Index of the shard in the request.
    pub(crate) target: usize,
    /// Place in the shard's view.
    pub(crate) place: u64,
}

/// The best documents by score, shared by every thread, segment and shard of a request: each
/// learns at once what a newcomer has to reach.
pub(crate) struct SharedTop {
    heap: Mutex<Heap<ScoredDocument>>,
    /// Bits of the worst score kept, once full; −∞ before. Only grows.
    reach: AtomicU32,
}

impl SharedTop {
    /// Returns an empty collection of the best `wanted`.
    pub(crate) fn new(wanted: usize) -> Self {
        Self {
            heap: Mutex::new(Heap::new(wanted)),
            reach: AtomicU32::new(f32::NEG_INFINITY.to_bits()),
        }
    }

    /// Returns the score below which nothing gets in any more; −∞ at first.
    pub(crate) fn reach(&self) -> f32 {
        f32::from_bits(self.reach.load(Memory::Relaxed))
    }

    /// Offers a document; `break_tie` orders two of equal score and hash.
    pub(crate) fn offer(
        &self,
        entry: ScoredDocument,
        break_tie: impl Fn(&ScoredDocument, &ScoredDocument) -> Ordering,
    ) {
        let mut heap = self.heap.lock();
        if heap.offer(entry, |a, b| compare_scored(a, b, &break_tie))
            && let Some(worst) = heap.worst()
        {
            self.reach.store(worst.score.to_bits(), Memory::Relaxed);
        }
    }

    /// Offers documents by their scores; an entry is made of those only whose score is enough.
    pub(crate) fn offer_all<E: FnOnce() -> ScoredDocument>(
        &self,
        entries: impl Iterator<Item = (f32, E)>,
        break_tie: impl Fn(&ScoredDocument, &ScoredDocument) -> Ordering,
    ) {
        let mut heap = self.heap.lock();
        for (score, entry) in entries {
            if heap.worst().is_none_or(|worst| score >= worst.score) {
                heap.offer(entry(), |a, b| compare_scored(a, b, &break_tie));
            }
        }
        if let Some(worst) = heap.worst() {
            self.reach.store(worst.score.to_bits(), Memory::Relaxed);
        }
    }

    /// Returns whether a document of this score and hash may get in.
    pub(crate) fn may_enter(&self, score: f32, hash: u64) -> bool {
        let heap = self.heap.lock();
        heap.worst()
            .is_none_or(|worst| score > worst.score || (score == worst.score && hash <= worst.hash))
    }

    /// Returns what was kept, best first.
    pub(crate) fn into_sorted(
        self,
        break_tie: impl Fn(&ScoredDocument, &ScoredDocument) -> Ordering,
    ) -> Vec<ScoredDocument> {
        let mut entries = self.heap.into_inner().into_entries();
        entries.sort_by(|a, b| compare_scored(a, b, &break_tie));
        entries
    }
}

/// Orders by score downwards, hash upwards, then as told.
pub(crate) fn compare_scored(
    a: &ScoredDocument,
    b: &ScoredDocument,
    break_tie: &impl Fn(&ScoredDocument, &ScoredDocument) -> Ordering,
) -> Ordering {
    let by_score = b
        .score
        .total_cmp(&a.score)
        .then_with(|| a.hash.cmp(&b.hash));
    by_score.then_with(|| break_tie(a, b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_heap_keeps_what_sorting_would(
            offered in proptest::collection::vec(0u32..50, 0..200),
            wanted in 0usize..20,
        ) {
            let mut heap = Heap::new(wanted);
            for &entry in &offered {
                heap.offer(entry, Ord::cmp);
            }
            let mut kept = heap.into_entries();
            kept.sort_unstable();
            let mut sorted = offered;
            sorted.sort_unstable();
            sorted.truncate(wanted);
            prop_assert_eq!(kept, sorted);
        }
    }

    #[test]
    fn the_reach_is_the_worst_score_kept_once_full() {
        let top = SharedTop::new(2);
        let entry = |score, hash| ScoredDocument {
            score,
            hash,
            target: 0,
            place: hash,
        };
        let by_place = |a: &ScoredDocument, b: &ScoredDocument| a.place.cmp(&b.place);
        top.offer(entry(1.0, 5), by_place);
        assert_eq!(top.reach(), f32::NEG_INFINITY);
        top.offer(entry(3.0, 1), by_place);
        assert_eq!(top.reach(), 1.0);
        assert!(top.may_enter(1.0, 4) && !top.may_enter(1.0, 6));
        top.offer(entry(1.0, 4), by_place);
        let hashes: Vec<u64> = top.into_sorted(by_place).iter().map(|e| e.hash).collect();
        assert_eq!(hashes, [1, 4]);
    }
}

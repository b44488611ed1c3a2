//! A roaring bitmap as a tantivy docset.

use std::sync::Arc;

use roaring::RoaringBitmap;
use tantivy::query::Scorer;
use tantivy::{DocId, DocSet, Score, SeekDangerResult, TERMINATED};

/// Documents read ahead at most.
const READ_AHEAD: usize = 256;

/// Walks a shared bitmap in ascending order.
///
/// Documents are read ahead in runs that double from 8 to 256, so that a walk is fast and a seek
/// wastes little; a membership test (`seek_danger`) reads nothing ahead.
pub struct BitmapDocSet {
    bitmap: Arc<RoaringBitmap>,
    size: u32,
    doc: DocId,
    /// Documents from `ahead[at]` on come after `doc`.
    ahead: Vec<DocId>,
    at: usize,
    run: usize,
}

impl BitmapDocSet {
    /// Returns a docset on the first document of `bitmap`.
    pub fn new(bitmap: Arc<RoaringBitmap>) -> Self {
        let size = u32::try_from(bitmap.len()).unwrap_or(u32::MAX);
        let mut docset = Self {
            bitmap,
            size,
            doc: 0,
            ahead: Vec::new(),
            at: 0,
            run: 8,
        };
        docset.refill(0);
        docset
    }

    /// Returns the first document from `target` on.
    fn first_from(&self, target: DocId) -> DocId {
        let mut from = self.bitmap.iter();
        from.advance_to(target);
        from.next().unwrap_or(TERMINATED)
    }

    /// Reads ahead from `target` on and stands on the first document found.
    fn refill(&mut self, target: DocId) -> DocId {
        self.ahead.resize(self.run, 0);
        let mut from = self.bitmap.iter();
        from.advance_to(target);
        let num_read = from.next_many(&mut self.ahead).len();
        self.ahead.truncate(num_read);
        self.at = 1;
        self.doc = self.ahead.first().copied().unwrap_or(TERMINATED);
        self.doc
    }
}

impl DocSet for BitmapDocSet {
    fn advance(&mut self) -> DocId {
        if let Some(&next) = self.ahead.get(self.at) {
            self.at += 1;
            self.doc = next;
            return next;
        }
        if self.doc == TERMINATED {
            return TERMINATED;
        }
        self.run = (self.run * 2).min(READ_AHEAD);
        self.refill(self.doc + 1)
    }

    fn seek(&mut self, target: DocId) -> DocId {
        if self.doc >= target {
            return self.doc;
        }
        if target >= TERMINATED {
            self.ahead.clear();
            self.doc = TERMINATED;
            return TERMINATED;
        }
        let rest = &self.ahead[self.at.min(self.ahead.len())..];
        if rest.last().is_some_and(|&last| last >= target) {
            self.at += rest.partition_point(|&doc| doc < target);
            return self.advance();
        }
        self.run = (self.run / 2).max(8);
        self.refill(target)
    }

    fn seek_danger(&mut self, target: DocId) -> SeekDangerResult {
        if target >= TERMINATED {
            return SeekDangerResult::SeekLowerBound(TERMINATED);
        }
        if self.doc < target {
            self.ahead.clear();
            self.doc = if self.bitmap.contains(target) {
                target
            } else {
                self.first_from(target)
            };
        }
        if self.doc == target {
            SeekDangerResult::Found
        } else {
            // The next document itself: a bound of one more lets several such docsets count each other
            // up, one by one, to the last number there is.
            SeekDangerResult::SeekLowerBound(self.doc)
        }
    }

    fn doc(&self) -> DocId {
        self.doc
    }

    fn size_hint(&self) -> u32 {
        self.size
    }

    fn count_including_deleted(&mut self) -> u32 {
        let before = self.doc.checked_sub(1);
        let num_before = before.map_or(0, |doc| self.bitmap.rank(doc));
        self.ahead.clear();
        self.doc = TERMINATED;
        self.size - num_before as u32
    }
}

/// The documents of a bitmap, all with one score.
pub(crate) struct BitmapScorer {
    docs: BitmapDocSet,
    score: Score,
}

impl BitmapScorer {
    /// Returns a scorer on the first document of `bitmap`.
    pub(crate) fn new(bitmap: Arc<RoaringBitmap>, score: Score) -> Self {
        let docs = BitmapDocSet::new(bitmap);
        Self { docs, score }
    }

    /// Returns it with another score.
    pub(crate) fn with_score(self, score: Score) -> Self {
        Self { score, ..self }
    }

    /// Returns all documents, whichever it stands on.
    pub(crate) fn bitmap(&self) -> &Arc<RoaringBitmap> {
        &self.docs.bitmap
    }
}

impl DocSet for BitmapScorer {
    fn advance(&mut self) -> DocId {
        self.docs.advance()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        self.docs.seek(target)
    }

    fn seek_danger(&mut self, target: DocId) -> SeekDangerResult {
        self.docs.seek_danger(target)
    }

    fn doc(&self) -> DocId {
        self.docs.doc()
    }

    fn size_hint(&self) -> u32 {
        self.docs.size_hint()
    }

    fn count_including_deleted(&mut self) -> u32 {
        self.docs.count_including_deleted()
    }
}

impl Scorer for BitmapScorer {
    fn score(&mut self) -> Score {
        self.score
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn walks_and_seeks_like_a_sorted_list(
            docs in proptest::collection::btree_set(0u32..5_000, 0..600),
            steps in proptest::collection::vec((0u8..3, 0u32..400), 0..80),
        ) {
            let mut docset = BitmapDocSet::new(Arc::new(docs.iter().copied().collect()));
            let next = |from: u32| docs.range(from..).next().copied().unwrap_or(TERMINATED);
            let mut expected = next(0);
            for (kind, by) in steps {
                prop_assert_eq!(docset.doc(), expected);
                if expected == TERMINATED {
                    break;
                }
                match kind {
                    0 => {
                        expected = next(expected + 1);
                        docset.advance();
                        let mut rest = BitmapDocSet::new(Arc::clone(&docset.bitmap));
                        rest.seek(expected);
                        let num_left = docs.range(expected..).count();
                        prop_assert_eq!(rest.count_including_deleted() as usize, num_left);
                    }
                    1 => {
                        let target = expected + by;
                        expected = next(target);
                        docset.seek(target);
                    }
                    _ => {
                        let target = expected + by;
                        expected = next(target);
                        let wanted = match expected == target {
                            true => SeekDangerResult::Found,
                            false => SeekDangerResult::SeekLowerBound(expected),
                        };
                        prop_assert_eq!(docset.seek_danger(target), wanted);
                    }
                }
            }
        }
    }
}

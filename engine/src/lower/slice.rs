//! Documents of one slice, told by the hash of their ids.
//!
//! A document is asked about by reading one number, so others lead where they can, and no bitmap is
//! kept: each slice is another filter, and most are used up by one scroll.

use std::sync::Arc;

use gleaner_model::hash::slice_of;
use tantivy::columnar::ColumnValues;
use tantivy::query::{ConstScorer, Explanation, Scorer, Weight};
use tantivy::{DocId, DocSet, Score, SeekDangerResult, SegmentReader, TERMINATED, TantivyError};

use crate::schema::names;

/// The documents of slice `id` of `max`.
pub(super) struct OfSlice {
    pub(super) id: u32,
    pub(super) max: u32,
}

impl Weight for OfSlice {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let fast = reader.fast_fields();
        let hashes: Arc<dyn ColumnValues<u64>> = fast.column_first_or_default(names::ID_HASH)?;
        let docs = SliceDocs::new(hashes, (self.id, self.max), reader.max_doc());
        Ok(Box::new(ConstScorer::new(docs, boost)))
    }

    fn explain(&self, _: &SegmentReader, _: DocId) -> tantivy::Result<Explanation> {
        // Explanations are made from canonical scores.
        Err(TantivyError::InvalidArgument(
            "not explained by tantivy".to_owned(),
        ))
    }
}

/// Walks the documents of a slice.
struct SliceDocs {
    hashes: Arc<dyn ColumnValues<u64>>,
    id: u32,
    max: u32,
    max_doc: DocId,
    /// A document of the slice, or the end.
    doc: DocId,
}

impl SliceDocs {
    /// Returns a docset on the first document of slice `id` of `max`.
    fn new(hashes: Arc<dyn ColumnValues<u64>>, (id, max): (u32, u32), max_doc: DocId) -> Self {
        let mut docs = Self {
            hashes,
            id,
            max,
            max_doc,
            doc: TERMINATED,
        };
        docs.doc = docs.first_from(0);
        docs
    }

    fn holds(&self, doc: DocId) -> bool {
        slice_of(self.hashes.get_val(doc), self.max) == self.id
    }

    /// Returns the first document from `target` on.
    fn first_from(&self, target: DocId) -> DocId {
        let mut from = target..self.max_doc;
        from.find(|doc| self.holds(*doc)).unwrap_or(TERMINATED)
    }
}

impl DocSet for SliceDocs {
    fn advance(&mut self) -> DocId {
        self.doc = self.first_from(self.doc + 1);
        self.doc
    }

    fn seek(&mut self, target: DocId) -> DocId {
        if self.doc < target {
            self.doc = self.first_from(target);
        }
        self.doc
    }

    /// Reads one hash: the next document of a slice of many may be far.
    fn seek_danger(&mut self, target: DocId) -> SeekDangerResult {
        let end = SeekDangerResult::SeekLowerBound(TERMINATED);
        if target >= self.max_doc {
            return end;
        }
        if self.doc > target {
            return SeekDangerResult::SeekLowerBound(self.doc);
        }
        if self.doc == target || self.holds(target) {
            self.doc = target;
            return SeekDangerResult::Found;
        }
        // It stays on a document before, from which it can go on.
        match target + 1 < self.max_doc {
            true => SeekDangerResult::SeekLowerBound(target + 1),
            false => end,
        }
    }

    fn doc(&self) -> DocId {
        self.doc
    }

    fn size_hint(&self) -> u32 {
        self.max_doc / self.max.max(1)
    }

    /// All hashes are read on the way through.
    fn cost(&self) -> u64 {
        u64::from(self.max_doc)
    }
}

#[cfg(test)]
mod tests {
    use gleaner_model::hash::tie_break_hash;
    use proptest::prelude::*;

    use super::*;
    use crate::schema::testing::InMemory;

    /// Returns a slice of documents named by their numbers.
    fn slice(num_documents: u32, id: u32, max: u32) -> SliceDocs {
        let hashes = (0..num_documents).map(|n| tie_break_hash(&n.to_string()));
        let hashes = Arc::new(InMemory(hashes.collect()));
        SliceDocs::new(hashes, (id, max), num_documents)
    }

    fn all_of(mut docs: SliceDocs) -> Vec<DocId> {
        let mut found = Vec::new();
        while docs.doc() != TERMINATED {
            found.push(docs.doc());
            docs.advance();
        }
        assert_eq!(docs.advance(), TERMINATED);
        found
    }

    #[test]
    fn each_document_is_in_one_slice() {
        for (num_documents, max) in [(0, 2), (1, 2), (1_000, 2), (1_000, 3), (1_000, 1_024)] {
            let slices = (0..max).map(|id| all_of(slice(num_documents, id, max)));
            let mut found: Vec<DocId> = slices.flatten().collect();
            found.sort_unstable();
            assert_eq!(found, (0..num_documents).collect::<Vec<_>>(), "{max}");
        }
        assert!(all_of(slice(1_000, 3, 3)).is_empty(), "there is none");
        assert_eq!(all_of(slice(9, 0, 0)).len(), 9, "0 are taken for 1");
    }

    #[test]
    fn slices_are_of_about_the_same_size() {
        for id in 0..10 {
            let num_found = all_of(slice(10_000, id, 10)).len();
            assert!((850..1_150).contains(&num_found), "{id}: {num_found}");
        }
    }

    proptest! {
        #[test]
        fn walks_and_seeks_like_a_sorted_list(
            max in 1u32..40,
            steps in proptest::collection::vec((0u8..3, 0u32..60), 0..80),
        ) {
            let listed = all_of(slice(800, 0, max));
            let next = |from: u32| {
                let mut listed = listed.iter().copied();
                listed.find(|doc| *doc >= from).unwrap_or(TERMINATED)
            };
            let mut docs = slice(800, 0, max);
            let mut expected = next(0);
            for (kind, by) in steps {
                prop_assert_eq!(docs.doc(), expected);
                if expected == TERMINATED {
                    break;
                }
                let target = expected + by;
                match kind {
                    0 => {
                        expected = next(expected + 1);
                        prop_assert_eq!(docs.advance(), expected);
                    }
                    1 => {
                        expected = next(target);
                        prop_assert_eq!(docs.seek(target), expected);
                    }
                    _ => match docs.seek_danger(target) {
                        SeekDangerResult::Found => {
                            prop_assert_eq!(next(target), target);
                            expected = target;
                        }
                        SeekDangerResult::SeekLowerBound(bound) => {
                            prop_assert!(target < bound && bound <= next(target));
                        }
                    },
                }
            }
        }
    }
}

//! Documents that come in any order, becoming one bitmap.

use gleaner_partial::control::{Control, Stop};
use roaring::RoaringBitmap;
use tantivy::DocId;

/// Documents taken between two looks at the clock.
const DOCUMENTS_PER_CHECK: usize = 65_536;

/// Gathers documents of a segment: as a list while they are few, then as a bit for each document there is.
pub(super) struct Gathering<'a> {
    control: &'a Control,
    max_doc: u32,
    few: Vec<DocId>,
    /// Bit `doc % 8` of byte `doc / 8`; empty while they are few.
    bits: Vec<u8>,
    until_check: usize,
}

impl<'a> Gathering<'a> {
    /// Returns one without documents, for a segment of `max_doc`.
    pub(super) fn new(max_doc: u32, control: &'a Control) -> Self {
        Self {
            control,
            max_doc,
            few: Vec::new(),
            bits: Vec::new(),
            until_check: DOCUMENTS_PER_CHECK,
        }
    }

    /// Adds documents, each below the segment's number of them; a document may come again.
    ///
    /// # Errors
    /// When the evaluation must stop.
    pub(super) fn extend(
        &mut self,
        docs: impl ExactSizeIterator<Item = DocId>,
    ) -> Result<(), Stop> {
        let num_docs = docs.len();
        if self.until_check < num_docs {
            self.control.check()?;
            self.until_check = DOCUMENTS_PER_CHECK;
        }
        self.until_check = self.until_check.saturating_sub(num_docs);
        if self.bits.is_empty() {
            // A list takes no more bytes than the bits.
            if (self.few.len() + num_docs) * size_of::<DocId>() <= self.num_bytes() {
                self.few.extend(docs);
                return Ok(());
            }
            self.bits = vec![0; self.num_bytes()];
            set(&mut self.bits, std::mem::take(&mut self.few).into_iter());
        }
        set(&mut self.bits, docs);
        Ok(())
    }

    /// Returns what was gathered.
    ///
    /// # Errors
    /// When the evaluation must stop.
    pub(super) fn finish(mut self) -> Result<RoaringBitmap, Stop> {
        self.control.check()?;
        if self.bits.is_empty() {
            self.few.sort_unstable();
            self.few.dedup();
            let few = RoaringBitmap::from_sorted_iter(self.few);
            return Ok(few.expect("they are sorted"));
        }
        Ok(RoaringBitmap::from_lsb0_bytes(0, &self.bits))
    }

    fn num_bytes(&self) -> usize {
        self.max_doc.div_ceil(u8::BITS) as usize
    }
}

fn set(bits: &mut [u8], docs: impl Iterator<Item = DocId>) {
    for doc in docs {
        bits[(doc / u8::BITS) as usize] |= 1 << (doc % u8::BITS);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_bitmap_holds_what_came(
            lists in proptest::collection::vec(proptest::collection::vec(0_u32..100_000, 0..2_000), 0..6),
        ) {
            let control = Control::unlimited();
            let mut gathering = Gathering::new(100_000, &control);
            for list in &lists {
                gathering.extend(list.iter().copied()).expect("nothing stops it");
            }
            let expected: BTreeSet<u32> = lists.into_iter().flatten().collect();
            let found = gathering.finish().expect("nothing stops it");
            prop_assert!(found.iter().eq(expected));
        }
    }

    #[test]
    fn many_documents_end_when_the_search_is_cancelled() {
        let control = Control::unlimited();
        control.cancel();
        let mut gathering = Gathering::new(100_000, &control);
        assert_eq!(gathering.extend(0..128), Ok(()));
        assert_eq!(gathering.extend(0..90_000), Err(Stop::Cancelled));
    }
}

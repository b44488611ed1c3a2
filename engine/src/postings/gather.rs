//! The postings of a page: of all that come by, in whatever order, those with the smallest numbers.

use std::sync::Arc;

use gleaner_partial::control::{MemoryAccount, Reservation};

use crate::EngineError;

/// A live document that holds the term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Posting {
    pub(super) seq_no: u64,
    pub(super) frequency: u32,
    pub(super) norm_id: u8,
}

/// Keeps the `limit` smallest; holds up to twice as many, so that cutting costs little per posting.
pub(super) struct SmallestPostings {
    kept: Vec<Posting>,
    limit: usize,
    cutoff: u64,
    is_cut: bool,
    _memory: Reservation,
}

impl SmallestPostings {
    /// Reserves room for a page of a list of `num_postings`.
    pub(super) fn new(
        limit: usize,
        num_postings: u64,
        memory: &Arc<MemoryAccount>,
    ) -> Result<Self, EngineError> {
        let most = (2 * limit as u64).min(num_postings);
        let size = size_of::<Posting>() as u64;
        Ok(Self {
            kept: Vec::new(),
            limit,
            cutoff: u64::MAX,
            is_cut: false,
            _memory: memory.reserve(most.saturating_mul(size))?,
        })
    }

    /// Returns the largest number that may still be wanted.
    pub(super) fn cutoff(&self) -> u64 {
        self.cutoff
    }

    /// Takes a posting whose number is not beyond the cutoff.
    pub(super) fn push(&mut self, posting: Posting) {
        self.kept.push(posting);
        if self.kept.len() >= 2 * self.limit {
            self.cut();
        }
    }

    /// Returns the page in order, and whether nothing was cut off.
    pub(super) fn into_sorted(mut self) -> (Vec<Posting>, bool) {
        if self.kept.len() > self.limit {
            self.cut();
        }
        self.kept.sort_unstable_by_key(|posting| posting.seq_no);
        (self.kept, !self.is_cut)
    }

    fn cut(&mut self) {
        let last = self.limit - 1;
        let by_number = |posting: &Posting| posting.seq_no;
        let (_, largest, rest) = self.kept.select_nth_unstable_by_key(last, by_number);
        self.cutoff = largest.seq_no;
        self.is_cut |= !rest.is_empty();
        self.kept.truncate(self.limit);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_page_is_what_sorting_would_begin_with(
            numbers in proptest::collection::hash_set(0_u64..500, 0..200),
            limit in 1_usize..20,
        ) {
            let memory = MemoryAccount::root("test", 1 << 20);
            let mut gathered = SmallestPostings::new(limit, numbers.len() as u64, &memory).unwrap();
            for &seq_no in &numbers {
                if seq_no <= gathered.cutoff() {
                    gathered.push(Posting { seq_no, frequency: 1, norm_id: 0 });
                } else {
                    prop_assert!(gathered.is_cut);
                }
            }
            let (page, is_last) = gathered.into_sorted();
            let page: Vec<u64> = page.iter().map(|posting| posting.seq_no).collect();
            let mut sorted: Vec<u64> = numbers.into_iter().collect();
            sorted.sort_unstable();
            prop_assert_eq!(is_last, sorted.len() <= limit);
            sorted.truncate(limit);
            prop_assert_eq!(page, sorted);
        }
    }

    #[test]
    fn room_is_reserved_for_a_page_and_no_more_than_the_list() {
        let memory = MemoryAccount::root("test", 1_600);
        assert_eq!(
            SmallestPostings::new(50, 1_000_000, &memory)
                .map(|g| g.limit)
                .ok(),
            Some(50)
        );
        assert!(SmallestPostings::new(51, 1_000_000, &memory).is_err());
        assert!(SmallestPostings::new(1 << 20, 100, &memory).is_ok());
    }
}

//! Terms that were looked up lately.
//!
//! A query looks each of its terms up more than once in every segment (counting documents, settling
//! totals, ranking), and popular terms come again. A walk of the dictionary costs some 500 ns, this
//! some 30 ns. Memory that is not in a cache of the processor costs more than all of it, so what is
//! known of a term lies together: a set is two cache lines.

use parking_lot::Mutex;
use smallvec::SmallVec;
use tantivy::postings::TermInfo;
use twox_hash::XxHash3_64;

/// Terms remembered per segment and column, at least and at most; 64 bytes each.
const FEWEST: usize = 32;
const MOST: usize = 1_024;
/// Documents of a segment per term remembered: smaller segments have fewer terms, and are merged soon.
const DOCUMENTS_PER_TERM: usize = 32;

/// Remembers terms in sets of two: of those that share a set, the two that were looked up last.
pub(super) struct RecentTerms(Box<[Slot]>);

#[derive(Default)]
#[repr(align(128))]
struct Slot(Mutex<Set>);

#[derive(Default)]
struct Set([TermEntry; 2]);

/// A term with where its list stands.
#[derive(Default)]
struct TermEntry {
    term: SmallVec<[u8; 16]>,
    list: List,
}

/// What the dictionary says of a term; of one that it lacks, no documents.
#[derive(Default, Clone, Copy)]
struct List {
    postings_start: u64,
    positions_start: u64,
    postings_len: u32,
    positions_len: u32,
    num_documents: u32,
    /// False while the slot is empty.
    is_known: bool,
}

impl List {
    /// Packs what the dictionary says; `None` for lists too long to be packed.
    fn pack(info: Option<&TermInfo>) -> Option<Self> {
        let mut list = Self {
            is_known: true,
            ..Self::default()
        };
        if let Some(info) = info {
            list.num_documents = info.doc_freq;
            list.postings_start = info.postings_range.start as u64;
            list.postings_len = u32::try_from(info.postings_range.len()).ok()?;
            list.positions_start = info.positions_range.start as u64;
            list.positions_len = u32::try_from(info.positions_range.len()).ok()?;
        }
        Some(list)
    }

    fn unpack(self) -> Option<TermInfo> {
        let range = |start: u64, len: u32| start as usize..start as usize + len as usize;
        (self.num_documents > 0).then(|| TermInfo {
            doc_freq: self.num_documents,
            postings_range: range(self.postings_start, self.postings_len),
            positions_range: range(self.positions_start, self.positions_len),
        })
    }
}

impl Set {
    fn find(&mut self, term: &[u8]) -> Option<List> {
        let is_wanted = |known: &TermEntry| known.list.is_known && *known.term == *term;
        let at = self.0.iter().position(is_wanted)?;
        self.0.swap(0, at);
        Some(self.0[0].list)
    }

    fn keep(&mut self, term: &[u8], list: List) {
        self.0.swap(0, 1);
        self.0[0] = TermEntry {
            term: term.into(),
            list,
        };
    }
}

impl RecentTerms {
    /// Returns what remembers terms of a segment of `num_documents`.
    pub(super) fn new(num_documents: u32) -> Self {
        let num_terms = num_documents as usize / DOCUMENTS_PER_TERM;
        let num_sets = num_terms.clamp(FEWEST, MOST).next_power_of_two() / 2;
        Self((0..num_sets).map(|_| Slot::default()).collect())
    }

    /// Returns what is known of `term`, or what `look_up` finds.
    pub(super) fn get<E>(
        &self,
        term: &[u8],
        look_up: impl FnOnce() -> Result<Option<TermInfo>, E>,
    ) -> Result<Option<TermInfo>, E> {
        let Slot(set) = &self.0[XxHash3_64::oneshot(term) as usize & (self.0.len() - 1)];
        // Who finds the set in use looks the term up himself rather than wait.
        if let Some(list) = set.try_lock().and_then(|mut set| set.find(term)) {
            return Ok(list.unpack());
        }
        let info = look_up()?;
        if let Some(list) = List::pack(info.as_ref())
            && let Some(mut set) = set.try_lock()
        {
            set.keep(term, list);
        }
        Ok(info)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(doc_freq: u32) -> TermInfo {
        TermInfo {
            doc_freq,
            postings_range: 1 << 33..(1 << 33) + 7,
            positions_range: 1 << 40..(1 << 40) + 9,
        }
    }

    #[test]
    fn a_term_is_looked_up_once_and_never_taken_for_another() {
        let recent = RecentTerms::new(1_000_000);
        let mut num_looked_up = 0;
        for n in 0..4 * MOST as u32 {
            let term = format!("term{n}");
            for _ in 0..2 {
                let found = recent.get(term.as_bytes(), || {
                    num_looked_up += 1;
                    Ok::<_, ()>((n % 3 > 0).then(|| info(n)))
                });
                let expected = (n % 3 > 0).then(|| info(n));
                assert_eq!(found, Ok(expected), "{term}");
            }
        }
        assert_eq!(num_looked_up, 4 * MOST);
    }

    #[test]
    fn of_two_that_share_a_set_both_are_kept() {
        let recent = RecentTerms::new(0);
        recent.get(b"a", || Ok::<_, ()>(Some(info(1)))).unwrap();
        // One after the other, each beside `a`, which is asked for in between.
        for n in 0..20 * FEWEST as u32 {
            recent
                .get(format!("b{n}").as_bytes(), || Ok::<_, ()>(None))
                .unwrap();
            assert_eq!(
                recent.get(b"a", || Err("looked up again")),
                Ok(Some(info(1)))
            );
        }
    }

    #[test]
    fn a_set_is_two_cache_lines() {
        assert_eq!(size_of::<Slot>(), 128);
    }

    #[test]
    fn lists_too_long_to_be_packed_are_looked_up_again() {
        let recent = RecentTerms::new(0);
        let long = TermInfo {
            postings_range: 0..1 << 33,
            ..info(9)
        };
        for _ in 0..2 {
            assert_eq!(
                recent.get(b"a", || Ok::<_, ()>(Some(long.clone()))),
                Ok(Some(long.clone()))
            );
        }
        assert_eq!(recent.get(b"a", || Err("looked up")), Err("looked up"));
    }
}

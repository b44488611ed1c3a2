//! Where primary terms begin in a log: by that two copies tell how far their logs agree.

use gleaner_model::{PrimaryTerm, SeqNo};

/// The term table of a log: which term each record has, told by where terms begin.
///
/// A term is begun by one primary only, so records of the same term at the same position are the same, and so is all
/// before them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermTable {
    /// The term of the record before the first one held, 0 where there is none; `None` where it is not known.
    pub before: Option<PrimaryTerm>,
    /// Each further term, both ascending.
    pub starts: Vec<TermStart>,
}

/// Where a term begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TermStart {
    /// The term.
    pub term: PrimaryTerm,
    /// Position of its first record.
    pub first: SeqNo,
}

impl TermTable {
    /// Returns the table of a log without records.
    pub(crate) fn new(before: Option<PrimaryTerm>) -> Self {
        Self {
            before,
            starts: Vec::new(),
        }
    }

    /// Returns the term of the last record; `None` where it is not known.
    pub fn last(&self) -> Option<PrimaryTerm> {
        self.starts
            .last()
            .map_or(self.before, |start| Some(start.term))
    }

    /// Returns the term of the record before `position`, which must lie between where the log begins and its end;
    /// `None` where it is not known.
    pub fn before(&self, position: SeqNo) -> Option<PrimaryTerm> {
        let after = self.starts.partition_point(|start| start.first < position);
        let last = after.checked_sub(1).map(|index| self.starts[index].term);
        last.or(self.before)
    }

    /// Notes that the record at `position`, the next one, has this term.
    pub(crate) fn push(&mut self, term: PrimaryTerm, position: SeqNo) {
        if self.last() != Some(term) {
            let first = position;
            self.starts.push(TermStart { term, first });
        }
    }

    /// Forgets the records from `end` on.
    pub(crate) fn truncate(&mut self, end: SeqNo) {
        self.starts.retain(|start| start.first < end);
    }

    /// Forgets the records before `first`, but for the term of the last one.
    pub(crate) fn trim(&mut self, first: SeqNo) {
        self.before = self.before(first);
        self.starts.retain(|start| start.first >= first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(starts: &[(u64, u64)]) -> TermTable {
        let mut table = TermTable::new(Some(PrimaryTerm(0)));
        for (term, first) in starts {
            table.push(PrimaryTerm(*term), SeqNo(*first));
        }
        table
    }

    #[test]
    fn a_term_is_known_by_where_it_begins() {
        let table = table(&[(1, 0), (1, 3), (4, 5), (9, 6)]);
        assert_eq!(table.starts.len(), 3);
        let terms: Vec<_> = (0..9)
            .map(|at| table.before(SeqNo(at)).unwrap().0)
            .collect();
        assert_eq!(terms, [0, 1, 1, 1, 1, 1, 4, 9, 9]);
        assert_eq!(table.last(), Some(PrimaryTerm(9)));
    }

    #[test]
    fn trimming_keeps_the_term_before_and_truncation_those_below() {
        let whole = table(&[(1, 0), (4, 5), (9, 6)]);
        for first in 0..9 {
            let mut trimmed = whole.clone();
            trimmed.trim(SeqNo(first));
            for at in first..9 {
                assert_eq!(
                    trimmed.before(SeqNo(at)),
                    whole.before(SeqNo(at)),
                    "{first}, {at}"
                );
            }
            let mut cut = whole.clone();
            cut.truncate(SeqNo(first));
            assert_eq!(cut.last(), whole.before(SeqNo(first)), "{first}");
        }
    }
}

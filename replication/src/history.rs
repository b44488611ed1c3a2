//! Which history the records of a copy are of, and what becomes of them when the entry names another one.
//!
//! A term may be used in two histories: where the store has lost who led it, an operator begins another history at terms
//! that a copy which was away has led. So records are told apart by history first, by term then.

use gleaner_model::{CopyId, Entry, HistoryId};

/// What becomes of the records of a copy that is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldRecords {
    /// They are of the entry's history.
    Kept,
    /// The entry's history begins with them: an operator has named this copy.
    Adopted,
    /// They are of another history: the copy begins again without them.
    GivenUp,
}

impl HeldRecords {
    /// Returns what becomes of records of the history `held` in a copy of the entry.
    ///
    /// A copy begins the entry's history as long as nobody has opened a primary in it, which raises the term. Afterwards
    /// files of another history are not the ones that began it, whatever copy they are of.
    pub fn of(entry: &Entry, copy: CopyId, held: HistoryId) -> Self {
        if held == entry.history {
            Self::Kept
        } else if entry.primary == copy && entry.awaits_opening() && !entry.begins_empty(copy) {
            Self::Adopted
        } else {
            Self::GivenUp
        }
    }
}

#[cfg(test)]
mod tests {
    use gleaner_model::{CopyMeta, NodeUuid};

    use super::*;
    use crate::Change;

    fn copy(number: u8) -> CopyId {
        CopyId([number; 16])
    }

    fn changed(entry: &Entry, change: &Change) -> Entry {
        let next = change.apply(Some(entry), 1).expect("it is allowed");
        next.expect("an entry")
    }

    fn opened(entry: &Entry) -> Entry {
        let fence = entry.term;
        changed(entry, &Change::Open { fence })
    }

    #[test]
    fn a_history_begins_with_the_records_of_the_copy_that_was_named_and_of_no_other() {
        let copies = (1..=2).map(|number| (copy(number), CopyMeta::on(NodeUuid([number; 16]))));
        let first = opened(&Entry::first(copy(1), copies.collect()));
        let held = HistoryId::FIRST;
        assert_eq!(HeldRecords::of(&first, copy(2), held), HeldRecords::Kept);
        let forced = changed(
            &first,
            &Change::Force {
                copy: copy(2),
                history: HistoryId([5; 16]),
            },
        );
        let of = |entry: &Entry, number| HeldRecords::of(entry, copy(number), held);
        assert_eq!(of(&forced, 2), HeldRecords::Adopted);
        assert_eq!(of(&forced, 1), HeldRecords::GivenUp);
        // Once it was opened, older files of the same copy are others.
        assert_eq!(of(&opened(&forced), 2), HeldRecords::GivenUp);
        let empty = changed(
            &first,
            &Change::ForceEmpty {
                copy: copy(9),
                node: NodeUuid([2; 16]),
                history: HistoryId([6; 16]),
            },
        );
        assert_eq!(of(&empty, 9), HeldRecords::GivenUp);
        assert!(empty.begins_empty(copy(9)) && !opened(&empty).begins_empty(copy(9)));
    }
}
